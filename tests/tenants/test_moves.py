"""Changes of tenants: what is recorded, who sees what afterwards, and that no row is ever lost on the way."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from app.kit.ids import uuid7
from tenants import moves
from tenants.changes import (
    DATE_INVALID,
    TARGET_INVALID,
    TENANT_CLOSED,
    Author,
    Change,
    ChangeKind,
    ChangeRefusedError,
    due,
    record,
)
from tests.conftest import Clone
from tests.expectations import TABLES
from tests.oracle import Oracle
from tests.tenants.probes import seen
from tests.world import TODAY, World, tenant_id

BY = Author("张三", "科长", "某县应急管理局")
KEYED = [name for name, rule in TABLES.items() if rule.scope == "level"]


async def _record(clone: Clone, world: World, who: str, change: Change) -> uuid.UUID:
    actor = world.actors[who]
    async with clone.db.write(world.login(actor), world.claims(actor)) as session:
        return await record(session, change, BY)


def _change(tenant: str, kind: ChangeKind, **more: Any) -> Change:
    ids = {name: tenant_id(value) for name, value in more.items() if name.endswith("_id") and value}
    rest = {name: value for name, value in more.items() if name not in ids}
    return Change(uuid7(), tenant_id(tenant), kind, **{"valid_from": TODAY, **rest, **ids})


async def _everybody_sees_what_is_right(clone: Clone) -> World:
    """All actors, all tables with level keys, against an oracle that knows the tree and no keys."""
    world = await World.read(clone.admin)
    oracle = Oracle(world)
    for actor in world.actors.values():
        for table in KEYED:
            answer = await seen(clone, world.login(actor), world.claims(actor), table)
            if isinstance(answer, set):
                assert answer == oracle.visible(table, actor), (actor.name, table)
    return world


async def test_an_enterprise_moves_to_another_county(fresh_world: Clone, world: World) -> None:
    change = _change("E1113", ChangeKind.MOVE, parent_id="D121", document="某政发〔2026〕1号")
    await _record(fresh_world, world, "city_1", change)
    told: list[tuple[str, int]] = []

    async def progress(table: str, rows: int) -> None:
        told.append((table, rows))
        await asyncio.sleep(0)

    assert change.id in await due(fresh_world.db, TODAY)
    moved = await moves.apply(fresh_world.db, change.id, progress=progress, batch=2)
    assert moved.rows == told[-1][1] > 5
    assert moved.passes >= 2
    assert {"membership", "event", "audit_entry"} <= {table for table, _ in told}
    after = await _everybody_sees_what_is_right(fresh_world)
    shown = {row["owner_key"] for row in after.tables["membership"] if row["county_key"] == after.keys["D121"]}
    assert after.keys["E1113"] in shown
    assert change.id not in await due(fresh_world.db, TODAY)
    assert await moves.apply(fresh_world.db, change.id) == moves.Moved(0, 0)


async def test_an_enterprise_moves_into_a_park_and_out_again(fresh_world: Clone, world: World) -> None:
    into = _change("E1114", ChangeKind.MOVE, home_park_id="K1")
    await _record(fresh_world, world, "county_1", into)
    await moves.apply(fresh_world.db, into.id)
    after = await _everybody_sees_what_is_right(fresh_world)
    key = after.keys["E1114"]
    assert {row["park_key"] for row in after.tables["membership"] if row["owner_key"] == key} == {after.keys["K1"]}
    out = _change("E1114", ChangeKind.MOVE)
    await _record(fresh_world, world, "county_1", out)
    await moves.apply(fresh_world.db, out.id)
    after = await _everybody_sees_what_is_right(fresh_world)
    assert {row["park_key"] for row in after.tables["membership"] if row["owner_key"] == key} == {None}


async def test_a_county_goes_to_another_city_with_everything_in_it(fresh_world: Clone, world: World) -> None:
    change = _change("D111", ChangeKind.MOVE, parent_id="C12")
    await _record(fresh_world, world, "province_1", change)
    await moves.apply(fresh_world.db, change.id, batch=7)
    after = await _everybody_sees_what_is_right(fresh_world)
    deep = next(row for row in after.tables["tenant"] if row["id"] == tenant_id("E1113"))
    assert deep["city_key"] == after.keys["C12"]
    assert deep["township_key"] == after.keys["T111"]
    agency = next(row for row in after.tables["agency"] if row["id"] == tenant_id("D111"))
    assert agency["parent_id"] == tenant_id("C12")  # the public copy follows


async def test_counties_merge(fresh_world: Clone, world: World) -> None:
    change = _change("D112", ChangeKind.MERGE, other_id="D111")
    await _record(fresh_world, world, "city_1", change)
    await moves.apply(fresh_world.db, change.id)
    after = await _everybody_sees_what_is_right(fresh_world)
    merged = next(row for row in after.tables["tenant"] if row["id"] == tenant_id("D112"))
    assert (merged["status"], merged["successor_id"]) == ("CLOSED", tenant_id("D111"))
    assert not [row for row in after.tables["tenant"] if row["parent_id"] == tenant_id("D112")]
    for table in KEYED:
        left = [row for row in after.tables[table] if row["county_key"] == after.keys["D112"]]
        assert [row for row in left if row.get("state") != TABLES[table].draft] == [], table
    agency = next(row for row in after.tables["agency"] if row["id"] == tenant_id("D112"))
    assert agency["status"] == "CLOSED"


async def test_what_was_taken_over_follows_its_successor(fresh_world: Clone, world: World) -> None:
    """A successor that moves later takes the sight of its predecessor's rows along."""
    change = _change("E1114", ChangeKind.SUCCEED, other_id="E1113")
    await _record(fresh_world, world, "county_1", change)
    await moves.apply(fresh_world.db, change.id)
    after = await _everybody_sees_what_is_right(fresh_world)
    old, new = after.keys["E1114"], after.keys["E1113"]
    assert {row["enterprise_key"] for row in after.tables["membership"] if row["owner_key"] == old} == {new}
    move = _change("E1113", ChangeKind.MOVE, parent_id="D211")
    await _record(fresh_world, world, "county_1", move)
    await moves.apply(fresh_world.db, move.id)
    after = await _everybody_sees_what_is_right(fresh_world)
    rows = [row for row in after.tables["membership"] if row["owner_key"] == old]
    assert {row["province_key"] for row in rows} == {after.keys["P2"]}


