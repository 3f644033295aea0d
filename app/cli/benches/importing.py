"""Imports and exports of enterprises by Excel, through the use cases and jobs that people's requests start.

One process does what web server and worker do, without the queue between them: rows a second of reading, of the dry
run, of writing, and of an export, each over the whole file.
"""

import io
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import xlsxwriter

from app.cli.migrate import prepare
from app.kit.job_runner import JobRunner
from app.kit.rules import uscc
from app.kit.sheets import files
from app.kit.uow import WriteContext
from app.modules.members.public import tenant_id
from app.modules.sheets import service
from app.registry import load_ledgers, load_models, slice_parts
from infra.clock import Clock
from infra.db.port import Database
from infra.queue.port import Delivery
from infra.secrets import Secrets
from infra.settings import Settings, load
from infra.wiring import open_database, start_database
from tenants.context import Acting
from tenants.kinds import Kind
from tenants.roles import capabilities

COUNTY = "320281"
ROWS = {"s": 5_000, "m": 50_000}
BAD = 50
HEAD = (
    *("统一社会信用代码", "企业名称", "法定代表人", "国民经济行业", "注册地址", "生产经营地区划", "生产经营地址"),
    *("经度", "纬度", "联系人", "联系电话"),
)


async def measure(rounds: int, size: str) -> dict[str, Any]:
    """Import a file of 5,000 rows (M: 50,000), 50 of them wrong, into a county; then export the county.

    Args:
        rounds: how often, each in a database of its own.
        size: ``s`` or ``m``.

    Returns:
        Rows, and the median of seconds and rows a second of each step.
    """
    load_models()
    load_ledgers()
    slice_parts("jobs")
    took: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="anlan-") as folder:
        Path(folder).chmod(0o711)  # noqa: ASYNC240 - nothing else runs yet
        settings = load({"ANLAN_STATE": f"{folder}/state"})
        files.use(settings)
        server = start_database(settings)
        try:
            for number in range(rounds):
                await _round(settings, f"import{number}", ROWS[size], took)
        finally:
            server.stop()
    rows = ROWS[size]
    return {
        f"{step}, {rows:,} rows": {
            "median_s": round(statistics.median(times), 2),
            "rows_per_s": round(rows / statistics.median(times)),
            "all": [round(one, 2) for one in times],
        }
        for step, times in took.items()
    }


async def _round(settings: Settings, database: str, rows: int, took: dict[str, list[float]]) -> None:
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
        for part in slice_parts("module"):
            if part.MODULE.name in ("standards", "members"):
                await part.MODULE.seed(db, settings, "s")
        await admin.execute("ANALYZE")
        bench = Bench(db, admin, await _county(admin))
        for step, work in (
            ("dry run", lambda: bench.check(workbook(rows))),
            ("write", bench.apply),
            ("export", bench.export),
        ):
            begin = time.perf_counter()
            await _timed(work, step)
            took.setdefault(step, []).append(time.perf_counter() - begin)
    finally:
        await admin.close()
        await db.close()


async def _timed(work: Callable[[], Awaitable[str]], step: str) -> None:
    state = await work()
    if state != "DONE":
        raise SystemExit(f"{step}: the job ended {state}")


class Bench:
    """One county, its import and its export."""

    def __init__(self, db: Database, admin: Any, acting: Acting) -> None:
        """Act in a database."""
        self.db, self.admin, self.acting = db, admin, acting
        self.run_id = UUID(int=0)

    async def check(self, content: bytes) -> str:
        """Start an import, send its file, and let the dry run end."""
        async with self._work() as ctx:
            upload = await service.start_import(ctx, "enterprises", "bench.xlsx", update_existing=False)
        self.run_id = upload.run_id
        await files.received(
            self.db, self.run_id, files.upload_key(self.acting.tenant_key, self.run_id), _once(content), len(content)
        )
        async with self._work() as ctx:
            await service.check_import(ctx, self.run_id, 2)
        state = await self._job("import_run", self.run_id)
        wrong = await self.admin.fetchval("SELECT errors FROM app.import_run WHERE id = $1", self.run_id)
        if wrong != BAD:
            raise SystemExit(f"the dry run found {wrong} wrong rows, not {BAD}")
        return state

    async def apply(self) -> str:
        """Confirm, and let the rows be written."""
        version = await self.admin.fetchval("SELECT version FROM app.import_run WHERE id = $1", self.run_id)
        async with self._work() as ctx:
            await service.confirm_import(ctx, self.run_id, version)
        return await self._job("import_run", self.run_id)

    async def export(self) -> str:
        """Export every enterprise of the county."""
        async with self._work() as ctx:
            run_id = await service.start_export(ctx, "enterprises", {}, (), "bench")
        return await self._job("export_run", run_id)

    async def _job(self, table: str, run_id: UUID) -> str:
        row = await self.admin.fetchrow(
            f"SELECT o.* FROM app.outbox o JOIN app.{table} r ON r.job_id = o.id WHERE r.id = $1", run_id
        )

        async def again(*_: Any) -> Acting:
            return self.acting

        runner = JobRunner(lambda: self.db, again)
        args, context = json.loads(row["args"]), json.loads(row["context"])
        await runner.run(Delivery(str(row["id"]), row["actor"], args, context))
        state: str = await self.admin.fetchval("SELECT state FROM app.job WHERE id = $1", row["id"])
        return state

    @asynccontextmanager
    async def _work(self) -> AsyncIterator[WriteContext]:
        today: date = Clock().today()
        async with self.db.write(self.acting.login, self.acting.claims(today)) as session:
            yield WriteContext(session, self.acting, datetime.now(UTC), today, "bench")


def workbook(rows: int) -> bytes:
    """Return a file as a county makes it; fifty rows have a wrong check character."""
    made = io.BytesIO()
    book = xlsxwriter.Workbook(made, {"in_memory": True})
    sheet = book.add_worksheet("数据")
    sheet.write_row(0, 0, HEAD)
    for number in range(1, rows + 1):
        code = uscc.generate(uscc.FICTITIOUS_REGIONS[number % 99], f"{number:08d}")
        if number % (rows // BAD) == 0:
            code = code[:-1] + ("0" if code[-1] != "0" else "1")
        industry = ("2631", "3110", "1351", "1711")[number % 4]
        name, address = f"江阴第{number}化工有限公司", f"试验路 {number} 号"
        place = (f"申港街道 {number} 号", COUNTY, address, 120.28, 31.9)
        sheet.write_row(number, 0, (code, name, "王小安", industry, *place, "李安", "13812345678"))
    book.close()
    return made.getvalue()


async def _county(admin: Any) -> Acting:
    row = await admin.fetchrow("SELECT id, key, name FROM app.tenant WHERE id = $1", tenant_id(COUNTY))
    roles = frozenset({"ACCEPTOR"})
    return Acting(
        membership_id=uuid.uuid4(),
        person_id=uuid.uuid4(),
        tenant_id=row["id"],
        tenant_key=row["key"],
        tenant_name=row["name"],
        kind=Kind.COUNTY,
        roles=roles,
        capabilities=capabilities(Kind.COUNTY, roles),
        actor_name="李四",
        post="科员",
    )


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
