"""The jobs that real worker processes of test_whole.py run."""

import asyncio
import os
import signal
from datetime import date
from typing import Any
from uuid import UUID

import dramatiq
from sqlalchemy import text

from app.kit.job_runner import JobRunner, actor_specs
from app.kit.jobs import JobRun, Result, job
from infra.db.port import Database, DbAddress
from infra.db.postgres import PostgresDatabase
from infra.queue.port import Json
from infra.queue.redis import RedisQueue
from infra.queue.signing import Signer
from tenants.context import Acting
from tenants.kinds import Kind

KEY = "a signing key of the whole chain"
PASSWORD = "a password of the test"
NAMESPACE = "whole"


async def reauthorize(_db: Database, context: Json, _today: date) -> Acting | None:
    """Believe the verified context, except that roles say when a membership has ended."""
    if "ENDED" in context["roles"]:
        return None
    person = UUID(context["person"])
    membership = UUID(context["membership"])
    nobody: dict[str, Any] = {"tenant_name": "", "actor_name": "", "post": "", "capabilities": frozenset()}
    kind = Kind[context["level"].upper()]
    return Acting(membership, person, person, context["tid"], kind=kind, roles=frozenset(), **nobody)


@job("w.effect", max_attempts=10, min_backoff_s=0.1)
async def effect(run: JobRun, note: str) -> Result:
    async with run.write() as session:
        await session.execute(
            text(
                "INSERT INTO app.event (id, type, object_id, payload) VALUES (gen_random_uuid(), 'w.effect',"
                " gen_random_uuid(), jsonb_build_object('note', cast(:note AS text)))"
            ),
            {"note": note},
        )
        await asyncio.sleep(0.05)
        await run.finish(session)
    return {"note": note}


@job("w.fails", max_attempts=3, min_backoff_s=0.2)
async def fails(_run: JobRun) -> Result:
    raise LookupError("没有这份文件")


@job("w.poison", max_attempts=2, min_backoff_s=0.1)
async def poison(_run: JobRun) -> Result:
    os.kill(os.getpid(), signal.SIGKILL)
    return None


@job("w.slow", max_attempts=1, time_limit_s=1)
async def slow(_run: JobRun) -> Result:
    await asyncio.Event().wait()
    return None


def queue(url: str) -> RedisQueue:
    return RedisQueue(url, Signer(KEY), heartbeat_timeout_ms=6_000, namespace=NAMESPACE)


def boot() -> None:
    """Set the broker of a worker process."""
    env = os.environ
    address = DbAddress(env["WHOLE_HOST"], 5432, env["WHOLE_DB"])

    class Passwords(dict[str, str]):
        def __missing__(self, _login: str) -> str:
            return PASSWORD

    def open_database() -> Database:
        return PostgresDatabase(address, Passwords(), "anlan")

    one = queue(env["WHOLE_URL"])
    one.serve(actor_specs(), JobRunner(open_database, reauthorize, lease_s=3.0))
    dramatiq.set_broker(one.broker)
