"""Databases with the reference data: one to read, and a copy per test to write."""

from collections.abc import AsyncIterator

import pytest

from app.modules.standards import seeds
from tests.conftest import Clone, Server, copy
from tests.factories.standards import add_offices


@pytest.fixture(scope="session")
async def seeded_template(pg: Server, template_db: str) -> AsyncIterator[str]:
    """A database with the reference data and four offices, that nobody is connected to."""
    async with copy(pg, template_db, "st") as clone:
        async with clone.db.connect("sys_seed") as connection:
            await seeds.seed(connection)
        await add_offices(clone.admin)
        await clone.db.close()
        await clone.admin.close()
        yield clone.name


@pytest.fixture(scope="session")
async def seeded_db(pg: Server, seeded_template: str) -> AsyncIterator[Clone]:
    """To read."""
    async with copy(pg, seeded_template, "sr") as clone:
        yield clone


@pytest.fixture
async def seeded_copy(pg: Server, seeded_template: str) -> AsyncIterator[Clone]:
    """To write and to break."""
    async with copy(pg, seeded_template, "sc") as clone:
        yield clone
