"""A file store in a temporary folder over rows in a real database."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.kit.objects import PgVersionRows
from infra.objects.embedded import FileStore
from tests.kit.jobs.conftest import World, cluster, world

__all__ = ["cluster", "world"]


@dataclass
class Store:
    """The store, its folder, and transactions of its rows."""

    world: World
    root: Path
    files: FileStore

    def rows(self) -> AbstractAsyncContextManager[PgVersionRows]:
        return self.rows_of("sys_retention", {})

    @asynccontextmanager
    async def rows_of(self, login: str, claims: dict[str, str]) -> AsyncIterator[PgVersionRows]:
        async with self.world.db.write(login, claims) as session:
            yield PgVersionRows(session)

    def on_disk(self) -> list[str]:
        """Names of every file of the store."""
        return sorted(path.name for path in self.root.rglob("*") if path.is_file())


@pytest.fixture
def store(world: World, tmp_path: Path) -> Store:
    return Store(world, tmp_path / "objects", FileStore(tmp_path / "objects"))
