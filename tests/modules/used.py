"""Shows that a use case asks its transition table: without the entry it is refused and leaves no trace.

``tests/modules/<slice>/uses.py`` holds ``CASES``: one for each entry of each table of the slice, which the
slice's ``test_uses.py`` runs with :func:`check`. ``tests/modules/test_transitions.py`` wants them complete.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from app.kit.errors import Fault
from tenants.context import Caller
from tests.conftest import Clone
from tests.factories.members import Call, do

Entry = tuple[str, str, str]
"""State, action, capability."""
Prepared = tuple[Caller, Call]


@dataclass(frozen=True)
class Case:
    """One entry and a use case that cannot do without it.

    Args:
        table: ``slice.NAME``.
        entry: which one.
        prepare: makes what the use case needs, and returns who calls and what; repeating the call is right.
    """

    table: str
    entry: Entry
    prepare: Callable[..., Awaitable[Prepared]]

    def __str__(self) -> str:
        return " ".join((self.table, *self.entry))


def cases(table: str) -> list[Case]:
    """Return the cases of a table."""
    name = f"tests.modules.{table.partition('.')[0]}.uses"
    found: tuple[Case, ...] = import_module(name).CASES if find_spec(name) else ()
    return [case for case in found if case.table == table]


async def checksums(admin: Any) -> dict[str, tuple[int, Any]]:
    """Return how many rows each table of the database has, and a sum over all their values."""
    names = await admin.fetch(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname IN ('app', 'issuer')"
    )
    found = {}
    for row in names:
        found[row["name"]] = tuple(
            await admin.fetchrow(f"SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {row['name']} t")
        )
    return found


async def check(case: Case, clone: Clone, monkeypatch: pytest.MonkeyPatch, *more: Any) -> None:
    """Run a use case without its entry, then with it."""
    slice_, _, name = case.table.partition(".")
    policies = import_module(f"app.modules.{slice_}.policies")
    table = getattr(policies, name)
    rest = tuple(one for one in table if (one.source, one.action, one.capability) != case.entry)
    assert len(rest) == len(table) - 1
    caller, call = await case.prepare(clone, *more)
    before = await checksums(clone.admin)
    with monkeypatch.context() as patch:
        patch.setattr(policies, name, rest)
        with pytest.raises(Fault) as refusal:
            await do(clone, caller, call)
    assert refusal.value.code in ("NOT_PERMITTED", "WRONG_STATE")
    assert await checksums(clone.admin) == before
    await do(clone, caller, call)
    assert await checksums(clone.admin) != before, "with the entry it is done"
