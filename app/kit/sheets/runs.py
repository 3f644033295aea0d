"""What the two job types share: the unit of work of a job's step, messages of faults, and how runs are ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from app.kit.errors import Fault, FaultGroup
from app.kit.jobs import JobRun
from app.kit.sheets.ledger import Column
from app.kit.sheets.reading import Sheet
from app.kit.uow import WriteContext
from tenants.context import Acting

KEEP = timedelta(days=7)
"""How long uploads, rows and exports are kept (decision 23)."""


def expiry() -> datetime:
    """Return the real time at which a run made now is removed."""
    return datetime.now(UTC) + KEEP


def acting_of(run: JobRun) -> Acting:
    """Return the membership of a personal job."""
    if run.acting is None:
        raise TypeError(f"{run.actor} is no personal job")
    return run.acting


@asynccontextmanager
async def working(run: JobRun) -> AsyncIterator[WriteContext]:
    """Open one transaction of a job as a use case gets it; it commits at the end of the block."""
    acting = acting_of(run)
    async with run.write() as session:
        yield WriteContext(
            session=session,
            caller=acting,
            now=run.clock.now(),
            today=run.clock.today(),
            request_id=str(run.context.get("req", "")),
            locale=acting.locale,
        )


def flat(faults: Sequence[Fault]) -> list[Fault]:
    """Return single faults for groups of them."""
    return [one for fault in faults for one in (fault.faults if isinstance(fault, FaultGroup) else (fault,))]


def problem(fault: Fault, locale: str) -> dict[str, Any]:
    """Return a fault of the whole as it is kept and shown."""
    return {"code": fault.code, "message": fault.message(locale)}


def row_errors(
    faults: Sequence[Fault], number: int, sheet: Sheet, columns: dict[str, Column], locale: str
) -> list[dict[str, Any]]:
    """Return the faults of a row as they are kept and shown: column, cell, code, message."""
    found = []
    for fault in flat(faults):
        cell = sheet.cell(fault.field[0], number) if fault.field else str(number)
        found.append(row_error(fault, number, cell, columns, locale))
    return found


def row_error(fault: Fault, number: int, cell: str, columns: dict[str, Column], locale: str) -> dict[str, Any]:
    """Return one fault of a row."""
    name = fault.field[0] if fault.field else ""
    title = columns[name].title(locale) if name in columns else ""
    return {
        "row": number,
        "column": name,
        "title": title,
        "cell": cell,
        "code": fault.code,
        "message": fault.message(locale),
    }
