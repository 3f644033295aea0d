"""Reference tables (decision 14): divisions, versioned code and rule tables, the working-day calendar.

Versions are append-only. The version in force on a day is the one with the latest ``valid_from`` not
after it (NULL: since ever), the later published one of two that begin together; a province's own
version goes before the national one inside that province.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.base import Base
from tenants.access import Access, TableClass
from tenants.isolation import BULK, CLAIM, TODAY, definer_trigger

NATIONAL = "00"
"""Area of a version that holds in the whole country."""
_MARKS = "mark IN ('VERIFIED', 'SEEN', 'UNVERIFIED')"

_PUBLISHER = f"""DECLARE
  t record;
BEGIN
  SELECT kind, division_code, name INTO t FROM app.tenant WHERE key = {CLAIM};
  IF NOT FOUND OR NOT (t.kind = 'NATIONAL' AND NEW.area_code = '{NATIONAL}'
      OR t.kind = 'PROVINCE' AND NEW.area_code = t.division_code) THEN
    RAISE insufficient_privilege USING MESSAGE = 'a version is published by the nation, or by a province for itself';
  END IF;
  IF NEW.valid_from IS NULL OR NEW.valid_from <= {TODAY} THEN
    RAISE check_violation USING MESSAGE = 'a version begins after the day of its publication';
  END IF;
  NEW.published_by := t.name;
  RETURN NEW;
END"""

_UNCHANGED = """BEGIN
  IF NOT EXISTS (SELECT FROM app.standard_version v WHERE v.id = NEW.version_id AND v.published_at = now()) THEN
    RAISE insufficient_privilege USING MESSAGE = 'a published version does not change: rows come with it';
  END IF;
  RETURN NEW;
END"""


def _guard(table: str, body: str) -> list[str]:
    """A trigger that judges what people insert; the seeds' own login is spared."""
    return definer_trigger(
        f"app.guard_{table}",
        body,
        f"CREATE TRIGGER guard BEFORE INSERT ON app.{table} FOR EACH ROW WHEN (session_user NOT IN {BULK})",
    )


def _reference(
    *publishable: str, guard: list[str] | None = None, seeds: tuple[str, ...] = ("INSERT",)
) -> dict[str, object]:
    """Access of a reference table: all read; seeds write; provinces and the nation add the named columns."""
    return {
        "access": Access(
            TableClass.REFERENCE,
            insert=dict.fromkeys(("province", "assigned"), publishable) if publishable else {},
            system={"sys_seed": "true"},
            system_write={"sys_seed": seeds},
            definer=("SELECT",),
        ),
        "extra_ddl": tuple(guard or ()),
    }


class Division(Base):
    """One validity of an administrative division (行政区划, GB/T 2260; townships by statistical code)."""

    __tablename__ = "division"
    __table_args__ = (
        CheckConstraint("level IN ('PROVINCE', 'CITY', 'COUNTY', 'TOWNSHIP')", name="level"),
        CheckConstraint("code ~ '^([0-9]{2}|[0-9]{4}|[0-9]{6}|[0-9]{9})$'", name="code"),
        CheckConstraint("valid_to > valid_from", name="dates"),
        UniqueConstraint("code", "valid_from", postgresql_nulls_not_distinct=True),
        Index("uq_division_current", "code", unique=True, postgresql_where=text("valid_to IS NULL")),
        Index("ix_division_parent_code", "parent_code", "code"),
        {"info": _reference(seeds=("INSERT", "UPDATE"))},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(9))
    """2, 4, 6 or 9 digits; a township listed under a development zone keeps its code, its parent is the county."""
    name: Mapped[str] = mapped_column(Text)
    name_sort: Mapped[str] = mapped_column(Text(collation="C"), server_default=text("''"))
    level: Mapped[str] = mapped_column(String(8))
    """A level's word in capitals, as of kinds of tenants."""
    parent_code: Mapped[str | None] = mapped_column(String(9))
    valid_from: Mapped[date | None]
    """First day; NULL: unknown, long ago."""
    valid_to: Mapped[date | None]
    """First day on which it no longer exists; NULL: it does."""
    successor_codes: Mapped[list[str]] = mapped_column(ARRAY(String(9)), server_default=text("'{}'"))
    source: Mapped[str] = mapped_column(Text)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)


