"""Tables of the queue's share in the database: outbox, events, jobs, attempts, dead letters, what is done."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, Index, Integer, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.base import Base
from tenants.access import Access, TableClass
from tenants.isolation import definer_function, definer_trigger
from tenants.kinds import LEVELS, PEOPLE_LOGINS, key_column
from tenants.scoped import ScopeColumns

UTC_TIME = DateTime(timezone=True)
JOB_STATES = ("QUEUED", "RUNNING", "DONE", "FAILED", "CANCELLED")

# Whoever queues cannot lie about who queues: login, tenant and person come from the session, not from the argument.
_LEVEL = "substr(session_user::text, length('anlan_owner') - length('owner') + 1)"
_OUTBOX_PUT = definer_function(
    "app.outbox_put(p_id uuid, p_actor text, p_args jsonb, p_context jsonb, p_due_at timestamptz)",
    "void",
    f"""BEGIN
  INSERT INTO app.outbox (id, actor, args, context, due_at)
  VALUES (p_id, p_actor, p_args, p_context || jsonb_build_object(
    'level', {_LEVEL},
    'tid', nullif(current_setting('app.key', true), '')::int,
    'person', nullif(current_setting('app.person', true), '')), p_due_at);
END""",
    (*PEOPLE_LOGINS, "sys_jobs"),
    stable=False,
)
_OUTBOX_WAKE = definer_trigger(
    "app.wake_relay",
    "BEGIN\n  PERFORM pg_notify('relay', '');\n  RETURN NULL;\nEND",
    "CREATE TRIGGER wake_relay AFTER INSERT ON app.outbox FOR EACH STATEMENT",
)
# A personal job marks what its own person queued for its own tenant under its own login, as outbox_put recorded it.
_JOB_DONE = definer_function(
    "app.job_done(p_message_id uuid, p_actor text)",
    "boolean",
    f"""BEGIN
  IF session_user <> 'anlan_sys_jobs' AND NOT EXISTS (SELECT FROM app.outbox o
      WHERE o.id = p_message_id AND o.actor = p_actor AND o.context ->> 'level' = {_LEVEL}
        AND o.context ->> 'tid' = nullif(current_setting('app.key', true), '')
        AND o.context ->> 'person' = nullif(current_setting('app.person', true), '')) THEN
    RAISE insufficient_privilege USING MESSAGE = 'no message of yours to mark done';
  END IF;
  INSERT INTO app.actor_done (message_id, actor) VALUES (p_message_id, p_actor) ON CONFLICT DO NOTHING;
  RETURN FOUND;
END""",
    (*PEOPLE_LOGINS, "sys_jobs"),
    stable=False,
)
_EVENT_DDL = [
    *definer_trigger(
        "app.hide_event",
        # Rows for agencies only never show to the enterprise they concern (decision 10).
        "BEGIN\n  IF NEW.agencies_only THEN NEW.enterprise_key := NULL; END IF;\n  RETURN NEW;\nEND",
        "CREATE TRIGGER hide_event BEFORE INSERT ON app.event FOR EACH ROW",
    ),
    *definer_trigger(
        "app.keep_event",
        """BEGIN
  IF OLD.position IS NOT NULL OR NEW.position IS NULL OR (to_jsonb(NEW) - 'position') <> (to_jsonb(OLD) - 'position')
  THEN RAISE check_violation USING MESSAGE = 'events are append-only; a row gets its position once'; END IF;
  RETURN NEW;
