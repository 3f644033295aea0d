"""The one job type of imports: a dry run that writes nothing to the ledger, and, after the confirmation, the writing.

Each batch is one transaction that locks the run, writes the ledger's rows and marks the sheet's rows WRITTEN: a
worker killed at any moment leaves whole batches, the next attempt goes on with the rows that are READY, and none is
written twice. Whoever cancels changes the run's state under the same lock: after the answer no further row is written.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.kit.errors import Fault, NotFoundFault
from app.kit.ids import uuid7
from app.kit.jobs import JobCancelledError, JobRun, Result
from app.kit.sheets import files, models, reading, writing
from app.kit.sheets.cells import Words
from app.kit.sheets.ledger import Column, Existing, Importing, Incoming, Ledger, ledger_named
from app.kit.sheets.reading import Row, Sheet
from app.kit.sheets.runs import acting_of, flat, problem, row_error, row_errors, working
from app.kit.uow import WriteContext

CHECK_BATCH = 1000
WRITE_BATCH = 250
"""Rows of one transaction: well below the five seconds that a person's login gives a statement."""
_INSERT_BATCH = 1000
_RUN = (
    "SELECT id, ledger, state, update_existing, file_version_id, total, errors, expires_at, version"
    " FROM app.import_run WHERE id = :id"
)
_INSERT = text(
    "INSERT INTO app.import_row (id, person_id, owner_key, run_id, number, key, raw, data, state, action, errors,"
    " object_id, object_version) SELECT r.id, :person, :owner, :run, r.number, r.key, r.raw, r.data, r.state, r.action,"
    " r.errors, r.object_id, r.object_version FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(id uuid, number int,"
    " key text, raw jsonb, data jsonb, state text, action text, errors jsonb, object_id uuid, object_version int)"
)
_MARK = text(
    "UPDATE app.import_row i SET state = r.state, errors = r.errors, object_id = coalesce(r.object_id, i.object_id)"
    " FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(number int, state text, errors jsonb, object_id uuid)"
    " WHERE i.run_id = :run AND i.number = r.number"
)
_NEXT = text(
    "SELECT number, data, action, object_id, object_version FROM app.import_row"
    " WHERE run_id = :run AND state = 'READY' ORDER BY number LIMIT :limit"
)
_FAILED = text("SELECT number, raw, errors FROM app.import_row WHERE run_id = :run AND state = 'ERROR' ORDER BY number")

Recorded = Callable[[WriteContext, str, UUID, Mapping[str, Any]], Awaitable[None]]
"""Writes the audit row of a step: context, action, run, counts. The slice passes it: the kit knows no audit log."""


@dataclass
class Judged:
    """A row after the dry run."""

    row: Row
    data: Mapping[str, Any] = field(default_factory=dict)
    action: str = models.CREATE
    existing: Existing | None = None

    @property
    def state(self) -> str:
        """Whether it may be written."""
        return models.ERROR if self.row.faults else models.READY


async def check(run: JobRun, run_id: UUID, recorded: Recorded) -> Result:
    """Read the file, judge every row, keep the judgement; nothing of the ledger changes.

    Args:
        run: the job's run.
        run_id: the import.
        recorded: writes the audit row.
    """
    async with working(run) as ctx:
        found = await _one(ctx, run_id)
        if found["state"] != models.CHECKING:
            return None
        ledger = ledger_named(found["ledger"])
        way = ledger.for_import(ctx.acting)
        lists = {column.name: Words(await column.words(ctx)) for column in ledger.incoming if column.codes}
    try:
        sheet = await _read(run, ledger, found["file_version_id"], lists)
    except Fault as fault:
        return await _rejected(run, run_id, fault, recorded)
    judged: list[Judged] = []
    for batch in _batches(sheet.rows, CHECK_BATCH):
        async with working(run) as ctx:
            judged += await judge(ctx, way, batch, update=found["update_existing"])
        await run.progress(len(judged), len(sheet.rows))
    # Only now: the slice's check has brought every spelling of a key to one.
    reading.twins([(one.row, one.data.get(way.key) or one.row.values.get(way.key)) for one in judged], way.key)
    return await _checked(run, found, sheet, judged, recorded)


