from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.rules import deadlines
from app.kit.rules.deadlines import Counting, DeadlineInputError, Pause, Span, Unit, Why, compute
from tests.factories.standards import limit, plain_calendar, real_calendar

DAYS = st.dates(date(2010, 1, 1), date(2025, 6, 1))


def due(rule: deadlines.DeadlineRule, trigger: date, *pauses: Pause, extended: bool = False) -> date | None:
    return compute(rule, trigger, real_calendar(), pauses, extended=extended).due_on


def test_reference_twenty_working_days_over_spring_festival() -> None:
    answer = compute(limit(20), date(2026, 1, 30), real_calendar())
    assert answer.due_on == date(2026, 3, 5)
    assert answer.due_at == datetime(2026, 3, 5, 16, tzinfo=UTC)
    assert not answer.provisional
    assert answer.steps[0].why is Why.TRIGGER
    holidays = [step.day.day for step in answer.steps if step.why is Why.HOLIDAY]
    assert holidays == list(range(15, 24))
    assert [step.count for step in answer.steps if step.count] == list(range(1, 21))
    assert [step.day for step in answer.steps if step.why is Why.MAKEUP] == [date(2026, 2, 14), date(2026, 2, 28)]


@given(DAYS, st.integers(1, 120))
def test_trace_accounts_for_every_day(trigger: date, amount: int) -> None:
    answer = compute(limit(amount), trigger, real_calendar())
    assert answer.due_on is not None
    walked = [step for step in answer.steps if step.why not in (Why.TRIGGER, Why.DUE)]
    assert [step.day for step in walked] == [trigger + timedelta(days=i + 1) for i in range(len(walked))]
    for step in walked:
        assert (step.count is not None) is real_calendar().judge(step.day).working
    assert real_calendar().working_days(trigger + timedelta(days=1), answer.due_on) == amount
    assert real_calendar().judge(answer.due_on).working


@given(DAYS, st.integers(1, 60))
def test_backwards_is_the_mirror_of_forwards(expiry: date, amount: int) -> None:
    latest = due(limit(amount, direction="before"), expiry)
    assert latest is not None
    assert latest < expiry
    assert real_calendar().working_days(latest, expiry - timedelta(days=1)) == amount


@given(DAYS, st.integers(1, 400))
def test_calendar_days_count_all(trigger: date, amount: int) -> None:
    assert due(limit(amount, counting="calendar"), trigger) == trigger + timedelta(days=amount)
    assert due(limit(amount, counting="calendar", direction="before"), trigger) == trigger - timedelta(days=amount)


@given(DAYS, st.integers(1, 60), st.integers(0, 30), st.integers(0, 30))
def test_a_pause_gives_its_days_back(trigger: date, amount: int, wait: int, length: int) -> None:
    first = trigger + timedelta(days=1 + wait)
    pause = Pause(first, first + timedelta(days=length), "hearing")
    rule = limit(amount, counting="calendar")
    plain, paused = due(rule, trigger), due(rule, trigger, pause)
    assert plain is not None
    assert paused == (plain if first > plain else plain + timedelta(days=length + 1))


@given(DAYS, st.integers(1, 60), st.integers(0, 20), st.integers(0, 20))
def test_an_overlap_of_pauses_counts_once(trigger: date, amount: int, a: int, b: int) -> None:
    first = trigger + timedelta(days=3)
    one = Pause(first, first + timedelta(days=max(a, b)), "hearing")
    two = Pause(first, first + timedelta(days=min(a, b)), "inspection")
    assert due(limit(amount), trigger, one, two) == due(limit(amount), trigger, one)


def test_an_open_pause_stops_the_clock_and_says_what_is_left() -> None:
    pause = Pause(date(2026, 3, 5), None, "expert review")
    answer = compute(limit(20), date(2026, 3, 2), real_calendar(), [pause])
    assert (answer.due_on, answer.due_at, answer.remaining) == (None, None, 18)
    assert answer.steps[-1].why is Why.STANDS_STILL
    assert answer.steps[-1].note == "expert review"
    months = compute(limit(2, "month", "calendar"), date(2026, 3, 2), real_calendar(), [pause])
    assert months.due_on is None
    assert months.remaining == 59


def test_months_and_years_end_on_the_same_number_or_the_last_day() -> None:
    assert due(limit(1, "month", "calendar"), date(2026, 1, 31)) == date(2026, 2, 28)
    assert due(limit(1, "month", "calendar"), date(2024, 1, 31)) == date(2024, 2, 29)
    assert due(limit(1, "year", "calendar"), date(2024, 2, 29)) == date(2025, 2, 28)
    assert due(limit(3, "month", "calendar", "before"), date(2026, 5, 31)) == date(2026, 2, 28)
    assert due(limit(3, "year", "calendar"), date(2023, 6, 15)) == date(2026, 6, 15)
    steps = compute(limit(1, "month", "calendar"), date(2026, 1, 31), real_calendar()).steps
    assert [step.why for step in steps] == [Why.TRIGGER, Why.SHORT_MONTH, Why.DUE]


