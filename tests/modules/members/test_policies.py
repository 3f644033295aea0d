"""The life of a membership and the givers of grants, entry by entry."""

from itertools import product
from uuid import uuid4

import pytest

from app.kit.errors import Fault
from app.kit.transitions import step
from app.modules.members import policies
from tenants.context import Acting
from tenants.kinds import Kind
from tenants.roles import ROLES, capabilities

ADMIN_STEPS = {
    ("NEW", "propose"): "PROPOSED",
    ("PROPOSED", "end"): "ENDED",
    ("PENDING", "issue-slip"): "PENDING",
    ("PENDING", "end"): "ENDED",
    ("ACTIVE", "suspend"): "SUSPENDED",
    ("ACTIVE", "change-roles"): "ACTIVE",
    ("ACTIVE", "end"): "ENDED",
    ("SUSPENDED", "resume"): "ACTIVE",
    ("SUSPENDED", "end"): "ENDED",
}
"""What an administrator may do, typed from the identity study 1.6 and handbook 0.4; nothing else leads on."""
SECURITY_STEPS = {("PROPOSED", "approve"): "PENDING", ("PROPOSED", "refuse"): "REFUSED"}
SLIP_STEPS = {("PENDING", "issue-slip"): "PENDING"}
STATES = ("NEW", "PROPOSED", "PENDING", "ACTIVE", "SUSPENDED", "ENDED", "REFUSED")
ACTIONS = ("propose", "approve", "refuse", "issue-slip", "suspend", "resume", "change-roles", "end", "activate")


def _acting(kind: Kind, *roles: str) -> Acting:
    held = frozenset(roles)
    return Acting(
        uuid4(), uuid4(), uuid4(), 1, "tenant", kind, held, capabilities(kind, held), actor_name="a", post="p"
    )


def _expected(kind: Kind, role: str) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    if role == "ADMIN":
        found |= ADMIN_STEPS
    if role == "SECURITY" or (kind, role) == (Kind.ENTERPRISE, "HEAD"):
        found |= SECURITY_STEPS
    if (kind, role) == (Kind.COUNTY, "ACCEPTOR"):
        found |= SLIP_STEPS
    return found


def _outcome(acting: Acting, state: str, action: str) -> str:
    try:
        return step(policies.MEMBERSHIP, state, action, acting).target
    except Fault as fault:
        return fault.code


@pytest.mark.parametrize(("kind", "role"), [(kind, role) for kind, table in ROLES.items() for role in table])
def test_every_step_of_every_role(kind: Kind, role: str) -> None:
    acting, expected = _acting(kind, role), _expected(kind, role)
    known = {action for _, action in expected}
    for state, action in product(STATES, ACTIONS):
        otherwise = "WRONG_STATE" if action in known else "NOT_PERMITTED"
        assert _outcome(acting, state, action) == expected.get((state, action), otherwise), (state, action)


@pytest.mark.parametrize("action", ["approve", "refuse"])
def test_the_second_person_is_another_person(action: str) -> None:
    acting = _acting(Kind.COUNTY, "SECURITY")
    with pytest.raises(Fault) as refusal:
        step(policies.MEMBERSHIP, "PROPOSED", action, acting, [acting.person_id])
    assert refusal.value.code == "OTHER_PERSON"


def test_only_kinds_without_a_level_hold_grants() -> None:
    assert set().union(*policies.GRANTEES.values()) == {Kind.AGENCY, Kind.RESCUE_TEAM}
    assert policies.GRANTERS.keys() == policies.GRANT_OWNERS.keys() == policies.GRANTEES.keys()
