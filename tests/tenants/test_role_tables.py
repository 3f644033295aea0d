"""Roles and delegated administration are what is typed from the handbook, and nothing else."""

from tenants.kinds import LEVELS as CODE_LEVELS
from tenants.kinds import Kind
from tenants.roles import KNOWN_ROLES
from tests.tenants.expected_roles import ROLES
from tests.tenants.role_tables import KINDS, LEVELS, delegation_differences, role_differences


def test_every_kind_and_level_is_typed() -> None:
    assert set(KINDS) == {str(kind) for kind in Kind}
    assert tuple(level.upper() for level in CODE_LEVELS) == LEVELS


def test_each_role_may_do_what_the_handbook_says() -> None:
    assert not list(role_differences())


def test_delegated_administration_is_as_typed() -> None:
    assert not list(delegation_differences())


def test_roles_that_tokens_may_carry() -> None:
    assert {role for roles in ROLES.values() for role in roles} == KNOWN_ROLES
