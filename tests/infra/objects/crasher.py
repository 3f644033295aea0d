"""Puts, deletes and removes objects until it is killed; reports each commit on a pipe."""

import asyncio
import random
from multiprocessing.connection import Connection
from pathlib import Path

from app.kit.objects import PgVersionRows
from infra.clock import real_now
from infra.db.port import DbAddress
from infra.db.postgres import PostgresDatabase
from infra.objects.embedded import FileStore
from infra.objects.port import ObjectMissingError


async def _work(address: DbAddress, password: str, root: Path, seed: int, report: Connection) -> None:
    dice = random.Random(seed)
    db = PostgresDatabase(address, {"sys_retention": password}, "anlan")
    store = FileStore(root)
    while True:
        key = f"1/对象-{dice.randrange(5)}"
        async with db.write("sys_retention", {}) as session:
            rows = PgVersionRows(session)
            version = await store.put(rows, "evidence", key, dice.randbytes(dice.choice((0, 100, 700_000))))
        report.send(("put", str(version.id)))
        async with db.write("sys_retention", {}) as session:
            rows = PgVersionRows(session)
            if dice.random() < 0.3:
                await store.delete(rows, "evidence", key)
            elif dice.random() < 0.5:
                old = (await rows.versions("evidence", key))[-1]
                report.send(("removing", str(old.id)))
                try:
                    await store.remove_version(rows, old.id, real_now())
                except ObjectMissingError:
                    continue
        if dice.random() < 0.3:
            async with db.read("sys_retention", {}) as reading:
                await store.sweep(PgVersionRows(reading), grace_s=0.05)


def run(address: DbAddress, password: str, root: str, seed: int, report: Connection) -> None:
    """Work until killed."""
    asyncio.run(_work(address, password, Path(root), seed, report))
