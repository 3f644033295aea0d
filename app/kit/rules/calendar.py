"""Working days of mainland China: weekends, holidays and make-up days (国务院办公厅 yearly notices).

Legal days are days of Asia/Shanghai and end at 24:00 (decision 38). Outside the years that the
calendar knows, a day is judged by its weekday alone and is *provisional*.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from infra.clock import LEGAL_ZONE

_FRIDAY = 4
_DAY = timedelta(days=1)


class DayKind(StrEnum):
    """Why a day is or is not a working day."""

    WORKDAY = "WORKDAY"
    WEEKEND = "WEEKEND"
    HOLIDAY = "HOLIDAY"
    MAKEUP = "MAKEUP"


@dataclass(frozen=True)
class SpecialDay:
    """A day on which the calendar departs from the weekday: a holiday, or a weekend day that is worked."""

    kind: DayKind
    name_zh: str
    name_en: str
    in_lieu: bool = False


@dataclass(frozen=True)
class CalendarDay:
    """One day as the calendar judges it."""

    day: date
    kind: DayKind
    name_zh: str = ""
    name_en: str = ""
    provisional: bool = False

    @property
    def working(self) -> bool:
        """Whether work is done on it."""
        return self.kind in (DayKind.WORKDAY, DayKind.MAKEUP)


@dataclass(frozen=True)
class WorkingCalendar:
    """Special days of the years that are known.

    Args:
        special: holidays and make-up days by date.
        years: years whose notice is in the data; a day of another year is provisional.
    """

    special: Mapping[date, SpecialDay]
    years: frozenset[int]

    def judge(self, day: date) -> CalendarDay:
        """Say what kind of day this is."""
        provisional = day.year not in self.years
        found = self.special.get(day)
        if found is not None:
            return CalendarDay(day, found.kind, found.name_zh, found.name_en, provisional)
        kind = DayKind.WORKDAY if day.weekday() <= _FRIDAY else DayKind.WEEKEND
        return CalendarDay(day, kind, provisional=provisional)

    def between(self, first: date, last: date) -> Iterator[CalendarDay]:
        """Yield every day from ``first`` to ``last``, both included."""
        day = first
        while day <= last:
            yield self.judge(day)
            day += _DAY

    def working_days(self, first: date, last: date) -> int:
        """Count working days from ``first`` to ``last``, both included."""
        return sum(day.working for day in self.between(first, last))

    def changed(self, other: "WorkingCalendar", first: date, last: date) -> tuple[tuple[CalendarDay, CalendarDay], ...]:
        """Return the days, both ends included, that the other calendar judges differently: (ours, theirs)."""
        pairs = zip(self.between(first, last), other.between(first, last), strict=True)
        return tuple((mine, theirs) for mine, theirs in pairs if mine != theirs)


def build(rows: Iterable[Mapping[str, str]], years: Iterable[int]) -> WorkingCalendar:
    """Build a calendar from rows ``day, kind, name_zh, name_en, in_lieu`` (``app/data/calendar/days.csv``).

    Raises:
        ValueError: a day is no ISO date, a kind is unknown, or a day stands twice.
    """
    special: dict[date, SpecialDay] = {}
    for row in rows:
        day = date.fromisoformat(row["day"])
        if day in special:
            raise ValueError(f"{day} stands twice in the calendar")
        special[day] = SpecialDay(
            DayKind(row["kind"].upper()), row["name_zh"], row["name_en"], in_lieu=row["in_lieu"] == "1"
        )
    return WorkingCalendar(special, frozenset(years))


def legal_day(moment: datetime) -> date:
    """Return the legal day of a moment.

    Args:
        moment: an aware datetime of any zone.

    Raises:
        ValueError: the datetime is naive.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(LEGAL_ZONE).date()


def end_of(day: date) -> datetime:
    """Return the end of a legal day, 24:00 in Asia/Shanghai, in UTC: the first moment that is late."""
    return datetime.combine(day + _DAY, time(), LEGAL_ZONE).astimezone(UTC)