class StandardTable(Base):
    """A code or rule table, whatever its versions."""

    __tablename__ = "standard_table"
    __table_args__ = ({"info": _reference()},)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(64), unique=True)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)


class StandardVersion(Base):
    """One published version of a table."""

    __tablename__ = "standard_version"
    __table_args__ = (
        CheckConstraint(_MARKS, name="mark"),
        CheckConstraint("valid_to > valid_from", name="dates"),
        CheckConstraint("area_code ~ '^[0-9]{2}$'", name="area_code"),
        UniqueConstraint("table_id", "area_code", "content_hash"),
        Index("ix_standard_version_force", "table_id", "area_code", "valid_from"),
        {
            "info": _reference(
                "id",
                "table_id",
                "area_code",
                "version",
                "valid_from",
                "legal_basis",
                "source",
                "mark",
                "content_hash",
                "row_count",
                guard=_guard("standard_version", _PUBLISHER),
            )
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    table_id: Mapped[UUID] = mapped_column(ForeignKey("app.standard_table.id"))
    area_code: Mapped[str] = mapped_column(String(2), server_default=text("'00'"))
    """``00`` the whole country, or the two digits of a province."""
    version: Mapped[str] = mapped_column(Text)
    valid_from: Mapped[date | None]
    """First day in force; NULL: unknown, since ever."""
    valid_to: Mapped[date | None]
    """First day out of force, where a law says so; usually NULL: the next version ends it."""
    legal_basis: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    mark: Mapped[str] = mapped_column(String(10))
    content_hash: Mapped[str] = mapped_column(String(64))
    """SHA-256 of version, dates and rows: the same content is not published twice."""
    row_count: Mapped[int] = mapped_column(Integer)
    published_by: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """Name of the agency, set by the database; empty for what ships with the product."""
    published_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    """Start of the publishing transaction; no login may name it, so rows can only come with their version."""
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)


class StandardRow(Base):
    """One row of a version."""

    __tablename__ = "standard_row"
    __table_args__ = (
        CheckConstraint(_MARKS, name="mark"),
        UniqueConstraint("version_id", "code"),
        Index("ix_standard_row_position", "version_id", "position"),
        Index("ix_standard_row_parent", "version_id", "parent_code"),
        {
            "info": _reference(
                "id",
                "version_id",
                "position",
                "code",
                "parent_code",
                "name_zh",
                "name_en",
                "attrs",
                "legal_basis",
                "valid_from",
                "source",
                "mark",
                guard=_guard("standard_row", _UNCHANGED),
            )
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version_id: Mapped[UUID] = mapped_column(ForeignKey("app.standard_version.id"))
    position: Mapped[int] = mapped_column(Integer)
    code: Mapped[str] = mapped_column(String(128))
    parent_code: Mapped[str | None] = mapped_column(String(128))
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text, server_default=text("''"))
    attrs: Mapped[dict[str, object]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """The row's own columns, as text."""
    legal_basis: Mapped[str] = mapped_column(Text, server_default=text("''"))
    valid_from: Mapped[date | None]
    """First day on which this row's rule applies, when its law says more than the version does."""
    source: Mapped[str] = mapped_column(Text, server_default=text("''"))
    mark: Mapped[str] = mapped_column(String(10))
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)


class CalendarYear(Base):
    """One edition of a year's holiday notice (国务院办公厅节假日安排); the latest edition holds."""

    __tablename__ = "calendar_year"
    __table_args__ = (
        CheckConstraint(_MARKS, name="mark"),
        UniqueConstraint("year", "content_hash"),
        {"info": _reference()},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    year: Mapped[int] = mapped_column(SmallInteger)
    source: Mapped[str] = mapped_column(Text)
    mark: Mapped[str] = mapped_column(String(10))
    content_hash: Mapped[str] = mapped_column(String(64))
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)


class CalendarDay(Base):
    """A holiday, or a weekend day that is worked instead."""

    __tablename__ = "calendar_day"
    __table_args__ = (
        CheckConstraint("kind IN ('HOLIDAY', 'MAKEUP')", name="kind"),
        UniqueConstraint("year_id", "day"),
        {"info": _reference()},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    year_id: Mapped[UUID] = mapped_column(ForeignKey("app.calendar_year.id"))
    day: Mapped[date] = mapped_column(index=True)
    kind: Mapped[str] = mapped_column(String(8))
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    in_lieu: Mapped[bool] = mapped_column(server_default=text("false"))
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
