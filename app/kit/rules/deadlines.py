"""Legal time limits that explain themselves.

The day of the trigger is not counted; the day after it is day 1 (the reading of 民法典 201 that the
procedural laws share). A limit in working days skips the days that the calendar says are free; a
limit in calendar days counts them all; months and years end on the day of the same number, or on
the last day of a shorter month; a limit in hours runs by the clock. Every answer carries its trace.
Amounts never stand here: rules are data with a legal basis, an effective date and a mark.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta
from enum import StrEnum

from app.kit.rules.calendar import DayKind, WorkingCalendar, end_of, legal_day
from app.kit.rules.datafiles import Mark
from infra.clock import LEGAL_ZONE

_DAY = timedelta(days=1)
_MONTHS_PER_YEAR = 12
MAX_STEPS = 4000
"""Days that one answer may walk over: ten years; a rule or pause beyond it is a mistake in the input."""


class Unit(StrEnum):
    """Unit of a limit."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class Counting(StrEnum):
    """Which days count."""

    WORKING = "working"
    CALENDAR = "calendar"
    CLOCK = "clock"


class Direction(StrEnum):
    """Whether the limit runs on from its trigger, or backwards from it (before an expiry, a hearing, a limit)."""

    AFTER = "after"
    BEFORE = "before"


@dataclass(frozen=True)
class Span:
    """A length of time: ``20 working days``."""

    amount: int
    unit: Unit
    counting: Counting


@dataclass(frozen=True)
class DeadlineRule:
    """One legal time limit.

    Args:
        code: stable code of the rule.
        span: how long.
        direction: after the trigger, or before it.
        legal_basis: law and article.
        mark: how far amount and basis are backed.
        counting_mark: how far the kind of days is backed; many regulations say only 日.
        valid_from: first day on which this text applies; None: unknown.
        pausable: whether the law lets the clock stand still.
        extension: what may be added once; None: no extension.
        extension_basis: law and article of the extension.
    """

    code: str
    span: Span
    direction: Direction
    legal_basis: str
    mark: Mark
    counting_mark: Mark
    valid_from: date | None = None
    pausable: bool = False
    extension: Span | None = None
    extension_basis: str = ""


@dataclass(frozen=True)
class Pause:
    """Legal days on which the clock stands, both included (行政许可法 45: hearing, inspection, expert review …).

    ``last`` None: it still stands.
    """

    first: date
    last: date | None
    reason: str


class Why(StrEnum):
    """Why a step of the trace stands as it does."""

    TRIGGER = "TRIGGER"
    COUNTED = "COUNTED"
    MAKEUP = "MAKEUP"
    WEEKEND = "WEEKEND"
    HOLIDAY = "HOLIDAY"
    PAUSED = "PAUSED"
    EXTENSION = "EXTENSION"
    SAME_DAY_NUMBER = "SAME_DAY_NUMBER"
    SHORT_MONTH = "SHORT_MONTH"
    PAUSE_ADDED = "PAUSE_ADDED"
    HOURS = "HOURS"
    STANDS_STILL = "STANDS_STILL"
    DUE = "DUE"


@dataclass(frozen=True)
class Step:
    """One line of the trace.

    Args:
        day: the legal day.
        why: what happened on it.
        count: its number when it was counted.
        note: name of the holiday, reason of the pause, amount of the extension.
        provisional: the calendar does not know the day's year yet.
    """

    day: date
    why: Why
    count: int | None = None
    note: str = ""
    provisional: bool = False


@dataclass(frozen=True)
class Deadline:
    """The answer.

    Args:
        rule: the rule that was applied.
        due_on: the last day on which the act is in time; None while the clock stands still.
        due_at: the first moment that is late, UTC (for ``before``: the same, the end of the last day on which the act
            may be done); None while the clock stands still.
        provisional: a year beyond the calendar was counted; recomputed when that year is imported.
        remaining: working or calendar days left when the clock stands still; None otherwise.
        steps: the trace, in the order of counting.
    """

    rule: DeadlineRule
    due_on: date | None
    due_at: datetime | None
    provisional: bool
    remaining: int | None
    steps: tuple[Step, ...]


