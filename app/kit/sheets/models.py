"""Tables of imports and exports: one row per run, one per row of an imported sheet. Only the person sees them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.base import Base
from tenants.access import Access, TableClass
from tenants.kinds import PEOPLE_LOGINS

UTC_TIME = DateTime(timezone=True)
WAITING, RECEIVED, CHECKING, CHECKED = "WAITING", "RECEIVED", "CHECKING", "CHECKED"
APPLYING, DONE, REJECTED, FAILED, CANCELLED = "APPLYING", "DONE", "REJECTED", "FAILED", "CANCELLED"
IMPORT_STATES = (WAITING, RECEIVED, CHECKING, CHECKED, APPLYING, DONE, REJECTED, FAILED, CANCELLED)
EXPORT_STATES = ("QUEUED", DONE, FAILED, CANCELLED)
READY, ERROR, WRITTEN = "READY", "ERROR", "WRITTEN"
ROW_STATES = (READY, ERROR, WRITTEN)
CREATE, UPDATE, KEEP = "CREATE", "UPDATE", "KEEP"
ROW_ACTIONS = (CREATE, UPDATE, KEEP)
_SYSTEM = {"sys_jobs": "true", "sys_retention": "true"}


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(map(repr, values))})", name=column)


def _personal(insert: tuple[str, ...], update: tuple[str, ...], *, settles: bool = True) -> dict[str, Any]:
    writes = {"sys_retention": ("DELETE",)} | ({"sys_jobs": ("UPDATE",)} if settles else {})
    access = Access(
        TableClass.PERSON,
        select=PEOPLE_LOGINS,
        insert=dict.fromkeys(PEOPLE_LOGINS, ("id", "person_id", *insert)),
        update=dict.fromkeys(PEOPLE_LOGINS, update),
        system=_SYSTEM,
        system_write=writes,
    )
    return {"info": {"access": access}}


class ImportRun(Base):
    """One file on its way into a ledger: received, checked without writing, confirmed, written."""

    __tablename__ = "import_run"
    __table_args__ = (
        _one_of("state", IMPORT_STATES),
        UniqueConstraint("person_id", "id"),
        Index("ix_import_run_person", "person_id", "seq"),
        Index("ix_import_run_expires", "expires_at"),
        Index("ix_import_run_job_id", "job_id"),
        _personal(
            ("owner_key", "membership_id", "ledger", "file_name", "update_existing", "expires_at", "version"),
            (
                "state",
                "job_id",
                "total",
                "errors",
                "created",
                "updated",
                "kept",
                "problems",
                "failed_version_id",
                "checked_at",
                "ended_at",
                "expires_at",
                "version",
            ),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    person_id: Mapped[UUID]
    owner_key: Mapped[int] = mapped_column(Integer)
    """The tenant it acts for."""
    membership_id: Mapped[UUID]
    ledger: Mapped[str] = mapped_column(String(32))
    file_name: Mapped[str] = mapped_column(Text)
    update_existing: Mapped[bool] = mapped_column(server_default=text("false"))
    state: Mapped[str] = mapped_column(String(16), server_default=text("'WAITING'"))
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.job.id", ondelete="SET NULL"))
    """The job that checks, then the one that writes."""
    file_version_id: Mapped[UUID | None]
    """Version of the uploaded object; set when it has arrived."""
    failed_version_id: Mapped[UUID | None]
    """Version of the object with the rows that failed."""
    size: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    total: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    errors: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Rows with an error."""
    created: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    updated: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    kept: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Rows that say what is there already."""
    problems: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    """What is wrong with the file as a whole, or why the run failed."""
    checked_at: Mapped[datetime | None] = mapped_column(UTC_TIME)
    ended_at: Mapped[datetime | None] = mapped_column(UTC_TIME)
    expires_at: Mapped[datetime] = mapped_column(UTC_TIME)
    """Real time after which run, rows and files are removed; the audit log stays."""
    created_at: Mapped[datetime] = mapped_column(UTC_TIME, server_default=text("now()"))
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"), default=1)


class ImportRow(Base):
    """One row of an imported sheet: what it says, what is wrong with it, what became of it."""

    __tablename__ = "import_row"
    __table_args__ = (
        _one_of("state", ROW_STATES),
        _one_of("action", ROW_ACTIONS),
        UniqueConstraint("run_id", "number"),
        ForeignKeyConstraint(
            ["person_id", "run_id"], ["app.import_run.person_id", "app.import_run.id"], ondelete="CASCADE"
        ),
        Index("ix_import_row_run_id", "person_id", "run_id", "number"),
        Index("ix_import_row_ready", "run_id", "number", postgresql_where=text("state = 'READY'")),
        _personal(
            (
                "run_id",
                "owner_key",
                "number",
                "key",
                "raw",
                "data",
                "state",
                "action",
                "errors",
                "object_id",
                "object_version",
            ),
            ("state", "action", "errors", "object_id"),
            settles=False,
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    person_id: Mapped[UUID]
    owner_key: Mapped[int] = mapped_column(Integer)
    run_id: Mapped[UUID]
    number: Mapped[int] = mapped_column(Integer)
    """Row of the sheet as Excel counts it, from 1."""
    key: Mapped[str] = mapped_column(Text, server_default=text("''"))
    raw: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """Column to the text as it stands in the sheet."""
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """Column to the checked value."""
    state: Mapped[str] = mapped_column(String(8))
    action: Mapped[str] = mapped_column(String(8))
    errors: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    object_id: Mapped[UUID | None]
    """The object that it changes, or that it became."""
    object_version: Mapped[int | None] = mapped_column(Integer)
    """Version of that object when it was compared."""


class ExportRun(Base):
    """One export: what was asked, how many rows left, under which mark."""

    __tablename__ = "export_run"
    __table_args__ = (
        _one_of("state", EXPORT_STATES),
        Index("ix_export_run_person", "person_id", "seq"),
        Index("ix_export_run_expires", "expires_at"),
        Index("ix_export_run_job_id", "job_id"),
        _personal(
            (
                "owner_key",
                "membership_id",
                "ledger",
                "filter",
                "columns",
                "purpose",
                "watermark",
                "expires_at",
                "version",
            ),
            ("state", "job_id", "total", "problems", "file_version_id", "size", "sha256", "ended_at", "version"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    person_id: Mapped[UUID]
    owner_key: Mapped[int] = mapped_column(Integer)
    membership_id: Mapped[UUID]
    ledger: Mapped[str] = mapped_column(String(32))
    filter: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    columns: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    purpose: Mapped[str] = mapped_column(Text)
    watermark: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """Who, for which tenant, when: as it stands in the file."""
    state: Mapped[str] = mapped_column(String(16), server_default=text("'QUEUED'"))
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.job.id", ondelete="SET NULL"))
    file_version_id: Mapped[UUID | None]
    size: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    total: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    problems: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    ended_at: Mapped[datetime | None] = mapped_column(UTC_TIME)
    expires_at: Mapped[datetime] = mapped_column(UTC_TIME)
    created_at: Mapped[datetime] = mapped_column(UTC_TIME, server_default=text("now()"))
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"), default=1)
