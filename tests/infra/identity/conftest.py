"""An issuer on its own database, served in process on loopback addresses."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from infra.db.port import Database
from infra.identity.embedded import EmbeddedDirectory, RealmKeys, issuer_app
from infra.identity.port import Attributes, NewAccount
from infra.secrets import Secrets
from tests.conftest import Clone, Server, copy

URL = "http://127.0.0.1:8017"
COUNTY = UUID("00000000-0000-4000-8000-000000000101")
FACTORY = UUID("00000000-0000-4000-8000-000000000202")
USCC = "91350100M000100Y43"

OFFICIAL = NewAccount(
    "gov",
    "lantian.officer",
    "蓝田监管员",
    Attributes(COUNTY, "county", "61/6101/610122"),
    frozenset({"viewer", "officer"}),
)
MANAGER = NewAccount(
    "ent", "factory.manager", "厂长", Attributes(FACTORY, "enterprise", "610122/factory", USCC), frozenset({"manager"})
)
CITIZEN = NewAccount("ent", "citizen.one", "市民甲", Attributes(None, "citizen"))


@dataclass
class Issuer:
    """The parts of a running issuer that tests touch."""

    app: Starlette
    http: httpx.AsyncClient
    secrets: Secrets
    database: Database
    directory: EmbeddedDirectory
    logouts: list[tuple[str, str]]

    def keys(self, realm: str) -> RealmKeys:
        assert realm in {"gov", "ent"}
        return RealmKeys(self.secrets, "gov" if realm == "gov" else "ent")


@pytest.fixture(scope="session")
async def issuer_db(pg: Server, template_db: str) -> AsyncIterator[Clone]:
    """A migrated database of these tests' own."""
    async with copy(pg, template_db, "id") as clone:
        yield clone


@pytest.fixture
async def issuer(issuer_db: Clone, tmp_path: Path) -> AsyncIterator[Issuer]:
    await issuer_db.admin.execute("TRUNCATE issuer.account CASCADE")
    database = issuer_db.db
    secrets = Secrets(tmp_path / "state")
    logouts: list[tuple[str, str]] = []

    async def send_logout(url: str, token: str) -> None:
        await asyncio.sleep(0)
        logouts.append((url, token))

    sub = issuer_app(env="test", public_url=URL, secrets=secrets, database=database, send_logout=send_logout)
    app = Starlette(routes=[Mount("/realms", sub)])
    directory = EmbeddedDirectory(database)
    assert await directory.create_many([OFFICIAL, MANAGER, CITIZEN]) == 3
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL) as http:
        yield Issuer(app, http, secrets, database, directory, logouts)