@given(DAYS, st.integers(1, 24), st.integers(0, 10))
def test_a_pause_moves_a_month_limit_by_its_days(trigger: date, months: int, length: int) -> None:
    first = trigger + timedelta(days=5)
    pause = Pause(first, first + timedelta(days=length), "hearing")
    plain = due(limit(months, "month", "calendar"), trigger)
    assert plain is not None
    assert due(limit(months, "month", "calendar"), trigger, pause) == plain + timedelta(days=length + 1)


def test_hours_run_by_the_clock() -> None:
    told = datetime(2026, 2, 20, 15, 5, tzinfo=UTC)
    answer = compute(limit(1, "hour", "clock", pausable=False), told, real_calendar())
    assert answer.due_at == told + timedelta(hours=1)
    assert answer.due_on == date(2026, 2, 21)
    notice = compute(limit(24, "hour", "clock", "before"), told, real_calendar())
    assert notice.due_at == told - timedelta(hours=24)


def test_extension_is_added_after_the_limit_and_named() -> None:
    rule = limit(20, extension=Span(10, Unit.DAY, Counting.WORKING))
    plain, extended = due(rule, date(2026, 3, 2)), compute(rule, date(2026, 3, 2), real_calendar(), extended=True)
    assert plain is not None
    assert extended.due_on == due(limit(10), plain)
    note = next(step for step in extended.steps if step.why is Why.EXTENSION)
    assert (note.day, "test extension" in note.note) == (plain, True)


def test_beyond_the_calendar_is_provisional_and_marked() -> None:
    answer = compute(limit(20), date(2026, 12, 20), real_calendar())
    assert answer.provisional
    marked = [step.day.year for step in answer.steps if step.provisional]
    assert set(marked) == {2027}
    assert not compute(limit(40, counting="calendar"), date(2026, 12, 20), real_calendar()).provisional


def test_scenario_6_nineteen_working_days_are_too_few() -> None:
    limit_day = date(2026, 6, 30)
    latest = due(limit(20, direction="before"), limit_day)
    assert latest is not None
    assert real_calendar().working_days(latest, limit_day - timedelta(days=1)) == 20
    next_day = latest + timedelta(days=1)
    assert real_calendar().working_days(next_day, limit_day - timedelta(days=1)) == 19


def test_a_change_of_the_calendar_is_explained_day_by_day() -> None:
    trigger = date(2026, 3, 2)
    before = compute(limit(5), trigger, plain_calendar())
    after = compute(limit(5), trigger, plain_calendar(holidays=[date(2026, 3, 4)]))
    why = deadlines.compare(before, after)
    assert (before.due_on, after.due_on) == (date(2026, 3, 9), date(2026, 3, 10))
    assert why is not None
    assert [(step.day, step.why) for step in why] == [(date(2026, 3, 4), Why.HOLIDAY)]
    assert deadlines.compare(before, before) is None


@pytest.mark.parametrize(
    ("rule", "trigger", "pauses", "extended", "problem"),
    [
        (limit(5, pausable=False), date(2026, 3, 2), [Pause(date(2026, 3, 3), None, "x")], False, "PAUSE_NOT_ALLOWED"),
        (limit(5), date(2026, 3, 2), [Pause(date(2026, 3, 3), date(2026, 3, 2), "x")], False, "PAUSE_REVERSED"),
        (
            limit(5, direction="before"),
            date(2026, 3, 2),
            [Pause(date(2026, 3, 3), None, "x")],
            False,
            "PAUSE_NOT_ALLOWED",
        ),
        (limit(1, "hour", "clock"), date(2026, 3, 2), [Pause(date(2026, 3, 3), None, "x")], False, "PAUSE_NOT_ALLOWED"),
        (limit(1, "hour", "clock"), date(2026, 3, 2), [], False, "MOMENT_NEEDED"),
        (limit(5), datetime(2026, 3, 2), [], False, "MOMENT_NEEDED"),  # noqa: DTZ001 - the naive one is the case
        (limit(5), date(2026, 3, 2), [], True, "EXTENSION_NOT_ALLOWED"),
        (limit(5, valid_from=date(2026, 3, 3)), date(2026, 3, 2), [], False, "RULE_NOT_IN_FORCE"),
        (limit(5), date(2026, 3, 2), [Pause(date(2026, 3, 3), date(2056, 3, 3), "x")], False, "TOO_LONG"),
        (limit(9999), date(2026, 3, 2), [], False, "TOO_LONG"),
        (limit(5), date(9999, 12, 28), [], False, "TOO_LONG"),
        (limit(9000, "year", "calendar"), date(2026, 3, 2), [], False, "TOO_LONG"),
        (limit(3, "month", "calendar", "before"), date(1, 2, 1), [], False, "TOO_LONG"),
        (limit(0), date(2026, 3, 2), [], False, "RULE_MALFORMED"),
        (limit(5, "hour", "working"), date(2026, 3, 2), [], False, "RULE_MALFORMED"),
        (limit(5, "month", "working"), date(2026, 3, 2), [], False, "RULE_MALFORMED"),
    ],
)
def test_refuses_what_does_not_fit(
    rule: deadlines.DeadlineRule,
    trigger: date,
    pauses: list[Pause],
    extended: bool,  # noqa: FBT001 - a case of the table
    problem: str,
) -> None:
    with pytest.raises(DeadlineInputError) as raised:
        compute(rule, trigger, real_calendar(), pauses, extended=extended)
    assert raised.value.problem == problem
