"""Delegated administration, as properties over random trees."""

import uuid
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.errors import codes
from tenants.delegation import GRANTABLE, Decision, Node, Reason, may_approve, may_propose
from tenants.kinds import LEVEL_KINDS, TIERS, Kind
from tenants.roles import ADMIN, AUDITOR, EXCLUSIVE, PRIVILEGED, ROLES, SECURITY, capabilities

PEOPLE = [uuid.UUID(int=n) for n in range(4)]
PARENT_KINDS = {
    Kind.CITY: (Kind.PROVINCE,),
    Kind.COUNTY: (Kind.CITY, Kind.PROVINCE),
    Kind.TOWNSHIP: (Kind.COUNTY,),
    Kind.PARK: (Kind.CITY, Kind.COUNTY),
    Kind.ENTERPRISE: (Kind.COUNTY, Kind.TOWNSHIP),
    Kind.RESCUE_TEAM: (Kind.COUNTY, Kind.CITY),
    Kind.AGENCY: (Kind.PROVINCE, Kind.COUNTY),
}


@dataclass(frozen=True)
class Who:
    person_id: uuid.UUID
    tenant_key: int
    kind: Kind
    roles: frozenset[str]

    @property
    def capabilities(self) -> frozenset[str]:
        return capabilities(self.kind, self.roles)


@dataclass(frozen=True)
class Placed(Node):
    """A node that remembers its ancestors by walking, not by keys."""

    line: tuple[int, ...] = ()


@st.composite
def trees(draw: st.DrawFn) -> list[Placed]:
    nodes = [Placed(Kind.PROVINCE, 1, {"province": 1}, (1,)), Placed(Kind.PROVINCE, 2, {"province": 2}, (2,))]
    nodes.append(Placed(Kind.NATIONAL, 3, {}, (3,)))
    for key in range(4, 4 + draw(st.integers(0, 14))):
        kind = draw(st.sampled_from(sorted(PARENT_KINDS)))
        parents = [node for node in nodes if node.kind in PARENT_KINDS[kind]]
        if not parents:
            continue
        parent = draw(st.sampled_from(parents))
        keys = dict(parent.keys)
        if kind in LEVEL_KINDS:
            keys[LEVEL_KINDS[kind]] = key
        nodes.append(Placed(kind, key, keys, (*parent.line, key)))
    return nodes


@st.composite
def proposals(draw: st.DrawFn) -> tuple[Who, Placed, Placed, frozenset[str], uuid.UUID | None, frozenset[str]]:
    nodes = draw(trees())
    home, target = draw(st.sampled_from(nodes)), draw(st.sampled_from(nodes))
    actor = Who(
        draw(st.sampled_from(PEOPLE)),
        home.key,
        home.kind,
        frozenset(draw(st.sets(st.sampled_from([*ROLES[home.kind], ADMIN]), max_size=3))),
    )
    wanted = frozenset(draw(st.sets(st.sampled_from([*ROLES[target.kind], "NO_SUCH"]), max_size=3)))
    subject = draw(st.sampled_from([None, *PEOPLE]))
    held = frozenset(draw(st.sets(st.sampled_from(sorted(EXCLUSIVE)), max_size=1)))
    return actor, home, target, wanted, subject, held


@given(proposals())
def test_nobody_grants_above_outside_or_to_himself(
    proposal: tuple[Who, Placed, Placed, frozenset[str], uuid.UUID | None, frozenset[str]],
) -> None:
    actor, home, target, wanted, subject, held = proposal
    decision = may_propose(actor, target, wanted, subject, held)
    assert decision.ok == (decision.reason is Reason.OK)
    if not decision.ok:
        assert not decision.needs_second
        return
    assert home.key in target.line
    assert home.key == target.key or home.kind in LEVEL_KINDS
    assert TIERS[target.kind] >= TIERS[home.kind]
    assert subject is None or subject != actor.person_id
    assert wanted
    assert wanted <= set(ROLES[target.kind])
    assert any(role in GRANTABLE for role in actor.roles)
    assert len(EXCLUSIVE & (wanted | held)) <= 1
    assert decision.needs_second == bool(PRIVILEGED & wanted)


