"""The audit log: what is written, that nobody changes it, and that a chain names what was done to it."""

import asyncio
from itertools import pairwise
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.kit.ids import uuid7
from app.modules.audit import public, service
from app.modules.audit.public import Deed, Flaw
from app.modules.audit.service import entry_hash
from infra.db.port import Database
from tests.conftest import Clone
from tests.factories.audit import acting_as, visitor, work
from tests.world import World


async def _fill(clone: Clone, world: World, count: int, name: str = "county_1") -> int:
    """Write entries of one tenant and seal them; returns the tenant's key."""
    caller = acting_as(world, name)
    for number in range(count):
        async with work(clone.db, caller) as ctx:
            await public.record(ctx, "thing.do", "thing", uuid7(), details={"number": number})
    await public.seal(clone.db)
    return caller.tenant_key


async def _verdict(db: Database, key: int) -> public.Verdict:
    async with db.read("sys_audit", {}) as session:
        return await public.verify_chain(session, key)


async def _tamper(clone: Clone, statement: str, *args: Any) -> None:
    """Do what no login may: as superuser with triggers off."""
    async with clone.admin.transaction():
        await clone.admin.execute("SET LOCAL session_replication_role = replica")
        await clone.admin.execute(statement, *args)


@pytest.fixture
async def sealed(fresh_world: Clone, world: World) -> int:
    """A chain of ten entries behind what the world holds; returns the tenant's key."""
    await _tamper(fresh_world, "DELETE FROM app.audit_entry")
    await _tamper(fresh_world, "DELETE FROM app.audit_head")
    return await _fill(fresh_world, world, 10)


async def test_a_change_is_written_for_the_actor_and_for_the_owner(fresh_world: Clone, world: World) -> None:
    caller, enterprise = acting_as(world, "county_1"), world.keys["E1111"]
    thing = uuid7()
    async with work(fresh_world.db, caller) as ctx:
        await public.record(
            ctx, "enterprise.verify", "enterprise", thing, owner_key=enterprise, details={"x": ["a", 1]}
        )
    own, theirs = sorted(
        await fresh_world.admin.fetch("SELECT * FROM app.audit_entry WHERE object_id = $1", thing),
        key=lambda row: row["owner_key"] == enterprise,
    )
    assert (own["owner_key"], own["enterprise_key"], own["county_key"]) == (caller.tenant_key, None, caller.tenant_key)
    assert (own["actor_name"], own["actor_post"], own["person_id"]) == (caller.actor_name, "post", caller.person_id)
    assert (theirs["owner_key"], theirs["enterprise_key"], theirs["author_key"]) == (
        enterprise,
        enterprise,
        caller.tenant_key,
    )
    assert (theirs["actor_name"], theirs["actor_post"], theirs["person_id"]) == (None, None, None)
    assert theirs["actor_agency"] == own["actor_agency"] == caller.tenant_name
    assert own["request_id"] == theirs["request_id"] == "request-1"


async def test_an_office_below_reads_which_official_acted(fresh_world: Clone, world: World) -> None:
    caller, thing = acting_as(world, "city_1"), uuid7()
    async with work(fresh_world.db, caller) as ctx:
        await public.record(ctx, "membership.end", "membership", thing, owner_key=world.keys["D111"])
    names = await fresh_world.admin.fetch("SELECT actor_name FROM app.audit_entry WHERE object_id = $1", thing)
    assert [row["actor_name"] for row in names] == [caller.actor_name] * 2


async def test_the_person_comes_from_the_claim(fresh_world: Clone, world: World) -> None:
    caller, thing = acting_as(world, "county_1"), uuid7()
    lie = acting_as(world, "county_1", person=uuid7())
    async with work(fresh_world.db, caller) as ctx:
        await service.record(ctx.session, lie, Deed("thing.do", "thing", thing), "")
    row = await fresh_world.admin.fetchrow("SELECT person_id FROM app.audit_entry WHERE object_id = $1", thing)
    assert row["person_id"] == caller.person_id


async def test_a_rolled_back_change_leaves_no_entry_and_its_denial_does(fresh_world: Clone, world: World) -> None:
    caller, thing = acting_as(world, "county_1"), uuid7()

    async def fail() -> None:
        async with work(fresh_world.db, caller) as ctx:
            await public.record(ctx, "thing.do", "thing", thing)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await public.record_denial(
        fresh_world.db, caller, "thing.do", "NOT_PERMITTED", object_type="thing", object_id=thing, request_id="r-2"
    )
    rows = await fresh_world.admin.fetch("SELECT * FROM app.audit_entry WHERE object_id = $1", thing)
    assert [(row["outcome"], row["reason"], row["person_id"], row["request_id"]) for row in rows] == [
        ("DENIED", "NOT_PERMITTED", caller.person_id, "r-2")
    ]


