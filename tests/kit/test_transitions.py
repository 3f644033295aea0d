"""Transition tables."""

import uuid

import pytest

from app.kit.errors import Fault, NotPermittedFault
from app.kit.transitions import Transition, step
from tenants.context import Acting
from tenants.kinds import Kind

TABLE = (
    Transition("OPEN", "close", "CLOSED", frozenset({Kind.COUNTY}), "thing.close", other_person=True),
    Transition("OPEN", "note", "OPEN", frozenset({Kind.COUNTY, Kind.PARK}), "thing.note"),
)


def acting(kind: Kind, *capabilities: str) -> Acting:
    return Acting(
        membership_id=uuid.uuid4(), person_id=uuid.uuid4(), tenant_id=uuid.uuid4(), tenant_key=1, tenant_name="县局",
        kind=kind, roles=frozenset(), capabilities=frozenset(capabilities), actor_name="张", post="科员",
    )  # fmt: skip


def test_an_entry_leads_on() -> None:
    assert step(TABLE, "OPEN", "close", acting(Kind.COUNTY, "thing.close")).target == "CLOSED"


@pytest.mark.parametrize(
    "who", [acting(Kind.PARK, "thing.close"), acting(Kind.COUNTY, "thing.note"), acting(Kind.COUNTY)]
)
def test_other_kinds_and_missing_capabilities_are_denied_whatever_the_state(who: Acting) -> None:
    for state in ("OPEN", "CLOSED"):
        with pytest.raises(NotPermittedFault):
            step(TABLE, state, "close", who)


def test_a_wrong_state_is_said() -> None:
    with pytest.raises(Fault) as caught:
        step(TABLE, "CLOSED", "close", acting(Kind.COUNTY, "thing.close"))
    assert caught.value.code == "WRONG_STATE"


def test_the_same_person_does_not_take_both_steps() -> None:
    who = acting(Kind.COUNTY, "thing.close")
    with pytest.raises(Fault) as caught:
        step(TABLE, "OPEN", "close", who, before=[who.person_id])
    assert caught.value.code == "OTHER_PERSON"
    assert step(TABLE, "OPEN", "close", who, before=[uuid.uuid4(), None]).target == "CLOSED"