@given(proposals())
def test_an_administrator_grants_every_plain_role_in_his_area(
    proposal: tuple[Who, Placed, Placed, frozenset[str], uuid.UUID | None, frozenset[str]],
) -> None:
    """The other direction: what the rules allow is allowed."""
    actor, home, target, wanted, subject, held = proposal
    admin = Who(actor.person_id, home.key, home.kind, actor.roles | {ADMIN})
    below = home.key == target.key or (home.kind in LEVEL_KINDS and home.key in target.line)
    fits = wanted and wanted <= set(ROLES[target.kind]) and len(EXCLUSIVE & (wanted | held)) <= 1
    if below and TIERS[target.kind] >= TIERS[home.kind] and fits and subject != admin.person_id:
        assert may_propose(admin, target, wanted, subject, held).ok


@given(proposals(), st.sampled_from(PEOPLE))
def test_four_eyes_are_two_people(
    proposal: tuple[Who, Placed, Placed, frozenset[str], uuid.UUID | None, frozenset[str]], proposer: uuid.UUID
) -> None:
    actor, home, target, _, subject, _ = proposal
    decision = may_approve(actor, target, proposer, subject)
    if decision.ok:
        assert actor.person_id not in (proposer, subject)
        assert "member.approve" in actor.capabilities
        assert home.key in target.line


def test_a_city_administrator_creates_a_countys_user() -> None:
    admin = Who(PEOPLE[0], 5, Kind.CITY, frozenset({ADMIN}))
    county = Node(Kind.COUNTY, 7, {"province": 1, "city": 5, "county": 7})
    assert may_propose(admin, county, {"OFFICER"}, PEOPLE[1]) == Decision(ok=True, needs_second=False, reason=Reason.OK)
    assert may_propose(admin, county, {ADMIN}).needs_second


CITY = Who(PEOPLE[0], 5, Kind.CITY, frozenset({ADMIN}))
COUNTY = Node(Kind.COUNTY, 7, {"province": 1, "city": 5, "county": 7})


@pytest.mark.parametrize(
    ("target", "roles", "subject", "held", "reason"),
    [
        (Node(Kind.COUNTY, 8, {"province": 1, "city": 6, "county": 8}), {"OFFICER"}, None, (), Reason.OUTSIDE),
        (Node(Kind.PROVINCE, 1, {"province": 1}), {"OFFICER"}, None, (), Reason.ABOVE),
        (COUNTY, {"OFFICER"}, PEOPLE[0], (), Reason.SELF),
        (COUNTY, set(), None, (), Reason.NO_ROLE),
        (COUNTY, {"HEAD"}, None, (), Reason.UNKNOWN_ROLE),
        (COUNTY, {ADMIN, AUDITOR}, None, (), Reason.EXCLUSIVE),
        (COUNTY, {SECURITY}, PEOPLE[1], (ADMIN,), Reason.EXCLUSIVE),
    ],
)
def test_each_refusal_says_why(
    target: Node, roles: set[str], subject: uuid.UUID | None, held: tuple[str, ...], reason: Reason
) -> None:
    assert may_propose(CITY, target, roles, subject, held).reason is reason


def test_only_administrators_grant() -> None:
    for kind, table in ROLES.items():
        for role in table:
            actor = Who(PEOPLE[0], 5, kind, frozenset({role}))
            some = next(iter(table))
            own = Node(kind, 5, {LEVEL_KINDS[kind]: 5} if kind in LEVEL_KINDS else {})
            assert may_propose(actor, own, {some}).ok == (role == ADMIN), (kind, role)


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
def test_every_reason_has_a_text(locale: str) -> None:
    assert {str(reason) for reason in Reason if reason is not Reason.OK} <= codes(locale)
