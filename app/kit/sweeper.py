"""Periodic duties of the system, run by the relay, one instance at a time over all processes.

A slice registers a duty while its `jobs.py` is imported. Our own duties are here: send again what was sent and never
reported, copy dead letters that only the broker holds, forget what is long done, and keep the object store clean.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy import text

from app.kit.job_runner import keep_dead_letter
from app.kit.jobs import LOGIN as JOBS_LOGIN
from app.kit.jobs import SETTLE
from app.kit.objects import PgVersionRows
from infra.clock import real_now
from infra.db.port import Database
from infra.objects.port import ObjectStore
from infra.queue.port import Queue
from infra.settings import Settings
from infra.wiring import open_objects

log = logging.getLogger("anlan.duties")

LOGIN = "sys_relay"
RESEND_AFTER_S = 600
"""A message without an end, an attempt or a dead letter for so long is sent again."""
RESEND_LIMIT = 50
KEEP_DAYS = 30
"""How long the outbox and the table of done messages are kept; longer than a message can live."""
OBJECTS_LOGIN = "sys_retention"
OBJECTS_GRACE_S = 24 * 3600.0
"""A file without a row stays so long: longer than any transaction that puts the file before its row."""

DutyFunction = Callable[[Database, Settings], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Duty:
    """A registered duty.

    Args:
        name: for logs; unique.
        interval_s: real seconds from the end of one run to the start of the next.
        function: does the work as its own `sys_` login, in transactions of its own; safe to be run twice.
    """

    name: str
    interval_s: float
    function: DutyFunction


DUTIES: dict[str, Duty] = {}


def register_duty(name: str, interval_s: float, function: DutyFunction) -> None:
    """Register a periodic duty of the system.

    Args:
        name: unique name, for logs.
        interval_s: real seconds between two runs.
        function: `async fn(db, settings)`.

    Raises:
        ValueError: the name is taken or the interval is not positive.
    """
    if name in DUTIES:
        raise ValueError(f"duty {name} is registered twice")
    if interval_s <= 0:
        raise ValueError(f"duty {name}: the interval must be positive")
    DUTIES[name] = Duty(name, interval_s, function)


async def run_duty(duty: Duty, db: Database, settings: Settings) -> None:
    """Run a duty for ever, at its interval; a failure is logged and the next run comes all the same."""
    while True:
        try:
            await duty.function(db, settings)
        except Exception:
            log.exception("duty.failed", extra={"duty": duty.name})
        await asyncio.sleep(duty.interval_s)


async def resend_unreported(db: Database, after_s: float = RESEND_AFTER_S) -> int:
    """Mark messages for sending again whose job never reported: a broker may lose its last second.

    Args:
        db: the database.
        after_s: seconds without an end, an attempt or a dead letter.

    Returns:
        How many rows the relay will send again.
    """
    async with db.write(LOGIN, {}) as session:
        rows = await session.execute(
            text(
                "UPDATE app.outbox o SET sent_at = NULL WHERE o.sent_at < now() - make_interval(secs => :after)"
                " AND o.attempts < :limit"
                " AND NOT EXISTS (SELECT 1 FROM app.actor_done d WHERE d.message_id = o.id)"
                " AND NOT EXISTS (SELECT 1 FROM app.dead_letter x WHERE x.message_id = o.id::text AND NOT x.alarm)"
                " AND NOT EXISTS (SELECT 1 FROM app.job_attempt a WHERE a.message_id = o.id"
                " AND greatest(a.changed_at, a.beat_at) > now() - make_interval(secs => :after))"
                " RETURNING o.id, o.attempts"
            ),
            {"after": after_s, "limit": RESEND_LIMIT},
        )
        found = rows.all()
    for message_id, attempts in found:
        log.warning("outbox.resend", extra={"message_id": message_id, "count": attempts})
    return len(found)


async def settle_done(db: Database, after_s: float = RESEND_AFTER_S) -> int:
    """End the rows of jobs whose effect is committed and whose report never came, not even by a second delivery.

    Args:
        db: the database.
        after_s: seconds since the effect.

    Returns:
        How many jobs were ended.
    """
    async with db.write(JOBS_LOGIN, {}) as session:
        rows = await session.execute(
            text(f"{SETTLE} AND d.at < now() - make_interval(secs => :after) RETURNING j.id"), {"after": after_s}
        )
        return len(rows.all())


async def copy_dead_letters(db: Database, queue: Queue) -> int:
    """Copy dead letters that only the broker holds, as after a crash between the two.

    Returns:
        How many were missing in our table.
    """
    letters = await asyncio.to_thread(queue.dead_letters)
    async with db.read(LOGIN, {}) as session:
        rows = await session.execute(
            text("SELECT message_id FROM app.dead_letter WHERE message_id = ANY(:ids)"),
            {"ids": [letter.message_id[:64] for letter in letters]},
        )
        known = set(rows.scalars())
    missing = [letter for letter in letters if letter.message_id[:64] not in known]
    for letter in missing:
        await keep_dead_letter(db, LOGIN, letter)
    return len(missing)


async def forget_old(db: Database, days: int = KEEP_DAYS) -> None:
    """Remove rows about messages that ended long ago.

    Args:
        db: the database.
        days: rows that ended less than so many days ago stay.
    """
    async with db.write(LOGIN, {}) as session:
        old = "d.at < now() - make_interval(days => :days)"
        for statement in (
            f"DELETE FROM app.outbox o USING app.actor_done d WHERE d.message_id = o.id AND {old}",
            f"DELETE FROM app.job_attempt a USING app.actor_done d WHERE d.message_id = a.message_id AND {old}",
            f"DELETE FROM app.actor_done d WHERE {old}",
        ):
            await session.execute(text(statement), {"days": days})


async def clean_objects(db: Database, store: ObjectStore) -> None:
    """Remove temporary objects whose time is over, and files that no row names; a row without its file is an alarm.

    What a retention or a legal hold keeps stays. Real time, not the legal clock: it is about files and addresses.

    Args:
        db: the database.
        store: the object store.
    """
    async with db.write(OBJECTS_LOGIN, {}) as session:
        expired = await store.expire(PgVersionRows(session), real_now())
    # After the commit, so that the files of what has just expired are nobody's.
    async with db.read(OBJECTS_LOGIN, {}) as session:
        swept = await store.sweep(PgVersionRows(session), grace_s=OBJECTS_GRACE_S)
    if expired or swept.removed:
        log.info("objects.removed", extra={"count": expired + swept.removed})
    if swept.missing:
        log.error("objects.missing", extra={"count": len(swept.missing)})


async def _clean_objects(db: Database, settings: Settings) -> None:
    await clean_objects(db, open_objects(settings))


async def _sweep(db: Database, _settings: Settings) -> None:
    await resend_unreported(db)
    await settle_done(db)
    await forget_old(db)


register_duty("queue.sweep", 60.0, _sweep)
register_duty("objects.sweep", 3600.0, _clean_objects)