async def test_who_has_no_membership_is_denied_in_the_national_log(fresh_world: Clone, world: World) -> None:
    caller = visitor(world)
    await public.record_denial(fresh_world.db, caller, "membership.choose", "MEMBERSHIP_REFUSED", request_id="r-3")
    await public.record_denial(fresh_world.db, visitor(world, "anonymous"), "x", "NOT_PERMITTED", request_id="r-3")
    rows = await fresh_world.admin.fetch("SELECT * FROM app.audit_entry WHERE request_id = 'r-3'")
    assert [(row["owner_key"], row["person_id"]) for row in rows] == [(world.keys["N0"], caller.person_id)]


@pytest.mark.parametrize("details", [{"ratio": 0.5}, {"record": {"phone": "1"}}, {"rows": [[1]]}])
async def test_details_are_ids_codes_and_counts(fresh_world: Clone, world: World, details: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="ids, codes and counts"):
        async with work(fresh_world.db, acting_as(world, "county_1")) as ctx:
            await public.record(ctx, "thing.do", "thing", uuid7(), details=details)


async def test_a_duty_names_the_owner(fresh_world: Clone, world: World) -> None:
    thing = uuid7()
    async with fresh_world.db.write("sys_jobs", {}) as session:
        with pytest.raises(ValueError, match="names the tenant"):
            await public.record_duty(session, "members.provision", Deed("x.y", "x", thing))
        deed = Deed("x.y", "x", thing, owner_key=world.keys["E1111"])
        await public.record_duty(session, "members.provision", deed)
    row = await fresh_world.admin.fetchrow("SELECT * FROM app.audit_entry WHERE object_id = $1", thing)
    assert (row["actor_agency"], row["enterprise_key"]) == ("system:members.provision", world.keys["E1111"])


CHANGES = (
    "UPDATE app.audit_entry SET action = 'x.y'",
    "UPDATE app.audit_entry SET owner_key = owner_key + 1",
    "DELETE FROM app.audit_entry",
    "TRUNCATE app.audit_entry",
)


@pytest.mark.parametrize("login", ["county", "enterprise", "sys_jobs", "sys_identity", "sys_audit", "sys_move"])
async def test_no_login_changes_or_removes_entries(fresh_world: Clone, sealed: int, login: str) -> None:
    claims = {"app.key": str(sealed), "app.today": "2026-03-02"}
    for statement in CHANGES:
        async with fresh_world.db.connect(login) as connection:
            for name, value in claims.items():
                await connection.execute("SELECT set_config($1, $2, false)", name, value)
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    assert await _verdict(fresh_world.db, sealed) == public.Verdict(checked=10, waiting=0)


async def test_the_owner_of_the_table_cannot_either(fresh_world: Clone, sealed: int) -> None:
    for statement in (
        "DELETE FROM app.audit_entry",
        "TRUNCATE app.audit_entry",
        "UPDATE app.audit_entry SET hash = ''",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await fresh_world.admin.execute(statement)
    assert (await _verdict(fresh_world.db, sealed)).checked == 10


async def test_a_row_is_sealed_once(fresh_world: Clone, sealed: int) -> None:
    async with fresh_world.db.connect("sys_audit") as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="sealed once"):
            await connection.execute(
                "UPDATE app.audit_entry SET position = position + 100 WHERE owner_key = $1", sealed
            )


async def test_a_move_rewrites_level_keys_and_the_chain_holds(fresh_world: Clone, world: World, sealed: int) -> None:
    async with fresh_world.db.connect("sys_move") as connection:
        await connection.execute(
            "UPDATE app.audit_entry SET city_key = $2 WHERE owner_key = $1", sealed, world.keys["C12"]
        )
    assert await _verdict(fresh_world.db, sealed) == public.Verdict(checked=10, waiting=0)


async def test_an_untouched_chain_is_whole(fresh_world: Clone, sealed: int) -> None:
    assert await _verdict(fresh_world.db, sealed) == public.Verdict(checked=10, waiting=0)
    rows = await fresh_world.admin.fetch("SELECT * FROM app.audit_entry WHERE owner_key = $1 ORDER BY position", sealed)
    assert [row["position"] for row in rows] == list(range(1, 11))
    assert all(after["prev_hash"] == before["hash"] for before, after in pairwise(rows))


async def _id_at(clone: Clone, key: int, position: int) -> UUID:
    found: UUID = await clone.admin.fetchval(
        "SELECT id FROM app.audit_entry WHERE owner_key = $1 AND position = $2", key, position
    )
    return found


