"""Workbooks as people make them, and the way of an import or export from the mutation to the end of its job."""

import io
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import python_calamine
import xlsxwriter

from app.kit.job_runner import JobRunner
from app.kit.sheets import files
from app.modules.sheets import jobs, service
from infra.db.port import Database
from infra.queue.port import Delivery
from tenants.context import Acting
from tests.conftest import Clone
from tests.factories.enterprises import JIANGYIN, new_code, working

assert jobs  # declares the two job types
HEAD = (
    "统一社会信用代码", "企业名称", "法定代表人", "国民经济行业", "注册地址", "生产经营地区划", "生产经营地址", "经度", "纬度",
    "联系人", "联系电话",
)  # fmt: skip
"""Headings of the county's ledger of enterprises."""


def firm(number: int = 1, **over: Any) -> dict[str, Any]:
    """Return a row as a county fills it in."""
    row = {
        "统一社会信用代码": new_code(),
        "企业名称": f"江阴试验{number}号化工有限公司",
        "法定代表人": "王小安",
        "国民经济行业": "2631",
        "注册地址": f"申港街道 {number} 号",
        "生产经营地区划": JIANGYIN,
        "生产经营地址": f"申港街道试验路 {number} 号",
        "经度": 120.28,
        "纬度": 31.90,
        "联系人": "李安",
        "联系电话": "13812345678",
    }
    return row | over


def workbook(
    rows: Sequence[dict[str, Any]], head: Sequence[str] = HEAD, sheet: str = "数据", more: Any = None
) -> bytes:
    """Return a workbook with these rows below the headings; ``more`` may do further things to book and sheet."""
    made = io.BytesIO()
    book = xlsxwriter.Workbook(made, {"in_memory": True})
    page = book.add_worksheet(sheet)
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    for column, title in enumerate(head):
        page.write_string(0, column, title)
    for number, row in enumerate(rows, start=1):
        for column, title in enumerate(head):
            value = row.get(title)
            if isinstance(value, date):
                page.write_datetime(number, column, value, day)
            elif isinstance(value, int | float):
                page.write_number(number, column, value)
            elif value is not None:
                page.write_string(number, column, value)
    if more is not None:
        more(book, page)
    book.close()
    return made.getvalue()


def cells(content: bytes, sheet: str | int = 0) -> list[list[Any]]:
    """Return the cells of a workbook that we wrote."""
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    page = book.get_sheet_by_index(sheet) if isinstance(sheet, int) else book.get_sheet_by_name(sheet)
    return page.to_python(skip_empty_area=False)


def use(clone: Clone, folder: Path) -> None:
    """Let this process keep its files in a folder of the test."""
    files.use(replace(clone.settings, state=folder))


async def upload(db: Database, run_id: UUID, acting: Acting, content: bytes) -> bool:
    """Send the file of an import as the HTTP route does after its checks."""

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    key = files.upload_key(acting.tenant_key, run_id)
    return await files.received(db, run_id, key, chunks(), 20 * 2**20)


async def run_job(clone: Clone, job_id: UUID, acting: Acting | None) -> str:
    """Run a queued job once under a membership, None: one that has ended; return how it stands then."""
    row = await clone.admin.fetchrow("SELECT * FROM app.outbox WHERE id = $1", job_id)

    async def again(*_: Any) -> Acting | None:
        return acting

    runner = JobRunner(lambda: clone.db, again)
    delivery = Delivery(str(job_id), row["actor"], json.loads(row["args"]), json.loads(row["context"]))
    await runner.run(delivery)
    state: str = await clone.admin.fetchval("SELECT state FROM app.job WHERE id = $1", job_id)
    return state


async def run_of(clone: Clone, run_id: UUID, table: str = "import_run") -> dict[str, Any]:
    """Return a run as a superuser reads it."""
    found = dict(await clone.admin.fetchrow(f"SELECT * FROM app.{table} WHERE id = $1", run_id))
    return {name: json.loads(value) if name in _JSON else value for name, value in found.items()}


_JSON = ("problems", "watermark", "filter", "columns")


async def rows_of(clone: Clone, run_id: UUID) -> list[dict[str, Any]]:
    """Return the rows of an import."""
    rows = await clone.admin.fetch("SELECT * FROM app.import_row WHERE run_id = $1 ORDER BY number", run_id)
    names = ("errors", "raw", "data")
    return [{k: json.loads(v) if k in names else v for k, v in dict(row).items()} for row in rows]


async def checked(clone: Clone, acting: Acting, content: bytes, *, update: bool = False) -> UUID:
    """Start an import, send its file and let the dry run end."""
    async with working(clone.db, acting) as ctx:
        started = await service.start_import(ctx, "enterprises", "台账.xlsx", update_existing=update)
    assert await upload(clone.db, started.run_id, acting, content)
    async with working(clone.db, acting) as ctx:
        await service.check_import(ctx, started.run_id, 2)
    await run_job(clone, await job_of(clone, started.run_id), acting)
    return started.run_id


async def job_of(clone: Clone, run_id: UUID, table: str = "import_run") -> UUID:
    """Return the job of a run."""
    found: UUID = await clone.admin.fetchval(f"SELECT job_id FROM app.{table} WHERE id = $1", run_id)
    return found


async def confirmed(clone: Clone, acting: Acting, run_id: UUID) -> UUID:
    """Confirm a checked import; return the job that will write it."""
    async with working(clone.db, acting) as ctx:
        await service.confirm_import(ctx, run_id, (await run_of(clone, run_id))["version"])
    return await job_of(clone, run_id)


async def content_of(clone: Clone, version_id: UUID) -> bytes:
    """Return the content of a kept file."""
    version = await files.find(clone.db, version_id)
    return b"".join([chunk async for chunk in files.current().store.read(version)])


async def exported(clone: Clone, acting: Acting, given: dict[str, Any], *columns: str) -> UUID:
    """Start an export of enterprises and let its job end."""
    async with working(clone.db, acting) as ctx:
        run_id = await service.start_export(ctx, "enterprises", given, columns, "核对台账")
    await run_job(clone, await job_of(clone, run_id, "export_run"), acting)
    return run_id
