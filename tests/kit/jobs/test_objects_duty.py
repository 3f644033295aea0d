"""The relay's duty over the object store: what is expired or nobody's goes, a row without its file is an alarm."""

import asyncio
import logging
import os
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from app.kit.objects import PgVersionRows
from app.kit.sweeper import DUTIES, OBJECTS_GRACE_S
from app.relay import Relay
from infra.clock import real_now
from infra.objects.port import ObjectVersion
from infra.wiring import open_objects
from tests.kit.jobs.conftest import World
from tests.kit.jobs.test_outbox import Broker

DUTY = "objects.sweep"


@pytest.fixture
def stored(world: World, tmp_path: Path) -> World:
    """The world with an object store of its own."""
    return replace(world, settings=replace(world.settings, state=tmp_path))


async def put(
    world: World, key: str, content: bytes, *, minutes: float | None = None, hold: bool = False
) -> ObjectVersion:
    """Put an object that expires so many minutes from now."""
    expires = None if minutes is None else real_now() + timedelta(minutes=minutes)
    async with world.db.write("sys_retention", {}) as session:
        rows = PgVersionRows(session)
        made = await open_objects(world.settings).put(rows, "exports", key, content, expires_at=expires)
        if hold:
            await rows.protect(made.id, retain_until=None, legal_hold=True)
    return made


def file_of(world: World, version: ObjectVersion) -> Path:
    assert version.sha256 is not None
    return world.settings.state / "objects" / version.bucket / version.sha256[:2] / version.sha256


def aged(path: Path) -> Path:
    """Make a file older than the grace of files without a row."""
    old = path.stat().st_mtime - OBJECTS_GRACE_S - 60
    os.utime(path, (old, old))
    return path


async def run(world: World) -> None:
    await DUTIES[DUTY].function(world.db, world.settings)


async def keys(world: World) -> list[str]:
    return [row["key"] for row in await world.admin.fetch("SELECT key FROM app.object_version ORDER BY key")]


async def test_what_has_expired_goes_with_its_file_and_the_rest_stays(stored: World) -> None:
    gone = await put(stored, "1/expired", b"expired", minutes=-1)
    held = await put(stored, "1/held", b"held", minutes=-1, hold=True)
    later = await put(stored, "1/later", b"later", minutes=60)
    kept = await put(stored, "1/kept", b"kept")
    files = [aged(file_of(stored, version)) for version in (gone, held, later, kept)]
    await run(stored)
    assert await keys(stored) == ["1/held", "1/kept", "1/later"]
    assert [file.exists() for file in files] == [False, True, True, True]


async def test_a_file_without_a_row_goes_after_its_grace_only(stored: World) -> None:
    store = open_objects(stored.settings)
    young, old = [await store.write("exports", content) for content in (b"young", b"old")]
    files = [file_of(stored, ObjectVersion(uuid.uuid4(), "exports", "x", blob.sha256)) for blob in (young, old)]
    aged(files[1])
    await run(stored)
    assert [file.exists() for file in files] == [True, False]


async def test_a_row_without_its_file_is_an_alarm_and_stays(stored: World, caplog: pytest.LogCaptureFixture) -> None:
    lost = await put(stored, "1/lost", b"lost")
    await run(stored)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    file_of(stored, lost).unlink()
    await run(stored)
    (alarm,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert (alarm.getMessage(), getattr(alarm, "count", None)) == ("objects.missing", 1)
    assert await keys(stored) == ["1/lost"]


async def test_without_a_store_there_is_nothing_to_do(stored: World) -> None:
    await run(stored)
    assert not (stored.settings.state / "objects").exists()


async def test_the_relay_runs_it(stored: World) -> None:
    await put(stored, "1/expired", b"expired", minutes=-1)
    relay = asyncio.create_task(Relay(stored.db, Broker(), stored.settings).run())
    try:
        async with asyncio.timeout(60):
            while await keys(stored):
                await asyncio.sleep(0.05)
    finally:
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)
