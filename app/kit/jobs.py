"""Jobs 任务: work outside a request, idempotent, under the membership that queued it.

A job is an async function with the decorator `job`. What the message says is verified by its signature; whose rights
the job has is declared here, never in the message: a *personal* job (import, export) acts under the membership that
queued it and stops when that has ended, a *system* job acts under the login of its duty (decision 37).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.kit.errors import Fault
from app.kit.ids import uuid7
from app.kit.outbox import enqueue
from infra.clock import Clock
from infra.db.port import Database
from infra.db.session import ReadSession, WriteSession
from infra.queue.port import Json
from tenants.context import Acting

LOGIN = "sys_jobs"
MEMBERSHIP_ENDED = "MEMBERSHIP_ENDED"

Result = dict[str, Any] | None
JobFunction = Callable[..., Awaitable[Result]]
Reauthorize = Callable[[Database, Json, date], Awaitable[Acting | None]]
"""Looks the context's membership up again on the legal day; None when it no longer holds."""


SETTLE = (
    "UPDATE app.job j SET state = 'DONE', progress = coalesce(j.total, j.progress), ended_at = d.at"
    " FROM app.actor_done d WHERE d.message_id = j.id AND j.state IN ('QUEUED', 'RUNNING')"
)


class JobCancelledError(Exception):
    """The person asked to stop; raised inside the job at its next `progress`."""


class AlreadyDoneError(Exception):
    """Another delivery of the same message has committed; raised by `JobRun.finish` so that nothing commits twice."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A declared job.

    Args:
        name: the actor's name, `slice.verb`.
        function: the async function.
        system: the login of a system job; None: a personal job.
        max_attempts: attempts in all, those that killed their worker included.
        min_backoff_s: delay before the second attempt; it doubles up to an hour.
        time_limit_s: a longer attempt is cancelled and counts as failed.
    """

    name: str
    function: JobFunction
    system: str | None
    max_attempts: int
    min_backoff_s: float
    time_limit_s: float

    def backoff_ms(self, attempts: int) -> int:
        """The delay after the `attempts`-th failed attempt, in milliseconds."""
        return int(min(self.min_backoff_s * 2.0 ** min(attempts - 1, 20), 3600.0) * 1000)


JOBS: dict[str, JobSpec] = {}
"""Every declared job by name; filled by importing the slices' `jobs.py`."""


def job(
    name: str,
    *,
    system: str | None = None,
    max_attempts: int = 5,
    min_backoff_s: float = 5.0,
    time_limit_s: float = 600.0,
) -> Callable[[JobFunction], JobFunction]:
    """Declare an async function `(run: JobRun, **args) -> dict | None` as a job.

    The function is called again after a crash, so its effect must be idempotent; the sure way is to write everything
    in one transaction that ends with `await run.finish(session)`.

    Args:
        name: the actor's name, `slice.verb`.
        system: login of a system job (`sys_jobs`, ...); omitted: a personal job.
        max_attempts: attempts in all, those that killed their worker included.
        min_backoff_s: seconds before the second attempt; it doubles up to an hour.
        time_limit_s: seconds after which an attempt is cancelled.

    Raises:
        ValueError: the name is taken, or the login is not one of the system's.
    """
    if system is not None and not system.startswith("sys_"):
        raise ValueError(f"job {name}: a system job runs as a sys_ login, not as {system!r}")

    def declare(function: JobFunction) -> JobFunction:
        if name in JOBS:
            raise ValueError(f"job {name} is declared twice")
        JOBS[name] = JobSpec(name, function, system, max_attempts, min_backoff_s, time_limit_s)
        return function

    return declare


async def start_job(
    session: WriteSession,
    actor_name: str,
    args: Json,
    acting: Acting,
    *,
    total: int | None = None,
    request_id: str = "",
    purpose: str = "",
    due_at: datetime | None = None,
) -> UUID:
    """Queue a job with a row that shows its progress to the person.

    Args:
        session: the business transaction of the acting membership.
        actor_name: the job's name.
        args: its arguments.
        acting: the membership it will act under, re-checked when it starts.
        total: how many steps it has, when known.
        request_id: the request that caused it.
        purpose: why, for the audit log.
        due_at: legal time before which it does not start; at once when omitted.

    Returns:
        The job's id, which is also its message's.
    """
    job_id = uuid7()
    await session.execute(
        text(
            "INSERT INTO app.job (id, kind, person_id, membership_id, owner_key, total)"
            " VALUES (:id, :kind, :person, :membership, :owner, :total)"
        ),
        {
            "id": job_id,
            "kind": actor_name,
            "person": acting.person_id,
            "membership": acting.membership_id,
            "owner": acting.tenant_key,
            "total": total,
        },
    )
    return await enqueue(
        session,
        actor_name,
        args,
        acting,
        message_id=job_id,
        request_id=request_id,
        purpose=purpose,
        due_at=due_at,
    )


