"""Who may take which step: the life of a membership as data, and who may give grants."""

from collections.abc import Collection
from types import MappingProxyType
from uuid import UUID

from app.kit.errors import Fault
from app.kit.transitions import Transition
from app.modules.members import errors
from tenants.context import Acting
from tenants.delegation import Decision, Node, Reason, may_approve, may_propose
from tenants.kinds import LEVEL_KINDS, LEVELS, Kind, key_column
from tenants.models import Tenant
from tenants.roles import ROLES

PROPOSE = "member.propose"
APPROVE = "member.approve"
DECIDE = "member.decide"
END = "member.end"
SLIP = "member.slip"
READ = "member.read"
TENANT_READ = "tenant.read"
TENANT_RENAME = "tenant.rename"
TENANT_CHANGE = "tenant.change"
GRANT = "grant.manage"

NEW = "NEW"
PROPOSED = "PROPOSED"
PENDING = "PENDING"
ACTIVE = "ACTIVE"
SUSPENDED = "SUSPENDED"
ENDED = "ENDED"
REFUSED = "REFUSED"

EVERY = frozenset(Kind)
OFFICES = frozenset({Kind.PROVINCE, Kind.CITY, Kind.COUNTY, Kind.TOWNSHIP, Kind.PARK})

MEMBERSHIP: tuple[Transition, ...] = (
    Transition(NEW, "propose", PROPOSED, EVERY, PROPOSE),
    Transition(PROPOSED, "approve", PENDING, EVERY, APPROVE, other_person=True),
    Transition(PROPOSED, "refuse", REFUSED, EVERY, APPROVE, other_person=True),
    Transition(PROPOSED, "end", ENDED, EVERY, END),
    Transition(PENDING, "issue-slip", PENDING, EVERY, PROPOSE),
    Transition(PENDING, "issue-slip", PENDING, EVERY, APPROVE),
    Transition(PENDING, "issue-slip", PENDING, frozenset({Kind.COUNTY}), SLIP),
    Transition(PENDING, "end", ENDED, EVERY, END),
    Transition(ACTIVE, "suspend", SUSPENDED, EVERY, DECIDE),
    Transition(ACTIVE, "change-roles", ACTIVE, EVERY, DECIDE),
    Transition(ACTIVE, "end", ENDED, EVERY, END),
    Transition(SUSPENDED, "resume", ACTIVE, EVERY, DECIDE),
    Transition(SUSPENDED, "end", ENDED, EVERY, END),
)
"""Life of a membership. ``propose`` of roles without privilege leads on to PENDING by itself; PENDING
becomes ACTIVE only by the job that redeems the person's slip, under a system login."""

GRANTERS: MappingProxyType[str, frozenset[Kind]] = MappingProxyType(
    {
        "scope_grant": frozenset({Kind.ENTERPRISE, Kind.COUNTY}),
        "incident_call": frozenset({Kind.COUNTY, Kind.CITY, Kind.PROVINCE}),
        "hosting": frozenset({Kind.COUNTY, Kind.CITY}),
    }
)
"""Kinds whose members may write each dated grant; the database grants INSERT to the same logins."""

GRANT_OWNERS: MappingProxyType[str, frozenset[Kind]] = MappingProxyType(
    {
        "scope_grant": frozenset({Kind.ENTERPRISE}),
        "incident_call": frozenset({Kind.ENTERPRISE}),
        "hosting": frozenset({Kind.COUNTY}),
    }
)
"""Kinds whose rows each grant opens."""

GRANTEES: MappingProxyType[str, frozenset[Kind]] = MappingProxyType(
    {
        "scope_grant": frozenset({Kind.AGENCY}),
        "incident_call": frozenset({Kind.RESCUE_TEAM}),
        "hosting": frozenset({Kind.AGENCY}),
    }
)
"""Kinds that each grant lets read: only kinds without a level read by grants (decision 16)."""

GRANT_MAX = 50
"""Grants of one sort that a grantee may hold at a time (decision 16)."""


def node_of(tenant: Tenant) -> Node:
    """Return what delegation must know of a tenant."""
    keys = {level: getattr(tenant, key_column(level)) for level in LEVELS}
    return Node(Kind(tenant.kind), tenant.key, keys)


def require_manages(
    acting: Acting,
    tenant: Tenant,
    roles: Collection[str],
    subject: UUID | None = None,
    held: Collection[str] = (),
) -> Decision:
    """Return the decision of delegated administration when it is a yes.

    Args:
        acting: who administers.
        tenant: where the roles are, or shall be, held.
        roles: the roles.
        subject: the person who holds them; None: not known yet.
        held: roles that this person holds elsewhere.

    Raises:
        Fault: ``GRANT_`` and the reason of :mod:`tenants.delegation`.
    """
    return _checked(may_propose(acting, node_of(tenant), roles, subject, held))


def require_approves(acting: Acting, tenant: Tenant, proposed_by: UUID | None, subject: UUID | None) -> Decision:
    """Return the decision about a second pair of eyes when it is a yes.

    Raises:
        Fault: ``GRANT_`` or ``APPROVE_`` and the reason of :mod:`tenants.delegation`.
    """
    return _checked(may_approve(acting, node_of(tenant), proposed_by or UUID(int=0), subject))


def _checked(decision: Decision) -> Decision:
    if not decision.ok:
        raise Fault(str(decision.reason), ("roles",))
    return decision


def require_within(acting: Acting, tenant: Tenant) -> None:
    """Check that a tenant is the acting one or below it.

    Raises:
        Fault: ``GRANT_OUTSIDE``.
    """
    level = LEVEL_KINDS.get(acting.kind)
    below = level is not None and getattr(tenant, key_column(level)) == acting.tenant_key
    if not below and tenant.key != acting.tenant_key:
        raise Fault(str(Reason.OUTSIDE))


def require_roles(tenant: Tenant, roles: Collection[str]) -> None:
    """Check that a tenant of this kind has these roles.

    Raises:
        Fault: ``GRANT_NO_ROLE``, ``GRANT_UNKNOWN_ROLE``.
    """
    if not roles:
        raise Fault(str(Reason.NO_ROLE), ("roles",))
    if not set(roles) <= set(ROLES[Kind(tenant.kind)]):
        raise Fault(str(Reason.UNKNOWN_ROLE), ("roles",))


def require_above(acting: Acting, tenant: Tenant) -> None:
    """Check that a tenant lies below the acting one: a change of a tenant is made by the tier above it.

    Raises:
        Fault: ``TENANT_NOT_ABOVE``.
    """
    level = LEVEL_KINDS.get(acting.kind)
    below = level is not None and getattr(tenant, key_column(level)) == acting.tenant_key
    if not below or tenant.key == acting.tenant_key:
        raise Fault(errors.TENANT_NOT_ABOVE, ("id",))
