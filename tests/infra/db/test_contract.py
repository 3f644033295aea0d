"""The database port's contract: what every server behind it must do, run on each that can be had.

What a login may see is not the port's matter: policies decide, and ``tests/tenants`` tests them.
"""

import asyncio
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from infra.db.embedded import start
from infra.db.port import Database, DatabaseUnavailableError, DbAddress
from infra.db.postgres import PostgresDatabase
from infra.db.session import ReadSession, WriteSession
from infra.settings import Settings, load
from infra.wiring import db_address
from tests.conftest import Server

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
OUTER = os.environ.get("ANLAN_DB_URL", "")
LOGINS = ("contract_a", "contract_b")
PASSWORD = "only for a server that lives for one test module"
CLAIM = text("SELECT current_setting('app.key', true), session_user")
NOTE = text("INSERT INTO note (word) VALUES (:word)")


@dataclass
class Place:
    """A server with one database and two logins, the port to it, and a superuser's connection."""

    db: Database
    admin: Any
    address: DbAddress

    def other(self, **changes: Any) -> Database:
        """The port with another address."""
        return PostgresDatabase(replace(self.address, **changes), dict.fromkeys(LOGINS, PASSWORD), "anlancontract")

    async def words(self) -> list[str]:
        """What stands in the table."""
        return [row["word"] for row in await self.admin.fetch("SELECT word FROM note ORDER BY word")]

    async def failing(self, statement: Any, values: dict[str, str] | None = None) -> None:
        """Run a statement in a transaction whose block then ends with an exception."""

        async def work() -> None:
            async with self.db.write("contract_a", {"app.key": "1"}) as session:
                await session.execute(statement, values)
                raise LookupError

        with pytest.raises(LookupError):
            await work()

    async def end_all(self) -> int:
        """End every connection of the two logins, as a restart of the server does."""
        ended = await self.admin.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'anlancontract%' AND datname = current_database()"
        )
        return len(ended)


def _servers() -> Iterator[Any]:
    yield pytest.param("wheel", id="wheel")
    absent = pytest.mark.skipif(not DEBIAN, reason="Debian's PostgreSQL is not installed")
    yield pytest.param(str(DEBIAN[0]) if DEBIAN else "", id="debian", marks=absent)
    unset = pytest.mark.skipif(not OUTER, reason="ANLAN_DB_URL is not set")
    yield pytest.param(OUTER, id="url", marks=unset)


