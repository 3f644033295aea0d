"""The one job type of exports: what a filter shows, as whoever asked sees it, with a mark of who took it when.

Rows are read under the login and claims of the membership, in pages by order of arrival, and written one by one.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from app.kit.errors import Fault, translate
from app.kit.jobs import JobCancelledError, JobRun, Result
from app.kit.sheets import files, models
from app.kit.sheets.filters import conditions
from app.kit.sheets.importing import Recorded
from app.kit.sheets.ledger import Cell, Column, Exporting, Ledger, ledger_named
from app.kit.sheets.runs import acting_of, working
from app.kit.sheets.writing import ExportBook
from app.kit.uow import WriteContext
from infra.db.session import ReadSession, WriteSession

MAX_ROWS = 100_000
"""Most rows of one export; more is for roll-ups and the exchange between installations."""
PAGE = 2000
_RUN = "SELECT id, ledger, state, filter, columns, watermark, expires_at FROM app.export_run WHERE id = :id"


async def export(run: JobRun, run_id: UUID, recorded: Recorded) -> Result:
    """Write the file and keep it.

    Args:
        run: the job's run.
        run_id: the export.
        recorded: writes the audit row.

    Raises:
        Fault: ``EXPORT_TOO_MANY``, faults of the filter.
        JobCancelledError: the person has cancelled.
    """
    acting = acting_of(run)
    async with run.read() as session:
        found = (await session.execute(text(_RUN), {"id": run_id})).mappings().one()
    if found["state"] != "QUEUED":
        return None
    ledger = ledger_named(found["ledger"])
    way = ledger.for_export(acting)
    columns = chosen(ledger, found["columns"])
    async with run.read() as session:
        total = await count(session, way, found["filter"])
    if total > MAX_ROWS:
        raise Fault("EXPORT_TOO_MANY", (), limit=f"{MAX_ROWS:,}")
    async with working(run) as ctx:
        titles = await _titles(ctx, columns)
    with tempfile.TemporaryDirectory(prefix="anlan-sheet-") as folder:
        path = Path(folder) / "export.xlsx"
        mark = _marks(found["watermark"], acting.locale)
        book = ExportBook(path, ledger, columns, acting.locale, mark)
        try:
            async for page in pages(run, way, columns, found["filter"]):
                for row in page:
                    book.row([_shown(value, column, titles) for value, column in zip(row, columns, strict=True)])
                await run.progress(book.count, total)
        finally:
            await asyncio.to_thread(book.close)
        async with working(run) as ctx:
            return await _keep(run, ctx, run_id, (path, book.count), recorded)


async def _keep(run: JobRun, ctx: WriteContext, run_id: UUID, made: tuple[Path, int], recorded: Recorded) -> Result:
    path, rows = made
    locked = await ctx.session.execute(text(f"{_RUN} FOR UPDATE"), {"id": run_id})
    found = locked.mappings().one()
    if found["state"] != "QUEUED":
        raise JobCancelledError(str(run_id))
    version = await files.keep(ctx.session, acting_of(run), f"exports/{run_id}", path, found["expires_at"])
    await ctx.session.execute(
        text(
            "UPDATE app.export_run SET state = 'DONE', total = :total, file_version_id = :file, size = :size,"
            " sha256 = :sha, ended_at = now(), version = version + 1 WHERE id = :id"
        ),
        {"id": run_id, "total": rows, "file": version.id, "size": version.size, "sha": version.sha256},
    )
    result = {"rows": rows, "sha256": version.sha256}
    await recorded(ctx, "export.make", run_id, {"rows": rows, "ledger": found["ledger"]})
    await run.finish(ctx.session, result)
    return result


def chosen(ledger: Ledger, names: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of an export: all, or those that are named, in the ledger's order.

    Raises:
        Fault: ``COLUMN_UNKNOWN``.
    """
    known = {column.name for column in ledger.outgoing}
    for name in names:
        if name not in known:
            raise Fault("COLUMN_UNKNOWN", ("columns",), name=name[:64], known=", ".join(sorted(known)))
    return tuple(column for column in ledger.outgoing if not names or column.name in names)


async def count(session: ReadSession | WriteSession, way: Exporting, given: Mapping[str, Any]) -> int:
    """Return how many rows a filter shows, at most one more than an export takes."""
    source = way.source()
    model = source.__anlan_bound__.model
    inner = select(model.id).where(*_where(source), *conditions(source, given)).limit(MAX_ROWS + 1).subquery()
    return int(await session.scalar(select(func.count()).select_from(inner)) or 0)


async def pages(
    run: JobRun, way: Exporting, columns: Sequence[Column], given: Mapping[str, Any]
) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """Yield the rows of a filter, a page per transaction, by order of arrival: none twice, none between."""
    source = way.source()
    model = source.__anlan_bound__.model
    picked = [getattr(model, way.values.get(column.name, column.name)) for column in columns]
    tests = [*_where(source), *conditions(source, given)]
    last = 0
    while True:
        async with run.read() as session:
            query = select(model.seq, *picked).where(model.seq > last, *tests).order_by(model.seq).limit(PAGE)
            rows = (await session.execute(query)).all()
        if not rows:
            return
        last = rows[-1][0]
        yield [row[1:] for row in rows]


def _where(source: type[Any]) -> list[Any]:
    condition = source.__anlan_bound__.where
    if condition is None:
        return []
    table = source.__anlan_bound__.model.__table__
    return [text(condition.replace("{t}", str(table)))]


def _marks(watermark: Mapping[str, Any], locale: str) -> list[tuple[str, str]]:
    return [(translate(f"MARK_{name.upper()}", locale), str(value)) for name, value in watermark.items()]


async def _titles(ctx: WriteContext, columns: Sequence[Column]) -> dict[str, dict[str, str]]:
    """Return the titles of coded columns, so that people read words and not codes."""
    found = {}
    for column in columns:
        if column.cell in (Cell.CHOICE, Cell.CHOICES):
            found[column.name] = {
                code.code: f"{code.code} {code.title(ctx.locale)}" for code in await column.words(ctx)
            }
    return found


def _shown(value: Any, column: Column, titles: Mapping[str, Mapping[str, str]]) -> Any:
    words = titles.get(column.name)
    if words is None or value is None:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
    if isinstance(value, list):
        return "、".join(words.get(one, str(one)) for one in value)
    return words.get(str(value), str(value))


def queued(state: str) -> bool:
    """Say whether an export may still be cancelled."""
    return state not in (models.DONE, models.FAILED, models.CANCELLED)
