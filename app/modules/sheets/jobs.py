"""The two job types, and what the system does for them: end runs whose job died, remove what has expired."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.kit.errors import Fault, codes, translate
from app.kit.jobs import LOGIN, JobRun, Result, job
from app.kit.objects import PgVersionRows
from app.kit.sheets import exporting, files, importing
from app.kit.sweeper import register_duty
from app.kit.uow import WriteContext
from app.modules.audit import public as audit
from app.modules.sheets.service import APPLY, EXPORT_JOB, IMPORT_JOB
from infra.clock import Clock
from infra.db.port import Database
from infra.settings import Settings

RETENTION = "sys_retention"
_DEAD = """
SELECT r.id, j.error FROM app.{table} r JOIN app.job j ON j.id = r.job_id
 WHERE r.state IN ('CHECKING', 'APPLYING', 'QUEUED') AND j.state IN ('FAILED', 'CANCELLED')
"""


@job(IMPORT_JOB, max_attempts=10, min_backoff_s=2.0, time_limit_s=3600.0)
async def import_sheet(run: JobRun, import_id: str, step: str) -> Result:
    """Check an import, or write what its person has confirmed."""
    run_id = UUID(import_id)
    work = importing.apply if step == APPLY else importing.check
    try:
        return await work(run, run_id, recorded)
    except Fault as fault:
        await importing.failed(run, run_id, "import_run", fault)
        raise


@job(EXPORT_JOB, max_attempts=10, min_backoff_s=2.0, time_limit_s=3600.0)
async def export_sheet(run: JobRun, export_id: str) -> Result:
    """Write an export."""
    run_id = UUID(export_id)
    try:
        return await exporting.export(run, run_id, recorded)
    except Fault as fault:
        await importing.failed(run, run_id, "export_run", fault)
        raise


async def recorded(ctx: WriteContext, action: str, run_id: UUID, details: Mapping[str, Any]) -> None:
    """Write the audit row of a step of a job."""
    await audit.record(ctx, action, f"{action.partition('.')[0]}_run", run_id, details=details)


async def settle(db: Database) -> int:
    """End runs whose job has ended without them: its membership was over, or it failed for good.

    Returns:
        How many were ended.
    """
    count = 0
    async with db.write(LOGIN, {}) as session:
        for table in ("import_run", "export_run"):
            for run_id, error in (await session.execute(text(_DEAD.format(table=table)))).all():
                code = error if error in codes("zh-CN") else "JOB_FAILED"
                await session.execute(
                    text(
                        f"UPDATE app.{table} SET state = 'FAILED', ended_at = now(), version = version + 1, problems ="
                        " jsonb_build_array(jsonb_build_object('code', cast(:code AS text), 'message',"
                        " cast(:message AS text))) WHERE id = :id AND state IN ('CHECKING', 'APPLYING', 'QUEUED')"
                    ),
                    {"id": run_id, "code": code, "message": translate(code, "zh-CN")},
                )
                count += 1
    return count


async def forget(db: Database) -> int:
    """Remove runs, their rows and their files a week after they were made (decision 23); the audit log stays.

    Returns:
        How many runs went.
    """
    count = 0
    async with db.write(RETENTION, {}) as session:
        for table in ("import_run", "export_run"):
            gone = await session.execute(text(f"DELETE FROM app.{table} WHERE expires_at <= now() RETURNING id"))
            count += len(gone.all())
        await files.current().store.expire(PgVersionRows(session), Clock().now())
    return count


async def _settle(db: Database, _settings: Settings) -> None:
    await settle(db)


async def _forget(db: Database, settings: Settings) -> None:
    files.use(settings)
    await forget(db)


register_duty("sheets.settle", 30.0, _settle)
register_duty("sheets.forget", 3600.0, _forget)
