"""Runs deliveries in a worker process: counts, re-authorises, runs, records how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import traceback
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import date
from uuid import UUID

from sqlalchemy import text

from app.kit.errors import Fault
from app.kit.ids import uuid7
from app.kit.jobs import (
    JOBS,
    LOGIN,
    MEMBERSHIP_ENDED,
    AlreadyDoneError,
    JobCancelledError,
    JobRun,
    JobSpec,
    Ledger,
    Reauthorize,
    Result,
    error_code,
)
from infra.db.port import Database
from infra.queue.port import ActorSpec, DeadLetter, Delivery, Json, RejectedError, RetryLaterError
from tenants.context import Acting
from tenants.memberships import reauthorize
from tenants.roles import capabilities

log = logging.getLogger("anlan.jobs")

LEASE_S = 15.0
REFUSALS = frozenset({"UNSIGNED", "ALTERED", "EXPIRED"})
TRACEBACK_CHARS = 20_000


def actor_specs() -> list[ActorSpec]:
    """What the queue must know of every declared job."""
    return [ActorSpec(spec.name, time_limit_ms=int(spec.time_limit_s * 1000)) for spec in JOBS.values()]


async def membership_again(db: Database, context: Json, today: date) -> Acting | None:
    """Look up the membership that queued a job, as `app.kit.jobs.Reauthorize`.

    Person, tenant and login were recorded by the database when the message was queued; the membership must still
    belong to all three. Roles are today's, but never more than those it was queued with.

    Args:
        db: the database.
        context: the verified context.
        today: the legal day.

    Returns:
        None when the membership has ended, is of another person or tenant, or the context names none.
    """
    try:
        membership_id, person_id = UUID(context["membership"]), UUID(context["person"])
    except (KeyError, TypeError, ValueError):
        return None
    acting = await reauthorize(db, membership_id, person_id, today)
    if acting is None or acting.tenant_key != context.get("tid") or acting.login != context.get("level"):
        return None
    roles = acting.roles & frozenset(context.get("roles", ()))
    locale = str(context.get("locale", acting.locale))
    return replace(acting, roles=roles, capabilities=capabilities(acting.kind, roles), locale=locale)


class JobRunner:
    """The queue's handler: `infra.queue.port.Handler` over the declared jobs.

    Args:
        open_database: called once, on the worker's event loop.
        reauthorize: see `app.kit.jobs.Reauthorize`.
        lease_s: see `app.kit.jobs.Ledger`; shorter than the broker's heartbeat, or a redelivery waits twice.
    """

    def __init__(
        self,
        open_database: Callable[[], Database],
        reauthorize: Reauthorize | None = None,
        *,
        lease_s: float = LEASE_S,
    ) -> None:
        self._open_database = open_database
        self._reauthorize = reauthorize or membership_again
        self._lease_s = lease_s
        self._database: Database | None = None

    @property
    def _db(self) -> Database:
        if self._database is None:
            self._database = self._open_database()
        return self._database

    async def run(self, delivery: Delivery) -> None:
        """Handle a delivery; see `infra.queue.port.Handler.run`."""
        spec = JOBS.get(delivery.actor)
        if spec is None:
            raise RejectedError("UNKNOWN_JOB", f"no job is named {delivery.actor}")
        message_id = UUID(delivery.message_id)
        ledger = Ledger(self._db, self._lease_s)
        if await ledger.done(message_id):
            await ledger.settle(message_id)
            log.info("job.duplicate", extra={"message_id": message_id, "job": spec.name})
            return
        attempt = await ledger.begin(message_id, spec.name)
        if attempt is None:
            raise RetryLaterError(int(self._lease_s * 1000), "another delivery of this message is running")
        if attempt > spec.max_attempts:
            await self._exhausted(ledger, spec, message_id)
        try:
            async with self._beating(ledger, message_id):
                await self._attempt(ledger, spec, delivery, attempt)
        except asyncio.CancelledError:
            await asyncio.shield(ledger.release(message_id, f"cancelled after {spec.time_limit_s} s or at shutdown"))
            raise

    async def _attempt(self, ledger: Ledger, spec: JobSpec, delivery: Delivery, attempt: int) -> None:
        message_id = UUID(delivery.message_id)

        async def end(state: str, error: str | None = None, result: Result = None) -> None:
            await ledger.end(message_id, spec.name, state, error=error, result=result)
            log.info(
                "job.ended",
                extra={"message_id": message_id, "job": spec.name, "attempt": attempt, "code": error or state},
            )

        try:
            acting, clock = None, await ledger.clock()
            if spec.system is None:
                acting = await self._reauthorize(self._db, delivery.context, clock.today())
                if acting is None:
                    await end("FAILED", MEMBERSHIP_ENDED)
                    return
            if not await ledger.running(message_id):
                await end("CANCELLED")
                return
            login = spec.system or (acting.login if acting else "")
            run = JobRun(self._db, message_id, spec.name, attempt, delivery.context, login, acting, clock)
            result = await spec.function(run, **delivery.args)
            await end("DONE", result=result)
        except JobCancelledError:
            await end("CANCELLED")
        except AlreadyDoneError:
            log.info("job.duplicate", extra={"message_id": message_id, "job": spec.name})
        except Fault as fault:
            await end("FAILED", error_code(fault))
        except (RetryLaterError, RejectedError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a job raises is kept with its traceback
            await self._failed(ledger, spec, message_id, attempt, error)

    async def _failed(self, ledger: Ledger, spec: JobSpec, message_id: UUID, attempt: int, error: Exception) -> None:
        await ledger.release(message_id, _trace(error))
        if attempt >= spec.max_attempts:
            await self._show_failed(message_id, error_code(error))
            raise RejectedError("EXHAUSTED", f"attempt {attempt} of {spec.max_attempts} failed") from error
        log.warning(
            "job.failed",
            extra={"message_id": message_id, "job": spec.name, "attempt": attempt, "code": type(error).__name__},
        )
        raise RetryLaterError(spec.backoff_ms(attempt), f"attempt {attempt} failed") from error

    async def _exhausted(self, ledger: Ledger, spec: JobSpec, message_id: UUID) -> None:
        last = await ledger.last_error(message_id)
        await ledger.release(message_id, None)
        await self._show_failed(message_id, "JOB_FAILED")
        raise RejectedError(
            "EXHAUSTED", f"{spec.max_attempts} attempts ended without an answer, as when a worker is killed\n{last}"
        )

    async def _show_failed(self, message_id: UUID, code: str) -> None:
        async with self._db.write(LOGIN, {}) as session:
            await session.execute(
                text("UPDATE app.job SET state = 'FAILED', error = :code, ended_at = now() WHERE id = :id"),
                {"id": message_id, "code": code},
            )

    @contextlib.asynccontextmanager
    async def _beating(self, ledger: Ledger, message_id: UUID) -> AsyncIterator[None]:
        async def beat() -> None:
            while True:
                await asyncio.sleep(self._lease_s / 3)
                try:
                    await ledger.beat(message_id)
                except Exception:
                    log.exception("job.beat", extra={"message_id": message_id})

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def dead(self, letter: DeadLetter) -> None:
        """Keep a dead letter in our table; see `infra.queue.port.Handler.dead`."""
        await keep_dead_letter(self._db, LOGIN, letter)

    async def close(self) -> None:
        """Close the database; see `infra.queue.port.Handler.close`."""
        if self._database is not None:
            await self._database.close()
            self._database = None


async def keep_dead_letter(db: Database, login: str, letter: DeadLetter) -> bool:
    """Write a dead letter once per message and code.

    Returns:
        False when it was there already.
    """
    async with db.write(login, {}) as session:
        row = await session.execute(
            text(
                "INSERT INTO app.dead_letter (id, message_id, actor, args, context, code, traceback, alarm, attempts)"
                " VALUES (:id, cast(:message AS text), :actor, cast(:args AS jsonb), cast(:context AS jsonb), :code,"
                " :trace, :alarm, coalesce((SELECT a.attempts FROM app.job_attempt a"
                " WHERE a.message_id::text = cast(:message AS text)), 0))"
                " ON CONFLICT DO NOTHING RETURNING id"
            ),
            {
                "id": uuid7(),
                "message": letter.message_id[:64],
                "actor": letter.actor[:64],
                "args": _json(letter.args),
                "context": _json(letter.context),
                "code": letter.code[:64],
                "trace": letter.traceback[-TRACEBACK_CHARS:].replace("\0", ""),
                "alarm": letter.code in REFUSALS,
            },
        )
        return row.first() is not None


def _json(value: object) -> str:
    # jsonb refuses the character U+0000, which a stranger may send; what is refused must still be seen.
    return json.dumps(value, ensure_ascii=True, default=str).replace("\\u0000", "\\ufffd")


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-TRACEBACK_CHARS:].replace("\0", "")