@pytest.fixture(scope="module", params=_servers())
def settings(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """A running server's settings."""
    folder = Path(tempfile.mkdtemp(prefix="anlan-contract-"))
    folder.chmod(0o711)
    environ = {"ANLAN_STATE": str(folder / "state"), "ANLAN_ENV": "test"}
    if "://" in request.param:
        yield load({**environ, "ANLAN_DB_URL": request.param})
        return
    if request.param != "wheel":
        environ["ANLAN_PG_BIN"] = request.param
    made = load(environ)
    server = start(made, fsync=False)
    try:
        yield made
    finally:
        server.stop()


@pytest.fixture
async def place(settings: Settings) -> AsyncIterator[Place]:
    """A database of its own on the server."""
    name = f"anlan_contract_{uuid.uuid4().hex[:10]}"
    server = Server(settings)
    outer = await server.admin("postgres")
    for login in LOGINS:
        await outer.execute(
            f"DO $$BEGIN CREATE ROLE anlancontract_{login} LOGIN PASSWORD '{PASSWORD}';"
            "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END$$"
        )
    await outer.execute(f"CREATE DATABASE {name}")
    admin = await server.admin(name)
    await admin.execute("CREATE TABLE note (word text PRIMARY KEY)")
    await admin.execute(f"GRANT SELECT, INSERT ON note TO {', '.join(f'anlancontract_{one}' for one in LOGINS)}")
    address = replace(db_address(settings), database=name)
    db = PostgresDatabase(address, dict.fromkeys(LOGINS, PASSWORD), "anlancontract")
    try:
        yield Place(db, admin, address)
    finally:
        await db.close()
        await admin.close()
        await outer.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await outer.close()


async def test_each_session_is_its_logins_and_has_its_claims(place: Place) -> None:
    for login in LOGINS:
        async with place.db.read(login, {"app.key": f"key of {login}"}) as session:
            assert isinstance(session, ReadSession)
            assert tuple((await session.execute(CLAIM)).one()) == (f"key of {login}", f"anlancontract_{login}")
        async with place.db.write(login, {"app.key": "w"}) as writing:
            assert isinstance(writing, WriteSession)
            assert tuple((await writing.execute(CLAIM)).one()) == ("w", f"anlancontract_{login}")


async def test_claims_end_with_their_transaction_and_never_reach_the_next(place: Place) -> None:
    async with place.db.write("contract_a", {"app.key": "first"}) as session:
        await session.execute(CLAIM)
    async with place.db.write("contract_a", {}) as session:
        assert (await session.execute(CLAIM)).one()[0] in (None, "")

    async def one(key: str) -> None:
        async with place.db.read("contract_a", {"app.key": key}) as session:
            assert (await session.execute(CLAIM)).one()[0] == key

    await asyncio.gather(*(one(str(number)) for number in range(200)))


async def test_a_claim_is_a_value_whatever_stands_in_it(place: Place) -> None:
    nasty = "1'); DROP TABLE note; -- 省"
    async with place.db.read("contract_a", {"app.key": nasty}) as session:
        assert (await session.execute(CLAIM)).one()[0] == nasty
    assert await place.words() == []


async def test_a_reader_cannot_write(place: Place) -> None:
    with pytest.raises(DBAPIError, match="read-only"):
        async with place.db.read("contract_a", {"app.key": "1"}) as session:
            await session.execute(NOTE, {"word": "x"})
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await place.db.reader("contract_a").fetchval("INSERT INTO note VALUES ('x') RETURNING word")
    assert await place.words() == []


async def test_a_write_is_whole_or_not_at_all(place: Place) -> None:
    async with place.db.write("contract_a", {"app.key": "1"}) as session:
        await session.execute(NOTE, {"word": "kept"})
    await place.failing(NOTE, {"word": "dropped"})
    assert await place.words() == ["kept"]


async def test_a_cancelled_write_leaves_nothing(place: Place) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        async with place.db.write("contract_a", {"app.key": "1"}) as session:
            await session.execute(NOTE, {"word": "dropped"})
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await place.words() == []


async def test_connections_that_the_server_ended_are_not_handed_out(place: Place) -> None:
    """A restart of the server costs the requests that ran, not the next ones."""
    for login in LOGINS:
        async with place.db.write(login, {"app.key": "1"}) as session:
            await session.execute(CLAIM)
        assert await place.db.reader(login).fetchval("SELECT 1") == 1
    assert await place.end_all() >= len(LOGINS) * 2
    for login in LOGINS:
        async with place.db.write(login, {"app.key": "1"}) as session:
            await session.execute(NOTE, {"word": login})
        await asyncio.sleep(0)  # the end of a connection is told by the event loop
        assert await place.db.reader(login).fetchval("SELECT 2") == 2
    assert await place.words() == list(LOGINS)


async def test_a_connection_lost_inside_a_write_is_said_so_and_leaves_nothing(place: Place) -> None:
    async def broken(opened: Any, statement: Any, values: dict[str, str]) -> None:
        async with opened("contract_a", {"app.key": "1"}) as session:
            await session.execute(statement, values)
            await place.end_all()
            await session.execute(CLAIM)

    with pytest.raises(DatabaseUnavailableError):
        await broken(place.db.write, NOTE, {"word": "dropped"})
    with pytest.raises(DatabaseUnavailableError):
        await broken(place.db.read, CLAIM, {})
    assert await place.words() == []


async def test_a_server_that_is_not_there_is_said_so(place: Place, tmp_path: Path) -> None:
    gone = place.other(host=str(tmp_path))
    with pytest.raises(DatabaseUnavailableError):
        await gone.reader("contract_a").fetchval("SELECT 1")
    for opened in (gone.read, gone.write):
        with pytest.raises(DatabaseUnavailableError):
            async with opened("contract_a", {"app.key": "1"}) as session:
                await session.execute(CLAIM)
    with pytest.raises(DatabaseUnavailableError):
        async with gone.connect("contract_a"):
            pytest.fail("there is no server")
    await gone.close()


async def test_a_wrong_password_is_no_outage(place: Place) -> None:
    other = PostgresDatabase(place.address, dict.fromkeys(LOGINS, "guessed"), "anlancontract")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await other.reader("contract_a").fetchval("SELECT 1")
    await other.close()


async def test_what_is_notified_is_heard_after_the_commit_and_the_end_is_told(place: Place) -> None:
    async with place.db.listen("contract_b", "news") as payloads:
        await place.failing(text("SELECT pg_notify('news', 'rolled back')"))
        async with place.db.write("contract_a", {"app.key": "1"}) as session:
            await session.execute(text("SELECT pg_notify('news', '第一')"))
        assert await anext(payloads) == "第一"
        await place.end_all()
        assert [payload async for payload in payloads] == []


async def test_many_readers_share_few_connections(place: Place) -> None:
    answers = await asyncio.gather(
        *(place.db.reader(LOGINS[number % 2]).fetchval("SELECT $1::int", number) for number in range(500))
    )
    assert answers == list(range(500))
    count = await place.admin.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'anlancontract%' AND datname = current_database()"
    )
    assert 1 <= count <= 16


async def test_close_leaves_no_connection(place: Place) -> None:
    for login in LOGINS:
        await place.db.reader(login).fetchval("SELECT 1")
        async with place.db.write(login, {"app.key": "1"}) as session:
            await session.execute(CLAIM)
    await place.db.close()
    count = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'anlancontract%' AND datname = current_database()"
    for _ in range(500):
        if await place.admin.fetchval(count) == 0:
            return
        await asyncio.sleep(0.01)
    pytest.fail("connections stay open")
