"""Duty of drafts: what has expired or was discarded is removed."""

from app.kit.sweeper import register_duty
from app.modules.drafts import service
from infra.db.port import Database
from infra.settings import Settings

RETENTION = "sys_retention"


async def forget(db: Database) -> int:
    """Remove expired and discarded drafts.

    Returns:
        How many went.
    """
    async with db.write(RETENTION, {}) as session:
        return await service.forget(session)


async def _forget(db: Database, _settings: Settings) -> None:
    await forget(db)


register_duty("drafts.forget", 600.0, _forget)
