"""A verified token to the acting membership, and a queued job's membership looked up again (decisions 30 and 37).

Only the login ``sys_identity`` reads memberships by (issuer, subject). One statement per question;
nothing here depends on how many tenants there are.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from infra.db.port import Database
from tenants.context import Acting, Visitor
from tenants.kinds import Kind
from tenants.roles import capabilities

LOGIN = "sys_identity"
MEMBERSHIP_REFUSED = "MEMBERSHIP_REFUSED"
HOME_TENANT_INACTIVE = "HOME_TENANT_INACTIVE"

_MEMBERSHIPS = """
SELECT m.id, m.name, m.post, m.roles, m.state, m.valid_from, m.valid_to, m.is_primary, m.seq,
       t.id AS tenant_id, t.key AS tenant_key, t.name AS tenant_name, t.kind, t.status AS tenant_status
  FROM app.membership m JOIN app.tenant t ON t.key = m.owner_key"""
_USABLE = """m.state = 'ACTIVE' AND t.status = 'ACTIVE'
   AND m.valid_from <= {day} AND (m.valid_to IS NULL OR m.valid_to >= {day})"""
_RESOLVE = f"""
SELECT json_build_object(
  'person', p.person_id, 'locale', p.locale,
  'home', (SELECT h.status FROM app.tenant h WHERE h.id = $3),
  'memberships', coalesce((SELECT json_agg(c ORDER BY c.seq) FROM (
    {_MEMBERSHIPS} WHERE m.person_id = p.person_id AND {_USABLE.format(day="$4")}) c), '[]'))
  FROM (SELECT 1) one LEFT JOIN app.person p ON p.issuer = $1 AND p.subject = $2"""
_LIST = f"""
SELECT coalesce(json_agg(c ORDER BY c.is_primary DESC, c.seq), '[]') FROM (
  {_MEMBERSHIPS} JOIN app.person p ON p.person_id = m.person_id
   WHERE p.issuer = $1 AND p.subject = $2 AND m.state IN ('ACTIVE', 'PENDING', 'SUSPENDED', 'ENDED')) c"""
_AGAIN = f"""
SELECT row_to_json(c) FROM (
  {_MEMBERSHIPS} WHERE m.id = $1 AND m.person_id = $2 AND {_USABLE.format(day="$3")}) c"""


class MembershipRefusedError(Exception):
    """The header names a membership that is not this person's to act with; to be audited, answered uniformly."""

    code = MEMBERSHIP_REFUSED

    def __init__(self, person_id: UUID | None, membership_id: str) -> None:
        """Keep who asked for what, for the audit log."""
        super().__init__(MEMBERSHIP_REFUSED)
        self.person_id = person_id
        self.membership_id = membership_id


class HomeTenantRefusedError(Exception):
    """The token's home tenant does not exist or is not active: the token opens nothing."""

    code = HOME_TENANT_INACTIVE

    def __init__(self, tenant_id: UUID) -> None:
        """Keep the tenant, for the audit log."""
        super().__init__(HOME_TENANT_INACTIVE)
        self.tenant_id = tenant_id


@dataclass(frozen=True)
class MembershipView:
    """One of the caller's own memberships, as ``viewer.memberships`` shows it."""

    id: UUID
    tenant_id: UUID
    tenant_name: str
    kind: Kind
    post: str
    roles: tuple[str, ...]
    state: str
    valid_from: date
    valid_to: date | None
    is_primary: bool
    tenant_active: bool

    def usable(self, today: date) -> bool:
        """Whether its holder may act with it on this legal day."""
        in_force = self.valid_from <= today and (self.valid_to is None or today <= self.valid_to)
        return self.state == "ACTIVE" and self.tenant_active and in_force


