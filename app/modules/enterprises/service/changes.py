"""Change sets: changes of fields that the county reviews, from draft to accepted or returned."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from app.kit.errors import Fault, require
from app.kit.ids import uuid7
from app.kit.sortkey import sort_key
from app.kit.transitions import step
from app.kit.uow import WriteContext
from app.modules.enterprises import errors, policies
from app.modules.enterprises.models import REVIEWED, Enterprise, EnterpriseChange
from app.modules.enterprises.service.common import announce, camel, change, clean, locked, plain, snapshot, values_of
from app.modules.enterprises.service.fields import check_fields
from app.modules.enterprises.service.file import apply, refuse_locked
from tenants.models import TenantChange

_RENAME = text(
    "UPDATE app.tenant SET name = :name, name_sort = :name_sort, version = version + 1, updated_at = :now "
    "WHERE id = :id"
)


async def submit(
    ctx: WriteContext,
    enterprise_id: UUID,
    expected_version: int,
    sent: Mapping[str, Any],
    reason: str,
    *,
    draft: bool = False,
) -> UUID:
    """Open a change set of reviewed fields; one at a time per enterprise.

    Args:
        ctx: the enterprise's context.
        enterprise_id: the file.
        expected_version: version of the file that the caller read.
        sent: reviewed column to new value.
        reason: why; the county reads it.
        draft: keep it as a draft, which only the enterprise sees.

    Returns:
        id of the change set.

    Raises:
        Fault: ``FIELD_NOT_REVIEWED``, ``NOTHING_CHANGED``, ``CHANGE_OPEN``, ``FIELD_LOCKED``, faults of the fields.
    """
    policies.may(policies.CHANGE, policies.CHANGE_SUBMIT, ctx.acting)
    row = await locked(ctx, Enterprise, enterprise_id, expected_version)
    step(policies.LIFECYCLE, row.lifecycle, policies.EDIT, ctx.acting)
    for name in sent:
        require(name in REVIEWED, errors.FIELD_NOT_REVIEWED, ("changes", camel(name)), field=camel(name))
    checked = await check_fields(ctx, sent, "changes")
    after = {name: value for name, value in checked.items() if value != getattr(row, name)}
    require(after, errors.NOTHING_CHANGED, ("changes",))
    refuse_locked(row, after, "changes")
    change_id = uuid7()
    made = await ctx.session.scalar(
        upsert(EnterpriseChange)
        .values(
            id=change_id,
            owner_key=row.owner_key,
            enterprise_id=row.id,
            kind="REVIEW",
            state="DRAFT",
            before=plain(values_of(row, tuple(after))),
            after=plain(after),
            reason=clean(reason, ("reason",)),
            made_on=ctx.today,
            **snapshot(ctx.acting),
        )
        .on_conflict_do_nothing()
        .returning(EnterpriseChange.id)
    )
    require(made, errors.CHANGE_OPEN, ("id",))
    if not draft:
        await send(ctx, change_id, 1)
    return change_id


async def send(ctx: WriteContext, change_id: UUID, expected_version: int) -> UUID:
    """Hand a draft to the county.

    Raises:
        Fault: ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.CHANGE, policies.CHANGE_SUBMIT, ctx.acting)
    row = await locked(ctx, EnterpriseChange, change_id, expected_version)
    entry = step(policies.CHANGE, row.state, policies.CHANGE_SUBMIT, ctx.acting)
    await change(ctx, row, state=entry.target, submitted_at=ctx.now)
    await announce(ctx, "enterprise_change.submitted", row.id, owner_key=row.owner_key)
    return change_id


async def withdraw(ctx: WriteContext, change_id: UUID, expected_version: int) -> UUID:
    """Take a change set back before the county has decided.

    Raises:
        Fault: ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.CHANGE, policies.CHANGE_WITHDRAW, ctx.acting)
    row = await locked(ctx, EnterpriseChange, change_id, expected_version)
    entry = step(policies.CHANGE, row.state, policies.CHANGE_WITHDRAW, ctx.acting)
    await change(ctx, row, state=entry.target)
    return change_id


async def review(
    ctx: WriteContext, change_id: UUID, expected_version: int, *, accept: bool, reason: str | None = None
) -> UUID:
    """Accept a change set, which applies it, or return it with a reason, as the county.

    Raises:
        Fault: ``CHANGE_OUTDATED`` when the file is no longer what the set was made from, ``CREDIT_CODE_TAKEN``,
            ``FIELD_LOCKED``, ``REQUIRED``, ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    action = policies.CHANGE_ACCEPT if accept else policies.CHANGE_RETURN
    policies.may(policies.CHANGE, action, ctx.acting)
    row = await locked(ctx, EnterpriseChange, change_id, expected_version)
    entry = step(policies.CHANGE, row.state, action, ctx.acting)
    note = clean(reason, ("reason",), required=not accept) or None
    if accept:
        await _apply_set(ctx, row)
    await change(
        ctx,
        row,
        state=entry.target,
        reviewed_by=ctx.acting.person_id,
        reviewed_by_name=ctx.acting.actor_name,
        reviewed_by_post=ctx.acting.post,
        reviewed_by_agency=ctx.acting.tenant_name,
        reviewed_at=ctx.now,
        review_reason=note,
    )
    done = "enterprise_change.accepted" if accept else "enterprise_change.returned"
    await announce(ctx, done, row.id, owner_key=row.owner_key)
    return change_id


async def _apply_set(ctx: WriteContext, row: EnterpriseChange) -> None:
    enterprise = await locked(ctx, Enterprise, row.enterprise_id, None)
    if plain(values_of(enterprise, tuple(row.before))) != row.before:
        raise Fault(errors.CHANGE_OUTDATED, ("id",))
    refuse_locked(enterprise, row.after)
    more: dict[str, object] = {}
    if "name" in row.after:
        more = await rename(ctx, enterprise, str(row.after["name"]))
    try:
        await apply(ctx, enterprise, row.after, **more)
    except IntegrityError as problem:
        raise Fault(errors.CREDIT_CODE_TAKEN, ("id",), creditCode=row.after.get("credit_code")) from problem


async def rename(ctx: WriteContext, enterprise: Enterprise, name: str) -> dict[str, object]:
    """Rename the tenant too, as a dated row, and keep the former name."""
    key = sort_key(name)
    await ctx.session.execute(_RENAME, {"name": name, "name_sort": key, "now": ctx.now, "id": enterprise.id})
    acting = ctx.acting
    await ctx.session.execute(
        insert(TenantChange).values(
            id=uuid7(),
            owner_key=enterprise.owner_key,
            kind="RENAME",
            before={"name": enterprise.name},
            after={"name": name},
            valid_from=ctx.today,
            actor_name=acting.actor_name,
            actor_post=acting.post,
            actor_agency=acting.tenant_name,
        )
    )
    return {"name_sort": key, "former_names": [*enterprise.former_names, enterprise.name]}
