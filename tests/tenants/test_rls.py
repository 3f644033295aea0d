"""The isolation matrix at the level of SQL (identity study 3.2, M3): every login on every table."""

import asyncio
import random
import uuid
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tenants.access import TableClass, access_of
from tenants.kinds import LEVELS, PEOPLE_LOGINS, SYSTEM_LOGINS, key_column
from tests.conftest import Clone
from tests.expectations import EVERYBODY, TABLES
from tests.oracle import Oracle
from tests.tenants.probes import (
    DENIED,
    PASSED,
    REFUSED,
    added,
    changed,
    expected_insert,
    insertable,
    key_of,
    seen,
)
from tests.tenants.probes import TABLES as MAPPED
from tests.world import ACTORS, HOSTINGS, INCIDENT_CALLS, SCOPE_GRANTS, TODAY, TREE, Actor, World, tenant_id

KINDS = {"PUBLIC": "public", **{kind: kind.lower() for kind in EVERYBODY}}
ASSIGNED = ("NATIONAL", "RESCUE_TEAM", "AGENCY")
ACTING = [actor for actor in ACTORS if actor.acts]
KEYED = [name for name, table in MAPPED.items() if access_of(table).keyed]


@pytest.fixture(scope="module")
def oracle(world: World) -> Oracle:
    return Oracle(world)


def test_every_table_has_an_expectation() -> None:
    assert set(TABLES) == set(MAPPED)


@pytest.mark.parametrize("table", sorted(TABLES))
def test_declared_readers_are_the_expected_ones(table: str) -> None:
    access, rule = access_of(MAPPED[table]), TABLES[table]
    wanted = {"assigned" if kind in ASSIGNED else KINDS[kind] for kind in rule.readers}
    open_to_all = access.table_class in (TableClass.REFERENCE, TableClass.PUBLIC)
    assert (set(access.select) or (wanted if open_to_all else set())) == wanted
    assert open_to_all == (rule.scope == "all")
    assert (access.draft_state, access.granted, access.hosted, access.grantee) == (
        rule.draft,
        rule.granted,
        rule.hosted,
        rule.grantee,
    )


async def _through_port(clone: Clone, login: str, claims: Mapping[str, str], table: str) -> set[str] | str:
    """Read as the product does: over a connection that logged in as the level."""
    try:
        async with clone.db.read(login, claims) as session:
            rows = await session.execute(text(f"SELECT {key_of(table)} FROM app.{table}"))
            return {str(row[0]) for row in rows}
    except DBAPIError as fault:
        if DENIED not in str(fault):
            raise
        return DENIED


@pytest.mark.parametrize("actor", ACTORS, ids=lambda actor: actor.name)
async def test_each_actor_sees_what_the_oracle_says(
    world_db: Clone, world: World, oracle: Oracle, actor: Actor
) -> None:
    login, claims, kind = world.login(actor), world.claims(actor), world.kind(actor)
    for table, rule in TABLES.items():
        answer = await _through_port(world_db, login, claims, table)
        may_read = any(("assigned" if k in ASSIGNED else KINDS[k]) == login for k in rule.readers)
        assert (answer == DENIED) == (not may_read), (table, answer)
        assert answer == DENIED or answer == oracle.visible(table, actor), (table, kind)


@pytest.mark.parametrize("login", SYSTEM_LOGINS)
async def test_each_system_login_sees_its_tables_only(world_db: Clone, oracle: Oracle, login: str) -> None:
    for table, rule in TABLES.items():
        answer = await _through_port(world_db, login, {}, table)
        if rule.scope != "all" and login not in rule.system:
            assert answer == DENIED, table
        else:
            assert answer == oracle.system(table, login), table


def test_the_matrix_is_no_triviality(world: World, oracle: Oracle) -> None:
    """Every level sees some rows of a tenant table and never all of them."""
    for actor in ACTING:
        shown = oracle.visible("membership", actor)
        assert 0 < len(shown) < len(world.tables["membership"]), actor.name


@pytest.mark.parametrize("login", PEOPLE_LOGINS)
@pytest.mark.parametrize("claims", [{}, {"app.key": "", "app.person": "", "app.today": ""}], ids=["none", "empty"])
async def test_without_a_claim_nothing(world_db: Clone, login: str, claims: dict[str, str]) -> None:
    for table, rule in TABLES.items():
        if rule.scope in ("all", "none"):
            continue
        assert await _through_port(world_db, login, claims, table) in (set(), DENIED), table


@pytest.mark.parametrize("login", PEOPLE_LOGINS)
@pytest.mark.parametrize("value", ["x", "1 OR 1=1", "1.5", "99999999999"])
async def test_a_claim_that_is_no_integer_is_an_error(world_db: Clone, login: str, value: str) -> None:
    async with world_db.db.read(login, {"app.key": value}) as session:
        with pytest.raises(DBAPIError, match=r"invalid input syntax|out of range"):
            await session.execute(text("SELECT id FROM app.membership"))


