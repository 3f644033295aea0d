"""Jobs: once, under the right rights, stopped when told, and visible when they die."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.kit.errors import Fault
from app.kit.job_runner import JobRunner, actor_specs, keep_dead_letter
from app.kit.jobs import JOBS, JobRun, Result, cancel_job, job, start_job
from app.kit.sweeper import copy_dead_letters, forget_old, settle_done
from infra.db.port import Database
from infra.queue.port import DeadLetter, Delivery, Json, RejectedError, RetryLaterError
from tenants.context import Acting
from tests.kit.jobs.conftest import World
from tests.kit.jobs.test_outbox import Broker

Body = Callable[..., Awaitable[Result]]


@pytest.fixture(autouse=True)
def _only_own_jobs() -> Iterator[None]:
    before = dict(JOBS)
    JOBS.clear()
    yield
    JOBS.clear()
    JOBS.update(before)


def runner(world: World, acting: Acting | None = None, lease_s: float = 15.0) -> JobRunner:
    async def reauthorize(_db: Database, _context: Json, _today: date) -> Acting | None:
        return acting

    return JobRunner(lambda: world.db, reauthorize, lease_s=lease_s)


def delivery(name: str, message_id: UUID | None = None, **args: Any) -> Delivery:
    return Delivery(str(message_id or uuid.uuid4()), name, args, {"level": "county"})


async def row(world: World, job_id: UUID) -> Any:
    return await world.admin.fetchrow("SELECT * FROM app.job WHERE id = $1", job_id)


async def _start(world: World, acting: Acting, name: str, **args: Any) -> UUID:
    async with world.db.write(acting.login, world.claims_of(acting)) as session:
        return await start_job(session, name, args, acting, total=4)


async def test_a_personal_job_acts_under_its_membership_and_shows_its_progress(world: World) -> None:
    acting = world.acting("enterprise")
    seen: list[Any] = []

    @job("t.personal")
    async def work(run: JobRun, n: int) -> Result:
        async with run.read() as session:
            seen.append((await session.execute(text("SELECT session_user::text, current_setting('app.key')"))).one())
        await run.progress(n)
        seen.append((await row(world, run.message_id))["progress"])
        return {"rows": n}

    job_id = await _start(world, acting, "t.personal", n=3)
    assert (await row(world, job_id))["state"] == "QUEUED"
    await runner(world, acting).run(delivery("t.personal", job_id, n=3))
    done = await row(world, job_id)
    assert tuple(seen[0]) == ("anlan_enterprise", str(world.keys["enterprise"]))
    assert seen[1] == 3
    assert (done["state"], done["progress"], done["result"]) == ("DONE", 4, '{"rows": 3}')


async def test_only_the_person_who_queued_a_job_sees_it(world: World) -> None:
    acting = world.acting()
    job_id = await _start(world, acting, "t.any")
    colleague = replace(acting, person_id=uuid.uuid4())
    counts = []
    for who in (acting, colleague):
        async with world.db.write("county", world.claims_of(who)) as session:
            counts.append((await session.execute(text("SELECT count(*) FROM app.job"))).scalar_one())
            if who is colleague:
                assert not await cancel_job(session, job_id)
    assert counts == [1, 0]


async def test_a_personal_job_stops_with_the_reason_when_the_membership_has_ended(world: World) -> None:
    ran = []

    @job("t.ended")
    async def work(run: JobRun) -> Result:
        ran.append(run)
        return None

    job_id = await _start(world, world.acting(), "t.ended")
    await runner(world, None).run(delivery("t.ended", job_id))
    ended = await row(world, job_id)
    assert (ended["state"], ended["error"], ran) == ("FAILED", "MEMBERSHIP_ENDED", [])


async def test_a_system_job_never_takes_the_rights_of_its_message(world: World) -> None:
    users = []

    @job("t.system", system="sys_jobs")
    async def work(run: JobRun) -> Result:
        async with run.read() as session:
            users.append((await session.execute(text("SELECT session_user::text"))).scalar_one())
        return None

    await runner(world).run(Delivery(str(uuid.uuid4()), "t.system", {}, {"level": "province", "tid": 1}))
    assert users == ["anlan_sys_jobs"]


async def _effects(world: World) -> int:
    return int(await world.admin.fetchval("SELECT count(*) FROM app.event"))


def _with_effect(name: str, before_finish: Body | None = None) -> None:
    @job(name)
    async def work(run: JobRun) -> Result:
        async with run.write() as session:
            await session.execute(
                text("INSERT INTO app.event (id, type, object_id) VALUES (gen_random_uuid(), 't', gen_random_uuid())")
            )
            if before_finish is not None:
                await before_finish()
            await run.finish(session)
        return None


async def test_duplicates_have_no_second_effect_one_after_the_other_or_at_once(world: World) -> None:
    acting = world.acting()
    _with_effect("t.effect")
    one = delivery("t.effect", await _start(world, acting, "t.effect"))
    for _ in range(3):
        await runner(world, acting).run(one)
    assert await _effects(world) == 1

    # A lease of no length lets duplicates run at once, as if a heartbeat had been lost: the mark alone decides.
    async def step() -> Result:
        await asyncio.sleep(0.05)
        return None

    _with_effect("t.twins", step)
    twin = delivery("t.twins", await _start(world, acting, "t.twins"))
    await asyncio.gather(*(runner(world, acting, lease_s=-1.0).run(twin) for _ in range(4)))
    assert await _effects(world) == 2


async def _mark(world: World, login: str, claims: dict[str, str], message_id: UUID, actor: str = "t.mine") -> bool:
    async with world.db.write(login, claims) as session:
        row = await session.execute(text("SELECT app.job_done(:id, :actor)"), {"id": message_id, "actor": actor})
        return bool(row.scalar_one())


async def test_a_login_marks_only_what_its_own_person_queued_for_its_own_tenant(world: World) -> None:
    acting = world.acting()
    mine = await _start(world, acting, "t.mine")
    claims = world.claims_of(acting)
    neighbour = {**claims, "app.key": str(world.keys["county2"])}
    for login, who, message_id, actor in (
        ("county", world.claims_of(replace(acting, person_id=uuid.uuid4())), mine, "t.mine"),
        ("county", neighbour, mine, "t.mine"),
        ("province", claims, mine, "t.mine"),
        ("county", {}, mine, "t.mine"),
        ("county", claims, mine, "t.other"),
        ("county", claims, uuid.uuid4(), "t.mine"),
    ):
        with pytest.raises(DBAPIError, match="no message of yours"):
            await _mark(world, login, who, message_id, actor)
    assert [await _mark(world, "county", claims, mine) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("by", ["second delivery", "sweep"])
async def test_a_worker_killed_between_effect_and_report_leaves_no_job_running(world: World, by: str) -> None:
    acting = world.acting()

    @job("t.killed")
    async def work(run: JobRun) -> Result:
        async with run.write() as session:
            await run.finish(session, {"rows": 7})
        await asyncio.Event().wait()  # as long as it takes to be killed
        return None

    job_id = await _start(world, acting, "t.killed")
    attempt = asyncio.create_task(runner(world, acting).run(delivery("t.killed", job_id)))
    async with asyncio.timeout(30):
        while not await world.admin.fetchval("SELECT count(*) FROM app.actor_done"):
            await asyncio.sleep(0.01)
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    assert (await row(world, job_id))["state"] == "RUNNING"
    if by == "sweep":
        assert await settle_done(world.db, after_s=3600) == 0
        assert await settle_done(world.db, after_s=0) == 1
    else:
        await runner(world, acting).run(delivery("t.killed", job_id))
    done = await row(world, job_id)
    assert (done["state"], done["progress"], done["result"]) == ("DONE", 4, '{"rows": 7}')
    assert done["ended_at"] is not None


async def test_a_result_kept_by_an_effect_that_rolled_back_does_not_stay(world: World) -> None:
    acting = world.acting()

    @job("t.rolled")
    async def work(run: JobRun) -> Result:
        async with run.write() as session:
            await run.finish(session, {"rows": 7})
            raise Fault("INVALID")

    job_id = await _start(world, acting, "t.rolled")
    await runner(world, acting).run(delivery("t.rolled", job_id))
    failed = await row(world, job_id)
    assert (failed["state"], failed["result"]) == ("FAILED", None)


async def test_a_message_whose_attempt_is_alive_waits(world: World) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    @job("t.slow", system="sys_jobs")
    async def work(_run: JobRun) -> Result:
        entered.set()
        await leave.wait()
        return None

    one = delivery("t.slow")
    first = asyncio.create_task(runner(world).run(one))
    await entered.wait()
    with pytest.raises(RetryLaterError):
        await runner(world).run(one)
    leave.set()
    await first
    assert await world.admin.fetchval("SELECT attempts FROM app.job_attempt") == 1


async def test_a_long_attempt_keeps_its_lease(world: World) -> None:
    @job("t.long", system="sys_jobs")
    async def work(run: JobRun) -> Result:
        old = await world.admin.fetchval("SELECT beat_at FROM app.job_attempt WHERE message_id = $1", run.message_id)
        async with asyncio.timeout(30):
            while await world.admin.fetchval("SELECT beat_at = $1 FROM app.job_attempt", old):
                await asyncio.sleep(0.02)
        return None

    await runner(world, lease_s=0.3).run(delivery("t.long"))


async def test_failures_are_tried_again_with_growing_delays_then_shown_with_their_traceback(world: World) -> None:
    acting = world.acting()

    @job("t.fails", max_attempts=3, min_backoff_s=2)
    async def work(run: JobRun) -> Result:
        raise ValueError(f"没有找到 {run.attempt}")

    job_id = await _start(world, acting, "t.fails")
    one, worker = delivery("t.fails", job_id), runner(world, acting)
    delays = []
    for _ in range(2):
        with pytest.raises(RetryLaterError) as later:
            await worker.run(one)
        delays.append(later.value.delay_ms)
    assert delays == [2000, 4000]
    assert (await row(world, job_id))["state"] == "RUNNING"
    with pytest.raises(RejectedError) as rejected:
        await worker.run(one)
    failed = await row(world, job_id)
    assert (rejected.value.code, failed["state"], failed["error"]) == ("EXHAUSTED", "FAILED", "JOB_FAILED")
    assert "没有找到 3" in await world.admin.fetchval("SELECT last_error FROM app.job_attempt")


async def test_a_job_that_kills_its_worker_stops_after_its_attempts(world: World) -> None:
    ran = []

    @job("t.poison", system="sys_jobs", max_attempts=3)
    async def work(run: JobRun) -> Result:
        ran.append(run.attempt)
        await asyncio.Event().wait()
        return None

    one = delivery("t.poison")

    for n in (1, 2, 3):
        attempt = asyncio.create_task(runner(world, lease_s=3600).run(one))
        async with asyncio.timeout(30):
            while len(ran) < n:
                await asyncio.sleep(0.01)
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)
        # What the lease would do in time: the dead attempt's sign of life grows old.
        await world.admin.execute("UPDATE app.job_attempt SET beat_at = now() - interval '2 hours', last_error = NULL")
    with pytest.raises(RejectedError, match="EXHAUSTED"):
        await runner(world, lease_s=3600).run(one)
    assert ran == [1, 2, 3]


async def test_an_expected_fault_ends_the_job_with_its_code_and_is_not_tried_again(world: World) -> None:
    acting = world.acting()

    @job("t.fault")
    async def work(_run: JobRun) -> Result:
        raise Fault("INVALID")

    job_id = await _start(world, acting, "t.fault")
    await runner(world, acting).run(delivery("t.fault", job_id))
    ended = await row(world, job_id)
    assert (ended["state"], ended["error"]) == ("FAILED", "INVALID")


async def test_a_person_cancels_before_the_start_and_in_the_middle(world: World) -> None:
    acting = world.acting()
    steps = []

    @job("t.cancel")
    async def work(run: JobRun) -> Result:
        for n in range(1, 5):
            await run.progress(n)
            steps.append(n)
            if n == 2:
                async with world.db.write("county", world.claims_of(acting)) as session:
                    assert await cancel_job(session, run.message_id)
        return None

    middle = await _start(world, acting, "t.cancel")
    await runner(world, acting).run(delivery("t.cancel", middle))
    assert steps == [1, 2]
    assert (await row(world, middle))["state"] == "CANCELLED"
    early = await _start(world, acting, "t.cancel")
    async with world.db.write("county", world.claims_of(acting)) as session:
        await cancel_job(session, early)
    await runner(world, acting).run(delivery("t.cancel", early))
    assert steps == [1, 2]
    assert (await row(world, early))["state"] == "CANCELLED"


async def test_people_cannot_write_how_their_job_stands(world: World) -> None:
    acting = world.acting()
    job_id = await _start(world, acting, "t.any")

    async def forge(statement: str) -> None:
        async with world.db.write("county", world.claims_of(acting)) as session:
            await session.execute(text(statement), {"id": job_id})

    for statement in ("UPDATE app.job SET state = 'DONE' WHERE id = :id", "DELETE FROM app.job WHERE id = :id"):
        with pytest.raises(Exception, match="permission denied"):
            await forge(statement)


async def test_dead_letters_are_kept_once_and_those_the_broker_alone_holds_are_copied(world: World) -> None:
    letter = DeadLetter(str(uuid.uuid4()), "t.x", {"a": "\0文"}, {"tid": 1}, "ALTERED", "trace\0back")
    worker = runner(world)
    await worker.dead(letter)
    await worker.dead(letter)
    other = replace(letter, message_id="not even a uuid " + "x" * 80, code="UNREPORTED")

    class Holds(Broker):
        def dead_letters(self) -> list[DeadLetter]:
            return [letter, other]

    assert await copy_dead_letters(world.db, Holds()) == 1
    assert await copy_dead_letters(world.db, Holds()) == 0
    rows = await world.admin.fetch("SELECT code, alarm, args->>'a' AS a FROM app.dead_letter ORDER BY seq")
    assert [(r["code"], r["alarm"], r["a"]) for r in rows] == [
        ("ALTERED", True, "\ufffd文"),
        ("UNREPORTED", False, "\ufffd文"),
    ]
    assert not await keep_dead_letter(world.db, "sys_jobs", letter)


async def test_old_messages_are_forgotten_and_young_ones_stay(world: World) -> None:
    @job("t.done", system="sys_jobs")
    async def work(_run: JobRun) -> Result:
        return None

    old, young = delivery("t.done"), delivery("t.done")
    for one in (old, young):
        await runner(world).run(one)
    await world.admin.execute(
        "UPDATE app.actor_done SET at = at - interval '31 days' WHERE message_id = $1", UUID(old.message_id)
    )
    await forget_old(world.db)
    for table in ("actor_done", "job_attempt"):
        kept = await world.admin.fetch(f"SELECT message_id FROM app.{table}")
        assert [str(r["message_id"]) for r in kept] == [young.message_id]


def test_declarations_are_checked() -> None:
    @job("t.one", time_limit_s=7)
    async def work(_run: JobRun) -> Result:
        return None

    assert [(s.name, s.time_limit_ms) for s in actor_specs()] == [("t.one", 7000)]
    with pytest.raises(ValueError, match="twice"):
        job("t.one")(work)
    with pytest.raises(ValueError, match="sys_"):
        job("t.two", system="county")


async def test_an_undeclared_job_is_rejected(world: World) -> None:
    with pytest.raises(RejectedError, match="UNKNOWN_JOB"):
        await runner(world).run(delivery("t.nowhere"))
