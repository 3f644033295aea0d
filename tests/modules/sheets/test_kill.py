"""kill -9 of real processes in the midst of writing: every row once, whatever the moment."""

import asyncio
import json
import os
import random
import signal
import sys
from pathlib import Path
from uuid import UUID

from tenants.context import Acting
from tests.conftest import Clone
from tests.factories.enterprises import JIANGYIN, office
from tests.factories.sheets import checked, confirmed, firm, rows_of, run_of, workbook

ROOT = Path(__file__).resolve().parents[3]
ROWS = 240


class Workers:
    """Starts and kills workers of one message."""

    def __init__(self, place: Clone, folder: Path, given: dict[str, object]) -> None:
        self.place, self.log = place, folder / "stderr"
        self.path = folder / "given.json"
        self.path.write_text(json.dumps(given, default=str), encoding="utf-8")

    async def start(self) -> asyncio.subprocess.Process:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ANLAN_")}
        command = (sys.executable, "-m", "tests.modules.sheets.worker", str(self.path))
        with self.log.open("ab") as errors:
            return await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environ, stderr=errors)

    async def written(self) -> int:
        found: int = await self.place.admin.fetchval("SELECT count(*) FROM app.enterprise")
        return found

    async def until(self, process: asyncio.subprocess.Process, count: int) -> None:
        """Return when so many rows are written; the limit only ends a test that hangs."""
        async with asyncio.timeout(120):
            while await self.written() < count:
                assert process.returncode is None, self.log.read_text(encoding="utf-8")[-3000:]
                await asyncio.sleep(0.01)


async def message(place: Clone, folder: Path, acting: Acting, job: UUID) -> dict[str, object]:
    """What a worker needs to run a job."""
    row = await place.admin.fetchrow("SELECT actor, args, context FROM app.outbox WHERE id = $1", job)
    url = {"ANLAN_DB_URL": place.settings.db_url, "ANLAN_PREFIX": place.prefix} if place.settings.db_url else {}
    who = {name: getattr(acting, name) for name in ("membership_id", "person_id", "tenant_id", "tenant_key")}
    return {
        "id": job,
        "actor": row["actor"],
        "args": json.loads(row["args"]),
        "context": json.loads(row["context"]),
        "acting": who | {"roles": sorted(acting.roles)},
        "database": place.name,
        "state": str(place.settings.state),
        "files": str(folder),
        "environ": url,
        "batch": 5,
    }


async def test_killed_three_times(place: Clone, tmp_path: Path) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    rows = [firm(number) for number in range(ROWS)]
    run_id = await checked(place, county, workbook([*rows, firm(0, 联系电话="1")]))
    job = await confirmed(place, county, run_id)
    workers = Workers(place, tmp_path, await message(place, tmp_path, county, job))
    chance = random.Random(37)
    for goal in (10, 70, 150):
        process = await workers.start()
        await workers.until(process, goal)
        await asyncio.sleep(chance.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        assert (await run_of(place, run_id))["state"] == "APPLYING"
    between = await workers.written()
    assert 150 <= between < ROWS, "the kills came in its midst"
    process = await workers.start()
    assert await asyncio.wait_for(process.wait(), 120) == 0, workers.log.read_text(encoding="utf-8")[-3000:]
    run = await run_of(place, run_id)
    assert (run["state"], run["created"], run["errors"]) == ("DONE", ROWS, 1)
    codes = [row["统一社会信用代码"] for row in rows]
    found = await place.admin.fetch("SELECT credit_code FROM app.enterprise")
    assert sorted(row["credit_code"] for row in found) == sorted(codes)
    for table in ("site", "enterprise_change"):
        assert await place.admin.fetchval(f"SELECT count(*) FROM app.{table}") == ROWS
    assert {row["state"] for row in await rows_of(place, run_id)} == {"WRITTEN", "ERROR"}
    attempts = await place.admin.fetchval("SELECT attempts FROM app.job_attempt WHERE message_id = $1", job)
    assert attempts == 4
