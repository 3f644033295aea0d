"""What the API and the first check know of the tables; who may take which step is in ``expectations.py``."""

from uuid import UUID

import pytest

from app.kit.errors import NotPermittedFault
from app.modules.enterprises import policies
from app.modules.enterprises.api.inputs import EnterpriseField, EnterpriseLifecycleAction
from app.modules.enterprises.service.computing import FIELDS
from tenants.context import Acting
from tenants.kinds import Kind
from tenants.roles import ROLES, capabilities


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
