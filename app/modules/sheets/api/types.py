"""Types of imports and exports: one's own runs and their rows."""

from datetime import datetime
from enum import Enum
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.kit import gql, jobs_models
from app.kit.sheets import models

_HERE = "app.modules.sheets.api.types"
_MINE = "{t}.owner_key = nullif(current_setting('app.key', true), '')::int"
"""The policy shows a person's own rows; of those, the rows of the tenant for which he acts now."""


@strawberry.enum(description="How a job stands; the last three are final.")
class JobState(Enum):
    """See :data:`app.kit.jobs_models.JOB_STATES`."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


@strawberry.enum(
    description="Where an import stands. WAITING for its file, RECEIVED, CHECKING (the dry run), CHECKED (confirm or "
    "cancel it), APPLYING, DONE; REJECTED: the file as a whole cannot be used; FAILED, CANCELLED."
)
class ImportState(Enum):
    """See :data:`app.kit.sheets.models.IMPORT_STATES`."""

    WAITING = "WAITING"
    RECEIVED = "RECEIVED"
    CHECKING = "CHECKING"
    CHECKED = "CHECKED"
    APPLYING = "APPLYING"
    DONE = "DONE"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


@strawberry.enum(description="Where a row of a sheet stands: READY to be written, ERROR, or WRITTEN.")
class ImportRowState(Enum):
    """See :data:`app.kit.sheets.models.ROW_STATES`."""

    READY = "READY"
    ERROR = "ERROR"
    WRITTEN = "WRITTEN"


@strawberry.enum(description="What a row does: CREATE something new, UPDATE what is there, KEEP it: it says the same.")
class ImportRowAction(Enum):
    """See :data:`app.kit.sheets.models.ROW_ACTIONS`."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    KEEP = "KEEP"


@strawberry.enum(description="Where an export stands; all but QUEUED are final.")
class ExportState(Enum):
    """See :data:`app.kit.sheets.models.EXPORT_STATES`."""

    QUEUED = "QUEUED"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


@gql.bound(jobs_models.Job, prefix="job", where=_MINE, description="Work outside a request that you asked for.")
class Job(gql.Node):
    """A row of ``job``."""

    kind: str = gql.column("What it does, `slice.verb`.", filterable=True)
    state: JobState = gql.column("How it stands.", filterable=True, groupable=True)
    progress: int = gql.column("Steps done.")
    total: int | None = gql.column("Steps in all, once known.")
    error: str | None = gql.column("Code of the reason, when it failed.")
    created_at: datetime = gql.column("When it was queued.")
    started_at: datetime | None = gql.column("When it first began.")
    ended_at: datetime | None = gql.column("When it ended.")


@gql.bound(
    models.ImportRun,
    prefix="import_run",
    where=_MINE,
    description="导入: a file on its way into a ledger. Only you see yours, acting for the tenant that it is for; it "
    "is removed after a week.",
)
class ImportRun(gql.Node):
    """A row of ``import_run``."""

    ledger: str = gql.column("Which ledger; see `ledgers`.", filterable=True)
    file_name: str = gql.column("Name of the file.")
    update_existing: bool = gql.column("Whether rows that are there already are changed; else each is an error.")
    state: ImportState = gql.column("Where it stands.", filterable=True, groupable=True)
    job: Job | None = gql.one(models.ImportRun.job_id, "The job of the present step, with its progress.")
    size: gql.BigInt | None = gql.column("Length of the file, in bytes.")
    sha256: str | None = gql.column("Hash of the file.")
    total: int = gql.column("Rows of the sheet that hold something.")
    errors: int = gql.column("Rows with an error.")
    created: int = gql.column("New entries: foreseen by the dry run, then made.")
    updated: int = gql.column("Changed entries: foreseen by the dry run, then changed.")
    kept: int = gql.column("Rows that say what is there already.")
    problems: JSON = gql.column(
        "What is wrong with the file as a whole, or why it failed: a list of `code`, `message`."
    )
    checked_at: datetime | None = gql.column("When the dry run ended.")
    ended_at: datetime | None = gql.column("When it ended.")
    expires_at: datetime = gql.column("When it is removed.")
    created_at: datetime = gql.column("When it was started.")
    version: int = gql.column("For `expectedVersion`; each step raises it.")
    rows: gql.Connection[Annotated["ImportRow", strawberry.lazy(_HERE)]] = gql.connection(
        models.ImportRow.run_id,
        "Rows of the sheet, once checked, in its order; filter by `state` ERROR for the wrong ones.",
    )


@gql.bound(
    models.ImportRow,
    prefix="import_row",
    where=_MINE,
    order="number",
    description="A row of an imported sheet: what it says, what is wrong, what became of it.",
)
class ImportRow(gql.Node):
    """A row of ``import_row``."""

    number: int = gql.column("Row of the sheet as Excel counts it.", filterable=True)
    key: str = gql.column("What identifies it: a credit code, a number.", filterable=True)
    raw: JSON = gql.column("Column, in snake case, to the text as it stands in the sheet.")
    state: ImportRowState = gql.column("Where it stands.", filterable=True, groupable=True)
    action: ImportRowAction = gql.column("What it does.", filterable=True, groupable=True)
    errors: JSON = gql.column(
        "What is wrong: a list of `row`, `cell` (C17), `column`, `title`, `code`, `message` in the language of whoever "
        "started the import."
    )
    object_id: UUID | None = gql.column("What it changes or became: the part of the global id after the prefix.")


@gql.bound(
    models.ExportRun,
    prefix="export_run",
    where=_MINE,
    description="导出: what a filter showed you, as a file. Only you see yours; it is removed after a week.",
)
class ExportRun(gql.Node):
    """A row of ``export_run``."""

    ledger: str = gql.column("Which ledger; see `ledgers`.", filterable=True)
    filter: JSON = gql.column("The list's filter.")
    columns: JSON = gql.column("Names of the columns; empty: all.")
    purpose: str = gql.column("What it is needed for.")
    watermark: JSON = gql.column("Who took it, for whom and when: as it stands in the file.")
    state: ExportState = gql.column("Where it stands.", filterable=True, groupable=True)
    job: Job | None = gql.one(models.ExportRun.job_id, "Its job, with its progress.")
    size: gql.BigInt | None = gql.column("Length of the file, in bytes.")
    sha256: str | None = gql.column("Hash of the file.")
    total: int = gql.column("Rows in the file.")
    problems: JSON = gql.column("Why it failed: a list of `code`, `message`.")
    ended_at: datetime | None = gql.column("When it ended.")
    expires_at: datetime = gql.column("When it is removed.")
    created_at: datetime = gql.column("When it was started.")
    version: int = gql.column("For `expectedVersion`.")
