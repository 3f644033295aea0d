"""GraphQL of imports and exports."""

from typing import Any

import strawberry

from app.kit import gql
from app.kit.errors import LOCALES
from app.kit.sheets.ledger import LEDGERS, Column, Ledger
from app.modules.sheets.api.mutations import SheetsMutation
from app.modules.sheets.api.types import ExportRun, ImportRow, ImportRun, Job
from tenants.context import Acting

__all__ = ["SheetsMutation", "SheetsQuery"]


@strawberry.type(description="A column of a ledger.")
class LedgerColumn:
    """See :class:`app.kit.sheets.ledger.Column`."""

    name: str = strawberry.field(description="Stable name, snake case.")
    title: str = strawberry.field(description="Heading, in your language.")
    kind: str = strawberry.field(description="TEXT, CODE, INTEGER, DECIMAL, DATE, BOOLEAN, CHOICE or CHOICES.")
    is_required: bool = strawberry.field(description="Whether a row of an import must have it.")
    is_imported: bool = strawberry.field(description="Whether an import brings it.")
    is_exported: bool = strawberry.field(description="Whether an export shows it.")


@strawberry.type(name="Ledger", description="台账: what can be brought in or taken out by Excel.")
class LedgerInfo:
    """See :class:`app.kit.sheets.ledger.Ledger`."""

    name: str = strawberry.field(description="Stable name, for `importStart` and `exportStart`.")
    title: str = strawberry.field(description="Title, in your language.")
    can_import: bool = strawberry.field(description="Whether you may import into it.")
    can_export: bool = strawberry.field(description="Whether you may export it.")
    columns: list[LedgerColumn] = strawberry.field(description="Its columns, in the order of the sheet.")


def _column(column: Column, locale: str) -> LedgerColumn:
    return LedgerColumn(
        name=column.name,
        title=column.title(locale),
        kind=str(column.cell),
        is_required=column.required,
        is_imported=column.imported,
        is_exported=column.exported,
    )


def _ledger(ledger: Ledger, acting: Acting, locale: str) -> LedgerInfo:
    return LedgerInfo(
        name=ledger.name,
        title=ledger.title(locale),
        can_import=ledger.may_import(acting),
        can_export=ledger.may_export(acting),
        columns=[_column(column, locale) for column in ledger.columns],
    )


def _ledgers(info: strawberry.Info[Any, None]) -> list[LedgerInfo]:
    context = info.context
    if context.acting is None:
        return []
    locale = context.locale if context.locale in LOCALES else LOCALES[0]
    found = [_ledger(ledger, context.acting, locale) for ledger in LEDGERS.values()]
    return [one for one in found if one.can_import or one.can_export]


@strawberry.type
class SheetsQuery:
    """Root fields of the slice."""

    ledgers: list[LedgerInfo] = strawberry.field(
        resolver=_ledgers, description="Ledgers that you may import into or export."
    )
    import_runs: gql.Connection[ImportRun] = gql.listing("Your imports, newest first.")
    import_run: ImportRun | None = gql.by_id("One of your imports.")
    import_rows: gql.Connection[ImportRow] = gql.listing("Rows of all your imports, by their number.")
    export_runs: gql.Connection[ExportRun] = gql.listing("Your exports, newest first.")
    export_run: ExportRun | None = gql.by_id("One of your exports.")
    jobs: gql.Connection[Job] = gql.listing("Jobs that you started, newest first.")
    job: Job | None = gql.by_id("One of your jobs.")
