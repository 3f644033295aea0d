"""Databases with the reference data: one to read, and a copy per test to write."""

from collections.abc import AsyncIterator

import pytest

from app.modules.standards import seeds
from tests.conftest import Clone, Server, _clone, _drop
from tests.factories.standards import add_offices


@pytest.fixture(scope="session")
async def seeded_template(pg: Server, template_db: str) -> AsyncIterator[str]:
    """A database with the reference data and four offices, that nobody is connected to."""
    clone = await _clone(pg, template_db, "s")
    async with clone.db.connect("sys_seed") as connection:
        await seeds.seed(connection)
    await add_offices(clone.admin)
    await clone.db.close()
    await clone.admin.close()
    yield clone.name
    await pg.run(f"DROP DATABASE {clone.name} WITH (FORCE)")


@pytest.fixture(scope="session")
async def seeded_db(pg: Server, seeded_template: str) -> AsyncIterator[Clone]:
    """To read."""
    clone = await _clone(pg, seeded_template, "r")
    yield clone
    await _drop(pg, clone)


@pytest.fixture
async def seeded_copy(pg: Server, seeded_template: str) -> AsyncIterator[Clone]:
    """To write and to break."""
    clone = await _clone(pg, seeded_template, "k")
    yield clone
    await _drop(pg, clone)