ALTERED = (
    "action = 'thing.undo'",
    "object_id = gen_random_uuid()",
    "site_id = gen_random_uuid()",
    "outcome = 'DENIED'",
    "outcome = 'DENIED', reason = 'NOT_FOUND'",
    "actor_name = 'somebody else'",
    "actor_post = NULL",
    "actor_agency = NULL",
    "person_id = gen_random_uuid()",
    "request_id = 'another'",
    "details = '{\"number\": 99}'",
    "at = at + interval '1 microsecond'",
    "hash = repeat('0', 64)",
    "prev_hash = repeat('0', 64)",
)


async def test_an_altered_row_is_named_whatever_was_altered(fresh_world: Clone, sealed: int) -> None:
    wrong = await _id_at(fresh_world, sealed, 4)
    await fresh_world.admin.execute("CREATE TABLE public.saved AS SELECT * FROM app.audit_entry")
    for change in ALTERED:
        await _tamper(fresh_world, f"UPDATE app.audit_entry SET {change} WHERE id = $1", wrong)
        assert await _verdict(fresh_world.db, sealed) == public.Verdict(3, 0, Flaw.ALTERED, 4, wrong), change
        await _tamper(fresh_world, "DELETE FROM app.audit_entry WHERE id = $1", wrong)
        back = "INSERT INTO app.audit_entry OVERRIDING SYSTEM VALUE SELECT * FROM public.saved WHERE id = $1"
        await _tamper(fresh_world, back, wrong)
    assert (await _verdict(fresh_world.db, sealed)).flaw is None


@pytest.mark.parametrize("position", [1, 5, 10])
async def test_a_row_altered_with_its_hash_made_anew_is_named(fresh_world: Clone, sealed: int, position: int) -> None:
    wrong = await _id_at(fresh_world, sealed, position)
    row = {**dict(await fresh_world.admin.fetchrow("SELECT * FROM app.audit_entry WHERE id = $1", wrong))}
    made = entry_hash(row["prev_hash"], position, {**row, "action": "thing.undo"})
    await _tamper(fresh_world, "UPDATE app.audit_entry SET action = 'thing.undo', hash = $2 WHERE id = $1", wrong, made)
    verdict = await _verdict(fresh_world.db, sealed)
    assert (verdict.flaw, verdict.position, verdict.entry_id) == (Flaw.ALTERED, position, wrong)


@pytest.mark.parametrize("position", [1, 6, 10])
async def test_a_removed_row_is_named(fresh_world: Clone, sealed: int, position: int) -> None:
    gone = await _id_at(fresh_world, sealed, position)
    await _tamper(fresh_world, "DELETE FROM app.audit_entry WHERE id = $1", gone)
    assert await _verdict(fresh_world.db, sealed) == public.Verdict(position - 1, 0, Flaw.MISSING, position)


async def test_a_removed_row_is_named_though_the_rest_was_renumbered(fresh_world: Clone, sealed: int) -> None:
    await _tamper(fresh_world, "DELETE FROM app.audit_entry WHERE owner_key = $1 AND position IN (6, 7)", sealed)
    for position in range(8, 11):
        await _tamper(
            fresh_world,
            "UPDATE app.audit_entry SET position = position - 2 WHERE owner_key = $1 AND position = $2",
            sealed,
            position,
        )
    assert await _verdict(fresh_world.db, sealed) == public.Verdict(5, 0, Flaw.MISSING, 6)


_COPY = (
    "INSERT INTO app.audit_entry (id, owner_key, county_key, action, object_type, outcome, details, at, position,"
    " prev_hash, hash, sealed_at) SELECT $3, owner_key, county_key, 'thing.forge', 'thing', 'ALLOWED', '{}', at, $4,"
    " $5, $6, sealed_at FROM app.audit_entry WHERE owner_key = $1 AND position = $2"
)


async def _forge(clone: Clone, key: int, after: int) -> UUID:
    """Put a row behind ``after``, with a right hash."""
    forged, last = (
        uuid7(),
        await clone.admin.fetchrow("SELECT * FROM app.audit_entry WHERE owner_key = $1 AND position = $2", key, after),
    )
    row = {**dict(last), "id": forged, "action": "thing.forge", "object_id": None, "details": {}, "reason": None}
    row |= {"actor_name": None, "actor_post": None, "actor_agency": None, "person_id": None, "request_id": ""}
    made = entry_hash(last["hash"], after + 1, row)
    await _tamper(clone, _COPY, key, after, forged, after + 1, last["hash"], made)
    return forged


