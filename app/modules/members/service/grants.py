"""Dated grants (decision 16): scope grants, hosting, incident calls. Each ends by itself."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import insert, text

from app.kit.errors import Fault, NotPermittedFault, require
from app.kit.ids import uuid7
from app.kit.uow import WriteContext
from app.modules.members import errors, policies
from app.modules.members.service.rows import TEXT_LIMIT, change, clean, load, note, tenant_by_id
from tenants.models import Hosting, IncidentCall, ScopeGrant

Grant: TypeAlias = type[ScopeGrant] | type[IncidentCall] | type[Hosting]
MAX_DAYS = 366
"""A grant lasts a year at most; who still needs it gives it anew."""


@dataclass(frozen=True)
class NewGrant:
    """A grant to be given.

    Args:
        owner_id: the tenant whose rows are opened; None: the acting tenant.
        grantee_id: who shall read them.
        purpose: why.
        valid_from: first legal day.
        valid_to: last legal day, within a year.
        document: number of the decision behind it.
        incident_id: the incident of a call.
    """

    owner_id: UUID | None
    grantee_id: UUID | None
    purpose: str
    valid_from: date
    valid_to: date
    document: str | None = None
    incident_id: UUID | None = None


async def give_grant(ctx: WriteContext, model: Grant, new: NewGrant) -> UUID:
    """Let a tenant without a level of its own read what another owns, for a time.

    Raises:
        NotPermittedFault: the caller's tenant or roles give no such grants.
        Fault: ``NOT_FOUND`` for an owner out of sight, ``GRANT_OWNER_KIND``, ``GRANT_GRANTEE_UNKNOWN``,
            ``GRANT_GRANTEE_KIND``, ``GRANT_DATES``, ``GRANT_LIMIT``.
    """
    kind = model.__tablename__
    _require_granter(ctx, kind)
    owner = await tenant_by_id(ctx, new.owner_id or ctx.acting.tenant_id, "owner")
    require(owner.kind in policies.GRANT_OWNERS[kind], errors.GRANT_OWNER_KIND, ("owner",))
    _check_dates(ctx, new)
    grantee = (
        await ctx.session.execute(text("SELECT * FROM app.grantee_of(:id)"), {"id": new.grantee_id})
    ).one_or_none()
    if grantee is None:
        raise Fault(errors.GRANTEE_UNKNOWN, ("grantee",))
    require(grantee.tenant_kind in policies.GRANTEES[kind], errors.GRANTEE_KIND, ("grantee",))
    require(grantee.open_grants < policies.GRANT_MAX, errors.GRANT_LIMIT, ("grantee",), limit=policies.GRANT_MAX)
    grant_id = uuid7()
    values = {
        "id": grant_id,
        "owner_key": owner.key,
        "grantee_key": grantee.tenant_key,
        "grantee_name": grantee.tenant_name,
        "purpose": clean(new.purpose, "purpose", limit=TEXT_LIMIT),
        "valid_from": new.valid_from,
        "valid_to": new.valid_to,
        "document": new.document,
    }
    if model is IncidentCall:
        require(new.incident_id, "REQUIRED", ("incident",))
        values["incident_id"] = new.incident_id
    await ctx.session.execute(insert(model.__table__).values(values))  # type: ignore[arg-type]
    await note(ctx, kind, "give", grant_id, owner.key, grantee=str(new.grantee_id), until=new.valid_to.isoformat())
    return grant_id


async def end_grant(ctx: WriteContext, model: Grant, grant_id: UUID | None, expected_version: int) -> UUID:
    """End a grant: yesterday was its last day, so it opens nothing from now on.

    Raises:
        NotPermittedFault: the caller's tenant or roles give no such grants.
        Fault: ``NOT_FOUND``, ``CONFLICT``, ``WRONG_STATE`` when it has ended.
    """
    kind = model.__tablename__
    _require_granter(ctx, kind)
    grant = await load(ctx, model, grant_id, expected_version)
    require(grant.valid_to >= ctx.today, "WRONG_STATE", (), state="ENDED", action="end")
    last = max(ctx.today, grant.valid_from) - timedelta(days=1)
    await change(ctx, grant, valid_to=last)
    await note(ctx, kind, "end", grant.id, grant.owner_key)
    return grant.id


def _require_granter(ctx: WriteContext, kind: str) -> None:
    acting = ctx.require(policies.GRANT)
    if acting.kind not in policies.GRANTERS[kind]:
        raise NotPermittedFault(f"{kind}.give")


def _check_dates(ctx: WriteContext, new: NewGrant) -> None:
    right = ctx.today <= new.valid_to and 0 <= (new.valid_to - new.valid_from).days < MAX_DAYS
    require(right, errors.GRANT_DATES, ("validTo",), days=MAX_DAYS)
