"""Sites: add, change, close; each is placed by its division, valid today, and its park."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from app.kit.errors import Fault, NotFoundFault, require
from app.kit.ids import uuid7
from app.kit.transitions import step
from app.kit.uow import WriteContext
from app.modules.enterprises import errors, policies
from app.modules.enterprises.models import Enterprise, Site
from app.modules.enterprises.service import file
from app.modules.enterprises.service.common import NAME_LIMIT, announce, change, clean, locked, values_of
from app.modules.enterprises.service.placing import check_park, check_point, find_place
from tenants.kinds import Kind

SENT = ("name", "address", "division_code", "park_id", "longitude", "latitude", "area_m2", "is_main")
"""Fields that people send; the rest follows from them."""
_PLACING = frozenset({"division_code", "park_id", "longitude", "latitude"})
_AREA_LIMIT = Decimal(10) ** 10


@dataclass(frozen=True)
class NewSite:
    """What describes a site."""

    name: str
    address: str
    division_code: str
    park_id: UUID | None = None
    longitude: float | None = None
    latitude: float | None = None
    area_m2: Decimal | None = None
    is_main: bool = False


async def add(ctx: WriteContext, new: NewSite) -> UUID:
    """Add a site to the acting enterprise's file; its first one is the main site.

    A point outside the division is accepted: the site carries the distance as a warning.

    Raises:
        Fault: ``REQUIRED``, ``TOO_LONG``, ``DIVISION_…``, ``PARK_UNKNOWN``, ``COORDINATE_…``, ``NUMBER_RANGE``.
    """
    policies.may(policies.SITE, policies.SITE_EDIT, ctx.acting)
    enterprise = await own_file(ctx)
    step(policies.LIFECYCLE, enterprise.lifecycle, policies.EDIT, ctx.acting)
    checked = await _checked(ctx, {name: getattr(new, name) for name in SENT})
    first = await ctx.session.scalar(
        select(Site.id).where(Site.enterprise_id == enterprise.id, Site.state == "ACTIVE").limit(1)
    )
    main = new.is_main or first is None
    if main:
        await _no_main(ctx, enterprise.id)
    site_id = uuid7()
    await ctx.session.execute(
        insert(Site).values(
            {
                **checked,
                "id": site_id,
                "enterprise_id": enterprise.id,
                "enterprise_name": enterprise.name,
                "is_main": main,
            }
        )
    )
    await file.refresh(ctx, enterprise)
    await announce(ctx, "site.added", site_id, owner_key=enterprise.owner_key, site_id=site_id)
    return site_id


async def edit(ctx: WriteContext, site_id: UUID, expected_version: int, sent: Mapping[str, Any]) -> UUID:
    """Change a site; when it moves to another county, that county sees it from then on.

    Args:
        ctx: the enterprise's context.
        site_id: the site.
        expected_version: what the caller read.
        sent: field of :data:`SENT` to new value, only what is to change.

    Raises:
        Fault: as :func:`add`; ``SITE_IS_MAIN``, ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.SITE, policies.SITE_EDIT, ctx.acting)
    row = await locked(ctx, Site, site_id, expected_version)
    step(policies.SITE, row.state, policies.SITE_EDIT, ctx.acting)
    enterprise = await own_file(ctx)
    require(not row.is_main or sent.get("is_main", True), errors.SITE_IS_MAIN, ("isMain",))
    checked = await _checked(ctx, {**values_of(row, SENT), **sent}, placed=not _PLACING.isdisjoint(sent))
    if checked["is_main"] and not row.is_main:
        await _no_main(ctx, enterprise.id)
    await change(ctx, row, **checked, enterprise_name=enterprise.name)
    await file.refresh(ctx, enterprise)
    await announce(ctx, "site.changed", site_id, owner_key=row.owner_key, site_id=site_id)
    return site_id


async def close(ctx: WriteContext, site_id: UUID, expected_version: int, reason: str) -> UUID:
    """Close a site; the main one only when no other is left.

    Raises:
        Fault: ``SITE_IS_MAIN``, ``REQUIRED``, ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.SITE, policies.SITE_CLOSE, ctx.acting)
    row = await locked(ctx, Site, site_id, expected_version)
    entry = step(policies.SITE, row.state, policies.SITE_CLOSE, ctx.acting)
    others = select(Site.id).where(Site.enterprise_id == row.enterprise_id, Site.id != row.id, Site.state == "ACTIVE")
    require(not row.is_main or await ctx.session.scalar(others.limit(1)) is None, errors.SITE_IS_MAIN, ("id",))
    await change(ctx, row, state=entry.target, closed_on=ctx.today, close_reason=clean(reason, ("reason",)))
    await file.refresh(ctx, await own_file(ctx))
    await announce(ctx, "site.closed", site_id, owner_key=row.owner_key, site_id=site_id)
    return site_id


async def own_file(ctx: WriteContext) -> Enterprise:
    """Return the acting enterprise's file, locked, so that what is computed from it stays right.

    Raises:
        NotFoundFault: the acting tenant has none.
    """
    if ctx.acting.kind is not Kind.ENTERPRISE:
        raise NotFoundFault
    return await locked(ctx, Enterprise, ctx.acting.tenant_id, None)


async def _checked(ctx: WriteContext, sent: Mapping[str, Any], *, placed: bool = True) -> dict[str, object]:
    values: dict[str, object] = {
        "name": clean(sent["name"], ("name",), limit=NAME_LIMIT),
        "address": clean(sent["address"], ("address",)),
        "is_main": bool(sent["is_main"]),
        "area_m2": _area(sent["area_m2"]),
    }
    if not placed:
        return values
    place = await find_place(ctx, sent["division_code"], "divisionCode")
    if sent["park_id"] is not None:
        await check_park(ctx, sent["park_id"], place.authority_id, "park")
    return values | {
        "division_code": place.division.code,
        "division_on": ctx.today,
        "place_id": place.authority_id,
        "park_id": sent["park_id"],
        "longitude": sent["longitude"],
        "latitude": sent["latitude"],
        "position_warning_m": check_point(sent["longitude"], sent["latitude"], place.division),
    }


def _area(value: Decimal | None) -> Decimal | None:
    if value is None:
        return None
    if not value.is_finite() or not 0 <= value < _AREA_LIMIT:
        raise Fault(errors.NUMBER_RANGE, ("areaM2",), low=0, high=_AREA_LIMIT)
    return value


async def _no_main(ctx: WriteContext, enterprise_id: UUID) -> None:
    statement = (
        update(Site)
        .where(Site.enterprise_id == enterprise_id, Site.is_main, Site.state == "ACTIVE")
        .values(is_main=False, version=Site.version + 1, updated_at=ctx.now)
        .execution_options(synchronize_session=False)
    )
    await ctx.session.execute(statement)
