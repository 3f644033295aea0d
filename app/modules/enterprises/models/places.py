"""Sites and people of an enterprise."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    String,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.modules.enterprises.models.common import PERSON_ROLES, READERS, SYSTEM, SYSTEM_WRITE, of_enterprise, one_of
from infra.db.base import Base
from tenants.access import Access, TableClass
from tenants.scoped import ScopeColumns, Stamped, Versioned

_SITE_FIELDS = (
    "name",
    "address",
    "division_code",
    "division_on",
    "place_id",
    "park_id",
    "longitude",
    "latitude",
    "area_m2",
    "is_main",
    "enterprise_name",
    "position_warning_m",
)


class Site(ScopeColumns, Versioned, Stamped, Base):
    """A place of production or business (厂区, 生产经营场所); it places every row that is about it."""

    __tablename__ = "site"
    __table_args__ = (
        one_of("state", ("ACTIVE", "CLOSED")),
        CheckConstraint("(longitude IS NULL) = (latitude IS NULL)", name="point"),
        CheckConstraint("longitude BETWEEN -180 AND 180 AND latitude BETWEEN -90 AND 90", name="earth"),
        CheckConstraint("area_m2 >= 0", name="area"),
        CheckConstraint("state = 'ACTIVE' OR close_reason IS NOT NULL", name="closed_with_reason"),
        Index("uq_site_main", "owner_key", unique=True, postgresql_where=text("is_main AND state = 'ACTIVE'")),
        Index("ix_site_enterprise_id", "enterprise_id", "seq"),
        *of_enterprise(
            Access(
                TableClass.TENANT,
                select=(*READERS, "assigned"),
                insert={
                    "enterprise": ("id", "enterprise_id", "version", *_SITE_FIELDS),
                    "county": ("id", "owner_key", "enterprise_id", "version", *_SITE_FIELDS),
                },
                update={"enterprise": (*_SITE_FIELDS, "state", "closed_on", "close_reason", "version", "updated_at")},
                is_site=True,
                granted=True,
                system=SYSTEM,
                system_write=SYSTEM_WRITE,
                definer=("SELECT",),
            )
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    enterprise_id: Mapped[UUID]
    enterprise_name: Mapped[str] = mapped_column(Text)
    """As of the last change: another county may not read the enterprise's own row (decision 11)."""
    place_id: Mapped[UUID] = mapped_column(ForeignKey("app.agency.id"))
    """County or township where it stands."""
    park_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.agency.id"))
    name: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    division_code: Mapped[str] = mapped_column(String(9))
    division_on: Mapped[date]
    """Legal day on which the division code was valid."""
    longitude: Mapped[float | None] = mapped_column(Double)
    """Degrees east, WGS 84."""
    latitude: Mapped[float | None] = mapped_column(Double)
    """Degrees north, WGS 84."""
    area_m2: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    is_main: Mapped[bool] = mapped_column(server_default=text("false"))
    position_warning_m: Mapped[int | None] = mapped_column(Integer)
    """Metres from the point to its division when it lies outside; NULL: inside, or unknown."""
    state: Mapped[str] = mapped_column(String(8), server_default=text("'ACTIVE'"))
    closed_on: Mapped[date | None]
    close_reason: Mapped[str | None] = mapped_column(Text)


_PERSON_FIELDS = (
    "name",
    "role",
    "appointed_on",
    "left_on",
    "phone_masked",
    "certificate_type",
    "certificate_no_masked",
    "certificate_expires_on",
    "written_by",
)


class EnterprisePerson(ScopeColumns, Versioned, Stamped, Base):
    """A person whose post or certificate the law asks for (安全生产法 24, 27, 30); identity data masked."""

    __tablename__ = "enterprise_person"
    __table_args__ = (
        one_of("role", PERSON_ROLES),
        one_of("state", ("ACTIVE", "VOID")),
        CheckConstraint("left_on >= appointed_on", name="dates"),
        CheckConstraint("state = 'ACTIVE' OR (void_reason IS NOT NULL AND voided_by IS NOT NULL)", name="void"),
        CheckConstraint("voided_by <> written_by", name="second_person"),
        Index("ix_enterprise_person_enterprise_id", "enterprise_id", "seq"),
        *of_enterprise(
            Access(
                TableClass.TENANT,
                select=(*READERS, "assigned"),
                insert={"enterprise": ("id", "enterprise_id", "version", *_PERSON_FIELDS)},
                update={
                    "enterprise": (
                        *_PERSON_FIELDS,
                        "state",
                        "void_reason",
                        "voided_by",
                        "voided_by_name",
                        "version",
                        "updated_at",
                    )
                },
                granted=True,
                system=SYSTEM,
                system_write=SYSTEM_WRITE,
            )
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    enterprise_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(String(16))
    appointed_on: Mapped[date | None]
    left_on: Mapped[date | None]
    """Last legal day in this post; NULL: still there."""
    phone_masked: Mapped[str | None] = mapped_column(String(20))
    certificate_type: Mapped[str | None] = mapped_column(Text)
    certificate_no_masked: Mapped[str | None] = mapped_column(String(64))
    certificate_expires_on: Mapped[date | None]
    state: Mapped[str] = mapped_column(String(8), server_default=text("'ACTIVE'"))
    written_by: Mapped[UUID | None]
    """Who wrote it last; somebody else must void it (decision 23)."""
    void_reason: Mapped[str | None] = mapped_column(Text)
    voided_by: Mapped[UUID | None]
    voided_by_name: Mapped[str | None] = mapped_column(Text)
