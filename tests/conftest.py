"""Databases for every test: one migrated template, a world cloned from it, and clones to break.

Each xdist worker has its own cluster, unless ``ANLAN_DB_URL`` names one; then the workers share its
roles, under a prefix of their own, and one state folder that holds the passwords.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.cli.migrate import prepare
from infra.db.embedded import start
from infra.db.port import Database
from infra.secrets import Secrets
from infra.settings import Settings, load
from infra.wiring import open_database
from tenants.roles_step import database_statements
from tests.world import World, load_world


@dataclass
class Server:
    """A cluster and how to get into it as the one who may do everything."""

    settings: Settings

    async def admin(self, database: str) -> Any:
        """Connect as superuser."""
        if self.settings.db_url:
            return await asyncpg.connect(self.settings.db_url, database=database)
        return await asyncpg.connect(
            host=str(self.settings.runtime_dir),
            user="anlan_boot",
            password=Secrets(self.settings.state).get("db_boot"),
            database=database,
            ssl=False,
        )

    async def run(self, statement: str) -> None:
        """Run a statement that no transaction may hold, such as CREATE DATABASE."""
        admin = await self.admin("postgres")
        try:
            await admin.execute(statement)
        finally:
            await admin.close()


@dataclass
class Clone:
    """A migrated database: through the port as the product uses it, and as superuser."""

    name: str
    settings: Settings
    db: Database
    admin: Any
    """asyncpg connection of a superuser: the oracle's eyes, and the hand that breaks things."""

    @property
    def prefix(self) -> str:
        """The prefix of this installation's roles."""
        return self.settings.prefix


@pytest.fixture(scope="session")
def pg() -> Iterator[Server]:
    """A server: the one of ``ANLAN_DB_URL``, or an embedded one of this worker."""
    environ = {**os.environ, "ANLAN_ENV": "test"}
    if environ.get("ANLAN_DB_URL"):
        # One folder per server: workers and runs at the same time agree about the roles' passwords.
        name = "anlan-tests-" + sha256(environ["ANLAN_DB_URL"].encode()).hexdigest()[:12]
        state = Path(tempfile.gettempdir()) / name
        yield Server(load({"ANLAN_PREFIX": "anlantest", **environ, "ANLAN_STATE": str(state)}))
        return
    folder = Path(tempfile.mkdtemp(prefix="anlan-tests-"))
    settings = load({**environ, "ANLAN_STATE": str(folder / "state")})
    folder.chmod(0o711)  # the server runs as somebody else; secrets below stay 0700
    running = start(settings, fsync=False)
    try:
        yield Server(settings)
    finally:
        running.stop()
        for left in (folder, running.data, running.socket_dir):
            shutil.rmtree(left, ignore_errors=True)


@pytest.fixture(scope="session")
async def template_db(pg: Server) -> AsyncIterator[str]:
    """A database with every migration and nothing else; clones are made of it."""
    name = f"anlan_t_{uuid.uuid4().hex[:10]}"
    await prepare(pg.settings, name)
    yield name
    await pg.run(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def copy(pg: Server, template: str, kind: str) -> AsyncIterator[Clone]:
    """Clone a database; it is gone afterwards."""
    name = f"anlan_{kind}_{uuid.uuid4().hex[:10]}"
    await pg.run(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        admin = await pg.admin(name)
        try:
            # A copy does not take over the rights on the database itself.
            for statement in database_statements(pg.settings.prefix, name):
                await admin.execute(statement)
            db = open_database(pg.settings, name)
            try:
                yield Clone(name, pg.settings, db, admin)
            finally:
                await db.close()
        finally:
            await admin.close()
    finally:
        await pg.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
async def world_template(pg: Server, template_db: str) -> AsyncIterator[str]:
    """A database with the fixture world that nobody is connected to, so that it can be cloned."""
    async with copy(pg, template_db, "wt") as clone:
        await load_world(clone.admin, clone.prefix)
        await clone.admin.close()
        yield clone.name


@pytest.fixture(scope="session")
async def world_db(pg: Server, world_template: str) -> AsyncIterator[Clone]:
    """The fixture world, for tests that read, or write and roll back."""
    async with copy(pg, world_template, "w") as clone:
        yield clone


@pytest.fixture(scope="session")
async def world(world_db: Clone) -> World:
    """Who is who in the fixture world, and its whole tables."""
    return await World.read(world_db.admin)


@pytest.fixture
async def fresh_db(pg: Server, template_db: str) -> AsyncIterator[Clone]:
    """An empty migrated database for one test, to write and to break."""
    async with copy(pg, template_db, "f") as clone:
        yield clone


@pytest.fixture
async def fresh_world(pg: Server, world_template: str) -> AsyncIterator[Clone]:
    """A copy of the fixture world for one test that commits."""
    async with copy(pg, world_template, "c") as clone:
        yield clone
