"""Who may publish a version of a code or rule table, and for which area."""

from app.kit.errors import NotPermittedFault
from app.modules.standards.models import NATIONAL
from tenants.context import Acting
from tenants.kinds import Kind

PUBLISH = "standard.publish"
"""Capability of standards administrators of a province or of the nation (tenants.roles)."""


def publishing_area(acting: Acting, division_code: str | None) -> str:
    """Return the area for which this membership publishes; the database checks the same once more.

    Args:
        acting: the acting membership.
        division_code: division of its tenant.

    Raises:
        NotPermittedFault: no such right, or a tenant that publishes nothing.
    """
    if PUBLISH not in acting.capabilities:
        raise NotPermittedFault(PUBLISH)
    if acting.kind is Kind.NATIONAL:
        return NATIONAL
    if acting.kind is Kind.PROVINCE and division_code:
        return division_code
    raise NotPermittedFault(PUBLISH)
