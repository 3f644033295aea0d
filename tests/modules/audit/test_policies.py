"""Who may read the audit log, and what may stand in it."""

from uuid import uuid4

import pytest

from app.kit.errors import NotPermittedFault
from app.modules.audit.policies import plain, require_reader
from tenants.context import Acting, Visitor
from tenants.kinds import Kind
from tenants.roles import ROLES, capabilities


@pytest.mark.parametrize(("kind", "role"), [(kind, role) for kind, table in ROLES.items() for role in table])
def test_only_auditors_read(kind: Kind, role: str) -> None:
    acting = Acting(
        uuid4(), uuid4(), uuid4(), 1, "t", kind, frozenset({role}), capabilities(kind, [role]), actor_name="a", post="p"
    )
    if role == "AUDITOR":
        assert require_reader(acting) is acting
    else:
        with pytest.raises(NotPermittedFault):
            require_reader(acting)


def test_a_visitor_does_not() -> None:
    with pytest.raises(NotPermittedFault):
        require_reader(Visitor(person_id=uuid4()))


@pytest.mark.parametrize("value", ["text", 5, True, None, ["a", 1, None], []])
def test_ids_codes_and_counts_are_plain(value: object) -> None:
    assert plain({"x": value})


@pytest.mark.parametrize("value", [0.5, {"a": 1}, [[1]], b"x", object()])
def test_records_and_fractions_are_not(value: object) -> None:
    assert not plain({"x": value})
