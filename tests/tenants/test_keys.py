"""Who fills level keys: the database for people, the bulk path with a check behind it."""

import json
import uuid
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from tests.conftest import Clone
from tests.factories.rows import site_id
from tests.oracle import Oracle
from tests.tenants.probes import acting, seen
from tests.world import World, tenant_id

KEYS = ("province_key", "city_key", "county_key", "township_key", "park_key", "enterprise_key")


async def _bulk(clone: Clone, table: str, row: dict[str, Any]) -> None:
    """Insert as the bulk path does, naming level keys."""
    names = ", ".join(row)
    async with acting(clone, "sys_seed", {}) as connection:
        await connection.execute(
            f"INSERT INTO app.{table} ({names}) SELECT {names} FROM jsonb_populate_record(NULL::app.{table}, $1)",
            json.dumps(row, default=str),
        )


def _like(world: World, table: str, owner: str, **more: Any) -> dict[str, Any]:
    """A row like one that exists (in the same state when ``more`` says one), with all its keys and a new id."""
    rows = (r for r in world.tables[table] if r["owner_key"] == world.keys[owner] and not r.get("is_main"))
    row = next(r for r in rows if more.get("state") in (None, r.get("state")))
    plain = {name: value for name, value in row.items() if value is not None and name not in ("seq", "key")}
    plain = {name: value for name, value in plain.items() if not (isinstance(value, str) and value[:1] in "{[")}
    return {**plain, "id": uuid.uuid4(), **more}


CASES: tuple[tuple[str, dict[str, str]], ...] = (
    *((table, {}) for table in ("membership", "scope_grant", "enterprise_person", "site")),
    ("enterprise_change", {"state": "ACCEPTED"}),
)


@pytest.mark.parametrize(("table", "more"), CASES)
async def test_the_bulk_path_may_name_the_right_keys(
    world_db: Clone, world: World, table: str, more: dict[str, str]
) -> None:
    await _bulk(world_db, table, _like(world, table, "E1111", **more))


@pytest.mark.parametrize(("table", "more"), CASES)
@pytest.mark.parametrize("key", KEYS)
async def test_wrong_keys_of_the_bulk_path_are_refused(
    world_db: Clone, world: World, table: str, more: dict[str, str], key: str
) -> None:
    for wrong in (world.keys["C22"], None):
        row = _like(world, table, "E1111", **more)
        if row.get(key) == wrong:
            continue
        with pytest.raises(asyncpg.CheckViolationError, match="wrong level keys"):
            await _bulk(world_db, table, {**row, key: wrong})


@pytest.mark.parametrize("key", [*KEYS, "owner_key"])
async def test_wrong_keys_of_a_tenant_are_refused(world_db: Clone, world: World, key: str) -> None:
    number = 5001
    county = next(row for row in world.tables["tenant"] if row["id"] == tenant_id("D111"))
    right = {
        "id": uuid.uuid4(),
        "key": number,
        "owner_key": number,
        "kind": "ENTERPRISE",
        "name": "x",
        "status": "ACTIVE",
        "config": {},
        "parent_id": tenant_id("D111"),
        "home_park_id": tenant_id("K1"),
        **{name: county[name] for name in KEYS},
        "park_key": world.keys["K1"],
        "enterprise_key": number,
        "version": 1,
        "name_sort": "",
        "created_at": "2026-03-01",
        "updated_at": "2026-03-01",
    }
    await _bulk(world_db, "tenant", right)
    with pytest.raises(asyncpg.CheckViolationError, match="wrong level keys"):
        await _bulk(world_db, "tenant", {**right, key: world.keys["C22"]})


@pytest.mark.parametrize("author", ["E1111", "D111"])
async def test_a_draft_of_the_bulk_path_fills_its_authors_own_key_only(
    fresh_world: Clone, world: World, author: str
) -> None:
    """Decision 10; every other key, right for the owner or not, would show the draft to somebody else."""
    table = "enterprise_change"
    own = {"E": "enterprise_key", "D": "county_key"}[author[0]]
    like = _like(world, table, "E1111", state="DRAFT", author_key=world.keys[author])
    draft = {**like, **dict.fromkeys(KEYS), own: world.keys[author]}
    await fresh_world.admin.execute("UPDATE app.enterprise_change SET state = 'WITHDRAWN' WHERE state = 'DRAFT'")
    await _bulk(fresh_world, table, draft)
    owner = next(row for row in world.tables["tenant"] if row["id"] == tenant_id("E1111"))
    wrong = [{**draft, key: value} for key in KEYS for value in (world.keys["C22"], owner[key], None)]
    wrong = [row for row in wrong if row != draft]
    assert len(wrong) > len(KEYS)
    for row in [*wrong, {**draft, "author_key": None}, {**draft, "author_key": world.keys["D112"]}]:
        with pytest.raises(asyncpg.CheckViolationError, match="wrong level keys"):
            await _bulk(fresh_world, table, row)


