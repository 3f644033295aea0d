"""The legal clock of a process: real time in production, moved by one database row elsewhere."""

import time
from datetime import timedelta

from infra.clock import Clock
from infra.db.port import Database
from infra.settings import Settings

REFRESH_SECONDS = 1.0
_OFFSET = "SELECT coalesce((SELECT seconds FROM app.clock_offset WHERE id = 1), 0)"


class LegalClock(Clock):
    """A clock whose offset follows ``app.clock_offset`` in development and tests (decision 38)."""

    def __init__(self, settings: Settings) -> None:
        """Start without an offset."""
        super().__init__()
        self._moves = settings.env != "production"
        self._read_at = float("-inf")

    async def refresh(self, db: Database) -> None:
        """Read the offset again, at most once a second; in production never."""
        if not self._moves or time.monotonic() - self._read_at < REFRESH_SECONDS:
            return
        self._read_at = time.monotonic()
        self.offset = timedelta(seconds=await db.reader("public").fetchval(_OFFSET))
