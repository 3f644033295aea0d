"""Jobs of the slice: accounts at the issuer follow memberships. Thin; the work is in the service."""

from datetime import datetime
from uuid import UUID

from app.kit.jobs import JobRun, job
from app.kit.sweeper import register_duty
from app.modules.members import service
from infra.db.port import Database
from infra.settings import Settings
from infra.wiring import open_directory
from tenants.revocations import forget_expired


@job(service.PROVISION, system="sys_jobs", max_attempts=10)
async def provision(
    run: JobRun, membership_id: str, login_name: str, person_id: str | None, slip_expires_at: str
) -> dict[str, str]:
    """Make the account of a redeemed activation slip and turn the membership ACTIVE."""
    redemption = service.Redemption(
        UUID(membership_id),
        login_name,
        UUID(person_id) if person_id else None,
        datetime.fromisoformat(slip_expires_at),
    )
    return {"outcome": await service.provision(run, open_directory(run.db), redemption)}


@job(service.SYNC_JOB, system="sys_jobs", max_attempts=10)
async def sync_account(run: JobRun, person_id: str, lost: bool = False) -> dict[str, str]:  # noqa: FBT001, FBT002 - a job's arguments come by name
    """Give an account the roles that its person's memberships have now; ``lost``: end its sessions."""
    return {"outcome": await service.sync_account(run, open_directory(run.db), UUID(person_id), lost=lost)}


@job(service.APPLY_JOB, system="sys_move", max_attempts=20, time_limit_s=6 * 3600.0)
async def apply_change(run: JobRun, change_id: str) -> dict[str, int]:
    """Apply a change of a tenant on its day: rename, move, merger, succession, closing."""
    return await service.apply_change(run, UUID(change_id))


async def _forget_sessions(db: Database, _settings: Settings) -> None:
    await forget_expired(db)


register_duty("members.forget_sessions", 3600.0, _forget_sessions)
