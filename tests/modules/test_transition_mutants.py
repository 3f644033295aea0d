"""Transition tables broken one entry at a time: the comparison with what is typed must notice every single one."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.kit.transitions import Transition
from tenants.kinds import Kind
from tests.modules.steps import Table, differences, discovered, expected
from tests.tenants.expected_roles import CAPABILITIES

pytestmark = pytest.mark.full


def mutants(table: Table, states: list[str]) -> Iterator[tuple[str, Table]]:
    """Yield every table with one entry taken away, widened, or led elsewhere."""
    for number, entry in enumerate(table):
        rest = (*table[:number], *table[number + 1 :])
        yield f"{_name(entry)} removed", rest
        for kind in Kind:
            word = "without" if kind in entry.kinds else "also"
            yield f"{_name(entry)} {word} {kind}", (replace(entry, kinds=entry.kinds ^ {kind}), *rest)
        for state in states:
            if state not in (entry.source, entry.target):
                yield f"{_name(entry)} leads to {state}", (replace(entry, target=state), *rest)
            wider = replace(entry, source=state)
            if wider not in table:
                yield f"{_name(entry)} also from {state}", (wider, *table)
        yield (
            f"{_name(entry)} other person {not entry.other_person}",
            (
                replace(entry, other_person=not entry.other_person),
                *rest,
            ),
        )
        for capability in sorted(CAPABILITIES - {entry.capability}):
            yield f"{_name(entry)} by {capability}", (replace(entry, capability=capability), *rest)


def _name(entry: Transition) -> str:
    return f"{entry.source} {entry.action} {entry.capability}"


@pytest.mark.parametrize("name", sorted(discovered()))
def test_every_broken_entry_is_noticed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    table, wanted = discovered()[name], expected()[name]
    assert not list(differences(table, wanted)), "unbroken, nothing is noticed"
    every = list(mutants(table, wanted.states))
    alive = [what for what, broken in every if next(differences(broken, wanted), None) is None]
    with capsys.disabled():
        print(f"\ntransition mutants of {name} caught: {len(every) - len(alive)}/{len(every)}")  # noqa: T201 - the figure
    assert len(every) > len(table) * 20
    assert not alive, "\n".join(alive)
