"""The life of a membership: propose, approve, suspend, end (handbook 0.4, identity study 1.6)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import insert

from app.kit.errors import Fault, require
from app.kit.ids import uuid7
from app.kit.outbox import enqueue
from app.kit.texts import mask
from app.kit.transitions import step
from app.kit.uow import WriteContext
from app.modules.members import errors, policies
from app.modules.members.service.rows import change, clean, load, note, reason_of, tenant_by_id, tenant_of
from tenants.kinds import Kind
from tenants.models import Membership
from tenants.roles import AUDITOR, PRIVILEGED

SYNC_JOB = "members.sync_account"
TOP_KINDS = frozenset({Kind.NATIONAL, Kind.PROVINCE})
"""Kinds that no administrator of another unit reaches."""
_DIGITS = re.compile(r"\D")


@dataclass(frozen=True)
class NewMember:
    """Somebody who shall get a place in a tenant.

    Args:
        tenant_id: the tenant; it must lie in the sight of the one who proposes.
        name: as in the identity document.
        roles: names of :data:`tenants.roles.ROLES` for the tenant's kind.
        post: title for display.
        phone: kept masked only.
        valid_from: first legal day; today when omitted.
        valid_to: last legal day; without end when omitted.
    """

    tenant_id: UUID | None
    name: str
    roles: Sequence[str]
    post: str = ""
    phone: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None


async def propose(ctx: WriteContext, new: NewMember) -> UUID:
    """Propose a membership; roles with privilege wait for a second person, others for the activation.

    Returns:
        id of the membership.

    Raises:
        NotPermittedFault: the caller administers nobody.
        Fault: ``NOT_FOUND`` for a tenant out of sight; ``GRANT_`` and the reason of
            :mod:`tenants.delegation`; ``MEMBER_DATES``.
    """
    step(policies.MEMBERSHIP, policies.NEW, "propose", ctx.acting)
    tenant = await tenant_by_id(ctx, new.tenant_id, "tenant")
    require(tenant.status == "ACTIVE", errors.TENANT_INACTIVE, ("tenant",))
    roles = sorted(set(new.roles))
    decision = policies.require_manages(ctx.acting, tenant, roles)
    first, last = _dates(ctx, new.valid_from, new.valid_to)
    member_id = uuid7()
    state = policies.PROPOSED if decision.needs_second else policies.PENDING
    values = {
        "id": member_id,
        "owner_key": tenant.key,
        "name": clean(new.name, "name"),
        "post": clean(new.post, "post") if new.post.strip() else "",
        "phone_masked": mask_phone(new.phone),
        "roles": roles,
        "state": state,
        "valid_from": first,
        "valid_to": last,
        "proposed_by": ctx.acting.person_id,
        "proposed_by_name": ctx.acting.actor_name,
    }
    await ctx.session.execute(insert(Membership.__table__).values(values))  # type: ignore[arg-type]
    await note(ctx, "membership", "propose", member_id, tenant.key, state=state, roles=roles)
    return member_id


async def approve(ctx: WriteContext, member_id: UUID | None, expected_version: int) -> UUID:
    """Approve a proposed membership with privileged roles, as a second person (four eyes).

    Raises:
        NotPermittedFault: not a security officer.
        Fault: ``NOT_FOUND``, ``CONFLICT``, ``WRONG_STATE``, ``OTHER_PERSON``, ``APPROVE_SAME_PERSON``.
    """
    member = await load(ctx, Membership, member_id, expected_version)
    entry = step(policies.MEMBERSHIP, member.state, "approve", ctx.acting, [member.proposed_by])
    policies.require_approves(ctx.acting, await tenant_of(ctx, member), member.proposed_by, member.person_id)
    await change(
        ctx, member, state=entry.target, approved_by=ctx.acting.person_id, approved_by_name=ctx.acting.actor_name
    )
    await note(ctx, "membership", "approve", member.id, member.owner_key, roles=member.roles)
    return member.id


async def refuse(ctx: WriteContext, member_id: UUID | None, expected_version: int, reason: str) -> UUID:
    """Refuse a proposed membership, as a second person, with a reason."""
    member = await load(ctx, Membership, member_id, expected_version)
    entry = step(policies.MEMBERSHIP, member.state, "refuse", ctx.acting, [member.proposed_by])
    policies.require_approves(ctx.acting, await tenant_of(ctx, member), member.proposed_by, member.person_id)
    await change(
        ctx,
        member,
        state=entry.target,
        end_reason=reason_of(reason),
        approved_by=ctx.acting.person_id,
        approved_by_name=ctx.acting.actor_name,
    )
    await note(ctx, "membership", "refuse", member.id, member.owner_key)
    return member.id


async def suspend(ctx: WriteContext, member_id: UUID | None, expected_version: int, reason: str) -> UUID:
    """Take a member's rights away for a time; tokens at hand stop working at once."""
    return await _decide(ctx, member_id, expected_version, "suspend", end_reason=reason_of(reason))