async def test_a_rename_and_a_closing(fresh_world: Clone, world: World) -> None:
    rename = _change("D111", ChangeKind.RENAME, name="新名", name_sort="xin ming")
    await _record(fresh_world, world, "city_1", rename)
    assert (await moves.apply(fresh_world.db, rename.id)).rows == 0
    close = _change("E1114", ChangeKind.CLOSE)
    await _record(fresh_world, world, "county_1", close)
    await moves.apply(fresh_world.db, close.id)
    names = "SELECT name FROM app.{} WHERE id = $1"
    for table in ("tenant", "agency"):
        assert await fresh_world.admin.fetchval(names.format(table), tenant_id("D111")) == "新名"
    status = await fresh_world.admin.fetchval("SELECT status FROM app.tenant WHERE id = $1", tenant_id("E1114"))
    assert status == "CLOSED"
    before = await fresh_world.admin.fetchval("SELECT before->>'name' FROM app.tenant_change WHERE id = $1", rename.id)
    assert before == "canary-D111-"
    with pytest.raises(ChangeRefusedError) as refused:
        await _record(fresh_world, world, "county_1", _change("E1114", ChangeKind.RENAME, name="x"))
    assert refused.value.code == TENANT_CLOSED


@pytest.mark.parametrize(
    "case",
    [
        ("county_1", "E1121", ChangeKind.CLOSE, {}, TENANT_CLOSED),  # the neighbour's: as if it did not exist
        ("county_1", "E1111", ChangeKind.MOVE, {"parent_id": "C11"}, TARGET_INVALID),
        ("county_1", "E1111", ChangeKind.MOVE, {"parent_id": "E1112"}, TARGET_INVALID),
        ("county_1", "E1111", ChangeKind.MOVE, {"home_park_id": "D112"}, TARGET_INVALID),
        ("city_1", "D111", ChangeKind.MERGE, {"other_id": "C12"}, TARGET_INVALID),
        ("city_1", "D111", ChangeKind.MERGE, {"other_id": "D111"}, TARGET_INVALID),
        ("city_1", "D111", ChangeKind.MERGE, {}, TARGET_INVALID),
        ("county_1", "E1111", ChangeKind.SUCCEED, {"other_id": "E1121"}, TARGET_INVALID),
        ("county_1", "E1111", ChangeKind.CLOSE, {"valid_from": date(2025, 12, 31)}, DATE_INVALID),
    ],
)
async def test_changes_that_are_refused(fresh_world: Clone, world: World, case: tuple[Any, ...]) -> None:
    who, tenant, kind, more, code = case
    with pytest.raises(ChangeRefusedError) as refused:
        await _record(fresh_world, world, who, _change(tenant, kind, **more))
    assert refused.value.code == code


async def test_a_change_waits_for_its_day(fresh_world: Clone, world: World) -> None:
    change = _change("E1111", ChangeKind.CLOSE, valid_from=date(2026, 4, 1))
    await _record(fresh_world, world, "county_1", change)
    assert change.id not in await due(fresh_world.db, date(2026, 3, 31))
    assert change.id in await due(fresh_world.db, date(2026, 4, 1))


@pytest.fixture
async def open_insert(fresh_world: Clone, world: World) -> AsyncIterator[Any]:
    """A transaction that has read the old keys, has written a row, and is still open."""
    async with fresh_world.db.connect("enterprise") as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT set_config('app.key', $1, true)", str(world.keys["E1113"]))
        await connection.execute(
            "INSERT INTO app.event (id, type, object_id, owner_key, payload) VALUES ($1, 'late', $1, $2, '{}')",
            uuid.UUID(int=7),
            world.keys["E1113"],
        )
        yield transaction


