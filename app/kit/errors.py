"""Expected errors: what went wrong, where in the input, and what to do, in the user's language.

A :class:`Fault` becomes an entry of the payload's ``errors``; anything else is unexpected, is
masked, and carries the request's id. Codes are stable; texts stand in ``messages/<locale>.json``.
"""

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from uuid import UUID

LOCALES = ("zh-CN", "en")
"""Chinese first."""

NOT_FOUND = "NOT_FOUND"
"""Does not exist, or is not yours: the same answer."""
NOT_PERMITTED = "NOT_PERMITTED"
CONFLICT = "CONFLICT"
INVALID = "INVALID"
IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"


class Fault(Exception):  # noqa: N818 - a state of the domain, not a defect
    """An expected error of a use case.

    Args:
        code: stable, upper-case code; the message catalogue has a text for it.
        field: path into the input, camelCase as the client wrote it; empty when it concerns the whole.
        params: values for the text.
    """

    def __init__(self, code: str, field: Sequence[str] = (), /, **params: object) -> None:
        super().__init__(code)
        self.code = code
        self.field = tuple(field)
        self.params = params

    def message(self, locale: str) -> str:
        """Return the text for the user."""
        return translate(self.code, locale, **self.params)


class NotPermittedFault(Fault):
    """The caller may not do this; it is written to the audit log in a transaction of its own."""

    def __init__(self, action: str, /, **params: object) -> None:
        super().__init__(NOT_PERMITTED, (), action=action, **params)


class NotFoundFault(Fault):
    """The object does not exist for this caller."""

    def __init__(self, *field: str) -> None:
        super().__init__(NOT_FOUND, field)


class ConflictFault(Fault):
    """Somebody changed the object since the caller read it; the payload returns the current one."""

    def __init__(self, current_version: int, object_id: UUID | None = None) -> None:
        """Say which version is there now, and of which object where the input has no ``id``."""
        super().__init__(CONFLICT, ("expectedVersion",), version=current_version)
        self.object_id = object_id


class FaultGroup(Fault):
    """Several faults of one input, so that a form shows them all at once."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults[0].code, faults[0].field, **faults[0].params)
        self.faults = tuple(faults)


def require(condition: object, code: str, field: Sequence[str] = (), /, **params: object) -> None:
    """Raise a :class:`Fault` unless the condition holds."""
    if not condition:
        raise Fault(code, field, **params)


def translate(code: str, locale: str, /, **params: object) -> str:
    """Return a catalogue text with its values put in.

    Raises:
        KeyError: the catalogue has no such code; a test compares the code base with the catalogue.
    """
    return _catalogue(locale if locale in LOCALES else LOCALES[0])[code].format(**params)


@cache
def _catalogue(locale: str) -> dict[str, str]:
    """Merge the catalogue files of a language: one of the kit, one of each slice."""
    merged: dict[str, str] = {}
    folder = files("app.kit") / "messages"
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(f".{locale}.json"):
            merged |= json.loads(entry.read_text(encoding="utf-8"))
    return merged


def codes(locale: str) -> frozenset[str]:
    """Return every code that the catalogue of a language knows."""
    return frozenset(_catalogue(locale))
