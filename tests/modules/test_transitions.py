"""Every transition table of every slice against what is typed by hand: nothing less, nothing more."""

from types import SimpleNamespace
from typing import Any

import pytest

from app.kit.transitions import Transition
from app.modules.members import policies
from tenants.kinds import Kind
from tests.modules.members.expectations import GIVERS
from tests.modules.steps import KINDS, differences, discovered, expected, typed
from tests.modules.used import cases


def test_every_kind_is_typed() -> None:
    assert set(KINDS) == {str(kind) for kind in Kind}


def test_every_table_is_typed_and_every_typed_table_is_there() -> None:
    assert set(discovered()) == set(expected()), "type STEPS in tests/modules/<slice>/expectations.py"


@pytest.mark.parametrize("name", sorted(discovered()))
def test_who_may_take_which_step(name: str) -> None:
    assert not list(differences(discovered()[name], expected()[name]))


@pytest.mark.parametrize("name", sorted(discovered()))
def test_every_entry_has_a_use_case_that_asks_the_table(name: str) -> None:
    """:mod:`tests.modules.used` tells what that shows; the cases run in the slices' own tests."""
    wanted = {(one.source, one.action, one.capability) for one in expected()[name].steps}
    assert {case.entry for case in cases(name)} == wanted


def test_a_table_without_expectations_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The discovery itself: a new table in any ``policies.py`` turns up, under any name."""
    new = (Transition("A", "go", "B", frozenset({Kind.CITY}), "thing.go"),)
    monkeypatch.setattr(policies, "BRAND_NEW", new, raising=False)
    discovered.cache_clear()
    try:
        assert set(discovered()) - set(expected()) == {"members.BRAND_NEW"}
    finally:
        discovered.cache_clear()


def test_givers_owners_and_readers_of_dated_grants() -> None:
    assert givers(policies) == GIVERS


def givers(source: Any) -> dict[str, tuple[str, str, str]]:
    """Return the tables of dated grants as they are typed, in the typed order of kinds."""
    tables = (source.GRANTERS, source.GRANT_OWNERS, source.GRANTEES)
    found: dict[str, tuple[str, str, str]] = {}
    for sort in {*GIVERS, *(sort for table in tables for sort in table)}:
        words = []
        for table, right in zip(tables, GIVERS.get(sort, ("", "", "")), strict=True):
            order = right.split()
            kinds = {str(kind) for kind in table.get(sort, ())}
            words.append(" ".join(sorted(kinds, key=[*order, *KINDS].index)))
        found[sort] = (words[0], words[1], words[2])
    return found


@pytest.mark.parametrize("table", ["GRANTERS", "GRANT_OWNERS", "GRANTEES"])
def test_every_change_of_the_tables_of_grants_is_noticed(table: str) -> None:
    whole = {name: dict(getattr(policies, name)) for name in ("GRANTERS", "GRANT_OWNERS", "GRANTEES")}
    for sort, kinds in whole[table].items():
        for kind in Kind:
            changed = SimpleNamespace(**{**whole, table: {**whole[table], sort: kinds ^ {kind}}})
            assert givers(changed) != GIVERS, (sort, kind)
        rest = {name: value for name, value in whole[table].items() if name != sort}
        assert givers(SimpleNamespace(**{**whole, table: rest})) != GIVERS, sort


def test_a_line_is_read_as_it_is_typed() -> None:
    (one,) = typed("OPEN close CLOSED thing.close COUNTY=A,B EVERY=C PARK=D other").steps
    assert (one.source, one.action, one.target, one.capability, one.other) == (
        "OPEN", "close", "CLOSED", "thing.close", True,
    )  # fmt: skip
    assert one.who == {kind: {"D"} if kind == "PARK" else {"C"} for kind in KINDS}