async def cancel_job(session: WriteSession, job_id: UUID) -> bool:
    """Ask a job of the acting person to stop at its next progress.

    Returns:
        False when there is no such job for this person.
    """
    # FOR UPDATE would need more rights than a person has; a job that ends meanwhile simply ignores the flag.
    changed = await session.execute(
        text("UPDATE app.job SET cancel_requested = true WHERE id = :id RETURNING id"), {"id": job_id}
    )
    return changed.first() is not None


@dataclass(slots=True)
class JobRun:
    """One attempt of a job, as its function sees it.

    Args:
        db: the database.
        message_id: the message's id; equal in every attempt.
        actor: the job's name.
        attempt: 1 for the first.
        context: the verified context.
        login: the login it acts under.
        acting: the membership it acts under; None for a system job.
        clock: the legal clock as of the start.
    """

    db: Database
    message_id: UUID
    actor: str
    attempt: int
    context: Json
    login: str
    acting: Acting | None
    clock: Clock

    @property
    def claims(self) -> dict[str, str]:
        """The claims of this run's transactions."""
        today = self.clock.today()
        return self.acting.claims(today) if self.acting else {"app.today": today.isoformat()}

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """Open a transaction under this run's login and claims; it commits at the end of the block."""
        async with self.db.write(self.login, self.claims) as session:
            yield session

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """Open a read-only transaction under this run's login and claims."""
        async with self.db.read(self.login, self.claims) as session:
            yield session

    async def finish(self, session: WriteSession, result: Result = None) -> None:
        """Mark the message done in the job's own transaction, so that effect and mark commit together.

        For personal jobs and those of ``sys_jobs``. A job of another duty's login ends by returning: that login marks
        nothing done, so its effect must be safe to repeat.

        Args:
            session: the transaction that holds the effect.
            result: kept for the person now, because a worker killed after the commit returns nothing any more.

        Raises:
            AlreadyDoneError: another delivery was faster; let it pass, the transaction must not commit.
        """
        if result is not None:
            await self._keep_result(session, result)
        row = await session.execute(
            text("SELECT app.job_done(:id, :actor)"), {"id": self.message_id, "actor": self.actor}
        )
        if not row.scalar_one():
            raise AlreadyDoneError(str(self.message_id))

    async def _keep_result(self, session: WriteSession, result: Result) -> None:
        statement = text("UPDATE app.job SET result = cast(:result AS jsonb) WHERE id = :id")
        values = {"id": self.message_id, "result": json.dumps(result, ensure_ascii=False)}
        if self.login == LOGIN:
            await session.execute(statement, values)
            return
        # People cannot write how a job stands. When the effect rolls back, the job's end overwrites this.
        async with self.db.write(LOGIN, {}) as own:
            await own.execute(statement, values)

    async def progress(self, done: int, total: int | None = None) -> None:
        """Show how far the job is, visible at once; not from inside `write`, which holds a connection meanwhile.

        Args:
            done: steps done.
            total: steps in all, when now known.

        Raises:
            JobCancelledError: the person asked to stop.
        """
        async with self.db.write(LOGIN, {}) as session:
            row = await session.execute(
                text(
                    "UPDATE app.job SET progress = :done, total = coalesce(:total, total)"
                    " WHERE id = :id RETURNING cancel_requested"
                ),
                {"done": done, "total": total, "id": self.message_id},
            )
            cancelled = row.scalar_one_or_none()
        if cancelled:
            raise JobCancelledError(str(self.message_id))