async def resolve_acting(
    db: Database,
    issuer_name: str,
    subject: str,
    *,
    token_tenant_id: UUID | None,
    token_roles: Collection[str],
    tier_ceiling: Collection[str],
    header_membership_id: UUID | str | None,
    today: date,
    client: str,
    token_expires: int,
) -> Acting | Visitor:
    """Return who acts: exactly one membership, or a visitor.

    Args:
        db: the database.
        issuer_name: short name of the trusted issuer (``gov``, ``ent``).
        subject: the token's ``sub``.
        token_tenant_id: the token's home tenant; it must be active and only names the primary membership.
        token_roles: the token's roles: a ceiling, never a grant.
        tier_ceiling: tiers that the issuer may speak for, in lower case.
        header_membership_id: the header ``Anlan-Membership``; None: the primary membership.
        today: the legal day.
        client: ``azp`` of the token.
        token_expires: ``exp`` of the token, seconds since 1970.

    Raises:
        MembershipRefusedError: the header names no membership that this person may act with now.
        HomeTenantRefusedError: the home tenant is unknown, suspended or closed.
    """
    found = json.loads(await db.reader(LOGIN).fetchval(_RESOLVE, issuer_name, subject, token_tenant_id, today))
    person_id = UUID(found["person"]) if found["person"] else None
    if token_tenant_id is not None and found["home"] != "ACTIVE":
        raise HomeTenantRefusedError(token_tenant_id)
    ceiling = {tier.upper() for tier in tier_ceiling}
    rows = [row for row in found["memberships"] if row["kind"] in ceiling]
    if header_membership_id is None:
        chosen = _primary(rows, token_tenant_id)
    else:
        chosen = next((row for row in rows if row["id"] == str(header_membership_id).lower()), None)
        if chosen is None:
            raise MembershipRefusedError(person_id, str(header_membership_id)[:64])
    locale = found["locale"] or "zh-CN"
    if chosen is None or person_id is None:
        return Visitor(person_id=person_id, locale=locale)
    roles = frozenset(token_roles) & frozenset(chosen["roles"])
    return _acting(chosen, person_id, roles, client=client, token_expires=token_expires, locale=locale)


async def list_memberships(db: Database, issuer_name: str, subject: str) -> list[MembershipView]:
    """Return the caller's own memberships, the primary one first; ended ones are shown as ended."""
    rows = json.loads(await db.reader(LOGIN).fetchval(_LIST, issuer_name, subject))
    return [
        MembershipView(
            id=UUID(row["id"]),
            tenant_id=UUID(row["tenant_id"]),
            tenant_name=row["tenant_name"],
            kind=Kind(row["kind"]),
            post=row["post"],
            roles=tuple(row["roles"]),
            state=row["state"],
            valid_from=date.fromisoformat(row["valid_from"]),
            valid_to=date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
            is_primary=row["is_primary"],
            tenant_active=row["tenant_status"] == "ACTIVE",
        )
        for row in rows
    ]


async def reauthorize(db: Database, membership_id: UUID, person_id: UUID, today: date) -> Acting | None:
    """Return the membership under which a job was queued, if it still holds; its roles are today's.

    Args:
        db: the database.
        membership_id: from the job's signed context.
        person_id: from the same; the membership must be this person's.
        today: the legal day.
    """
    found = await db.reader(LOGIN).fetchval(_AGAIN, membership_id, person_id, today)
    if found is None:
        return None
    row = json.loads(found)
    return _acting(row, person_id, frozenset(row["roles"]))


def _primary(rows: list[dict[str, Any]], home: UUID | None) -> dict[str, Any] | None:
    """The membership in the token's home tenant, else the one marked primary; never just any of them."""
    at_home = [row for row in rows if home is not None and row["tenant_id"] == str(home)]
    marked = [row for row in rows if row["is_primary"]]
    candidates = sorted(at_home, key=lambda row: not row["is_primary"]) or marked
    return candidates[0] if candidates else None


def _acting(
    row: dict[str, Any],
    person_id: UUID,
    roles: frozenset[str],
    *,
    client: str = "",
    token_expires: int = 0,
    locale: str = "zh-CN",
) -> Acting:
    kind = Kind(row["kind"])
    return Acting(
        membership_id=UUID(row["id"]),
        person_id=person_id,
        tenant_id=UUID(row["tenant_id"]),
        tenant_key=row["tenant_key"],
        tenant_name=row["tenant_name"],
        kind=kind,
        roles=roles,
        capabilities=capabilities(kind, roles),
        actor_name=row["name"],
        post=row["post"],
        client=client,
        token_expires=token_expires,
        locale=locale,
    )
