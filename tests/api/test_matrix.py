"""The isolation matrix (U3, decision 35): every field, actor, relation and path, over the whole stack."""

import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from app.api.schema import Api
from app.asgi import load_api
from app.kit.job_runner import membership_again
from app.kit.jobs import JobRun
from infra.db.port import Database
from tenants.context import Acting
from tests.api.stack import NOW, Stack
from tests.conftest import Clone, Server, copy
from tests.factories.sheets import use
from tests.matrix.collect import expectations, expected
from tests.matrix.feed import FeedPath
from tests.matrix.oracles import SideQuestions
from tests.matrix.plan import Catalogue
from tests.matrix.run import Matrix
from tests.matrix.sheets import SheetPaths
from tests.matrix.truth import Row, Truth
from tests.world import ACTORS, TODAY, Actor, World

REPORT = "ANLAN_MATRIX_REPORT"
"""Environment variable with the file to which the report is written."""

SIDE = ("enterprise_officer_1", "township", "county_1", "city_1", "province_1", "park_1", "rescue", "agency", "auditor")


@pytest.fixture(scope="module")
def api() -> Api:
    return load_api()


@pytest.fixture(scope="module")
async def stack(api: Api, world_db: Clone) -> AsyncIterator[Stack]:
    made = Stack(api, world_db.db)
    yield made
    await made.close()


def context_of(world: World, actor: Actor) -> dict[str, Any]:
    """Return the context of a message that this actor's membership queued."""
    return {
        "membership": str(actor.membership),
        "person": str(actor.person),
        "tid": world.keys[str(actor.tenant)],
        "level": world.login(actor),
        "roles": list(actor.roles),
    }


async def job_reads(stack: Stack, db: Database, world: World, actor: Actor, table: str) -> dict[str, Row]:
    """Read a whole table as a job that this actor's membership queued."""
    context = context_of(world, actor)
    acting = await membership_again(db, context, TODAY)
    assert (acting is not None) is actor.acts
    if acting is None:
        return {}
    run = JobRun(db, uuid4(), "matrix.read", 1, context, acting.login, acting, stack.clock)
    try:
        async with run.read() as session:
            found = (await session.execute(text(f"SELECT * FROM app.{table}"))).mappings().all()
    except ProgrammingError as fault:
        assert "permission denied" in str(fault)  # noqa: PT017 - whether it may read is what the oracle says
        return {}
    return {str(row["id"]): dict(row) for row in found}


async def sheet_paths(matrix: Matrix, pg: Server, world_template: str, world: World) -> None:
    """Import and export as every actor, in a copy of the world: both leave runs behind."""

    async def find(actor: Actor) -> Acting | None:
        return await membership_again(clone.db, context_of(world, actor), TODAY)

    with TemporaryDirectory(prefix="anlan-m-") as folder:
        async with copy(pg, world_template, "ms") as clone:
            use(clone, Path(folder))
            await clone.admin.execute(  # jobs read the legal clock: it stands on the world's day
                "INSERT INTO app.clock_offset (id, seconds) VALUES (1, $1)"
                " ON CONFLICT (id) DO UPDATE SET seconds = excluded.seconds",
                int((NOW - datetime.now(UTC)).total_seconds()),
            )
            for sheet in expectations("SHEETS").values():
                paths = SheetPaths(matrix, clone, sheet, find)
                paths.want(ACTORS)
                for actor in (actor for actor in ACTORS if actor.tenant is not None):
                    await paths.run(actor)


async def test_matrix(api: Api, stack: Stack, world_db: Clone, world: World, pg: Server, world_template: str) -> None:
    truth = Truth(world, expected())
    matrix = Matrix(Catalogue.of(api.schema), truth, stack.ask)
    assert set(matrix.catalogue.kinds) == set(api.bindings.sources)
    matrix.want()
    report = await matrix.run()
    for actor in ACTORS:
        if actor.tenant is None:
            continue
        for name in matrix.kinds:
            found = await job_reads(stack, world_db.db, world, actor, truth.expected.types[name].table)
            matrix.judge_job(actor, name, found)
    feed = FeedPath(matrix)
    feed.want(ACTORS)
    for actor in ACTORS:
        await feed.run(actor)
    await sheet_paths(matrix, pg, world_template, world)
    shown = matrix.as_json()
    _write(shown)
    assert report.empty == []
    assert report.failures == []
    assert shown["cells"] == shown["tested"] > 10_000


@pytest.mark.parametrize("name", SIDE)
async def test_filters_and_orders_tell_nothing_of_hidden_rows(api: Api, stack: Stack, world: World, name: str) -> None:
    side = SideQuestions(Catalogue.of(api.schema), Truth(world, expected()), stack.ask)
    assert await side.told(world.actors[name]) == []
    assert side.asked > 50


def _write(report: dict[str, Any]) -> None:
    """Write the report where the verb ``matrix`` wants it."""
    path = os.environ.get(REPORT)
    if path:
        Path(path).write_text(json.dumps(report, ensure_ascii=False), encoding="utf-8")