async def judge(ctx: WriteContext, way: Importing, rows: Sequence[Row], *, update: bool) -> list[Judged]:
    """Judge rows: the slice's own checks, what is there already, what would change.

    Args:
        ctx: context of whoever imports.
        way: how rows come into the ledger.
        rows: rows with their parsed values; faults are added to them.
        update: whether rows that are there already are changed; else they are faults.
    """
    whole = [Incoming(row.number, row.values) for row in rows if not row.faults]
    values, faults = await way.check(ctx, whole)
    for row in rows:
        row.faults += flat(faults.get(row.number, ()))
    keys = {row.number: str(key) for row in rows if (key := _value(row, values, way.key)) is not None}
    there = await way.lookup(ctx, list(dict.fromkeys(keys.values())))
    judged = []
    for row in rows:
        one = Judged(row, values.get(row.number, {}), existing=there.get(keys.get(row.number, "")))
        if one.existing is not None:
            _compare(one, one.existing, way, update=update)
        judged.append(one)
    return judged


def _value(row: Row, values: Mapping[int, Mapping[str, Any]], name: str) -> Any:
    return values.get(row.number, row.values).get(name)


def _compare(one: Judged, existing: Existing, way: Importing, *, update: bool) -> None:
    """Say what the row would change of what is there."""
    changes = {
        name: value
        for name, value in one.data.items()
        if name in way.changeable and value is not None and value != existing.values.get(name)
    }
    one.action = models.UPDATE if changes else models.KEEP
    if not update:
        one.row.faults.append(Fault("ROW_EXISTS", (way.key,)))
    elif changes:
        one.row.faults += [fault for name, fault in existing.faults.items() if name in ("", *changes)]
    one.data = {way.key: one.data.get(way.key), **changes}


async def _read(run: JobRun, ledger: Ledger, version_id: UUID, lists: Mapping[str, Words]) -> Sheet:
    version = await files.find(run.db, version_id)
    return await reading.read(ledger, files.current().store.read(version), lists)


async def _rejected(run: JobRun, run_id: UUID, fault: Fault, recorded: Recorded) -> Result:
    """Keep why the file as a whole cannot be used."""
    async with working(run) as ctx:
        await _locked(ctx, run_id, models.CHECKING)
        await _change(
            ctx, run_id, "state = 'REJECTED', problems = cast(:problems AS jsonb), ended_at = now()",
            problems=_json([problem(fault, ctx.locale)]),
        )  # fmt: skip
        await recorded(ctx, "import.reject", run_id, {"code": fault.code})
        await run.finish(ctx.session, {"state": models.REJECTED})
    return {"state": models.REJECTED}


async def _checked(
    run: JobRun, found: Mapping[str, Any], sheet: Sheet, judged: Sequence[Judged], recorded: Recorded
) -> Result:
    """Keep the judgement in one transaction: all of it, or, after a crash, none."""
    acting, run_id, ledger = acting_of(run), found["id"], ledger_named(found["ledger"])
    columns = {column.name: column for column in ledger.incoming}
    key = ledger.for_import(acting).key
    rows = [_kept(one, sheet, columns, key, acting.locale) for one in judged]
    counts = {
        "total": len(rows),
        "errors": sum(one.state == models.ERROR for one in judged),
        **{name: sum(one.state == models.READY and one.action == action for one in judged)
           for name, action in _COUNTED.items()},
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="anlan-sheet-") as folder:
        path = Path(folder) / "failed.xlsx"
        wrong = [(row["number"], row["raw"], row["errors"]) for row in rows if row["state"] == models.ERROR]
        _write_failed(path, ledger, wrong, acting.locale)
        async with working(run) as ctx:
            await _locked(ctx, run_id, models.CHECKING)
            same = {"person": acting.person_id, "owner": acting.tenant_key, "run": run_id}
            for batch in _batches(rows, _INSERT_BATCH):
                await ctx.session.execute(_INSERT, {**same, "rows": _json(batch)})
            kept = None
            if wrong:
                kept = await files.keep(ctx.session, acting, f"failed/{run_id}", path, found["expires_at"])
            await _change(
                ctx,
                run_id,
                "state = 'CHECKED', total = :total, errors = :errors, created = :created, updated = :updated,"
                " kept = :kept, failed_version_id = :failed, checked_at = now()",
                failed=kept.id if kept else None,
                **counts,
            )
            await recorded(ctx, "import.check", run_id, counts)
            await run.finish(ctx.session, {"state": models.CHECKED, **counts})
    return {"state": models.CHECKED, **counts}


