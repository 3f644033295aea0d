"""The duty that seals the audit log; the relay runs it (decision 36)."""

import logging

from app.kit.sweeper import register_duty
from app.modules.audit.public import backlog, seal
from infra.db.port import Database
from infra.settings import Settings

log = logging.getLogger("anlan.audit")
INTERVAL_S = 2.0


async def seal_duty(db: Database, _settings: Settings) -> None:
    """Seal what waits; a row that still waits after a minute is an alarm."""
    try:
        await seal(db)
    finally:
        waiting = await backlog(db)
        if waiting.alarm:
            log.error("audit.unsealed rows=%d oldest_s=%d", waiting.rows, int(waiting.oldest_s))


register_duty("audit.seal", INTERVAL_S, seal_duty)
