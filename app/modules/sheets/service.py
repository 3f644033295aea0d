"""Use cases of imports and exports: start, check, confirm, cancel, fetch. The work itself is in the jobs."""

import base64
import json
import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from app.kit.errors import ConflictFault, Fault, NotFoundFault, require
from app.kit.ids import uuid7
from app.kit.jobs import cancel_job, start_job
from app.kit.sheets import exporting, files, models, writing
from app.kit.sheets.filters import conditions
from app.kit.sheets.ledger import Ledger, ledger_named
from app.kit.sheets.runs import expiry
from app.kit.uow import WriteContext
from app.modules.audit import public as audit
from app.modules.sheets import errors

IMPORT_JOB = "sheets.import"
EXPORT_JOB = "sheets.export"
CHECK, APPLY = "check", "apply"
PURPOSE_LIMIT = 200
NAME_LIMIT = 200
_STEPS = {
    "import.check": {models.RECEIVED: models.CHECKING},
    "import.confirm": {models.CHECKED: models.APPLYING},
    "import.cancel": dict.fromkeys(
        (models.WAITING, models.RECEIVED, models.CHECKING, models.CHECKED, models.APPLYING), models.CANCELLED
    ),
}
"""Step to states: from which it leads to which. Who may: the run's own person, in the tenant that it acts for."""
Run = models.ImportRun | models.ExportRun


@dataclass(frozen=True)
class Upload:
    """A started import, and where its file goes.

    Args:
        run_id: the import.
        address: path with signature, for one PUT.
        seconds: how long it is valid.
    """

    run_id: UUID
    address: str
    seconds: int


@dataclass(frozen=True)
class Download:
    """A file to fetch: path with signature, and its name."""

    run_id: UUID
    address: str
    name: str
    seconds: int


def usable(ctx: WriteContext, name: str) -> Ledger:
    """Return a ledger that the caller may import into.

    Raises:
        Fault: ``LEDGER_UNKNOWN``, ``NOT_PERMITTED``.
    """
    ledger = ledger_named(name)
    ledger.for_import(ctx.acting)
    return ledger


async def template(ctx: WriteContext, name: str) -> tuple[str, str]:
    """Return name and base64 of an empty workbook to fill in, in the caller's language.

    Raises:
        Fault: ``LEDGER_UNKNOWN``, ``NOT_PERMITTED``.
    """
    ledger = usable(ctx, name)
    lists = {column.name: await column.words(ctx) for column in ledger.incoming if column.codes}
    with tempfile.TemporaryDirectory(prefix="anlan-sheet-") as folder:
        path = Path(folder) / "template.xlsx"
        writing.template(path, ledger, lists, ctx.locale)
        content = path.read_bytes()
    await audit.record(ctx, "import.template", "import_run", None, details={"ledger": ledger.name})
    return f"{ledger.title(ctx.locale)}.xlsx", base64.b64encode(content).decode()


async def start_import(ctx: WriteContext, name: str, file_name: str, *, update_existing: bool) -> Upload:
    """Open an import that waits for its file.

    Args:
        ctx: context of whoever imports.
        name: the ledger.
        file_name: as on the person's disk, for the record.
        update_existing: change rows that are there already; else each of them is an error.

    Raises:
        Fault: ``LEDGER_UNKNOWN``, ``NOT_PERMITTED``, ``FILE_NAME``.
    """
    ledger = usable(ctx, name)
    shown = unicodedata.normalize("NFC", file_name).strip()
    fits = 0 < len(shown) <= NAME_LIMIT and not any(unicodedata.category(char)[0] == "C" for char in shown)
    require(fits, errors.FILE_NAME, ("fileName",), limit=NAME_LIMIT)
    run_id = uuid7()
    acting = ctx.acting
    await ctx.session.execute(
        text(
            "INSERT INTO app.import_run (id, person_id, owner_key, membership_id, ledger, file_name, update_existing,"
            " expires_at) VALUES (:id, :person, :owner, :membership, :ledger, :name, :update, :expires)"
        ),
        {
            "id": run_id,
            "person": acting.person_id,
            "owner": acting.tenant_key,
            "membership": acting.membership_id,
            "ledger": ledger.name,
            "name": shown,
            "update": update_existing,
            "expires": expiry(),
        },
    )
    await audit.record(ctx, "import.start", "import_run", run_id, details={"ledger": ledger.name})
    return Upload(run_id, files.upload_address(acting.tenant_key, run_id), files.LIFETIME_S)


