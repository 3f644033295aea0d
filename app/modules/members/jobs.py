"""Jobs of the slice: accounts at the issuer follow memberships. Thin; the work is in the service."""

from datetime import datetime
from uuid import UUID

from app.kit.jobs import JobRun, job
from app.modules.members import service
from infra.wiring import open_directory


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
async def sync_account(run: JobRun, person_id: str) -> dict[str, str]:
    """Give an account the roles that its person's memberships have now."""
    return {"outcome": await service.sync_account(run, open_directory(run.db), UUID(person_id))}


@job(service.APPLY_JOB, system="sys_move", max_attempts=20, time_limit_s=6 * 3600.0)
async def apply_change(run: JobRun, change_id: str) -> dict[str, int]:
    """Apply a change of a tenant on its day: rename, move, merger, succession, closing."""
    return await service.apply_change(run, UUID(change_id))
