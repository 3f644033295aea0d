from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.rules import calendar as calendars
from app.kit.rules.calendar import DayKind
from app.kit.rules.datafiles import read_rows
from tests.factories.standards import plain_calendar, real_calendar


def test_the_data_are_those_named() -> None:
    kinds = [row["kind"] for row in read_rows("calendar/days.csv")]
    assert (kinds.count("holiday"), kinds.count("makeup")) == (619, 150)
    assert real_calendar().years == set(range(2004, 2027))


def test_spring_festival_2026() -> None:
    days = {day.day.day: day for day in real_calendar().between(date(2026, 2, 13), date(2026, 2, 24))}
    assert days[13].kind is DayKind.WORKDAY
    assert days[14].kind is DayKind.MAKEUP
    assert days[14].working
    assert all(days[number].kind is DayKind.HOLIDAY for number in range(15, 24))
    assert days[15].name_zh == "春节"
    assert days[24].working


def test_every_make_up_day_is_on_a_weekend() -> None:
    days = [day for day, special in real_calendar().special.items() if special.kind is DayKind.MAKEUP]
    assert all(day.weekday() > 4 for day in days)


def test_a_day_beyond_the_last_year_is_provisional() -> None:
    assert not real_calendar().judge(date(2026, 12, 31)).provisional
    later = real_calendar().judge(date(2027, 1, 1))
    assert later.provisional
    assert later.working
    assert real_calendar().judge(date(2003, 12, 31)).provisional


@given(st.dates(date(2020, 1, 1), date(2029, 12, 1)), st.integers(0, 90), st.integers(0, 90))
def test_working_days_add_up(first: date, near: int, far: int) -> None:
    middle, last = first + timedelta(days=near), first + timedelta(days=near + far + 1)
    total = real_calendar().working_days(first, last)
    after = real_calendar().working_days(middle + timedelta(days=1), last)
    assert total == real_calendar().working_days(first, middle) + after
    assert total == sum(day.working for day in real_calendar().between(first, last))


def test_names_the_days_that_another_calendar_judges_differently() -> None:
    one, two = plain_calendar(), plain_calendar(holidays=[date(2026, 3, 4)], makeup=[date(2026, 3, 7)])
    changed = one.changed(two, date(2026, 3, 1), date(2026, 3, 31))
    assert [(mine.day.day, mine.kind, theirs.kind) for mine, theirs in changed] == [
        (4, DayKind.WORKDAY, DayKind.HOLIDAY),
        (7, DayKind.WEEKEND, DayKind.MAKEUP),
    ]


def test_a_legal_day_ends_at_midnight_in_shanghai() -> None:
    assert calendars.end_of(date(2026, 3, 5)) == datetime(2026, 3, 5, 16, tzinfo=UTC)
    assert calendars.legal_day(datetime(2026, 3, 5, 15, 59, 59, tzinfo=UTC)) == date(2026, 3, 5)
    assert calendars.legal_day(datetime(2026, 3, 5, 16, tzinfo=UTC)) == date(2026, 3, 6)
    assert calendars.legal_day(datetime(2026, 3, 6, 0, 0, tzinfo=timezone(timedelta(hours=8)))) == date(2026, 3, 6)
    with pytest.raises(ValueError, match="zone"):
        calendars.legal_day(datetime(2026, 3, 5))  # noqa: DTZ001 - the naive one is the case


@pytest.mark.parametrize(
    "rows",
    [
        [{"day": "2026-02-30", "kind": "holiday"}],
        [{"day": "2026-02-03", "kind": "feast"}],
        [{"day": "2026-02-03", "kind": "holiday"}, {"day": "2026-02-03", "kind": "makeup"}],
    ],
)
def test_refuses_faulty_rows(rows: list[dict[str, str]]) -> None:
    names = {"name_zh": "春节", "name_en": "Spring Festival", "in_lieu": "0"}
    with pytest.raises(ValueError, match=r"day is out of range|FEAST|twice"):
        calendars.build([row | names for row in rows], [2026])
