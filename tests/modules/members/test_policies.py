"""The givers of grants; who may take which step of a membership is in ``expectations.py``."""

from app.modules.members import policies
from tenants.kinds import Kind


def test_only_kinds_without_a_level_hold_grants() -> None:
    assert set().union(*policies.GRANTEES.values()) == {Kind.AGENCY, Kind.RESCUE_TEAM}
    assert policies.GRANTERS.keys() == policies.GRANT_OWNERS.keys() == policies.GRANTEES.keys()
