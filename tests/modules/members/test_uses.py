"""Every use case of a membership asks the transition table."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Clone, Server, copy
from tests.modules.members.uses import CASES
from tests.modules.used import Case, check
from tests.world import World


@pytest.fixture(scope="module")
async def used_world(pg: Server, world_template: str) -> AsyncIterator[Clone]:
    """A copy of the fixture world that these tests write in."""
    async with copy(pg, world_template, "u") as clone:
        yield clone


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_without_its_entry_nothing_is_done(
    used_world: Clone, world: World, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    await check(case, used_world, monkeypatch, world)
