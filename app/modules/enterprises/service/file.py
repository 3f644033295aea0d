"""The file of an enterprise: edits that apply at once, what is computed from it, confirming, verifying, locking."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from app.kit.errors import Fault, FaultGroup, require
from app.kit.transitions import step
from app.kit.uow import WriteContext
from app.modules.enterprises import errors, policies
from app.modules.enterprises.models import REVIEWED, Enterprise, EnterprisePerson, Site
from app.modules.enterprises.service.common import announce, camel, change, clean, locked, plain, record, values_of
from app.modules.enterprises.service.computing import FIELDS, Surroundings, asked, duties, indicators, size_columns
from app.modules.enterprises.service.fields import check_fields
from app.modules.standards import public as standards
from tenants.kinds import TIERS, Kind


async def update_file(
    ctx: WriteContext, enterprise_id: UUID, expected_version: int, sent: Mapping[str, Any], reason: str | None = None
) -> UUID:
    """Change fields that need no review; fields that the county reviews may only be filled while empty.

    Args:
        ctx: the enterprise's context.
        enterprise_id: the file.
        expected_version: what the caller read.
        sent: column to new value, only what is to change.
        reason: why, for the history.

    Raises:
        Fault: ``FIELD_REVIEWED``, ``FIELD_LOCKED``, faults of the fields, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.LIFECYCLE, policies.EDIT, ctx.acting)
    row = await locked(ctx, Enterprise, enterprise_id, expected_version)
    step(policies.LIFECYCLE, row.lifecycle, policies.EDIT, ctx.acting)
    checked = await check_fields(ctx, sent)
    changed = {name: value for name, value in checked.items() if value != getattr(row, name)}
    refuse_locked(row, changed)
    faults = [
        Fault(errors.FIELD_REVIEWED, (camel(name),), field=camel(name)) for name in changed if needs_review(row, name)
    ]
    if faults:
        raise FaultGroup(faults)
    if changed:
        note = clean(reason, ("reason",), required=False) or None
        await record(ctx, row, "EDIT", values_of(row, tuple(changed)), changed, reason=note)
        await apply(ctx, row, changed)
        await announce(ctx, "enterprise.changed", row.id, owner_key=row.owner_key)
    return enterprise_id


def needs_review(row: Enterprise, name: str) -> bool:
    """Say whether the county must review a change of this field; the database holds the same rule."""
    return name in REVIEWED and (getattr(row, name) is not None or row.status == "VERIFIED")


def refuse_locked(row: Enterprise, changed: Mapping[str, object], *prefix: str) -> None:
    """Raise ``FIELD_LOCKED`` for each field that a higher authority has locked."""
    faults = []
    for name in changed:
        if name in row.locked_fields:
            holder = row.locks.get(name)
            authority = holder.get("agency", "") if isinstance(holder, dict) else ""
            faults.append(Fault(errors.FIELD_LOCKED, (*prefix, camel(name)), field=camel(name), authority=authority))
    if faults:
        raise FaultGroup(faults)


async def apply(ctx: WriteContext, row: Enterprise, changed: Mapping[str, object], **more: object) -> None:
    """Write fields together with everything that is computed from them."""
    await change(ctx, row, **changed, **more, **await computed(ctx, row, changed))


async def computed(ctx: WriteContext, row: Enterprise, changed: Mapping[str, object]) -> dict[str, object]:
    """Return size class, duties and completeness as of today.

    Args:
        ctx: the use case's context.
        row: the file as stored.
        changed: columns that are about to change.
    """
    file = {**values_of(row, FIELDS), **changed}
    categories: list[str] = list(file["supervision_categories"])
    size = None
    if file["industry_code"] is not None:
        size = await standards.size_class_on(ctx.session, file["industry_code"], indicators(file), ctx.today)
    flags = await standards.flags_on(ctx.session, categories, file["employees"], ctx.today)
    values = asked(file, await _around(ctx, row.id))
    score = await standards.completeness_on(ctx.session, values, categories, ctx.today)
    return {**size_columns(size, ctx.today), "duties": duties(flags), "completeness": score.percent}


async def _around(ctx: WriteContext, enterprise_id: UUID) -> Surroundings:
    sites = select(Site.longitude).where(Site.enterprise_id == enterprise_id, Site.state == "ACTIVE")
    longitudes = (await ctx.session.scalars(sites)).all()
    roles = await ctx.session.scalars(
        select(EnterprisePerson.role).where(
            EnterprisePerson.enterprise_id == enterprise_id,
            EnterprisePerson.state == "ACTIVE",
            EnterprisePerson.left_on.is_(None) | (EnterprisePerson.left_on >= ctx.today),
        )
    )
    placed = sum(1 for longitude in longitudes if longitude is not None)
    return Surroundings(len(longitudes), placed, frozenset(roles))


