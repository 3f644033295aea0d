"""Who may take which step, written down a second time from handbook appendix B."""

from uuid import UUID

import pytest

from app.kit.errors import Fault, NotPermittedFault
from app.kit.transitions import step
from app.modules.enterprises import policies
from app.modules.enterprises.api.inputs import EnterpriseField, EnterpriseLifecycleAction
from app.modules.enterprises.service.computing import FIELDS
from tenants.context import Acting
from tenants.kinds import Kind
from tenants.roles import ROLES, capabilities

COUNTY, ENTERPRISE, CITY, PROVINCE = Kind.COUNTY, Kind.ENTERPRISE, Kind.CITY, Kind.PROVINCE
EXPECTED = {
    # table: (from, step, to, kind, role) of every step that anybody may take
    "REGISTRATION": {
        ("RECEIVED", "registration.approve", "APPROVED", COUNTY, "ACCEPTOR"),
        ("RECEIVED", "registration.refuse", "REFUSED", COUNTY, "ACCEPTOR"),
        ("RECEIVED", "registration.confirmClaim", "CLAIM_CONFIRMED", COUNTY, "ACCEPTOR"),
    },
    "STATUS": {
        ("UNVERIFIED", "enterprise.claim", "CLAIMED", COUNTY, "ACCEPTOR"),
        ("CLAIMED", "enterprise.claim", "CLAIMED", COUNTY, "ACCEPTOR"),
        ("VERIFIED", "enterprise.claim", "VERIFIED", COUNTY, "ACCEPTOR"),
        ("CLAIMED", "enterprise.verify", "VERIFIED", COUNTY, "ACCEPTOR"),
    },
    "LIFECYCLE": {
        *(
            (state, "enterprise.edit", state, ENTERPRISE, role)
            for state in ("ACTIVE", "SUSPENDED")
            for role in ("HEAD", "SAFETY_MANAGER", "ADMIN")
        ),
        *(
            (state, "enterprise.confirm", state, ENTERPRISE, role)
            for state in ("ACTIVE", "SUSPENDED")
            for role in ("HEAD", "SAFETY_MANAGER", "ADMIN")
        ),
        *(
            (state, "enterprise.lockFields", state, kind, "LEADER")
            for state in ("ACTIVE", "SUSPENDED")
            for kind in (CITY, PROVINCE)
        ),
        *(("ACTIVE", "enterprise.suspend", "SUSPENDED", ENTERPRISE, r) for r in ("HEAD", "SAFETY_MANAGER", "ADMIN")),
        *(("SUSPENDED", "enterprise.resume", "ACTIVE", ENTERPRISE, r) for r in ("HEAD", "SAFETY_MANAGER", "ADMIN")),
        ("ACTIVE", "enterprise.close", "CLOSED", COUNTY, "ACCEPTOR"),
        ("SUSPENDED", "enterprise.close", "CLOSED", COUNTY, "ACCEPTOR"),
    },
    "CHANGE": {
        *(
            entry
            for role in ("HEAD", "SAFETY_MANAGER", "ADMIN")
            for entry in (
                ("DRAFT", "change.submit", "SUBMITTED", ENTERPRISE, role),
                ("DRAFT", "change.withdraw", "WITHDRAWN", ENTERPRISE, role),
                ("SUBMITTED", "change.withdraw", "WITHDRAWN", ENTERPRISE, role),
            )
        ),
        ("SUBMITTED", "change.accept", "ACCEPTED", COUNTY, "ACCEPTOR"),
        ("SUBMITTED", "change.return", "RETURNED", COUNTY, "ACCEPTOR"),
    },
    "SITE": {
        *(
            ("ACTIVE", action, target, ENTERPRISE, role)
            for role in ("HEAD", "SAFETY_MANAGER", "ADMIN")
            for action, target in (("site.edit", "ACTIVE"), ("site.close", "CLOSED"))
        ),
    },
    "PERSON": {
        *(
            ("ACTIVE", action, target, ENTERPRISE, role)
            for role in ("HEAD", "SAFETY_MANAGER", "ADMIN")
            for action, target in (("person.edit", "ACTIVE"), ("person.void", "VOID"))
        ),
    },
}


def somebody(kind: Kind, role: str) -> Acting:
    return Acting(
        membership_id=UUID(int=1),
        person_id=UUID(int=2),
        tenant_id=UUID(int=3),
        tenant_key=4,
        tenant_name="x",
        kind=kind,
        roles=frozenset({role}),
        capabilities=capabilities(kind, [role]),
        actor_name="x",
        post="",
    )


@pytest.mark.parametrize("name", EXPECTED)
def test_steps_are_those_of_the_handbook_and_no_others(name: str) -> None:
    table = getattr(policies, name)
    states = {entry.source for entry in table} | {entry.target for entry in table}
    found = set()
    for action in {entry.action for entry in table}:
        for state in states:
            for kind, roles in ROLES.items():
                for role in roles:
                    try:
                        entry = step(table, state, action, somebody(kind, role))
                    except Fault:
                        continue
                    found.add((state, action, entry.target, kind, role))
    assert found == EXPECTED[name]


def test_the_tables_are_all_there() -> None:
    assert {id(getattr(policies, name)) for name in EXPECTED} == {id(table) for table in policies.TABLES}


def test_only_voiding_asks_for_another_person() -> None:
    asking = [entry.action for table in policies.TABLES for entry in table if entry.other_person]
    assert asking == [policies.PERSON_VOID]
    with pytest.raises(Fault) as caught:
        step(policies.PERSON, "ACTIVE", policies.PERSON_VOID, somebody(ENTERPRISE, "HEAD"), [UUID(int=2)])
    assert caught.value.code == "OTHER_PERSON"


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.COUNTY])
def test_may_refuses_before_anything_is_read(kind: Kind) -> None:
    for role in ROLES[kind]:
        with pytest.raises(NotPermittedFault):
            policies.may(policies.REGISTRATION, policies.APPROVE, somebody(kind, role))


def test_words_of_the_api_are_those_of_the_tables() -> None:
    assert tuple(field.value for field in EnterpriseField) == FIELDS
    assert {action.value for action in EnterpriseLifecycleAction} == {
        policies.SUSPEND,
        policies.RESUME,
        policies.CLOSE,
    }