async def check_import(ctx: WriteContext, run_id: UUID, expected_version: int) -> UUID:
    """Start the dry run of an import whose file has arrived.

    Raises:
        Fault: ``IMPORT_STATE``, ``NOT_PERMITTED``, ``CONFLICT``, ``NOT_FOUND``.
    """
    run = await _import(ctx, run_id, expected_version, "import.check")
    usable(ctx, run.ledger)
    await _queue(ctx, run, "import.check", CHECK, None)
    return run_id


async def confirm_import(ctx: WriteContext, run_id: UUID, expected_version: int) -> UUID:
    """Write the rows that are right; the others stay in the file of failed rows.

    Raises:
        Fault: ``IMPORT_NOTHING``, ``IMPORT_STATE``, ``NOT_PERMITTED``, ``CONFLICT``, ``NOT_FOUND``.
    """
    run = await _import(ctx, run_id, expected_version, "import.confirm")
    usable(ctx, run.ledger)
    require(run.created + run.updated, errors.IMPORT_NOTHING, ("id",))
    await _queue(ctx, run, "import.confirm", APPLY, run.total - run.errors)
    return run_id


async def cancel_import(ctx: WriteContext, run_id: UUID, expected_version: int) -> UUID:
    """Stop an import; once this has committed, no further row is written. What is written stays.

    Args:
        ctx: context of whoever started it.
        run_id: the import.
        expected_version: what the caller read; it counts the steps of a person, not the rows that are written.

    Raises:
        Fault: ``IMPORT_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    run = await _import(ctx, run_id, expected_version, "import.cancel")
    counts = {"created": run.created, "updated": run.updated, "kept": run.kept}
    if run.state == models.APPLYING:
        found = await ctx.session.execute(
            text(
                "SELECT count(*) FILTER (WHERE action = 'CREATE') AS created, count(*) FILTER (WHERE action = 'UPDATE')"
                " AS updated, count(*) FILTER (WHERE action = 'KEEP') AS kept FROM app.import_row"
                " WHERE run_id = :id AND state = 'WRITTEN'"
            ),
            {"id": run_id},
        )
        counts = dict(found.mappings().one())
    if run.job_id is not None:
        await cancel_job(ctx.session, run.job_id)
    await ctx.session.execute(
        text(
            "UPDATE app.import_run SET state = 'CANCELLED', created = :created, updated = :updated, kept = :kept,"
            " ended_at = now(), version = version + 1 WHERE id = :id"
        ),
        {"id": run_id, **counts},
    )
    written = dict(counts) if run.state == models.APPLYING else {}
    await audit.record(ctx, "import.cancel", "import_run", run_id, details=written)
    return run_id


async def failed_rows(ctx: WriteContext, run_id: UUID) -> Download:
    """Return where the file of failed rows is fetched.

    Raises:
        Fault: ``NO_FILE``, ``NOT_FOUND``.
    """
    run = await _own(ctx, models.ImportRun, run_id)
    return await _download(
        ctx, run_id, run.failed_version_id, "import.failedRows", f"错误行-{Path(run.file_name).stem}.xlsx"
    )


async def start_export(
    ctx: WriteContext, name: str, given: Mapping[str, Any], columns: Sequence[str], purpose: str
) -> UUID:
    """Start an export of what a filter shows; who, when and what for stand in the file and in the log.

    Args:
        ctx: context of whoever exports.
        name: the ledger.
        given: the list's filter, as JSON.
        columns: which columns; all when empty.
        purpose: what it is needed for.

    Raises:
        Fault: ``LEDGER_UNKNOWN``, ``NOT_PERMITTED``, ``FILTER_…``, ``COLUMN_UNKNOWN``, ``REQUIRED``, ``TOO_LONG``.
    """
    ledger = ledger_named(name)
    way = ledger.for_export(ctx.acting)
    conditions(way.source(), given)
    exporting.chosen(ledger, columns)
    why = unicodedata.normalize("NFC", purpose).strip()
    require(why, "REQUIRED", ("purpose",))
    require(len(why) <= PURPOSE_LIMIT, "TOO_LONG", ("purpose",), limit=PURPOSE_LIMIT, length=len(why))
    run_id, acting = uuid7(), ctx.acting
    mark = {
        "ledger": ledger.title(ctx.locale),
        "tenant": acting.tenant_name,
        "person": acting.actor_name,
        "post": acting.post,
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "purpose": why,
        "export": f"export_run_{run_id}",
        "request": ctx.request_id,
    }
    await ctx.session.execute(
        text(
            "INSERT INTO app.export_run (id, person_id, owner_key, membership_id, ledger, filter, columns, purpose,"
            " watermark, expires_at) VALUES (:id, :person, :owner, :membership, :ledger, cast(:filter AS jsonb),"
            " cast(:columns AS jsonb), :purpose, cast(:mark AS jsonb), :expires)"
        ),
        {
            "id": run_id,
            "person": acting.person_id,
            "owner": acting.tenant_key,
            "membership": acting.membership_id,
            "ledger": ledger.name,
            "filter": json.dumps(dict(given), ensure_ascii=False),
            "columns": json.dumps(list(columns)),
            "purpose": why,
            "mark": json.dumps(mark, ensure_ascii=False),
            "expires": expiry(),
        },
    )
    job = await start_job(ctx.session, EXPORT_JOB, {"export_id": str(run_id)}, acting, request_id=ctx.request_id)
    await ctx.session.execute(
        text("UPDATE app.export_run SET job_id = :job WHERE id = :id"), {"job": job, "id": run_id}
    )
    await audit.record(ctx, "export.start", "export_run", run_id, details={"ledger": ledger.name})
    return run_id


async def cancel_export(ctx: WriteContext, run_id: UUID, expected_version: int) -> UUID:
    """Stop an export that is not ready yet.

    Raises:
        Fault: ``EXPORT_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    run = await _own(ctx, models.ExportRun, run_id, expected_version)
    require(exporting.queued(run.state), errors.EXPORT_STATE, ("id",), state=run.state)
    if run.job_id is not None:
        await cancel_job(ctx.session, run.job_id)
    await ctx.session.execute(
        text("UPDATE app.export_run SET state = 'CANCELLED', ended_at = now(), version = version + 1 WHERE id = :id"),
        {"id": run_id},
    )
    await audit.record(ctx, "export.cancel", "export_run", run_id)
    return run_id