async def refresh(ctx: WriteContext, row: Enterprise) -> None:
    """Compute again after a site or person changed; the file's version stays, nobody edited it."""
    await ctx.session.execute(
        update(Enterprise)
        .where(Enterprise.id == row.id)
        .values(**await computed(ctx, row, {}))
        .execution_options(synchronize_session=False)
    )


async def confirm(ctx: WriteContext, enterprise_id: UUID, expected_version: int) -> UUID:
    """Confirm that the file is right as it stands (every quarter).

    Raises:
        Fault: ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.LIFECYCLE, policies.CONFIRM, ctx.acting)
    row = await locked(ctx, Enterprise, enterprise_id, expected_version)
    step(policies.LIFECYCLE, row.lifecycle, policies.CONFIRM, ctx.acting)
    await record(ctx, row, "CONFIRM", {"confirmed_on": row.confirmed_on}, {"confirmed_on": ctx.today})
    await change(ctx, row, confirmed_on=ctx.today, **await computed(ctx, row, {}))
    return enterprise_id


async def verify(ctx: WriteContext, enterprise_id: UUID, expected_version: int, note: str | None = None) -> UUID:
    """Verify a claimed file as the county; from now on its reviewed fields change by review only.

    Raises:
        Fault: ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.STATUS, policies.VERIFY, ctx.acting)
    row = await locked(ctx, Enterprise, enterprise_id, expected_version)
    entry = step(policies.STATUS, row.status, policies.VERIFY, ctx.acting)
    text = clean(note, ("note",), required=False) or None
    await record(ctx, row, "VERIFY", {"status": row.status}, {"status": entry.target}, reason=text)
    await change(ctx, row, status=entry.target, verified_at=ctx.now, verified_by_name=ctx.acting.actor_name)
    await announce(ctx, "enterprise.verified", row.id, owner_key=row.owner_key)
    return enterprise_id


async def set_lifecycle(
    ctx: WriteContext, enterprise_id: UUID, expected_version: int, action: str, reason: str
) -> UUID:
    """Suspend, resume (the enterprise) or close (the county).

    Args:
        ctx: context of the enterprise or of its county.
        enterprise_id: the file.
        expected_version: what the caller read.
        action: ``policies.SUSPEND``, ``RESUME`` or ``CLOSE``.
        reason: why.

    Raises:
        Fault: ``REQUIRED``, ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.LIFECYCLE, action, ctx.acting)
    row = await locked(ctx, Enterprise, enterprise_id, expected_version)
    entry = step(policies.LIFECYCLE, row.lifecycle, action, ctx.acting)
    text = clean(reason, ("reason",))
    await record(ctx, row, "EDIT", {"lifecycle": row.lifecycle}, {"lifecycle": entry.target}, reason=text)
    await change(ctx, row, lifecycle=entry.target)
    await announce(ctx, "enterprise.lifecycle", row.id, owner_key=row.owner_key, payload={"state": entry.target})
    return enterprise_id


async def lock_fields(
    ctx: WriteContext,
    enterprise_id: UUID,
    expected_version: int,
    *,
    lock: Sequence[str],
    unlock: Sequence[str],
    reason: str,
) -> UUID:
    """Lock or unlock fields as a city or province; what a higher tier locked, a lower one leaves.

    Args:
        ctx: the authority's context.
        enterprise_id: the file.
        expected_version: what the caller read.
        lock: columns that neither enterprise nor county may change any more.
        unlock: columns that they may change again.
        reason: why.

    Raises:
        Fault: ``FIELD_UNKNOWN``, ``LOCK_HIGHER``, ``REQUIRED``, ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.LIFECYCLE, policies.LOCK, ctx.acting)
    row = await locked(ctx, Enterprise, enterprise_id, expected_version)
    step(policies.LIFECYCLE, row.lifecycle, policies.LOCK, ctx.acting)
    text = clean(reason, ("reason",))
    for path, names in (("lock", lock), ("unlock", unlock)):
        for name in names:
            require(name in FIELDS, errors.FIELD_UNKNOWN, (path,), field=name)
    locks = dict(row.locks)
    holder = {"kind": str(ctx.acting.kind), "agency": ctx.acting.tenant_name}
    for path, name in [*(("lock", n) for n in lock), *(("unlock", n) for n in unlock)]:
        held = locks.get(name)
        if isinstance(held, dict) and TIERS[Kind(str(held["kind"]))] < TIERS[ctx.acting.kind]:
            raise Fault(errors.LOCK_HIGHER, (path,), field=camel(name), authority=held["agency"])
        if path == "lock":
            locks[name] = holder
        else:
            locks.pop(name, None)
    fields = [name for name in FIELDS if name in locks]
    before, after = {"locked_fields": row.locked_fields}, {"locked_fields": fields}
    await record(ctx, row, "LOCK", before, after, reason=text)
    await change(ctx, row, locked_fields=fields, locks=plain(locks))
    return enterprise_id
