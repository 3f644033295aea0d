"""Outbox and events: nothing is sent or numbered that did not commit, nothing that did is lost."""

import asyncio
import json
import random
import uuid
from collections.abc import Sequence

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.kit.events import emit
from app.kit.outbox import enqueue
from app.kit.sweeper import resend_unreported
from app.relay import LOGIN, Relay
from infra.queue.port import DeadLetter, Outgoing, QueueUnavailableError
from tests.kit.jobs.conftest import World


class Broker:
    """A queue in memory: what the relay sent, in order; may be out of reach."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.up = True

    def send(self, messages: Sequence[Outgoing]) -> None:
        if not self.up:
            raise QueueUnavailableError("down")
        self.sent.extend(messages)

    def serve(self, *_: object) -> None: ...
    def dead_letters(self) -> Sequence[DeadLetter]:
        return []

    def depth(self) -> int:
        return 0

    def ping(self) -> None: ...
    def close(self) -> None: ...


async def test_a_rolled_back_transaction_sends_nothing(world: World) -> None:
    broker = Broker()
    relay = Relay(world.db, broker, world.settings, duties=[])
    acting = world.acting()

    async def fails() -> None:
        async with world.db.write("county", world.claims_of(acting)) as session:
            await enqueue(session, "some.job", {"a": 1}, acting)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    async with world.db.write("county", world.claims_of(acting)) as session:
        kept = await enqueue(session, "some.job", {"文": "二"}, acting)
    async with world.db.connect(LOGIN) as connection:
        assert await relay.send(connection) == 1
        assert await relay.send(connection) == 0
    assert [(m.message_id, dict(m.args)) for m in broker.sent] == [(str(kept), {"文": "二"})]


async def test_the_database_says_who_queues_whatever_the_caller_says(world: World) -> None:
    acting, other = world.acting("enterprise"), world.acting("province")
    broker = Broker()
    async with world.db.write("enterprise", world.claims_of(acting)) as session:
        await enqueue(session, "some.job", {}, other)
    async with world.db.connect(LOGIN) as connection:
        await Relay(world.db, broker, world.settings, duties=[]).send(connection)
    context = broker.sent[0].context
    assert context["level"] == "enterprise"
    assert context["tid"] == world.keys["enterprise"]
    assert context["person"] == str(acting.person_id)


async def test_people_cannot_read_or_write_the_outbox_itself(world: World) -> None:
    for statement in ("SELECT * FROM app.outbox", "DELETE FROM app.outbox", "SELECT * FROM app.actor_done"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with world.db.write("county", world.claims("county")) as session:
                await session.execute(text(statement))


async def test_a_relay_killed_between_sending_and_marking_sends_at_most_one_duplicate(world: World) -> None:
    acting = world.acting()
    async with world.db.write("county", world.claims_of(acting)) as session:
        ids = [await enqueue(session, "some.job", {"n": n}, acting) for n in range(3)]

    class Dies(Broker):
        def send(self, messages: Sequence[Outgoing]) -> None:
            super().send(messages)
            raise ConnectionAbortedError

    first, second = Dies(), Broker()
    async with world.db.connect(LOGIN) as connection:
        with pytest.raises(ConnectionAbortedError):
            await Relay(world.db, first, world.settings, duties=[]).send(connection)
        relay = Relay(world.db, second, world.settings, duties=[])
        assert [await relay.send(connection), await relay.send(connection)] == [3, 0]
    expected = [str(i) for i in ids]
    assert [m.message_id for m in first.sent] == expected
    assert [m.message_id for m in second.sent] == expected


async def test_an_unreachable_queue_loses_nothing(world: World) -> None:
    acting, broker = world.acting(), Broker()
    broker.up = False
    relay = Relay(world.db, broker, world.settings, duties=[])
    async with world.db.write("county", world.claims_of(acting)) as session:
        await enqueue(session, "some.job", {}, acting)
    async with world.db.connect(LOGIN) as connection:
        assert await relay.send(connection) == 0
        broker.up = True
        assert await relay.send(connection) == 1


async def test_a_due_time_is_legal_time(world: World) -> None:
    acting, broker = world.acting(), Broker()
    relay = Relay(world.db, broker, world.settings, duties=[])
    due = await world.admin.fetchval("SELECT now() + interval '2 days'")
    async with world.db.write("county", world.claims_of(acting)) as session:
        await enqueue(session, "some.job", {}, acting, due_at=due)
    async with world.db.connect(LOGIN) as connection:
        assert await relay.send(connection) == 0
        await world.admin.execute("INSERT INTO app.clock_offset (id, seconds) VALUES (1, 172801)")
        assert await relay.send(connection) == 1


async def test_the_relay_wakes_by_notice_and_only_one_works(world: World) -> None:
    acting = world.acting()
    brokers = [Broker(), Broker()]
    # With an hour between two polls only a notice can wake it in time.
    relays = [Relay(world.db, broker, world.settings, duties=[], poll_s=3600) for broker in brokers]
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    try:
        for n in range(3):
            async with world.db.write("county", world.claims_of(acting)) as session:
                await enqueue(session, "some.job", {"n": n}, acting)
            async with asyncio.timeout(30):
                while sum(len(b.sent) for b in brokers) != n + 1:
                    await asyncio.sleep(0.01)
        assert sorted(len(b.sent) for b in brokers) == [0, 3]
        worker, spare = sorted(range(2), key=lambda i: -len(brokers[i].sent))
        tasks[worker].cancel()
        async with world.db.write("county", world.claims_of(acting)) as session:
            await enqueue(session, "some.job", {"n": 3}, acting)
        async with asyncio.timeout(30):
            while not brokers[spare].sent:
                await asyncio.sleep(0.01)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_every_event_gets_one_position_after_its_commit_whatever_the_order_of_commits(world: World) -> None:
    relay = Relay(world.db, Broker(), world.settings, duties=[])
    acting = world.acting()
    total, chance = 200, random.Random(7)
    notices: list[int] = []
    read_up_to, seen = 0, []
    async with world.db.connect(LOGIN) as connection, world.db.connect("county") as reader:
        await connection.execute("INSERT INTO app.event_position VALUES (1, 0) ON CONFLICT DO NOTHING")
        await reader.add_listener("event", lambda *a: notices.append(json.loads(a[3])["position"]))

        async def write(n: int) -> None:
            async with world.db.write("county", world.claims_of(acting)) as session:
                await emit(session, "t.made", uuid.uuid4(), owner_key=acting.tenant_key, payload={"n": n})
                await asyncio.sleep(chance.random() / 50)  # commits overtake each other

        writers = asyncio.gather(*(write(n) for n in range(total)))
        while not writers.done() or await relay.number(connection):
            await relay.number(connection)
            rows = await world.admin.fetch(
                "SELECT position, payload->>'n' AS n FROM app.event WHERE position > $1 ORDER BY position", read_up_to
            )
            seen += [int(row["n"]) for row in rows]
            read_up_to = rows[-1]["position"] if rows else read_up_to
            await asyncio.sleep(0)
        rows = await world.admin.fetch("SELECT payload->>'n' AS n FROM app.event WHERE position > $1", read_up_to)
        seen += [int(row["n"]) for row in rows]
        await reader.fetchval("SELECT 1")
    assert sorted(seen) == list(range(total)), "a cursor on position lost or repeated events"
    assert await world.admin.fetchval("SELECT array_agg(position ORDER BY position) FROM app.event") == list(
        range(1, total + 1)
    )
    assert notices == list(range(1, total + 1))


async def test_a_batch_is_numbered_in_order_of_arrival_not_of_ids(world: World) -> None:
    for number in (3, 1, 2):  # ids that a device made earlier or later than they arrived
        async with world.db.write("county", world.claims("county")) as session:
            await session.execute(
                text("INSERT INTO app.event (id, type, object_id) VALUES (:id, 't.made', :id)"),
                {"id": uuid.UUID(int=number)},
            )
    async with world.db.connect(LOGIN) as connection:
        await connection.execute("INSERT INTO app.event_position VALUES (1, 0) ON CONFLICT DO NOTHING")
        assert await Relay(world.db, Broker(), world.settings, duties=[]).number(connection) == 3
    rows = await world.admin.fetch("SELECT id FROM app.event ORDER BY position")
    assert [row["id"].int for row in rows] == [3, 1, 2]


async def test_an_event_shows_to_its_levels_only(world: World) -> None:
    enterprise = world.acting("enterprise")
    owner = world.keys["enterprise"]
    async with world.db.write("enterprise", world.claims_of(enterprise)) as session:
        await emit(session, "t.shared", uuid.uuid4(), owner_key=owner)
        await emit(session, "t.draft", uuid.uuid4(), owner_key=owner, draft=True)
    async with world.db.write("county", world.claims("county")) as session:
        await emit(session, "t.office", uuid.uuid4(), owner_key=owner, agencies_only=True)
    seen = {}
    for who in ("province", "county", "county2", "enterprise"):
        async with world.db.read(who.rstrip("2"), world.claims(who)) as session:
            seen[who] = set((await session.execute(text("SELECT type FROM app.event"))).scalars())
    assert seen == {
        "province": {"t.shared", "t.office"},
        "county": {"t.shared", "t.office"},
        "county2": set(),
        "enterprise": {"t.shared", "t.draft"},
    }
    with pytest.raises(DBAPIError, match="row-level security"):
        async with world.db.write("county", world.claims("county2")) as session:
            await emit(session, "t.foreign", uuid.uuid4(), owner_key=owner)


async def test_events_are_append_only_even_for_the_relay(world: World) -> None:
    async with world.db.write("county", world.claims("county")) as session:
        await emit(session, "t.made", uuid.uuid4(), owner_key=world.keys["county"])
    async with world.db.connect(LOGIN) as connection:
        await connection.execute("UPDATE app.event SET position = 5")
        with pytest.raises(asyncpg.CheckViolationError, match="append-only"):
            await connection.execute("UPDATE app.event SET position = 6")
        for statement in ("UPDATE app.event SET payload = '{}'", "DELETE FROM app.event"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_messages_that_never_reported_are_sent_again_and_reported_ones_are_not(world: World) -> None:
    acting, broker = world.acting(), Broker()
    relay = Relay(world.db, broker, world.settings, duties=[])
    async with world.db.write("county", world.claims_of(acting)) as session:
        lost, done, dead, busy = [await enqueue(session, "some.job", {}, acting) for _ in range(4)]
    async with world.db.connect(LOGIN) as connection:
        await relay.send(connection)
        async with world.db.write("sys_jobs", {}) as session:
            await session.execute(text("SELECT app.job_done(:id, 'some.job')"), {"id": done})
        await world.admin.execute(
            "INSERT INTO app.dead_letter (id, message_id, actor, args, context, code, traceback)"
            " VALUES (gen_random_uuid(), $1, 'some.job', '{}', '{}', 'EXHAUSTED', '')",
            str(dead),
        )
        await world.admin.execute("INSERT INTO app.job_attempt VALUES ($1, 'some.job', 1, now(), now())", busy)
        assert await resend_unreported(world.db, after_s=3600) == 0
        await world.admin.execute("UPDATE app.outbox SET sent_at = sent_at - interval '2 hours'")
        assert await resend_unreported(world.db, after_s=3600) == 1
        broker.sent.clear()
        assert await relay.send(connection) == 1
    assert [m.message_id for m in broker.sent] == [str(lost)]