class DeadlineInputError(ValueError):
    """The trigger or a pause does not fit the rule.

    Args:
        problem: ``PAUSE_NOT_ALLOWED``, ``PAUSE_REVERSED``, ``MOMENT_NEEDED``, ``EXTENSION_NOT_ALLOWED``,
            ``RULE_NOT_IN_FORCE``, ``TOO_LONG`` or ``RULE_MALFORMED``.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def compute(
    rule: DeadlineRule,
    trigger: date | datetime,
    calendar: WorkingCalendar,
    pauses: Sequence[Pause] = (),
    *,
    extended: bool = False,
) -> Deadline:
    """Compute a deadline with its trace.

    Args:
        rule: the limit.
        trigger: day of the event that starts the clock (or before which it must be done); for hours the moment.
        calendar: working days.
        pauses: days on which the clock stood still; overlapping ones count once. Only for limits of days, months and
            years that run on from their trigger.
        extended: whether the extension was granted.

    Raises:
        DeadlineInputError: see there.
    """
    _check(rule, trigger, pauses, extended=extended)
    try:
        if rule.span.unit is Unit.HOUR:
            return _hours(rule, trigger, extended=extended)
        start = legal_day(trigger) if isinstance(trigger, datetime) else trigger
        return _days_and_months(rule, start, calendar, pauses, extended=extended)
    except OverflowError:
        raise DeadlineInputError("TOO_LONG") from None


def compare(before: Deadline, after: Deadline) -> tuple[Step, ...] | None:
    """Explain why the same case got another deadline (a new calendar, a new rule).

    Returns:
        None when the last day is the same; otherwise the steps of ``after`` whose day counts differently (none of
        them when the rule's amount is what changed).
    """
    if before.due_on == after.due_on:
        return None
    old = {step.day: (step.why, step.note) for step in before.steps if step.why is not Why.DUE}
    return tuple(
        step
        for step in after.steps
        if step.why is not Why.DUE and step.day in old and old[step.day] != (step.why, step.note)
    )


def add_months(day: date, months: int) -> tuple[date, bool]:
    """Return the day of the same number some months on (or back), and whether a shorter month cut it."""
    index = day.year * _MONTHS_PER_YEAR + day.month - 1 + months
    if not MINYEAR <= index // _MONTHS_PER_YEAR < MAXYEAR:
        raise OverflowError("outside the calendar of the language")
    first = date(index // _MONTHS_PER_YEAR, index % _MONTHS_PER_YEAR + 1, 1)
    last = (first + timedelta(days=31)).replace(day=1) - _DAY
    return (last, True) if day.day > last.day else (first.replace(day=day.day), False)


class _Walk:
    """Walks over days and writes the trace."""

    def __init__(self, calendar: WorkingCalendar, pauses: Iterable[Pause], start: date, sign: int) -> None:
        self.calendar = calendar
        self.pauses = sorted(pauses, key=lambda pause: pause.first)
        self.day = start
        self.sign = sign
        self.count = 0
        self.left: int | None = None
        self.provisional = False
        self.steps: list[Step] = [Step(start, Why.TRIGGER)]

    def note(self, why: Why, note: str) -> None:
        self.steps.append(Step(self.day, why, note=note, provisional=why is Why.DUE and self.provisional))

    def go(self, span: Span) -> bool:
        """Count a span from the present day; False when an open pause stops the clock."""
        if span.unit is Unit.DAY:
            return self._days(span)
        return self._months(span.amount * (_MONTHS_PER_YEAR if span.unit is Unit.YEAR else 1))

    def _pause(self, day: date) -> Pause | None:
        return next((p for p in self.pauses if p.first <= day and (p.last is None or day <= p.last)), None)

    def _stand(self, pause: Pause, left: int) -> bool:
        self.left = left
        self.steps.append(Step(self.day, Why.STANDS_STILL, note=pause.reason))
        return False

    def _days(self, span: Span) -> bool:
        left = span.amount
        while left:
            if len(self.steps) > MAX_STEPS:
                raise DeadlineInputError("TOO_LONG")
            self.day += self.sign * _DAY
            pause = self._pause(self.day)
            if pause is not None:
                if pause.last is None:
                    return self._stand(pause, left)
                self.steps.append(Step(self.day, Why.PAUSED, note=pause.reason))
                continue
            left -= self._count(span.counting)
        return True

    def _count(self, counting: Counting) -> int:
        """Judge the present day; 1 when it counts."""
        judged = self.calendar.judge(self.day)
        by_calendar = counting is Counting.WORKING
        provisional = judged.provisional and by_calendar
        self.provisional = self.provisional or provisional
        if by_calendar and not judged.working:
            why = Why.HOLIDAY if judged.kind is DayKind.HOLIDAY else Why.WEEKEND
            self.steps.append(Step(self.day, why, note=judged.name_zh, provisional=provisional))
            return 0
        self.count += 1
        makeup = by_calendar and judged.kind is DayKind.MAKEUP
        why, note = (Why.MAKEUP, judged.name_zh) if makeup else (Why.COUNTED, "")
        self.steps.append(Step(self.day, why, self.count, note, provisional))
        return 1

    def _months(self, months: int) -> bool:
        """Go to the day of the same number, then add one day for each day that the clock stood."""
        begin = self.day
        self.day, cut = add_months(begin, self.sign * months)
        self.steps.append(Step(self.day, Why.SHORT_MONTH if cut else Why.SAME_DAY_NUMBER, note=f"{months} months"))
        day = begin
        while day < self.day and self.pauses:
            if len(self.steps) > MAX_STEPS:
                raise DeadlineInputError("TOO_LONG")
            day += _DAY
            pause = self._pause(day)
            if pause is not None and pause.last is None:
                return self._stand(pause, (self.day - day).days + 1)
            if pause is not None:
                self.day += _DAY
                self.steps.append(Step(day, Why.PAUSE_ADDED, note=pause.reason))
        return True


def _days_and_months(
    rule: DeadlineRule,
    start: date,
    calendar: WorkingCalendar,
    pauses: Sequence[Pause],
    *,
    extended: bool,
) -> Deadline:
    spans = [rule.span, *([rule.extension] if extended and rule.extension else [])]
    walk = _Walk(calendar, pauses, start, -1 if rule.direction is Direction.BEFORE else 1)
    for index, span in enumerate(spans):
        if index:
            walk.note(Why.EXTENSION, f"+{span.amount} {span.counting} {span.unit} {rule.extension_basis}".strip())
        if not walk.go(span):
            return Deadline(rule, None, None, walk.provisional, walk.left, tuple(walk.steps))
    walk.note(Why.DUE, "")
    return Deadline(rule, walk.day, end_of(walk.day), walk.provisional, None, tuple(walk.steps))


def _hours(rule: DeadlineRule, trigger: date | datetime, *, extended: bool) -> Deadline:
    if not isinstance(trigger, datetime):
        raise DeadlineInputError("MOMENT_NEEDED")
    hours = rule.span.amount
    if extended and rule.extension:
        hours += rule.extension.amount
    sign = -1 if rule.direction is Direction.BEFORE else 1
    due = trigger.astimezone(UTC) + sign * timedelta(hours=hours)
    day = legal_day(due)
    steps = (
        Step(legal_day(trigger), Why.TRIGGER, note=trigger.astimezone(LEGAL_ZONE).isoformat(timespec="seconds")),
        Step(day, Why.HOURS, note=f"{sign * hours:+d} hours"),
        Step(day, Why.DUE, note=due.astimezone(LEGAL_ZONE).isoformat(timespec="seconds")),
    )
    return Deadline(rule, day, due, provisional=False, remaining=None, steps=steps)


def _check(rule: DeadlineRule, trigger: date | datetime, pauses: Sequence[Pause], *, extended: bool) -> None:
    clock = rule.span.unit is Unit.HOUR
    if rule.span.amount < 1 or clock is not (rule.span.counting is Counting.CLOCK):
        raise DeadlineInputError("RULE_MALFORMED")
    if rule.span.counting is Counting.WORKING and rule.span.unit is not Unit.DAY:
        raise DeadlineInputError("RULE_MALFORMED")
    if extended and (rule.extension is None or (rule.extension.unit is Unit.HOUR) is not clock):
        raise DeadlineInputError("EXTENSION_NOT_ALLOWED")
    if pauses and (clock or rule.direction is Direction.BEFORE or not rule.pausable):
        raise DeadlineInputError("PAUSE_NOT_ALLOWED")
    if any(pause.last is not None and pause.last < pause.first for pause in pauses):
        raise DeadlineInputError("PAUSE_REVERSED")
    if isinstance(trigger, datetime) and trigger.tzinfo is None:
        raise DeadlineInputError("MOMENT_NEEDED")
    start = legal_day(trigger) if isinstance(trigger, datetime) else trigger
    if rule.valid_from is not None and start < rule.valid_from:
        raise DeadlineInputError("RULE_NOT_IN_FORCE")