@pytest.mark.parametrize("login", [*PEOPLE_LOGINS, "public"])
async def test_nobody_becomes_somebody_else(world_db: Clone, login: str) -> None:
    async with world_db.db.connect(login) as connection:
        for other in {*PEOPLE_LOGINS, "sys_seed", "owner", "definer", "migrator"} - {login}:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SET ROLE {world_db.prefix}_{other}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SET SESSION AUTHORIZATION {world_db.prefix}_{other}")


async def test_row_security_cannot_be_switched_off(world_db: Clone) -> None:
    async with world_db.db.connect("county") as connection:
        await connection.execute("SET row_security = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.fetch("SELECT * FROM app.tenant")


async def test_a_claim_ends_with_its_transaction(world_db: Clone, world: World) -> None:
    async with world_db.db.connect("county") as connection:
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.key', $1, true)", str(world.keys["D111"]))
            assert await connection.fetchval("SELECT count(*) FROM app.tenant") > 0
        assert await connection.fetchval("SELECT current_setting('app.key', true)") == ""
        assert await connection.fetchval("SELECT count(*) FROM app.tenant") == 0


@pytest.mark.parametrize("login", [*PEOPLE_LOGINS, "public"])
async def test_people_never_name_a_level_key_and_never_delete(world_db: Clone, login: str) -> None:
    async with world_db.db.connect(login) as connection:
        for table in KEYED:
            naming = [
                statement
                for key in map(key_column, LEVELS)
                for statement in (
                    f"UPDATE app.{table} SET {key} = 1",
                    f"INSERT INTO app.{table} ({key}) VALUES (1)",
                )
            ]
            for statement in (*naming, f"DELETE FROM app.{table}", f"TRUNCATE app.{table}"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError, match=DENIED):
                    await connection.execute(statement)


@pytest.mark.parametrize("actor", ACTING, ids=lambda actor: actor.name)
async def test_an_update_reaches_own_rows_only(world_db: Clone, world: World, oracle: Oracle, actor: Actor) -> None:
    login = world.login(actor)
    for table, mapped in MAPPED.items():
        columns = access_of(mapped).update.get(login)
        claims = world.claims(actor)
        if columns is None:
            any_column = key_of(table)
            assert await changed(world_db, login, claims, table, any_column) == DENIED, table
            continue
        column = next((name for name in ("updated_at", "version", "valid_to") if name in columns), columns[0])
        answer = await changed(world_db, login, claims, table, column)
        may = oracle.visible(table, actor)
        if login == "assigned":  # dated grants read; they never write
            may = {key for key in may if _owns(world, table, key, actor)}
        assert answer == may or (isinstance(answer, str) and answer.startswith(f"{PASSED}, then")), (table, answer)


def _owns(world: World, table: str, key: str, actor: Actor) -> bool:
    row = next(row for row in world.tables[table] if str(row[key_of(table)]) == key)
    if "owner_key" not in row or TABLES[table].scope == "own person":
        return bool(row["person_id"] == actor.person)
    return bool(row["owner_key"] == world.keys[str(actor.tenant)])


@pytest.mark.parametrize("actor", ACTING, ids=lambda actor: actor.name)
async def test_an_insert_lands_where_its_writer_sees_it(
    world_db: Clone, world: World, oracle: Oracle, actor: Actor
) -> None:
    login, claims = world.login(actor), world.claims(actor)
    tried = 0
    for table in KEYED:
        if table == "tenant":  # its own test: a tenant is placed by its parent
            continue
        for owner, *_ in TREE:
            row = insertable(world, actor, table, owner)
            if row is None:
                continue
            tried += 1
            answer = await added(world_db, login, claims, table, row)
            if expected_insert(oracle, table, actor, row):
                assert answer.startswith(PASSED), (table, owner, answer)
            else:
                assert answer == REFUSED, (table, owner, answer)
    assert tried > len(TREE)


async def test_a_foreign_parent_is_refused(world_db: Clone, world: World) -> None:
    """A county adds an enterprise below itself, not below its neighbour, and nothing above itself."""
    county = world.actors["county_1"]
    for parent, fits in (("D111", True), ("T111", True), ("D112", False), ("T112", False), ("C11", False)):
        row = {
            "id": "00000000-0000-4000-8000-0000000000aa",
            "kind": "ENTERPRISE",
            "name": "x",
            "parent_id": str(next(r["id"] for r in world.tables["tenant"] if r["key"] == world.keys[parent])),
        }
        answer = await added(world_db, "county", world.claims(county), "tenant", row)
        assert answer == (PASSED if fits else REFUSED), parent


@pytest.mark.parametrize("kind", sorted({kind for _, kind, *_ in TREE} - {"ENTERPRISE"}))
async def test_a_county_opens_nothing_but_enterprises(world_db: Clone, world: World, kind: str) -> None:
    claims = world.claims(world.actors["county_1"])
    for parent in ("D111", "T111"):
        row = {"id": uuid.uuid4(), "kind": kind, "name": "x", "parent_id": tenant_id(parent)}
        assert await added(world_db, "county", claims, "tenant", row) == REFUSED, parent


@pytest.mark.parametrize(("county", "parent"), [("county_1", "E1111"), ("county_1", "R1"), ("county_far", "K2")])
async def test_an_enterprise_lies_below_the_county_or_its_townships_only(
    world_db: Clone, world: World, county: str, parent: str
) -> None:
    """Each parent lies in the county, so that the county's key alone would let it pass."""
    row = {"id": uuid.uuid4(), "kind": "ENTERPRISE", "name": "x", "parent_id": tenant_id(parent)}
    assert await added(world_db, "county", world.claims(world.actors[county]), "tenant", row) == REFUSED


@pytest.mark.parametrize("login", [*PEOPLE_LOGINS, "public"])
async def test_nobody_else_opens_a_tenant(world_db: Clone, world: World, login: str) -> None:
    if login == "county":
        return
    row = {"id": uuid.uuid4(), "kind": "ENTERPRISE", "name": "x", "parent_id": tenant_id("D111")}
    for key in ("D111", "P1", "T111"):
        assert await added(world_db, login, {"app.key": str(world.keys[key])}, "tenant", row) == DENIED


@pytest.mark.parametrize("table", ["enterprise_person", "enterprise_change", "site"])
async def test_a_child_cannot_hang_on_a_foreign_parent(world_db: Clone, world: World, table: str) -> None:
    """The composite key on (owner_key, parent) holds where row security does not look."""
    own, foreign = world.actors["enterprise_officer_1"], world.keys["E1112"]
    like = next(row for row in world.tables[table] if row["owner_key"] == world.keys["E1111"])
    columns = access_of(MAPPED[table]).insert["enterprise"]
    row: dict[str, Any] = {name: value for name, value in like.items() if name in columns and value is not None}
    row = {name: value for name, value in row.items() if name not in ("before", "after", "is_main")}
    row |= {"id": "00000000-0000-4000-8000-0000000000ab"}
    row["enterprise_id"] = next(r["id"] for r in world.tables["enterprise"] if r["owner_key"] == foreign)
    answer = await added(world_db, "enterprise", world.claims(own), table, row)
    assert answer == f"{PASSED}, then ForeignKeyViolationError"


@pytest.mark.parametrize("days", [-1, 0, 1, 17, 18, 19, 30, 303, 304, 305])
async def test_dated_grants_hold_on_their_days_only(world_db: Clone, world: World, days: int) -> None:
    today = TODAY + timedelta(days=days)
    oracle = Oracle(world, today)
    for name in ("agency", "rescue", "rescue_2", "host"):
        actor = world.actors[name]
        claims = {**world.claims(actor), "app.today": today.isoformat()}
        for table in ("tenant", "enterprise", "site", "enterprise_person", "membership"):
            assert await seen(world_db, "assigned", claims, table) == oracle.visible(table, actor), (table, today)


async def test_without_a_day_no_grant_holds(world_db: Clone, world: World) -> None:
    for name in ("agency", "rescue", "host"):
        actor = world.actors[name]
        claims = {"app.key": world.claims(actor)["app.key"]}
        own = {str(row["id"]) for row in world.tables["enterprise"] if str(row["owner_key"]) == claims["app.key"]}
        assert await seen(world_db, "assigned", claims, "enterprise") == own


def test_the_world_holds_grants_of_each_sort() -> None:
    for rows in (SCOPE_GRANTS, INCIDENT_CALLS, HOSTINGS):
        assert any(date.fromisoformat(begin) <= TODAY <= date.fromisoformat(end) for *_, begin, end in rows)
        assert any(date.fromisoformat(end) < TODAY for *_, end in rows)


async def test_thousands_of_interleaved_reads_never_mix(world_db: Clone, world: World, oracle: Oracle) -> None:
    """Both ways of reading, all logins, on one Database: each answer is that of its own caller."""
    chance = random.Random(20260302)
    wanted = {actor.name: oracle.visible("membership", actor) for actor in ACTING}
    sql = (
        "WITH c AS MATERIALIZED (SELECT set_config('app.key', $1, true), set_config('app.today', $2, true))"
        " SELECT json_agg(m.id)::text FROM c, LATERAL (SELECT id FROM app.membership OFFSET 0) m"
    )

    async def compiled(actor: Actor) -> None:
        claims = world.claims(actor)
        answer = await world_db.db.reader(world.login(actor)).fetchval(sql, claims["app.key"], claims["app.today"])
        found = set(answer.strip("[]").replace('"', "").replace(" ", "").split(","))
        assert found == wanted[actor.name], actor.name

    async def fallback(actor: Actor) -> None:
        answer = await _through_port(world_db, world.login(actor), world.claims(actor), "membership")
        assert answer == wanted[actor.name], actor.name

    calls = [compiled(chance.choice(ACTING)) for _ in range(3000)]
    calls += [fallback(chance.choice(ACTING)) for _ in range(1000)]
    chance.shuffle(calls)
    await asyncio.gather(*calls)
