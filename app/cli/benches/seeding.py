"""The enterprise seeds against bare COPY: same rows, same indexes, no policies, no triggers, no keys by join."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg

from app.cli.migrate import prepare
from app.registry import slice_parts
from infra.secrets import Secrets
from infra.settings import Settings, load
from infra.wiring import open_database, start_database

TABLES = ("tenant", "enterprise", "site", "enterprise_person")
"""What the enterprise seeds fill."""


async def measure(rounds: int, size: str) -> dict[str, Any]:
    """Seed a fresh database and copy the same rows into bare tables, round by round.

    Args:
        rounds: how often.
        size: of the demo data.

    Returns:
        rows, rows a second of both, and the ratio of their medians.
    """
    seeded, copied, rows = [], [], 0
    with tempfile.TemporaryDirectory(prefix="anlan-") as folder:
        Path(folder).chmod(0o711)  # noqa: ASYNC240 - nothing else runs yet
        settings = load({"ANLAN_STATE": f"{folder}/state"})
        server = start_database(settings)
        try:
            for number in range(rounds):
                rows, seconds, bare = await _round(settings, f"bench{number}", size)
                seeded.append(rows / seconds)
                copied.append(rows / bare)
        finally:
            server.stop()
    ratio = statistics.median(seeded) / statistics.median(copied)
    return {
        f"size {size.upper()}": {
            "rows": rows,
            "seed_rows_per_s": round(statistics.median(seeded)),
            "copy_rows_per_s": round(statistics.median(copied)),
            "ratio": round(ratio, 3),
        }
    }


async def _round(settings: Settings, database: str, size: str) -> tuple[int, float, float]:
    await prepare(settings, database)
    db = open_database(settings, database)
    admin = await asyncpg.connect(
        host=str(settings.runtime_dir),
        database=database,
        user="anlan_boot",
        password=Secrets(settings.state).get("db_boot"),
        ssl=False,
    )
    try:
        seeds = {part.MODULE.name: part.MODULE.seed for part in slice_parts("module")}
        for name in ("standards", "members"):
            await seeds[name](db, settings, size)
        before = await _count(admin)
        begin = time.perf_counter()
        await seeds["enterprises"](db, settings, size)
        seconds = time.perf_counter() - begin
        rows = await _count(admin) - before
        return rows, seconds, await _bare(admin, before)
    finally:
        await admin.close()
        await db.close()


async def _count(admin: Any) -> int:
    return sum([int(await admin.fetchval(f"SELECT count(*) FROM app.{table}")) for table in TABLES])


async def _bare(admin: Any, before: int) -> float:
    """COPY the seeded rows into tables of the same columns and indexes, and nothing else."""
    await admin.execute("CREATE SCHEMA bare")
    seconds = 0.0
    for table in TABLES:
        await admin.execute(f"CREATE TABLE bare.{table} (LIKE app.{table} INCLUDING DEFAULTS INCLUDING INDEXES)")
        where = f" OFFSET {before}" if table == "tenant" else ""
        records = await admin.fetch(f"SELECT * FROM app.{table} ORDER BY seq{where}")
        if not records:
            continue
        columns = list(records[0].keys())
        values = [tuple(record) for record in records]
        begin = time.perf_counter()
        await admin.copy_records_to_table(table, schema_name="bare", records=values, columns=columns)
        seconds += time.perf_counter() - begin
    return seconds
