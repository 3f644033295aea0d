"""What other slices may call."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.modules.enterprises.models import Enterprise, Site


@dataclass(frozen=True)
class SiteInfo:
    """What a fact about a site keeps as of its date (decision 11)."""

    id: UUID
    owner_key: int
    name: str
    division_code: str
    enterprise_id: UUID
    enterprise_name: str
    active: bool


@dataclass(frozen=True)
class EnterpriseInfo:
    """The file as other slices need it."""

    id: UUID
    owner_key: int
    name: str
    credit_code: str
    status: str
    lifecycle: str
    industry_code: str | None
    supervision_categories: tuple[str, ...]


async def site(session: AsyncSession, site_id: UUID) -> SiteInfo | None:
    """Return a site that the session's login may see; None for any other."""
    row = (await session.scalars(select(Site).where(Site.id == site_id))).first()
    if row is None:
        return None
    return SiteInfo(
        row.id,
        row.owner_key,
        row.name,
        row.division_code,
        row.enterprise_id,
        row.enterprise_name,
        row.state == "ACTIVE",
    )


async def enterprise(session: AsyncSession, enterprise_id: UUID) -> EnterpriseInfo | None:
    """Return an enterprise that the session's login may see; None for any other."""
    row = (await session.scalars(select(Enterprise).where(Enterprise.id == enterprise_id))).first()
    if row is None:
        return None
    return EnterpriseInfo(
        row.id,
        row.owner_key,
        row.name,
        row.credit_code,
        row.status,
        row.lifecycle,
        row.industry_code,
        tuple(row.supervision_categories),
    )
