"""The audit log (decision 36): rows that nobody changes, in one hash chain per tenant.

A row is written in the business transaction and sealed after the commit by ``sys_audit``: it gets
its position in the chain of the tenant that owns it. No business transaction waits for a chain.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, String, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.base import Base
from tenants.access import Access, TableClass
from tenants.isolation import definer_trigger
from tenants.kinds import LEVELS, PEOPLE_LOGINS, key_column
from tenants.scoped import ScopeColumns

WRITTEN = (
    "id",
    "owner_key",
    "site_id",
    "action",
    "object_type",
    "object_id",
    "outcome",
    "reason",
    "actor_name",
    "actor_post",
    "actor_agency",
    "person_id",
    "request_id",
    "details",
)
SEAL = ("position", "prev_hash", "hash", "sealed_at")
_KEYS = ", ".join(f"'{key_column(level)}'" for level in LEVELS)
_SEAL = ", ".join(f"'{column}'" for column in SEAL)

_ACTOR_TRIGGER = definer_trigger(
    "app.audit_actor",
    # Named to fire after fill_keys. Who acts comes from the claim, whatever the statement says; an
    # enterprise reads which agency acted on its objects, not which official (decision 36).
    """DECLARE
  person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
  IF NEW.author_key IS NOT NULL THEN NEW.person_id := person; END IF;
  IF NEW.enterprise_key IS NOT NULL AND NEW.owner_key IS DISTINCT FROM NEW.author_key THEN
    NEW.person_id := NULL;
    NEW.actor_name := NULL;
    NEW.actor_post := NULL;
  END IF;
  RETURN NEW;
END""",
    "CREATE TRIGGER guard_actor BEFORE INSERT ON app.audit_entry FOR EACH ROW",
)
_KEEP_TRIGGER = definer_trigger(
    "app.keep_audit_entry",
    f"""DECLARE
  free text[];
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF session_user = 'anlan_sys_move' THEN
      free := ARRAY[{_KEYS}];
    ELSIF session_user = 'anlan_sys_audit' AND OLD.position IS NULL AND NEW.position IS NOT NULL
          AND NEW.prev_hash IS NOT NULL AND NEW.hash IS NOT NULL AND NEW.sealed_at IS NOT NULL THEN
      free := ARRAY[{_SEAL}];
    END IF;
    IF free IS NOT NULL AND (to_jsonb(NEW) - free) = (to_jsonb(OLD) - free) THEN RETURN NEW; END IF;
  END IF;
  RAISE insufficient_privilege USING MESSAGE = 'the audit log is append-only; a row is sealed once';
END""",
    "CREATE TRIGGER keep_row BEFORE UPDATE OR DELETE ON app.audit_entry FOR EACH ROW",
)
_TRUNCATE_TRIGGER = definer_trigger(
    "app.keep_audit",
    "BEGIN\n  RAISE insufficient_privilege USING MESSAGE = 'the audit log is append-only';\nEND",
    "CREATE TRIGGER keep_all BEFORE TRUNCATE ON app.audit_entry FOR EACH STATEMENT",
)


class AuditEntry(ScopeColumns, Base):
    """One thing that was done, or refused, under the keys of the acting tenant or of the object's owner."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        CheckConstraint("outcome IN ('ALLOWED', 'DENIED')", name="outcome"),
        CheckConstraint("outcome = 'DENIED' OR reason IS NULL", name="reason"),
        CheckConstraint(
            "(position IS NULL) = (hash IS NULL) AND (position IS NULL) = (prev_hash IS NULL)"
            " AND (position IS NULL) = (sealed_at IS NULL)",
            name="seal",
        ),
        UniqueConstraint("owner_key", "position"),
        ForeignKeyConstraint(["owner_key"], ["app.tenant.key"]),
        Index("ix_audit_entry_unsealed", "seq", postgresql_where=text("position IS NULL")),
        Index("ix_audit_entry_object", "object_id", "seq"),
        {
            "info": {
                "access": Access(
                    TableClass.TENANT,
                    select=PEOPLE_LOGINS,
                    insert={
                        **dict.fromkeys(PEOPLE_LOGINS, WRITTEN),
                        **dict.fromkeys(("sys_jobs", "sys_identity"), WRITTEN),
                    },
                    update={"sys_audit": SEAL},
                    site="site_id",
                    system={
                        "sys_audit": "true",
                        "sys_move": "true",
                        "sys_jobs": "author_key IS NULL AND person_id IS NULL",
                        "sys_identity": "author_key IS NULL AND outcome = 'DENIED'",
                    },
                    system_write={"sys_move": ("UPDATE",)},
                ),
                "extra_ddl": [*_ACTOR_TRIGGER, *_KEEP_TRIGGER, *_TRUNCATE_TRIGGER],
            }
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    action: Mapped[str] = mapped_column(String(64))
    """``object.verb``, the word of the slice's transition table."""
    object_type: Mapped[str] = mapped_column(String(32))
    """Prefix of the object's global id."""
    object_id: Mapped[UUID | None] = mapped_column()
    site_id: Mapped[UUID | None] = mapped_column()
    """The site whose keys the row takes; NULL: its owner's."""
    outcome: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str | None] = mapped_column(String(64))
    """Code of the error that a denial answered with."""
    actor_name: Mapped[str | None] = mapped_column(Text)
    """Snapshot of name, post and agency at the time (decision 19)."""
    actor_post: Mapped[str | None] = mapped_column(Text)
    actor_agency: Mapped[str | None] = mapped_column(Text)
    person_id: Mapped[UUID | None] = mapped_column(index=True)
    request_id: Mapped[str] = mapped_column(String(64), server_default=text("''"))
    details: Mapped[dict[str, object]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """Ids, codes and counts; never personal data."""
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    """Real time, UTC."""
    position: Mapped[int | None] = mapped_column(BigInteger)
    """Place in the owner's chain from 1; NULL until sealed."""
    prev_hash: Mapped[str | None] = mapped_column(String(64))
    hash: Mapped[str | None] = mapped_column(String(64))
    """SHA-256 over the previous hash and the row's canonical JSON."""
    sealed_at: Mapped[datetime | None] = mapped_column()


class AuditHead(ScopeColumns, Base):
    """The end of a tenant's chain, so that rows cut off at the end are missed."""

    __tablename__ = "audit_head"
    __table_args__ = (
        UniqueConstraint("owner_key"),
        ForeignKeyConstraint(["owner_key"], ["app.tenant.key"]),
        {
            "info": {
                "access": Access(
                    TableClass.TENANT,
                    select=PEOPLE_LOGINS,
                    insert={"sys_audit": ("id", "owner_key", "position", "hash", "updated_at")},
                    update={"sys_audit": ("position", "hash", "updated_at")},
                    system={"sys_audit": "true", "sys_move": "true"},
                    system_write={"sys_move": ("UPDATE",)},
                )
            }
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


UNSEALED_ALARM_S = 60
"""A row that waits longer for its seal is an alarm (decision 36)."""
BATCH = 500
"""Rows that one sealing transaction takes."""