async def test_a_row_put_in_between_is_named(fresh_world: Clone, sealed: int) -> None:
    for position in range(10, 5, -1):
        await _tamper(
            fresh_world,
            "UPDATE app.audit_entry SET position = position + 1 WHERE owner_key = $1 AND position = $2",
            sealed,
            position,
        )
    forged = await _forge(fresh_world, sealed, 5)
    assert await _verdict(fresh_world.db, sealed) == public.Verdict(6, 0, Flaw.INSERTED, 6, forged)


async def test_a_row_put_at_the_end_is_named(fresh_world: Clone, sealed: int) -> None:
    forged = await _forge(fresh_world, sealed, 10)
    assert await _verdict(fresh_world.db, sealed) == public.Verdict(11, 0, Flaw.INSERTED, 11, forged)


async def test_the_chain_of_one_tenant_is_no_other_tenants(fresh_world: Clone, world: World, sealed: int) -> None:
    other = world.keys["D211"]
    await _tamper(fresh_world, "UPDATE app.audit_entry SET owner_key = $2 WHERE owner_key = $1", sealed, other)
    await _tamper(fresh_world, "UPDATE app.audit_head SET owner_key = $2 WHERE owner_key = $1", sealed, other)
    verdict = await _verdict(fresh_world.db, other)
    assert (verdict.flaw, verdict.position) == (Flaw.ALTERED, 1)


async def test_a_chain_longer_than_a_page_is_read_whole(
    fresh_world: Clone, sealed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.modules.audit.service.PAGE", 3)
    assert await _verdict(fresh_world.db, sealed) == public.Verdict(checked=10, waiting=0)


async def test_an_unknown_tenant_has_no_chain(fresh_world: Clone) -> None:
    with pytest.raises(LookupError):
        await _verdict(fresh_world.db, -1)


async def test_a_late_commit_is_sealed_late(fresh_world: Clone, world: World, sealed: int) -> None:
    """A row gets its sequence before its commit; the chain takes it in when it can be seen, and loses none."""
    caller, late, early = acting_as(world, "county_1"), uuid7(), uuid7()
    async with work(fresh_world.db, caller) as slow:
        await public.record(slow, "thing.do", "thing", late)
        async with work(fresh_world.db, caller) as fast:
            await public.record(fast, "thing.do", "thing", early)
        assert await public.seal(fresh_world.db) == 1
    assert await public.seal(fresh_world.db) == 1
    rows = await fresh_world.admin.fetch("SELECT object_id FROM app.audit_entry WHERE position > 10 ORDER BY position")
    assert [row["object_id"] for row in rows] == [early, late]
    assert await _verdict(fresh_world.db, sealed) == public.Verdict(checked=12, waiting=0)


@pytest.mark.usefixtures("sealed")
async def test_chains_hold_under_eight_writers_and_two_sealers(fresh_world: Clone, world: World) -> None:
    writers = ["county_1", "county_2", "county_1", "city_1", "province_1", "county_1", "county_2", "city_1"]
    done = asyncio.Event()

    async def write(name: str, number: int) -> None:
        for turn in range(12):
            async with work(fresh_world.db, acting_as(world, name)) as ctx:
                owner = world.keys["E1111"] if name != "county_2" else world.keys["E1121"]
                await public.record(ctx, "thing.do", "thing", uuid7(), owner_key=owner, details={"n": [number, turn]})

    async def keep_sealing() -> int:
        count = 0
        while not done.is_set():
            count += await public.seal(fresh_world.db, 7)
        return count + await public.seal(fresh_world.db, 7)

    sealers = [asyncio.create_task(keep_sealing()) for _ in range(2)]
    await asyncio.gather(*(write(name, number) for number, name in enumerate(writers)))
    done.set()
    assert sum(await asyncio.gather(*sealers)) == 8 * 12 * 2
    found = {}
    for name in ("D111", "D112", "C11", "P1", "E1111", "E1121"):
        verdict = await _verdict(fresh_world.db, world.keys[name])
        assert (verdict.flaw, verdict.waiting) == (None, 0), name
        found[name] = verdict.checked
    assert found == {"D111": 10 + 36, "D112": 24, "C11": 24, "P1": 12, "E1111": 72, "E1121": 24}


@pytest.mark.usefixtures("sealed")
async def test_the_backlog_alarms_after_a_minute(fresh_world: Clone, world: World) -> None:
    assert await public.backlog(fresh_world.db) == public.Backlog(0, 0.0)
    async with work(fresh_world.db, acting_as(world, "county_1")) as ctx:
        await public.record(ctx, "thing.do", "thing", uuid7())
    waiting = await public.backlog(fresh_world.db)
    assert (waiting.rows, waiting.alarm) == (1, False)
    await _tamper(fresh_world, "UPDATE app.audit_entry SET at = at - interval '61 s' WHERE position IS NULL")
    assert (await public.backlog(fresh_world.db)).alarm