_COUNTED = {"created": models.CREATE, "updated": models.UPDATE, "kept": models.KEEP}


def _kept(one: Judged, sheet: Sheet, columns: dict[str, Column], key: str, locale: str) -> dict[str, Any]:
    return {
        "id": str(uuid7()),
        "number": one.row.number,
        "key": str(one.row.values.get(key) or one.row.raw.get(key, ""))[:200],
        "raw": one.row.raw,
        "data": dict(one.data),
        "state": one.state,
        "action": one.action,
        "errors": row_errors(one.row.faults, one.row.number, sheet, columns, locale),
        "object_id": str(one.existing.object_id) if one.existing else None,
        "object_version": one.existing.version if one.existing else None,
    }


async def apply(run: JobRun, run_id: UUID, recorded: Recorded) -> Result:
    """Write the rows that are READY, batch by batch, from wherever an earlier attempt was cut off.

    Args:
        run: the job's run.
        run_id: the import.
        recorded: writes the audit row.

    Raises:
        JobCancelledError: the person has cancelled; what is written stays, and the run says how much that is.
    """
    while True:
        async with working(run) as ctx:
            found = await _locked(ctx, run_id, models.APPLYING)
            ledger = ledger_named(found["ledger"])
            way = ledger.for_import(ctx.acting)
            rows = (await ctx.session.execute(_NEXT, {"run": run_id, "limit": WRITE_BATCH})).mappings().all()
            if not rows:
                return await _done(run, ctx, run_id, ledger, recorded)
            await _write(ctx, way, ledger, run_id, rows)
        await run.progress(*await _progress(run, run_id))


async def _write(ctx: WriteContext, way: Importing, ledger: Ledger, run_id: UUID, rows: Sequence[Any]) -> None:
    """Write one batch and mark its rows."""
    todo = [
        Incoming(row["number"], row["data"], row["object_id"], row["object_version"])
        for row in rows
        if row["action"] != models.KEEP
    ]
    written = {one.number: one for one in (await way.write(ctx, todo) if todo else ())}
    columns = {column.name: column for column in ledger.incoming}
    marks = []
    for row in rows:
        one = written.get(row["number"])
        wrong = [] if one is None or one.fault is None else flat([one.fault])
        shown = [row_error(fault, row["number"], str(row["number"]), columns, ctx.locale) for fault in wrong]
        made = str(one.object_id) if one is not None and one.object_id is not None else None
        state = models.ERROR if wrong else models.WRITTEN
        marks.append({"number": row["number"], "state": state, "errors": shown, "object_id": made})
    await ctx.session.execute(_MARK, {"run": run_id, "rows": _json(marks)})


