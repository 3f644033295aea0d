"""Delegated administration: who may give whom which role, as a pure function over tables.

The rule set of the identity study 1.6: the target lies in the actor's subtree, the role is one that
the actor's roles may grant, nobody grants above or outside his own tenant or to himself,
administrators need a second person (four eyes), and 三员分立 holds: system, security and audit
administrator exclude each other (unverified practice of 等级保护).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol
from uuid import UUID

from tenants.kinds import LEVEL_KINDS, TIERS, Kind
from tenants.roles import ADMIN, EXCLUSIVE, PRIVILEGED, ROLES

ANY_ROLE = "*"
GRANTABLE: Mapping[str, frozenset[str]] = MappingProxyType({ADMIN: frozenset({ANY_ROLE})})
"""Role of the actor to the roles that it may grant, of those that the target's kind has."""
APPROVE = "member.approve"
"""Capability of whoever approves the grant of a privileged role."""


class Actor(Protocol):
    """What of an acting membership counts; ``tenants.context.Acting`` has it."""

    @property
    def person_id(self) -> UUID:
        """The human being."""

    @property
    def tenant_key(self) -> int:
        """The tenant for which he acts."""

    @property
    def kind(self) -> Kind:
        """That tenant's kind."""

    @property
    def roles(self) -> frozenset[str]:
        """His roles there."""

    @property
    def capabilities(self) -> frozenset[str]:
        """What these allow."""


@dataclass(frozen=True)
class Node:
    """The tenant in which a role is to be held.

    Args:
        kind: its kind.
        key: its own key.
        keys: level (``city``) to the key of the tenant of that level above it, itself included.
    """

    kind: Kind
    key: int
    keys: Mapping[str, int | None]


class Reason(StrEnum):
    """Why not; codes of the message catalogue."""

    OK = "OK"
    NOT_ADMIN = "GRANT_NOT_ADMIN"
    OUTSIDE = "GRANT_OUTSIDE"
    ABOVE = "GRANT_ABOVE"
    SELF = "GRANT_SELF"
    NO_ROLE = "GRANT_NO_ROLE"
    UNKNOWN_ROLE = "GRANT_UNKNOWN_ROLE"
    EXCLUSIVE = "GRANT_EXCLUSIVE"
    NOT_APPROVER = "APPROVE_NOT_PERMITTED"
    SAME_PERSON = "APPROVE_SAME_PERSON"


@dataclass(frozen=True)
class Decision:
    """The answer; ``needs_second``: it takes effect only when another person has approved it."""

    ok: bool
    needs_second: bool
    reason: Reason


def may_propose(
    actor: Actor,
    target: Node,
    roles: Collection[str],
    subject: UUID | None = None,
    held: Collection[str] = (),
) -> Decision:
    """Decide whether the actor may propose these roles in the target tenant.

    Args:
        actor: the acting membership.
        target: the tenant in which the roles are to be held.
        roles: the roles wanted.
        subject: the person who is to hold them; None: not known yet (an activation slip).
        held: roles that this person holds already, in any tenant; 三员分立 counts them.
    """
    reason = _within(actor, target) or _roles_fit(actor, target, roles, held)
    if reason is None and subject is not None and subject == actor.person_id:
        reason = Reason.SELF
    if reason is not None:
        return Decision(ok=False, needs_second=False, reason=reason)
    return Decision(ok=True, needs_second=not PRIVILEGED.isdisjoint(roles), reason=Reason.OK)


def may_approve(actor: Actor, target: Node, proposed_by: UUID, subject: UUID | None) -> Decision:
    """Decide whether the actor may be the second pair of eyes.

    Args:
        actor: the acting membership of the approver.
        target: the tenant in which the roles are to be held.
        proposed_by: the person who proposed the grant.
        subject: the person who is to hold the roles.
    """
    reason = _within(actor, target)
    if reason is None and APPROVE not in actor.capabilities:
        reason = Reason.NOT_APPROVER
    if reason is None and actor.person_id in (proposed_by, subject):
        reason = Reason.SAME_PERSON
    return Decision(ok=reason is None, needs_second=False, reason=reason or Reason.OK)


def _within(actor: Actor, target: Node) -> Reason | None:
    if TIERS[target.kind] < TIERS[actor.kind]:
        return Reason.ABOVE
    level = LEVEL_KINDS.get(actor.kind)
    own = target.key == actor.tenant_key
    below = level is not None and target.keys.get(level) == actor.tenant_key
    return None if own or below else Reason.OUTSIDE


def _roles_fit(actor: Actor, target: Node, roles: Collection[str], held: Collection[str]) -> Reason | None:
    if not roles:
        return Reason.NO_ROLE
    if not set(roles) <= set(ROLES[target.kind]):
        return Reason.UNKNOWN_ROLE
    grantable = frozenset().union(*(GRANTABLE.get(role, frozenset()) for role in actor.roles))
    if ANY_ROLE not in grantable and not set(roles) <= grantable:
        return Reason.NOT_ADMIN
    if len(EXCLUSIVE & {*roles, *held}) > 1:
        return Reason.EXCLUSIVE
    return None