END""",
        "CREATE TRIGGER keep_event BEFORE UPDATE ON app.event FOR EACH ROW WHEN (session_user <> 'anlan_sys_move')",
    ),
    *definer_trigger(
        "app.wake_relay_event",
        "BEGIN\n  PERFORM pg_notify('relay', '');\n  RETURN NULL;\nEND",
        "CREATE TRIGGER wake_relay AFTER INSERT ON app.event FOR EACH STATEMENT",
    ),
]


def _system(
    policies: dict[str, str], writes: dict[str, tuple[str, ...]], definer: tuple[str, ...] = (), ddl: Any = ()
) -> dict[str, Any]:
    access = Access(TableClass.SYSTEM, system=policies, system_write=writes, definer=definer)
    return {"info": {"access": access, "extra_ddl": list(ddl)}}


class Outbox(Base):
    """A message that its transaction wants sent; the relay sends it after the commit and only then marks it."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_waiting", "seq", postgresql_where=text("sent_at IS NULL")),
        Index("ix_outbox_sent", "sent_at", postgresql_where=text("sent_at IS NOT NULL")),
        _system(
            {"sys_relay": "true"},
            {"sys_relay": ("UPDATE", "DELETE")},
            ("SELECT", "INSERT"),
            [*_OUTBOX_PUT, *_OUTBOX_WAKE],
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """Also the message's id, so that a second sending is absorbed."""
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    actor: Mapped[str] = mapped_column(String(64))
    args: Mapped[dict[str, Any]] = mapped_column(JSONB)
    context: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(UTC_TIME, server_default=text("now()"))
    due_at: Mapped[datetime | None] = mapped_column(UTC_TIME)
    """Legal time before which it is not sent; NULL: at once."""
    sent_at: Mapped[datetime | None] = mapped_column(UTC_TIME)
    """Real time of the last sending; NULL: to be sent (again)."""
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))


