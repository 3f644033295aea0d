"""Where something stands: division on its date, the authority there, the park, the point."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, text

from app.kit.errors import Fault, require
from app.kit.uow import WriteContext
from app.modules.enterprises import errors
from app.modules.standards import public as standards
from tenants.kinds import Kind
from tenants.models import Agency

_LEVELS = (Kind.COUNTY, Kind.TOWNSHIP)
_PROVINCE = text(
    "WITH RECURSIVE up AS (SELECT id, kind, parent_id FROM app.agency WHERE id = :id UNION ALL "
    "SELECT a.id, a.kind, a.parent_id FROM app.agency a JOIN up ON a.id = up.parent_id) "
    "SELECT id FROM up WHERE kind = 'PROVINCE'"
)


@dataclass(frozen=True)
class Place:
    """A county or township as it is today, with its authority.

    Args:
        authority_id: tenant of the county or township.
        county_id: tenant of the county.
        county_code: code of the county.
    """

    division: standards.DivisionInfo
    authority_id: UUID
    county_id: UUID
    county_code: str


async def find_place(ctx: WriteContext, code: str, *field: str) -> Place:
    """Return the county or township with this code, valid today; a township without a tenant is its county's.

    Raises:
        Fault: ``DIVISION_UNKNOWN``, ``DIVISION_TOO_WIDE``, ``DIVISION_NO_AUTHORITY``.
    """
    division = await standards.division_on(ctx.session, code.strip(), ctx.today)
    if division is None:
        raise Fault(errors.DIVISION_UNKNOWN, field, code=code, on=ctx.today.isoformat())
    require(division.level in _LEVELS, errors.DIVISION_TOO_WIDE, field, name=division.full_name)
    county_code = division.code if division.level == Kind.COUNTY else division.path[-2]
    county = await _authority(ctx, Kind.COUNTY, county_code)
    if county is None:
        raise Fault(errors.DIVISION_NO_AUTHORITY, field, name=division.full_name)
    township = await _authority(ctx, Kind.TOWNSHIP, division.code) if division.level == Kind.TOWNSHIP else None
    own = township if township is not None and township.parent_id == county.id else county
    return Place(division, own.id, county.id, county_code)


async def _authority(ctx: WriteContext, kind: Kind, code: str) -> Agency | None:
    query = select(Agency).where(Agency.kind == kind, Agency.division_code == code, Agency.status == "ACTIVE")
    return (await ctx.session.scalars(query)).first()


async def check_park(ctx: WriteContext, park_id: UUID, place_id: UUID, *field: str) -> None:
    """Check that a park exists in the same province as a place; the county may differ: parks span counties.

    Raises:
        Fault: ``PARK_UNKNOWN``.
    """
    park = (await ctx.session.scalars(select(Agency).where(Agency.id == park_id, Agency.kind == Kind.PARK))).first()
    require(park is not None and park.status == "ACTIVE", errors.PARK_UNKNOWN, field)
    of_park = await ctx.session.scalar(_PROVINCE, {"id": park_id})
    of_place = await ctx.session.scalar(_PROVINCE, {"id": place_id})
    require(of_park == of_place, errors.PARK_UNKNOWN, field)


def check_point(
    longitude: float | None, latitude: float | None, division: standards.DivisionInfo, *prefix: str
) -> int | None:
    """Return how many metres outside its division a point lies; None when inside or nothing is known.

    Args:
        longitude: degrees east, WGS 84.
        latitude: degrees north, WGS 84.
        division: where it should lie.
        prefix: path of the two fields in the input.

    Raises:
        Fault: ``COORDINATE_HALF``, ``COORDINATE_INVALID``, ``COORDINATE_SWAPPED``.
    """
    if longitude is None and latitude is None:
        return None
    if longitude is None or latitude is None:
        raise Fault(errors.COORDINATE_HALF, (*prefix, "longitude" if longitude is None else "latitude"))
    try:
        placed = standards.place(longitude, latitude, division)
    except standards.CoordinateError as problem:
        code = errors.COORDINATE_SWAPPED if problem.swapped else errors.COORDINATE_INVALID
        raise Fault(code, (*prefix, problem.field), longitude=longitude, latitude=latitude) from problem
    if not placed.distance_m:
        return None
    return max(1, round(placed.distance_m))