async def resume(ctx: WriteContext, member_id: UUID | None, expected_version: int) -> UUID:
    """Give a suspended member the rights back."""
    return await _decide(ctx, member_id, expected_version, "resume", end_reason=None)


async def end(ctx: WriteContext, member_id: UUID | None, expected_version: int, reason: str) -> UUID:
    """End a membership for good; the row stays."""
    values = {"end_reason": reason_of(reason), "slip_hash": None, "slip_expires_at": None, "valid_to": ctx.today}
    member = await load(ctx, Membership, member_id, expected_version)
    if member.valid_from > ctx.today or (member.valid_to is not None and member.valid_to < ctx.today):
        del values["valid_to"]
    return await _decide(ctx, member_id, expected_version, "end", **values)


async def change_roles(
    ctx: WriteContext, member_id: UUID | None, expected_version: int, roles: Sequence[str], post: str | None = None
) -> UUID:
    """Give a member other roles; privileged roles are a membership of their own, with its second person.

    Raises:
        Fault: ``MEMBER_NEEDS_PROPOSAL`` when old or new roles are privileged, and what ``propose`` raises.
    """
    member = await load(ctx, Membership, member_id, expected_version)
    tenant = await tenant_of(ctx, member)
    wanted = sorted(set(roles))
    policies.require_manages(ctx.acting, tenant, wanted, member.person_id)
    require(not PRIVILEGED & {*wanted, *member.roles}, errors.NEEDS_PROPOSAL, ("roles",))
    values: dict[str, object] = {"roles": wanted}
    if post is not None:
        values["post"] = clean(post, "post") if post.strip() else ""
    return await _decide(ctx, member_id, expected_version, "change-roles", **values)


async def _decide(
    ctx: WriteContext, member_id: UUID | None, expected_version: int, action: str, **values: object
) -> UUID:
    """Take a step that an administrator takes over an existing member."""
    member = await load(ctx, Membership, member_id, expected_version)
    entry = step(policies.MEMBERSHIP, member.state, action, ctx.acting)
    tenant = await tenant_of(ctx, member)
    policies.require_manages(ctx.acting, tenant, member.roles, member.person_id)
    # Who is audited does not silence the auditor; a unit without one above has nobody else.
    own = tenant.key == ctx.acting.tenant_key and Kind(tenant.kind) not in TOP_KINDS
    require(not own or AUDITOR not in member.roles or member.person_id is None, errors.FROM_ABOVE)
    await change(ctx, member, state=entry.target, **values)
    await note(ctx, "membership", action, member.id, member.owner_key, state=entry.target)
    if member.person_id is not None:
        job = {"person_id": str(member.person_id), "lost": entry.target != policies.ACTIVE}
        await enqueue(ctx.session, SYNC_JOB, job, ctx.acting, request_id=ctx.request_id)
    return member.id


def _dates(ctx: WriteContext, first: date | None, last: date | None) -> tuple[date, date | None]:
    begin = first or ctx.today
    require(last is None or last >= max(begin, ctx.today), errors.DATES, ("validTo",))
    return begin, last


def mask_phone(phone: str | None) -> str | None:
    """Return a phone number with its middle hidden; None for none.

    Raises:
        Fault: ``MEMBER_PHONE`` when it has fewer than 7 or more than 15 digits.
    """
    if phone is None or not phone.strip():
        return None
    digits = _DIGITS.sub("", phone)
    if not 7 <= len(digits) <= 15:  # noqa: PLR2004 - E.164
        raise Fault(errors.PHONE, ("phone",))
    return mask(digits)