async def test_a_draft_shows_to_its_author_only_and_submitting_shows_it_up_and_down(
    fresh_world: Clone, world: World
) -> None:
    drafts = [row for row in world.tables["enterprise_change"] if row["state"] == "DRAFT"]
    own = next(row for row in drafts if row["author_key"] == row["owner_key"])
    name = next(name for name, key in world.keys.items() if key == own["owner_key"])
    shown = ("county_key", "city_key", "province_key")
    assert [own[key] for key in shown] == [None, None, None]
    async with fresh_world.db.write("enterprise", {"app.key": str(own["owner_key"])}) as session:
        await session.execute(
            text("UPDATE app.enterprise_change SET state = 'SUBMITTED' WHERE id = :id"), {"id": own["id"]}
        )
    after = await World.read(fresh_world.admin)
    row = next(row for row in after.tables["enterprise_change"] if row["id"] == own["id"])
    owner = next(row for row in after.tables["tenant"] if row["id"] == tenant_id(name))
    assert [row[key] for key in KEYS] == [owner[key] for key in KEYS]


async def test_a_draft_of_the_county_is_not_the_enterprises(world: World, world_db: Clone) -> None:
    drafts = [row for row in world.tables["enterprise_change"] if row["state"] == "DRAFT"]
    foreign = next(row for row in drafts if row["author_key"] != row["owner_key"])
    shown = await seen(world_db, "enterprise", {"app.key": str(foreign["owner_key"])}, "enterprise_change")
    assert str(foreign["id"]) not in shown
    county = await seen(world_db, "county", {"app.key": str(foreign["author_key"])}, "enterprise_change")
    assert str(foreign["id"]) in county


async def test_the_author_is_who_claims_whatever_a_row_says(world: World) -> None:
    drafts = [row for row in world.tables["event"] if row["state"] == "DRAFT"]
    assert {row["author_key"] for row in drafts} <= set(world.keys.values())
    assert any(row["author_key"] != row["owner_key"] for row in drafts)


async def test_a_row_about_a_site_lies_where_the_site_lies(world: World) -> None:
    """The second site of E1111 stands in the neighbour county: that county sees the row, its own does not."""
    row = next(row for row in world.tables["event"] if row["site_id"] == site_id("E1111", 1))
    assert row["county_key"] == world.keys["D112"]
    oracle = Oracle(world)
    assert str(row["id"]) in oracle.visible("event", world.actors["county_2"])
    assert str(row["id"]) not in oracle.visible("event", world.actors["county_1"])


@pytest.mark.parametrize(
    ("what", "value"),
    [("place_id", "C11"), ("place_id", "P1"), ("place_id", "E1112"), ("park_id", "D112"), ("park_id", "K2")],
)
async def test_a_site_stands_in_a_county_and_a_park_of_its_province(
    world_db: Clone, world: World, what: str, value: str
) -> None:
    site = next(row for row in world.tables["site"] if row["id"] == site_id("E1111", 0))
    async with acting(world_db, "enterprise", {"app.key": str(world.keys["E1111"])}) as connection:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.execute(f"UPDATE app.site SET {what} = $1 WHERE id = $2", tenant_id(value), site["id"])


async def test_a_foreign_site_places_nothing(world_db: Clone, world: World) -> None:
    async with acting(world_db, "enterprise", {"app.key": str(world.keys["E1111"])}) as connection:
        with pytest.raises(asyncpg.ForeignKeyViolationError, match="no such owner"):
            await connection.execute(
                "INSERT INTO app.event (id, type, object_id, owner_key, site_id, payload) "
                "VALUES ($1, 'x', $1, $2, $3, '{}')",
                uuid.uuid4(),
                world.keys["E1111"],
                site_id("E1112", 0),
            )


async def test_what_is_for_agencies_never_names_the_enterprise(world_db: Clone, world: World) -> None:
    event = uuid.uuid4()
    async with acting(world_db, "county", {"app.key": str(world.keys["D111"])}) as connection:
        await connection.execute(
            "INSERT INTO app.event (id, type, object_id, owner_key, agencies_only, payload) "
            "VALUES ($1, 'x', $1, $2, true, '{}')",
            event,
            world.keys["E1111"],
        )
        row = await connection.fetchrow("SELECT * FROM app.event WHERE id = $1", event)
    assert (row["enterprise_key"], row["county_key"]) == (None, world.keys["D111"])
