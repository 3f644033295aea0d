"""The table behind the object store; business rows name a version's id, never a file."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, Index, Integer, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.base import Base
from tenants.access import Access, TableClass
from tenants.isolation import definer_function
from tenants.kinds import PEOPLE_LOGINS

UTC_TIME = DateTime(timezone=True)

# People put objects below their own tenant's key only; so nobody makes a newer version of another tenant's object.
_ADD = definer_function(
    "app.object_add(p_id uuid, p_bucket text, p_key text, p_sha256 text, p_size bigint, p_content_type text,"
    " p_metadata jsonb, p_retain_until timestamptz, p_expires_at timestamptz, p_if_none_match boolean)",
    "boolean",
    """DECLARE
  claim int := nullif(current_setting('app.key', true), '')::int;
BEGIN
  IF session_user NOT IN ('anlan_sys_jobs', 'anlan_sys_retention')
     AND (claim IS NULL OR NOT starts_with(p_key, claim || '/')) THEN
    RAISE insufficient_privilege USING MESSAGE = 'an object''s key begins with the acting tenant''s key';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended(p_bucket || '/' || p_key, 0));
  IF p_if_none_match AND (SELECT o.sha256 FROM app.object_version o
     WHERE o.bucket = p_bucket AND o.key = p_key ORDER BY o.seq DESC LIMIT 1) IS NOT NULL THEN
    RETURN false;
  END IF;
  INSERT INTO app.object_version
    (id, bucket, key, sha256, size, content_type, metadata, retain_until, expires_at, author_key)
  VALUES
    (p_id, p_bucket, p_key, p_sha256, p_size, p_content_type, p_metadata, p_retain_until, p_expires_at, claim);
  RETURN true;
END""",
    (*PEOPLE_LOGINS, "sys_jobs", "sys_retention"),
    stable=False,
)


class ObjectVersionRow(Base):
    """One version of an object; a delete marker has no hash."""

    __tablename__ = "object_version"
    __table_args__ = (
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
        CheckConstraint("length(key) BETWEEN 1 AND 1024", name="key"),
        Index("ix_object_version_key", "bucket", "key", "seq"),
        Index("ix_object_version_content", "bucket", "sha256"),
        Index("ix_object_version_expires", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
        {
            "info": {
                "access": Access(
                    TableClass.SYSTEM,
                    system={"sys_jobs": "true", "sys_retention": "true"},
                    system_write={"sys_jobs": ("UPDATE",), "sys_retention": ("UPDATE", "DELETE")},
                    definer=("SELECT", "INSERT"),
                ),
                "extra_ddl": _ADD,
            }
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    bucket: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(Text(collation="C"))
    sha256: Mapped[str | None] = mapped_column(String(64, collation="C"))
    size: Mapped[int] = mapped_column(BigInteger)
    content_type: Mapped[str] = mapped_column(String(255))
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata", JSONB, server_default=text("'{}'::jsonb"))
    retain_until: Mapped[datetime | None] = mapped_column(UTC_TIME)
    legal_hold: Mapped[bool] = mapped_column(server_default=text("false"))
    expires_at: Mapped[datetime | None] = mapped_column(UTC_TIME)
    author_key: Mapped[int | None] = mapped_column(Integer)
    """The tenant that put it, from the claim."""
    created_at: Mapped[datetime] = mapped_column(UTC_TIME, server_default=text("now()"))