async def _done(run: JobRun, ctx: WriteContext, run_id: UUID, ledger: Ledger, recorded: Recorded) -> Result:
    """End a run whose last row is written: count what became of the rows, and keep the failed ones."""
    counts = dict(
        (
            await ctx.session.execute(
                text(
                    "SELECT count(*) AS total, count(*) FILTER (WHERE state = 'ERROR') AS errors,"
                    " count(*) FILTER (WHERE state = 'WRITTEN' AND action = 'CREATE') AS created,"
                    " count(*) FILTER (WHERE state = 'WRITTEN' AND action = 'UPDATE') AS updated,"
                    " count(*) FILTER (WHERE state = 'WRITTEN' AND action = 'KEEP') AS kept"
                    " FROM app.import_row WHERE run_id = :run"
                ),
                {"run": run_id},
            )
        )
        .mappings()
        .one()
    )
    found = await _one(ctx, run_id)
    failed = None
    if counts["errors"]:
        rows = (await ctx.session.execute(_FAILED, {"run": run_id})).mappings().all()
        with tempfile.TemporaryDirectory(prefix="anlan-sheet-") as folder:
            path = Path(folder) / "failed.xlsx"
            _write_failed(path, ledger, [(r["number"], r["raw"], r["errors"]) for r in rows], ctx.locale)
            acting = acting_of(run)
            failed = (await files.keep(ctx.session, acting, f"failed/{run_id}", path, found["expires_at"])).id
    await _change(
        ctx,
        run_id,
        "state = 'DONE', total = :total, errors = :errors, created = :created, updated = :updated, kept = :kept,"
        " failed_version_id = :failed, ended_at = now()",
        failed=failed,
        **counts,
    )
    await recorded(ctx, "import.apply", run_id, counts)
    await run.finish(ctx.session, {"state": models.DONE, **counts})
    return {"state": models.DONE, **counts}


async def _progress(run: JobRun, run_id: UUID) -> tuple[int, int]:
    async with run.read() as session:
        row = await session.execute(
            text(
                "SELECT count(*) FILTER (WHERE state = 'WRITTEN'), count(*) FILTER (WHERE state <> 'ERROR')"
                " FROM app.import_row WHERE run_id = :run"
            ),
            {"run": run_id},
        )
        done, total = row.one()
        return done, total


def _write_failed(path: Path, ledger: Ledger, rows: Sequence[tuple[int, Any, Any]], locale: str) -> None:
    lines = ((number, raw, "; ".join(_line(error) for error in errors)) for number, raw, errors in rows)
    writing.failed(path, ledger, lines, locale)


def _line(error: Mapping[str, Any]) -> str:
    where = " ".join(part for part in (str(error["cell"]), str(error["title"])) if part)
    return f"{where}: {error['message']}"


async def _one(ctx: WriteContext, run_id: UUID) -> Mapping[str, Any]:
    row = (await ctx.session.execute(text(_RUN), {"id": run_id})).mappings().first()
    if row is None:
        raise NotFoundFault("id")
    return dict(row)


async def _locked(ctx: WriteContext, run_id: UUID, state: str) -> Mapping[str, Any]:
    """Return the run, locked, as long as nobody has cancelled it.

    Raises:
        JobCancelledError: it is no longer in this state.
    """
    row = (await ctx.session.execute(text(f"{_RUN} FOR UPDATE"), {"id": run_id})).mappings().first()
    if row is None or row["state"] != state:
        raise JobCancelledError(str(run_id))
    return dict(row)


async def _change(ctx: WriteContext, run_id: UUID, what: str, **values: Any) -> None:
    await ctx.session.execute(
        text(f"UPDATE app.import_run SET {what}, version = version + 1 WHERE id = :id"), {"id": run_id, **values}
    )


async def failed(run: JobRun, run_id: UUID, table: str, fault: Fault) -> None:
    """Note that a run failed, unless it has ended; the job then fails with the same code."""
    async with working(run) as ctx:
        await ctx.session.execute(
            text(
                f"UPDATE app.{table} SET state = 'FAILED', problems = cast(:problems AS jsonb), ended_at = now(),"
                " version = version + 1 WHERE id = :id AND state IN ('CHECKING', 'APPLYING', 'QUEUED')"
            ),
            {"id": run_id, "problems": _json([problem(fault, ctx.locale)])},
        )


def _batches(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\\u0000", "")
