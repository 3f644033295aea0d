"""The fixture world itself: complete, and marked."""

import json

from infra.db.base import Base
from tenants.access import access_of
from tests.conftest import Clone
from tests.world import TREE, World, canary


async def test_every_table_has_rows(world: World) -> None:
    empty = [table.name for table in Base.metadata.sorted_tables if not world.tables[table.name]]
    assert empty == []


async def test_every_keyed_row_names_its_tenant(world: World) -> None:
    names = {world.keys[name]: name for name, *_ in TREE}
    silent = [
        (table.name, names[row["owner_key"]])
        for table in Base.metadata.sorted_tables
        if access_of(table).keyed
        for row in world.tables[table.name]
        if canary(names[row["owner_key"]]) not in json.dumps(row, default=str)
    ]
    assert silent == []


async def test_tables_are_those_of_the_metadata(world_db: Clone, world: World) -> None:
    assert set(world.tables) == {table.name for table in Base.metadata.sorted_tables}
    assert await world_db.admin.fetchval("SELECT count(*) FROM app.tenant") == len(TREE)