class Ledger:
    """The queue's rows of a message, written as `sys_jobs` in short transactions of their own.

    Args:
        db: the database.
        lease_s: an attempt without a sign of life for so long is dead and may be begun again.
    """

    def __init__(self, db: Database, lease_s: float) -> None:
        self._db = db
        self._lease_s = lease_s

    async def done(self, message_id: UUID) -> bool:
        """Whether the message's effect is committed."""
        async with self._db.read(LOGIN, {}) as session:
            row = await session.execute(text("SELECT 1 FROM app.actor_done WHERE message_id = :id"), {"id": message_id})
            return row.first() is not None

    async def begin(self, message_id: UUID, actor: str) -> int | None:
        """Count an attempt before it runs.

        Returns:
            The attempt's number from 1; None when another attempt is alive.
        """
        async with self._db.write(LOGIN, {}) as session:
            row = await session.execute(
                text(
                    "INSERT INTO app.job_attempt AS a (message_id, actor, attempts, beat_at, changed_at)"
                    " VALUES (:id, :actor, 1, clock_timestamp(), clock_timestamp())"
                    " ON CONFLICT (message_id) DO UPDATE SET attempts = a.attempts + 1,"
                    " beat_at = clock_timestamp(), changed_at = clock_timestamp()"
                    " WHERE a.beat_at IS NULL OR a.beat_at < clock_timestamp() - make_interval(secs => :lease)"
                    " RETURNING attempts"
                ),
                {"id": message_id, "actor": actor, "lease": self._lease_s},
            )
            return row.scalar_one_or_none()

    async def beat(self, message_id: UUID) -> None:
        """Give a sign of life of the running attempt."""
        async with self._db.write(LOGIN, {}) as session:
            await session.execute(
                text("UPDATE app.job_attempt SET beat_at = clock_timestamp() WHERE message_id = :id"),
                {"id": message_id},
            )

    async def release(self, message_id: UUID, error: str | None) -> None:
        """End an attempt that is not the last; the next one may begin at once."""
        async with self._db.write(LOGIN, {}) as session:
            await session.execute(
                text(
                    "UPDATE app.job_attempt SET beat_at = NULL, changed_at = clock_timestamp(),"
                    " last_error = coalesce(:error, last_error) WHERE message_id = :id"
                ),
                {"id": message_id, "error": error},
            )

    async def last_error(self, message_id: UUID) -> str:
        """The traceback of the last failed attempt."""
        async with self._db.read(LOGIN, {}) as session:
            row = await session.execute(
                text("SELECT last_error FROM app.job_attempt WHERE message_id = :id"), {"id": message_id}
            )
            return row.scalar_one_or_none() or ""

    async def running(self, message_id: UUID) -> bool:
        """Show the job as running; False when the person cancelled it before it began."""
        async with self._db.write(LOGIN, {}) as session:
            row = await session.execute(
                text(
                    "UPDATE app.job SET state = 'RUNNING', started_at = coalesce(started_at, now())"
                    " WHERE id = :id RETURNING cancel_requested"
                ),
                {"id": message_id},
            )
            return not row.scalar_one_or_none()

    async def end(self, message_id: UUID, actor: str, state: str, *, error: str | None, result: Result) -> None:
        """Record the end of a message and, where a person waits for it, of the job, in one transaction."""
        async with self._db.write(LOGIN, {}) as session:
            await session.execute(text("SELECT app.job_done(:id, :actor)"), {"id": message_id, "actor": actor})
            await session.execute(
                text(
                    "UPDATE app.job_attempt SET beat_at = NULL, changed_at = clock_timestamp() WHERE message_id = :id"
                ),
                {"id": message_id},
            )
            await session.execute(
                text(
                    "UPDATE app.job SET state = :state, error = :error, ended_at = now(),"
                    " result = CASE WHEN :done THEN coalesce(cast(:result AS jsonb), result) END,"
                    " progress = CASE WHEN :done THEN coalesce(total, progress) ELSE progress END WHERE id = :id"
                ),
                {
                    "id": message_id,
                    "state": state,
                    "done": state == "DONE",
                    "error": error,
                    "result": None if result is None else json.dumps(result, ensure_ascii=False),
                },
            )

    async def settle(self, message_id: UUID) -> None:
        """End the job's row of a message that is done: its worker was killed between the effect and its report."""
        async with self._db.write(LOGIN, {}) as session:
            await session.execute(text(f"{SETTLE} AND j.id = :id"), {"id": message_id})

    async def clock(self) -> Clock:
        """The legal clock with the offset that all processes share."""
        async with self._db.read(LOGIN, {}) as session:
            row = await session.execute(text("SELECT seconds FROM app.clock_offset WHERE id = 1"))
            return Clock(offset=timedelta(seconds=row.scalar_one_or_none() or 0))


def error_code(error: BaseException) -> str:
    """The code under which a person sees why a job failed: a fault's own, else that we failed."""
    return error.code if isinstance(error, Fault) else "JOB_FAILED"