async def export_file(ctx: WriteContext, run_id: UUID) -> Download:
    """Return where an export is fetched; each time stands in the log.

    Raises:
        Fault: ``NO_FILE``, ``NOT_PERMITTED``, ``NOT_FOUND``.
    """
    run = await _own(ctx, models.ExportRun, run_id)
    ledger = ledger_named(run.ledger)
    ledger.for_export(ctx.acting)
    return await _download(ctx, run_id, run.file_version_id, "export.download", f"{ledger.title(ctx.locale)}.xlsx")


async def _download(ctx: WriteContext, run_id: UUID, version: UUID | None, action: str, name: str) -> Download:
    if version is None:
        raise Fault(errors.NO_FILE, ("id",))
    kind = action.partition(".")[0]
    await audit.record(ctx, action, f"{kind}_run", run_id)
    return Download(run_id, files.download_address(version, name), name, files.LIFETIME_S)


async def _queue(ctx: WriteContext, run: models.ImportRun, step: str, what: str, total: int | None) -> None:
    given = {"import_id": str(run.id), "step": what}
    job = await start_job(ctx.session, IMPORT_JOB, given, ctx.acting, total=total, request_id=ctx.request_id)
    await ctx.session.execute(
        text("UPDATE app.import_run SET state = :state, job_id = :job, version = version + 1 WHERE id = :id"),
        {"state": _STEPS[step][run.state], "job": job, "id": run.id},
    )
    await audit.record(ctx, step, "import_run", run.id, details={"ledger": run.ledger})


async def _import(ctx: WriteContext, run_id: UUID, expected_version: int, step: str) -> models.ImportRun:
    run: models.ImportRun = await _own(ctx, models.ImportRun, run_id, expected_version)
    require(run.state in _STEPS[step], errors.IMPORT_STATE, ("id",), state=run.state, action=step)
    return run


async def _own(ctx: WriteContext, model: type[Any], run_id: UUID, expected_version: int | None = None) -> Any:
    """Return a run of the acting person in the acting tenant, locked.

    Raises:
        NotFoundFault: unknown, or somebody else's, or another tenant's of the same person.
        ConflictFault: changed since the caller read it.
    """
    query = (
        select(model)
        .where(model.id == run_id, model.owner_key == ctx.acting.tenant_key)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    row = (await ctx.session.scalars(query)).first()
    if row is None:
        raise NotFoundFault("id")
    if expected_version is not None and row.version != expected_version:
        raise ConflictFault(row.version)
    return row
