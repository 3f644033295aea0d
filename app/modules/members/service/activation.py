"""First login without mail or SMS (decision 47): the activation slip, and what redeeming it starts."""

import hashlib
import io
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import segno
from sqlalchemy import exists, insert, select, text

from app.kit.errors import Fault, require
from app.kit.ids import uuid7
from app.kit.transitions import step
from app.kit.uow import WriteContext
from app.modules.members import errors, policies
from app.modules.members.service.memberships import mask_phone
from app.modules.members.service.rows import change, clean, load, note, tenant_of
from infra.clock import real_now
from tenants.delegation import Reason
from tenants.kinds import Kind
from tenants.models import Membership, Tenant
from tenants.roles import PRIVILEGED

SLIP_DAYS = 7
GROUPS, GROUP = 5, 5
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U, so that a printed code can be read aloud; 125 bits in all."""
_READ_AS = str.maketrans({"I": "1", "L": "1", "O": "0"})
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{2,63}\Z")


@dataclass(frozen=True)
class Slip:
    """An activation slip, shown once and never again.

    Args:
        member_id: the membership that it activates.
        code: five groups of five characters; only its SHA-256 is kept.
        svg: the code as a QR picture, an SVG element.
        expires_at: real time after which it is refused.
    """

    member_id: UUID
    code: str
    svg: str
    expires_at: datetime


@dataclass(frozen=True)
class FirstMember:
    """The first person of a tenant that has nobody yet."""

    name: str
    roles: tuple[str, ...]
    post: str = ""
    phone: str | None = None


class Status(StrEnum):
    """How far a redeemed slip is."""

    RECEIVED = "RECEIVED"
    """The account is being made."""
    ACTIVE = "ACTIVE"
    """The person can sign in."""


def new_slip(member_id: UUID) -> Slip:
    """Make a slip with a random code; the caller stores :func:`hash_code` of it."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))
    code = "-".join(groups)
    picture = io.BytesIO()
    segno.make(code, error="m", micro=False).save(picture, kind="svg", scale=4, xmldecl=False)
    return Slip(member_id, code, picture.getvalue().decode().strip(), real_now() + timedelta(days=SLIP_DAYS))


def hash_code(code: str) -> str:
    """Return the SHA-256 of a code, however it was typed: case, spaces, hyphens, O for 0 and I or L for 1."""
    plain = re.sub(r"[^0-9A-Z]", "", code.upper()).translate(_READ_AS)
    return hashlib.sha256(plain.encode()).hexdigest()


async def issue_slip(ctx: WriteContext, member_id: UUID | None, expected_version: int) -> Slip:
    """Print an activation slip for a member who has not activated yet; an older one stops working.

    A slip is worth the roles that it opens. So whoever could have proposed the member prints it; one of
    roles with privilege only the second person who approved them; and the county's acceptor that of a
    user of an enterprise whose registration or claim was decided there.

    Raises:
        NotPermittedFault: the caller issues no slips.
        Fault: ``NOT_FOUND``, ``CONFLICT``, ``WRONG_STATE``, ``MEMBER_SLIP_APPROVER``, and ``GRANT_`` with the
            reason of :mod:`tenants.delegation`.
    """
    member = await load(ctx, Membership, member_id, expected_version)
    step(policies.MEMBERSHIP, member.state, "issue-slip", ctx.acting)
    await _require_issuer(ctx, member, await tenant_of(ctx, member))
    slip = new_slip(member.id)
    await change(ctx, member, slip_hash=hash_code(slip.code), slip_expires_at=slip.expires_at)
    await note(ctx, "membership", "issue-slip", member.id, member.owner_key)
    return slip


async def _require_issuer(ctx: WriteContext, member: Membership, tenant: Tenant) -> None:
    policies.require_within(ctx.acting, tenant)
    if policies.SLIP in ctx.acting.capabilities and await _is_registered(ctx, member, tenant):
        return
    if PRIVILEGED.isdisjoint(member.roles):
        policies.require_manages(ctx.acting, tenant, member.roles)
    else:
        require(member.approved_by == ctx.acting.person_id, errors.SLIP_APPROVER)


async def _is_registered(ctx: WriteContext, member: Membership, tenant: Tenant) -> bool:
    """Whether the member is an enterprise's first user, or one whose claim the acting person has confirmed."""
    others = exists().where(Membership.owner_key == tenant.key, Membership.id != member.id)
    own = member.proposed_by == ctx.acting.person_id
    return tenant.kind == Kind.ENTERPRISE and (own or not await ctx.session.scalar(select(others)))


async def first_member(ctx: WriteContext, tenant: Tenant, first: FirstMember) -> Slip:
    """Give a tenant without members its first one, whose roles an agency's decision on the tenant stands for.

    The person applied for the tenant and an official approved it: two persons. So the membership
    waits for nothing but the slip. Later members come by ``propose``.

    Args:
        ctx: the context of the approving use case, which has checked the capability.
        tenant: the new tenant, in the caller's sight.
        first: the person.

    Raises:
        Fault: ``MEMBER_HAS_MEMBERS``, ``GRANT_OUTSIDE``, ``GRANT_UNKNOWN_ROLE``, and what the fields may be wrong in.
    """
    policies.require_within(ctx.acting, tenant)
    policies.require_roles(tenant, first.roles)
    taken = await ctx.session.scalar(select(exists().where(Membership.owner_key == tenant.key)))
    require(not taken, errors.HAS_MEMBERS)
    slip = new_slip(uuid7())
    values = {
        "id": slip.member_id,
        "owner_key": tenant.key,
        "name": clean(first.name, "name"),
        "post": first.post.strip(),
        "phone_masked": mask_phone(first.phone),
        "roles": sorted(set(first.roles)),
        "state": policies.PENDING,
        "valid_from": ctx.today,
        "proposed_by": ctx.acting.person_id,
        "proposed_by_name": ctx.acting.actor_name,
        "is_primary": True,
        "slip_hash": hash_code(slip.code),
        "slip_expires_at": slip.expires_at,
    }
    await ctx.session.execute(insert(Membership.__table__).values(values))  # type: ignore[arg-type]
    await note(ctx, "membership", "first", slip.member_id, tenant.key, roles=sorted(set(first.roles)))
    return slip


async def redeem(ctx: WriteContext, code: str, login_name: str) -> Status:
    """Redeem a slip: the account is made by a job; repeating it with the same name tells how far that is.

    Args:
        ctx: of anybody, signed in or not. Somebody signed in gets the membership for the account at hand.
        code: as printed.
        login_name: user name that the person chose.

    Raises:
        Fault: ``MEMBER_LOGIN_INVALID``; ``MEMBER_LOGIN_TAKEN`` when that name was tried and is another's;
            ``GRANT_EXCLUSIVE`` when the person who is signed in is another sort of administrator already;
            ``MEMBER_SLIP_INVALID`` for wrong, used and expired codes alike.
    """
    login = login_name.strip().lower()
    require(_LOGIN.match(login), errors.LOGIN_INVALID, ("loginName",))
    statement = text("SELECT app.redeem_slip(:hash, :login)")
    answer = await ctx.session.scalar(statement, {"hash": hash_code(code), "login": login})
    require(answer != "TAKEN", errors.LOGIN_TAKEN, ("loginName",), login=login)
    require(answer != "EXCLUSIVE", str(Reason.EXCLUSIVE), ("code",))
    if answer not in (Status.RECEIVED, Status.ACTIVE):
        raise Fault(errors.SLIP_INVALID, ("code",))
    return Status(answer)