class Event(ScopeColumns, Base):
    """What happened to an object, for whoever may see the object; append-only, in feed order by `position`."""

    __tablename__ = "event"
    __table_args__ = (
        CheckConstraint("state IN ('DRAFT', 'SHARED')", name="state"),
        Index("ix_event_unnumbered", "seq", postgresql_where=text("position IS NULL")),
        Index("uq_event_position", "position", unique=True),
        Index("ix_event_object", "object_id", "position"),
        *(Index(f"ix_event_{key_column(lv)}_position", key_column(lv), "position") for lv in LEVELS),
        {
            "info": {
                "access": Access(
                    TableClass.TENANT,
                    select=PEOPLE_LOGINS,
                    insert=dict.fromkeys(
                        PEOPLE_LOGINS,
                        ("id", "type", "object_id", "owner_key", "site_id", "state", "agencies_only", "payload"),
                    ),
                    update={"sys_relay": ("position",)},
                    site="site_id",
                    draft_state="DRAFT",
                    system={"sys_relay": "true", "sys_audit": "true", "sys_move": "true", "sys_jobs": "true"},
                    system_write={"sys_move": ("UPDATE",), "sys_jobs": ("INSERT",)},
                ),
                "extra_ddl": _EVENT_DDL,
            }
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int | None] = mapped_column(BigInteger)
    """Feed order, given by the relay after the commit; cursors read it, never `seq` (decision 33)."""
    type: Mapped[str] = mapped_column(String(64))
    object_id: Mapped[UUID]
    site_id: Mapped[UUID | None]
    """The site whose keys the row takes; NULL: its owner's."""
    state: Mapped[str] = mapped_column(String(8), server_default=text("'SHARED'"))
    """DRAFT: only the author's own level sees it."""
    agencies_only: Mapped[bool] = mapped_column(server_default=text("false"))
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    created_at: Mapped[datetime] = mapped_column(UTC_TIME, server_default=text("now()"))


class EventPosition(Base):
    """The last position given: one row, so that removing old events never gives a position twice."""

    __tablename__ = "event_position"
    __table_args__ = (
        CheckConstraint("id = 1", name="single"),
        _system(
            {"sys_relay": "true", "sys_audit": "true"},
            {"sys_relay": ("INSERT", "UPDATE")},
        ),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    last: Mapped[int] = mapped_column(BigInteger)


class Job(Base):
    """A person's job (import, export): what it does, how far it is, how it ended. Only that person sees it."""

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint(f"state IN ({', '.join(map(repr, JOB_STATES))})", name="state"),
        Index("ix_job_person", "person_id", "seq"),
        {
            "info": {
                "access": Access(
                    TableClass.PERSON,
                    select=PEOPLE_LOGINS,
                    insert=dict.fromkeys(
                        PEOPLE_LOGINS, ("id", "kind", "person_id", "membership_id", "owner_key", "total")
                    ),
                    update=dict.fromkeys(PEOPLE_LOGINS, ("cancel_requested",)),
                    system={"sys_jobs": "true", "sys_retention": "true"},
                    system_write={"sys_jobs": ("UPDATE",), "sys_retention": ("DELETE",)},
                )
            }
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """Also the id of its message."""
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    kind: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), server_default=text("'QUEUED'"))
    progress: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    total: Mapped[int | None]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    error: Mapped[str | None] = mapped_column(Text)
    """Code of the message catalogue: why it failed or stopped."""
    cancel_requested: Mapped[bool] = mapped_column(server_default=text("false"))
    person_id: Mapped[UUID]
    membership_id: Mapped[UUID]
    owner_key: Mapped[int] = mapped_column(Integer)
    """The tenant it acts for."""
    created_at: Mapped[datetime] = mapped_column(UTC_TIME, server_default=text("now()"))
    started_at: Mapped[datetime | None] = mapped_column(UTC_TIME)
    ended_at: Mapped[datetime | None] = mapped_column(UTC_TIME)


class JobAttempt(Base):
    """How often a message was begun, counted before it runs: a job that kills its worker counts as well."""

    __tablename__ = "job_attempt"
    __table_args__ = (
        _system(
            {"sys_jobs": "true", "sys_relay": "true"}, {"sys_jobs": ("INSERT", "UPDATE"), "sys_relay": ("DELETE",)}
        ),
    )

    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    actor: Mapped[str] = mapped_column(String(64))
    attempts: Mapped[int] = mapped_column(Integer)
    beat_at: Mapped[datetime | None] = mapped_column(UTC_TIME)
    """Last sign of life of the running attempt; NULL: none runs."""
    changed_at: Mapped[datetime] = mapped_column(UTC_TIME, server_default=text("now()"))
    last_error: Mapped[str | None] = mapped_column(Text)
    """Traceback of the last failed attempt."""


class DeadLetterRow(Base):
    """A message that will not run again, with the reason; operators read it here."""

    __tablename__ = "dead_letter"
    __table_args__ = (
        Index("uq_dead_letter_message", "message_id", "code", unique=True),
        _system(
            {"sys_jobs": "true", "sys_relay": "true"}, {"sys_jobs": ("INSERT",), "sys_relay": ("INSERT", "UPDATE")}
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    message_id: Mapped[str] = mapped_column(String(64))
    """As it arrived: a forged message may carry anything, also another message's id."""
    actor: Mapped[str] = mapped_column(String(64))
    args: Mapped[dict[str, Any]] = mapped_column(JSONB)
    context: Mapped[dict[str, Any]] = mapped_column(JSONB)
    code: Mapped[str] = mapped_column(String(64))
    traceback: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    alarm: Mapped[bool] = mapped_column(server_default=text("false"))
    """The signature was not right: somebody else writes to the broker."""
    created_at: Mapped[datetime] = mapped_column(UTC_TIME, server_default=text("now()"))


class ActorDone(Base):
    """Messages whose effect is committed; a second delivery finds its id here and does nothing."""

    __tablename__ = "actor_done"
    __table_args__ = (
        Index("ix_actor_done_at", "at"),
        _system(
            {"sys_jobs": "true", "sys_relay": "true"},
            {"sys_jobs": ("INSERT",), "sys_relay": ("DELETE",)},
            ("SELECT", "INSERT"),
            _JOB_DONE,
        ),
    )

    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    actor: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(UTC_TIME, server_default=text("now()"))
