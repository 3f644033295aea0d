"""The relay 中继: numbers committed events, sends committed messages, runs the system's periodic duties.

One relay works at a time: it holds a session's advisory lock on the very connection on which it numbers, so a relay
that lost its connection has also lost the right to number. The others wait as spares.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
from collections.abc import Sequence
from typing import Any

import asyncpg

from app.kit.sweeper import DUTIES, Duty, copy_dead_letters, run_duty
from infra.db.port import Database
from infra.observability.logs import setup
from infra.queue.port import Outgoing, Queue, QueueUnavailableError
from infra.settings import Settings

log = logging.getLogger("anlan.relay")

LOGIN = "sys_relay"
CHANNEL = "relay"
"""Writers wake the relay on it."""
EVENT_CHANNEL = "event"
"""The relay wakes subscribers on it: one JSON object a numbered event."""
LOCK = 0x616E6C616E01
BATCH = 500
POLL_S = 2.0
SPARE_POLL_S = 2.0

_NUMBER = """
WITH batch AS (
  SELECT id, row_number() OVER (ORDER BY seq) AS n FROM
    (SELECT id, seq FROM app.event WHERE position IS NULL ORDER BY seq LIMIT $1) AS waiting
), counter AS (
  UPDATE app.event_position SET last = last + (SELECT count(*) FROM batch) WHERE id = 1 RETURNING last
)
UPDATE app.event AS e SET position = counter.last - (SELECT count(*) FROM batch) + batch.n
  FROM batch, counter WHERE e.id = batch.id
RETURNING e.position, e.type, e.province_key, e.city_key, e.county_key, e.township_key, e.park_key, e.enterprise_key,
  e.owner_key
"""
_WAITING = """
SELECT id, actor, args, context FROM app.outbox
 WHERE sent_at IS NULL
   AND (due_at IS NULL OR due_at <= now() + make_interval(secs => coalesce((SELECT seconds FROM app.clock_offset), 0)))
 ORDER BY seq LIMIT $1
"""
_SENT = "UPDATE app.outbox SET sent_at = clock_timestamp(), attempts = attempts + 1 WHERE id = ANY($1::uuid[])"


class Relay:
    """One relay process.

    Args:
        db: the database.
        queue: the queue to send to.
        settings: handed to the duties.
        duties: what to run periodically; the registered ones when omitted.
        poll_s: seconds after which it looks without having been woken.
    """

    def __init__(
        self,
        db: Database,
        queue: Queue,
        settings: Settings,
        *,
        duties: Sequence[Duty] | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        self._db = db
        self._queue = queue
        self._settings = settings
        copies = Duty("queue.dead-letters", 60.0, self._copy_dead_letters)
        self._duties = [*DUTIES.values(), copies] if duties is None else list(duties)
        self._poll_s = poll_s
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled; a lost connection or an unreachable server is tried again."""
        while True:
            try:
                async with self._db.connect(LOGIN) as connection:
                    await self._as_the_only_one(connection)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ExceptionGroup):
                log.exception("relay.lost-database")
            await asyncio.sleep(SPARE_POLL_S)

    async def _as_the_only_one(self, connection: Any) -> None:
        # Asked again and again instead of waiting inside the server, where the wait would hold a snapshot open.
        take = "SELECT pg_try_advisory_lock($1)"
        while not await connection.fetchval(take, LOCK):  # noqa: ASYNC110 - another process holds it
            await asyncio.sleep(SPARE_POLL_S)
        log.info("relay.working")
        await connection.execute("INSERT INTO app.event_position (id, last) VALUES (1, 0) ON CONFLICT DO NOTHING")
        await connection.add_listener(CHANNEL, lambda *_: self._wake.set())
        connection.add_termination_listener(lambda _: self._wake.set())
        async with asyncio.TaskGroup() as tasks:
            for duty in self._duties:
                tasks.create_task(run_duty(duty, self._db, self._settings), name=duty.name)
            while True:
                self._wake.clear()
                numbered = await self.number(connection)
                sent = await self.send(connection)
                if numbered < BATCH and sent < BATCH:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), self._poll_s)

    async def number(self, connection: Any) -> int:
        """Number committed events in order and notify their readers, in one transaction.

        Args:
            connection: the connection that holds the relay's lock.

        Returns:
            How many were numbered.
        """
        async with connection.transaction():
            rows = await connection.fetch(_NUMBER, BATCH)
            payloads = [_notice(row) for row in sorted(rows, key=lambda row: row["position"])]
            if payloads:
                await connection.execute(
                    "SELECT pg_notify($1, p) FROM unnest($2::text[]) WITH ORDINALITY AS t(p, n) ORDER BY n",
                    EVENT_CHANNEL,
                    payloads,
                )
        return len(payloads)

    async def send(self, connection: Any) -> int:
        """Send committed messages and mark them after the sending; a crash between the two sends them twice.

        Args:
            connection: the connection that holds the relay's lock.

        Returns:
            How many were sent; 0 also when the queue does not answer.
        """
        rows = await connection.fetch(_WAITING, BATCH)
        if not rows:
            return 0
        messages = [
            Outgoing(str(row["id"]), row["actor"], json.loads(row["args"]), json.loads(row["context"])) for row in rows
        ]
        try:
            await asyncio.to_thread(self._queue.send, messages)
        except QueueUnavailableError:
            log.warning("relay.queue-unavailable", extra={"count": len(rows)})
            return 0
        await connection.execute(_SENT, [row["id"] for row in rows])
        return len(rows)

    async def _copy_dead_letters(self, db: Database, _settings: Settings) -> None:
        with contextlib.suppress(QueueUnavailableError):
            await copy_dead_letters(db, self._queue)


def _notice(row: Any) -> str:
    keys = {name.removesuffix("_key"): value for name, value in row.items() if name.endswith("_key")}
    return json.dumps({"position": row["position"], "type": row["type"], "keys": keys}, separators=(",", ":"))


async def _serve(settings: Settings) -> None:
    from app.registry import slice_parts  # noqa: PLC0415 - slices import much; tests of the relay need none
    from infra.wiring import open_database, open_queue  # noqa: PLC0415 - adapters load when they are used

    setup("relay", settings.log_level)
    slice_parts("jobs")
    db, queue = open_database(settings), open_queue(settings)
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, lambda: task.cancel() if task else None)
    try:
        await Relay(db, queue, settings).run()
    except asyncio.CancelledError:
        log.info("relay.stopped")
    finally:
        queue.close()
        await db.close()


def main(settings: Settings) -> None:
    """Run the process verb `relay` until SIGTERM or SIGINT.

    Args:
        settings: the process's settings.
    """
    asyncio.run(_serve(settings))
