"""What tables want that their columns do not tell: who owns their rows, and values that a check asks for."""

import itertools
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Made:
    """The row that is being made."""

    owner: str
    author: str
    number: int
    state: str | None
    owner_id: uuid.UUID


_POSITIONS = itertools.count(1)

SKIP: frozenset[str] = frozenset()
"""Tables that stay empty; none may."""

OWNERS: Mapping[str, tuple[str, ...]] = {
    "enterprise": ("ENTERPRISE", "AGENCY"),
    "registration": ("COUNTY",),
}
"""Kinds of tenants that own rows of a table; a table that hangs on another follows it."""

FIXED: Mapping[str, Mapping[str, object | Callable[[Made], object]]] = {
    "audit_entry": {"outcome": lambda made: "ALLOWED" if made.author else ("DENIED", "ALLOWED")[len(made.owner) % 2]},
    "draft": {"expires_at": "2126-03-01T00:00:00Z", "object": lambda made: f"tenant_{made.owner_id}"},
    "event": {
        "type": "tenant.canary",
        "object_id": lambda made: made.owner_id,
        "position": lambda _: next(_POSITIONS),
    },
    "event_position": {"last": 1_000_000},
    "division": {"code": "61", "level": "PROVINCE"},
    "enterprise": {
        "id": lambda made: made.owner_id,
        "credit_code": lambda made: f"91{made.owner}"[:18],
    },
    "enterprise_change": {
        "kind": lambda made: "REVIEW" if made.state else "EDIT",
        "state": lambda made: made.state or "ACCEPTED",
    },
    "site": {"is_main": lambda made: made.number == 0, "name": lambda made: f"canary-{made.owner}-{made.number}"},
}
"""Column to a value, or to a function of the row."""
