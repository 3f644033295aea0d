"""Credit codes, calendars and rules for tests."""

from collections.abc import Iterable
from datetime import date
from functools import cache

from hypothesis import strategies as st

from app.kit.rules import calendar as calendars
from app.kit.rules import deadlines, uscc
from app.kit.rules.datafiles import Mark, read_rows


def credit_codes() -> st.SearchStrategy[str]:
    """Valid credit codes of fictitious registering regions."""
    entity = st.text(alphabet=uscc.ALPHABET, min_size=8, max_size=8)
    return st.builds(uscc.generate, st.sampled_from(uscc.FICTITIOUS_REGIONS), entity)


def credit_code(number: int) -> str:
    """The valid credit code with this number, the same in every run."""
    return uscc.generate(uscc.FICTITIOUS_REGIONS[number % len(uscc.FICTITIOUS_REGIONS)], f"{number:08d}")


@cache
def real_calendar() -> calendars.WorkingCalendar:
    """The calendar that ships."""
    years = (int(row["year"]) for row in read_rows("calendar/years.csv"))
    return calendars.build(read_rows("calendar/days.csv"), years)


def plain_calendar(holidays: Iterable[date] = (), makeup: Iterable[date] = ()) -> calendars.WorkingCalendar:
    """A calendar of 2020 to 2030 with only these special days."""
    special = {day: calendars.SpecialDay(calendars.DayKind.HOLIDAY, "假", "holiday") for day in holidays}
    special |= {day: calendars.SpecialDay(calendars.DayKind.MAKEUP, "班", "make-up day") for day in makeup}
    return calendars.WorkingCalendar(special, frozenset(range(2020, 2031)))


def limit(
    amount: int,
    unit: str = "day",
    counting: str = "working",
    direction: str = "after",
    *,
    pausable: bool = True,
    extension: deadlines.Span | None = None,
    valid_from: date | None = None,
) -> deadlines.DeadlineRule:
    """A time limit."""
    return deadlines.DeadlineRule(
        code="TEST",
        span=deadlines.Span(amount, deadlines.Unit(unit), deadlines.Counting(counting)),
        direction=deadlines.Direction(direction),
        legal_basis="test",
        mark=Mark.SEEN,
        counting_mark=Mark.SEEN,
        valid_from=valid_from,
        pausable=pausable,
        extension=extension,
        extension_basis="test extension" if extension else "",
    )