async def test_an_insert_that_was_open_during_the_move_is_not_left_behind(
    fresh_world: Clone, world: World, open_insert: Any
) -> None:
    change = _change("E1113", ChangeKind.MOVE, parent_id="D121")
    await _record(fresh_world, world, "city_1", change)
    job = asyncio.create_task(moves.apply(fresh_world.db, change.id))
    moved = "SELECT count(*) FROM app.membership WHERE owner_key = $1 AND county_key <> $2"
    key, county = world.keys["E1113"], world.keys["D121"]
    while await fresh_world.admin.fetchval(moved, key, county):
        await asyncio.wait({job}, timeout=0.01)  # until the job has been everywhere it can see
    done, _ = await asyncio.wait({job}, timeout=0.5)
    assert not done  # it waits for the one who may still write the old keys
    await open_insert.commit()
    assert (await job).passes >= 2
    late = await fresh_world.admin.fetchrow(
        "SELECT county_key, city_key FROM app.event WHERE id = $1", uuid.UUID(int=7)
    )
    assert (late["county_key"], late["city_key"]) == (county, world.keys["C12"])
    await _everybody_sees_what_is_right(fresh_world)


async def test_a_reader_without_a_number_is_waited_for_as_well(fresh_world: Clone, world: World) -> None:
    """It has a snapshot from before the change and no transaction number yet; then it writes."""
    async with fresh_world.db.connect("enterprise") as connection:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.execute("SELECT set_config('app.key', $1, true)", str(world.keys["E1113"]))
            assert await connection.fetchval("SELECT count(*) FROM app.tenant") == 1
            change = _change("E1113", ChangeKind.MOVE, parent_id="D121")
            await _record(fresh_world, world, "city_1", change)
            job = asyncio.create_task(moves.apply(fresh_world.db, change.id))
            done, _ = await asyncio.wait({job}, timeout=1.0)
            assert not done
            await connection.execute(
                "INSERT INTO app.event (id, type, object_id, owner_key, payload) VALUES ($1, 'late', $1, $2, '{}')",
                uuid.UUID(int=8),
                world.keys["E1113"],
            )
        await job
    late = await fresh_world.admin.fetchval("SELECT county_key FROM app.event WHERE id = $1", uuid.UUID(int=8))
    assert late == world.keys["D121"]


async def test_during_a_move_each_row_is_in_exactly_one_place(fresh_world: Clone, world: World) -> None:
    """Counties that read all the while: never both, never neither, for each row."""
    change = _change("E1113", ChangeKind.MOVE, parent_id="D121")
    await _record(fresh_world, world, "city_1", change)
    key = world.keys["E1113"]
    total = await fresh_world.admin.fetchval(
        "SELECT count(*) FROM app.event WHERE owner_key = $1 AND state <> 'DRAFT'", key
    )
    job = asyncio.create_task(moves.apply(fresh_world.db, change.id, batch=1))
    counts = set()
    places = (
        "SELECT count(*) FILTER (WHERE county_key = $2), count(*) FILTER (WHERE county_key = $3), count(*) "
        "FROM app.event WHERE owner_key = $1 AND state <> 'DRAFT'"
    )
    while not job.done():
        row = await fresh_world.admin.fetchrow(places, key, world.keys["D111"], world.keys["D121"])
        counts.add(row[0] + row[1])
        await asyncio.sleep(0)
    await job
    assert counts == {total}


async def test_a_killed_job_goes_on_where_it_stopped(fresh_world: Clone, world: World) -> None:
    change = _change("D111", ChangeKind.MOVE, parent_id="C12")
    await _record(fresh_world, world, "province_1", change)

    async def break_off(_table: str, rows: int) -> None:
        await asyncio.sleep(0)
        if rows > 20:
            raise ConnectionError("killed")

    with pytest.raises(ConnectionError):
        await moves.apply(fresh_world.db, change.id, progress=break_off, batch=5)
    assert change.id in await due(fresh_world.db, TODAY)
    assert (await moves.apply(fresh_world.db, change.id)).rows > 0
    await _everybody_sees_what_is_right(fresh_world)


async def test_a_site_that_gets_another_county_takes_its_rows_along(fresh_world: Clone, world: World) -> None:
    actor = world.actors["enterprise_officer_1"]
    site = next(r for r in world.tables["site"] if r["owner_key"] == world.keys["E1111"] and not r["is_main"])
    async with fresh_world.db.write("enterprise", world.claims(actor)) as session:
        await session.execute(
            text("UPDATE app.site SET place_id = :place WHERE id = :id"),
            {"place": tenant_id("D121"), "id": site["id"]},
        )
    assert (await moves.settle(fresh_world.db, sites=[site["id"]])).rows > 0
    await _everybody_sees_what_is_right(fresh_world)


async def test_the_world_is_already_settled(fresh_world: Clone) -> None:
    """What the triggers filled is what the job would write: both know the same rule."""
    everything = [row["id"] for row in await fresh_world.admin.fetch("SELECT id FROM app.tenant")]
    assert await moves.settle(fresh_world.db, everything) == moves.Moved(0, 2)
