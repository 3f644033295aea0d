"""The legal clock: deadlines, ``app.today`` and schedules go through it, and tests can move it.

Tokens, sessions, signed addresses, job contexts, idempotency and the age of key sets use real
time and never this clock (decision 38).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

LEGAL_ZONE = ZoneInfo("Asia/Shanghai")
"""Legal days are days of this zone and end at 24:00."""


def real_now() -> datetime:
    """Return the real time in UTC."""
    return datetime.now(UTC)


@dataclass
class Clock:
    """A clock with an offset; in development all processes read the offset from one database row."""

    offset: timedelta = field(default_factory=timedelta)
    source: Callable[[], datetime] = real_now

    def now(self) -> datetime:
        """Return the legal time in UTC."""
        return self.source() + self.offset

    def today(self) -> date:
        """Return the legal day, Asia/Shanghai."""
        return self.now().astimezone(LEGAL_ZONE).date()
