"""A database with the real tree and the reference data, shared: each test uses credit codes of its own."""

from collections.abc import AsyncIterator

import pytest

from app.modules.members import seeds as member_seeds
from app.modules.members.public import tree
from app.modules.standards import seeds as standard_seeds
from tests.conftest import Clone, Server, copy


@pytest.fixture(scope="session")
async def tree_template(pg: Server, template_db: str) -> AsyncIterator[str]:
    """The real tree and the reference data; nobody is connected to it."""
    async with copy(pg, template_db, "et") as clone:
        async with clone.db.connect("sys_seed") as connection:
            await standard_seeds.seed(connection)
            async with connection.transaction():
                await member_seeds.seed_tree(connection, tree())
        await clone.db.close()
        await clone.admin.close()
        yield clone.name


@pytest.fixture(scope="session")
async def tree_db(pg: Server, tree_template: str) -> AsyncIterator[Clone]:
    """Shared by the tests of this folder, which leave each other's rows alone."""
    async with copy(pg, tree_template, "er") as clone:
        yield clone


@pytest.fixture
async def tree_copy(pg: Server, tree_template: str) -> AsyncIterator[Clone]:
    """For one test that needs the tables to itself."""
    async with copy(pg, tree_template, "ec") as clone:
        yield clone
