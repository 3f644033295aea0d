"""Roles and the tables of delegated administration broken one entry at a time: each is noticed."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from tenants import delegation, kinds, roles
from tenants.kinds import Kind
from tests.tenants.expected_roles import CAPABILITIES, ROLES
from tests.tenants.role_tables import delegation_differences, reach, role_differences

pytestmark = pytest.mark.full
Table = Mapping[Kind, Mapping[str, tuple[str, ...]]]


def _with(table: Table, kind: Kind, role: str, names: tuple[str, ...] | None) -> Table:
    rest = {name: held for name, held in table[kind].items() if name != role}
    return MappingProxyType({**table, kind: rest if names is None else {**rest, role: names}})


def role_mutants(table: Table) -> Iterator[tuple[str, Table]]:
    """Yield each table with one capability, or one role, more or less."""
    every = {role for held in table.values() for role in held}
    for kind, held in table.items():
        for role, names in held.items():
            yield f"{kind} {role} removed", _with(table, kind, role, None)
            for name in sorted(CAPABILITIES):
                more = (*names, name) if name not in names else tuple(one for one in names if one != name)
                yield f"{kind} {role} {name}", _with(table, kind, role, more)
        for role in sorted(every - set(held)):
            yield f"{kind} also {role}", _with(table, kind, role, ("tenant.read",))
        yield f"{kind} removed", MappingProxyType({**table, kind: {}})


Broken = Iterator[tuple[str, str, Any]]
"""What is broken, its name in ``tenants.delegation``, and the value in its place."""


def _grantable() -> Broken:
    whole = dict(delegation.GRANTABLE)
    for role in sorted({role for held in ROLES.values() for role in held}):
        if role in whole:
            yield f"{role} grants nothing", "GRANTABLE", {name: to for name, to in whole.items() if name != role}
            yield f"{role} grants only officers", "GRANTABLE", {**whole, role: frozenset({"OFFICER"})}
            continue
        yield f"{role} grants everything", "GRANTABLE", {**whole, role: frozenset({delegation.ANY_ROLE})}
        # Only roles of tenants that somebody with this role could ever reach.
        reached = {kind for home in ROLES if role in ROLES[home] for kind, _ in reach(home)}
        for one in sorted({name for kind in reached for name in ROLES[kind]}):
            yield f"{role} grants {one}", "GRANTABLE", {**whole, role: frozenset({one})}


def _sets() -> Broken:
    for name in ("EXCLUSIVE", "PRIVILEGED"):
        for role in sorted({role for held in ROLES.values() for role in held}):
            yield f"{name} {role}", name, getattr(delegation, name) ^ {role}
    for capability in sorted(CAPABILITIES - {delegation.APPROVE}):
        yield f"approved by {capability}", "APPROVE", capability


def _levels() -> Broken:
    for kind in Kind:
        for tier in (-1, 99):
            if (kind, tier) != (Kind.NATIONAL, -1):  # it is the highest as it is
                yield f"{kind} at tier {tier}", "TIERS", {**kinds.TIERS, kind: tier}
    for kind in kinds.LEVEL_KINDS:
        rest = {one: level for one, level in kinds.LEVEL_KINDS.items() if one is not kind}
        if kind is not Kind.ENTERPRISE:  # nothing lies below an enterprise: its own people it finds by its key
            yield f"{kind} without its level", "LEVEL_KINDS", rest


def _noticed(what: int, total: int, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{name} mutants caught: {what}/{total}")  # noqa: T201 - the figure


def test_every_change_of_a_role_is_noticed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    every, alive = 0, []
    for what, table in list(role_mutants(roles.ROLES)):
        every += 1
        monkeypatch.setattr(roles, "ROLES", table)
        if next(role_differences(), None) is None:
            alive.append(what)
    _noticed(every - len(alive), every, "role", capsys)
    assert every > 40 * len(CAPABILITIES)
    assert not alive, "\n".join(alive)


def test_every_change_of_delegation_is_noticed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    every, alive = 0, []
    for what, name, value in [*_grantable(), *_sets(), *_levels()]:
        every += 1
        with monkeypatch.context() as patch:
            patch.setattr(delegation, name, value)
            if next(delegation_differences(), None) is None:
                alive.append(what)
    _noticed(every - len(alive), every, "delegation", capsys)
    assert every > 100
    assert not alive, "\n".join(alive)
