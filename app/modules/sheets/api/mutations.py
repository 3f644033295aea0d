"""Mutations of imports and exports."""

from typing import Any
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.kit import gql
from app.kit.errors import Fault
from app.kit.ids import parse_global_id
from app.kit.uow import WriteContext
from app.modules.sheets import service
from app.modules.sheets.api.types import ExportRun, ImportRun

_ATTEMPT = "Id of this attempt, 1 to 64 characters: a repeat with the same id does nothing again."
_VERSION = "`version` of the object as you saw it."
_LEDGER = "Name of the ledger; see `ledgers`."
_COMMON = "Errors: NOT_PERMITTED, NOT_FOUND, CONFLICT"
_NOBODY = UUID(int=0)
MAX_FILTER = 20
MAX_COLUMNS = 100


def _id(value: strawberry.ID, prefix: str) -> UUID:
    found = parse_global_id(str(value), prefix)
    return found[1] if found else _NOBODY


@strawberry.input(description="A template to fill in.")
class LedgerTemplateInput:
    """Input of ``ledgerTemplate``."""

    ledger: str = strawberry.field(description=_LEDGER)
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="An import to start.")
class ImportStartInput:
    """Input of ``importStart``."""

    ledger: str = strawberry.field(description=_LEDGER)
    file_name: str = strawberry.field(description="Name of the file, at most 200 characters.")
    update_existing: bool = strawberry.field(
        default=False, description="Change entries that are there already; else each of them is an error."
    )
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A step of an import.")
class ImportStepInput:
    """Input of ``importCheck``, ``importConfirm`` and ``importCancel``."""

    id: strawberry.ID = strawberry.field(description="The import.")
    expected_version: int = strawberry.field(description=_VERSION)
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A file of failed rows to fetch.")
class ImportFailedRowsInput:
    """Input of ``importFailedRows``."""

    id: strawberry.ID = strawberry.field(description="The import.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="An export to start.")
class ExportStartInput:
    """Input of ``exportStart``."""

    ledger: str = strawberry.field(description=_LEDGER)
    filter: JSON | None = strawberry.field(
        default=None,
        description="The `filter` of the ledger's list, as you send it there: the export has what it shows.",
    )
    columns: list[str] = strawberry.field(default_factory=list, description="Names of columns; all of them when empty.")
    purpose: str = strawberry.field(description="What it is needed for, at most 200 characters; it stands in the file.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="An export to cancel.")
class ExportCancelInput:
    """Input of ``exportCancel``."""

    id: strawberry.ID = strawberry.field(description="The export.")
    expected_version: int = strawberry.field(description=_VERSION)
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="An export to fetch.")
class ExportDownloadInput:
    """Input of ``exportDownload``."""

    id: strawberry.ID = strawberry.field(description="The export.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.type(description="Outcome of `ledgerTemplate`.")
class LedgerTemplatePayload(gql.Payload):
    """Payload with a file."""

    file_name: str | None = strawberry.field(default=None, description="Name of the file.")
    content_base64: str | None = strawberry.field(
        default=None, description="The workbook (.xlsx), base64; a repeat with the same `clientMutationId` gives null."
    )


@strawberry.type(description="Outcome of `importStart`, with the address for the file.")
class ImportStartPayload(gql.Payload):
    """Payload with an import and a signed address."""

    import_run: ImportRun | None = gql.result("The import.")
    upload_path: str | None = strawberry.field(
        default=None,
        description="Send the file here by HTTP PUT, once, on this host; a repeat with the same `clientMutationId` "
        "gives null.",
    )
    upload_seconds: int | None = strawberry.field(
        default=None, description="How long the address is valid, in seconds."
    )


@strawberry.type(description="Outcome of steps of an import.")
class ImportRunPayload(gql.Payload):
    """Payload with an import."""

    import_run: ImportRun | None = gql.result("The import as it is now.")


@strawberry.type(description="Outcome of `importFailedRows`, with the address of the file.")
class ImportFailedRowsPayload(gql.Payload):
    """Payload with an import and a signed address."""

    import_run: ImportRun | None = gql.result("The import.")
    download_path: str | None = strawberry.field(
        default=None, description="Fetch the file here by HTTP GET, on this host."
    )
    file_name: str | None = strawberry.field(default=None, description="Name of the file.")


@strawberry.type(description="Outcome of `exportStart` and `exportCancel`.")
class ExportRunPayload(gql.Payload):
    """Payload with an export."""

    export_run: ExportRun | None = gql.result("The export as it is now.")


@strawberry.type(description="Outcome of `exportDownload`, with the address of the file.")
class ExportDownloadPayload(gql.Payload):
    """Payload with an export and a signed address."""

    export_run: ExportRun | None = gql.result("The export.")
    download_path: str | None = strawberry.field(
        default=None, description="Fetch the file here by HTTP GET, on this host."
    )
    file_name: str | None = strawberry.field(default=None, description="Name of the file.")


def _fetched(found: service.Download) -> gql.Outcome:
    return gql.Outcome(found.run_id, {"file_name": found.name}, once={"download_path": found.address})


def _filter(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict) or len(given) > MAX_FILTER:
        raise Fault("FILTER_VALUE", ("filter",), value=str(given)[:60])
    return given


@strawberry.type
class SheetsMutation:
    """Root fields of changes."""

    @gql.mutation(
        payload=LedgerTemplatePayload,
        description="Makes the template of a ledger: instructions, headings, drop-down lists. "
        "Errors: NOT_PERMITTED, LEDGER_UNKNOWN.",
    )
    async def ledger_template(ctx: WriteContext, input: LedgerTemplateInput) -> gql.Outcome:  # noqa: A002, N805
        """Run ``template``."""
        name, content = await service.template(ctx, input.ledger)
        return gql.Outcome(None, {"file_name": name}, once={"content_base64": content})

    @gql.mutation(
        payload=ImportStartPayload,
        returns="import_run",
        description="Starts an import: send the file to `uploadPath`, then `importCheck`. "
        "Errors: NOT_PERMITTED, LEDGER_UNKNOWN, FILE_NAME.",
    )
    async def import_start(ctx: WriteContext, input: ImportStartInput) -> gql.Outcome:  # noqa: A002, N805
        """Run ``start_import``."""
        done = await service.start_import(ctx, input.ledger, input.file_name, update_existing=input.update_existing)
        return gql.Outcome(done.run_id, {"upload_seconds": done.seconds}, once={"upload_path": done.address})

    @gql.mutation(
        payload=ImportRunPayload,
        returns="import_run",
        description="Starts the dry run: every row is checked, nothing is written to the ledger. "
        f"{_COMMON}, IMPORT_STATE.",
    )
    async def import_check(ctx: WriteContext, input: ImportStepInput) -> UUID:  # noqa: A002, N805
        """Run ``check_import``."""
        return await service.check_import(ctx, _id(input.id, "import_run"), input.expected_version)

    @gql.mutation(
        payload=ImportRunPayload,
        returns="import_run",
        description="Writes the rows that are right; the wrong ones stay in the file of failed rows. "
        f"{_COMMON}, IMPORT_STATE, IMPORT_NOTHING.",
    )
    async def import_confirm(ctx: WriteContext, input: ImportStepInput) -> UUID:  # noqa: A002, N805
        """Run ``confirm_import``."""
        return await service.confirm_import(ctx, _id(input.id, "import_run"), input.expected_version)

    @gql.mutation(
        payload=ImportRunPayload,
        returns="import_run",
        description="Stops an import. After the answer no further row is written; what is written stays. "
        f"{_COMMON}, IMPORT_STATE.",
    )
    async def import_cancel(ctx: WriteContext, input: ImportStepInput) -> UUID:  # noqa: A002, N805
        """Run ``cancel_import``."""
        return await service.cancel_import(ctx, _id(input.id, "import_run"), input.expected_version)

    @gql.mutation(
        payload=ImportFailedRowsPayload,
        returns="import_run",
        description="Gives the file of the rows with errors, each with what is wrong; mended, it can be imported as it "
        "is. Errors: NOT_FOUND, NO_FILE.",
    )
    async def import_failed_rows(ctx: WriteContext, input: ImportFailedRowsInput) -> gql.Outcome:  # noqa: A002, N805
        """Run ``failed_rows``."""
        return _fetched(await service.failed_rows(ctx, _id(input.id, "import_run")))

    @gql.mutation(
        payload=ExportRunPayload,
        returns="export_run",
        description="Starts an export of what a filter shows you, at most 100,000 rows. "
        "Errors: NOT_PERMITTED, LEDGER_UNKNOWN, FILTER_ and the reason, COLUMN_UNKNOWN, REQUIRED, TOO_LONG; "
        "EXPORT_TOO_MANY afterwards, in `problems`.",
    )
    async def export_start(ctx: WriteContext, input: ExportStartInput) -> UUID:  # noqa: A002, N805
        """Run ``start_export``."""
        if len(input.columns) > MAX_COLUMNS:
            raise Fault("TOO_LONG", ("columns",), limit=MAX_COLUMNS, length=len(input.columns))
        return await service.start_export(ctx, input.ledger, _filter(input.filter), input.columns, input.purpose)

    @gql.mutation(
        payload=ExportRunPayload,
        returns="export_run",
        description=f"Stops an export that is not ready yet. {_COMMON}, EXPORT_STATE.",
    )
    async def export_cancel(ctx: WriteContext, input: ExportCancelInput) -> UUID:  # noqa: A002, N805
        """Run ``cancel_export``."""
        return await service.cancel_export(ctx, _id(input.id, "export_run"), input.expected_version)

    @gql.mutation(
        payload=ExportDownloadPayload,
        returns="export_run",
        description="Gives the file of an export; each time stands in the audit log. "
        "Errors: NOT_PERMITTED, NOT_FOUND, NO_FILE.",
    )
    async def export_download(ctx: WriteContext, input: ExportDownloadInput) -> gql.Outcome:  # noqa: A002, N805
        """Run ``export_file``."""
        return _fetched(await service.export_file(ctx, _id(input.id, "export_run")))
