"""GraphQL of standards: bindings for what is stored, Python for what is computed; no SQL."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, cast
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.kit import gql
from app.kit.errors import INVALID, Fault, require
from app.kit.ids import global_id
from app.kit.rules import deadlines
from app.kit.rules.calendar import CalendarDay as JudgedDay
from app.kit.rules.calendar import DayKind
from app.kit.rules.datafiles import Mark
from app.kit.rules.tables import TableRow
from app.kit.uow import WriteContext
from app.modules.standards import errors, models, service


@strawberry.enum(name="DivisionLevel", description="Level of an administrative division.")
class DivisionLevel(StrEnum):
    """Levels, highest first."""

    PROVINCE = "PROVINCE"
    CITY = "CITY"
    COUNTY = "COUNTY"
    TOWNSHIP = "TOWNSHIP"


strawberry.enum(
    Mark,
    name="StandardMark",
    description="How far a fact is backed: VERIFIED read in the law's text, SEEN read in a named public place, "
    "UNVERIFIED neither; an unverified one stays configurable and is never shown without this mark.",
)
strawberry.enum(
    DayKind,
    name="WorkingDayKind",
    description="WORKDAY and MAKEUP (a weekend day that is worked) are working days, WEEKEND and HOLIDAY are not.",
)
strawberry.enum(
    deadlines.Why, name="DeadlineStepKind", description="What a step of a deadline's trace says about its day."
)
_AREA = "Division code; its first two digits are the province whose own version goes before the national one."


@gql.bound(models.Division, prefix="division", order="code", description="行政区划: one validity of a division.")
class Division(gql.Node):
    """A row of ``division``."""

    code: str = gql.column(
        "2 digits a province, 4 a city, 6 a county (GB/T 2260), 9 a township.", filterable=True, sortable=True
    )
    name: str = gql.column("Own name, without those above it.", filterable=True)
    level: DivisionLevel = gql.column("Its level.", filterable=True, groupable=True)
    parent_code: str | None = gql.column(
        "Code of what it lies in; never derive it from the digits: townships of development zones differ.",
        filterable=True,
    )
    valid_from: date | None = gql.column("First day; null: unknown, long ago.", filterable=True)
    valid_to: date | None = gql.column("First day on which it no longer exists; null: it does.", filterable=True)
    successor_codes: list[str] = gql.column("Codes of the divisions that took its place.")
    source: str = gql.column("Where the fact comes from.")


@gql.bound(models.StandardTable, prefix="standardtable", order="code", description="A code or rule table.")
class StandardTable(gql.Node):
    """A row of ``standard_table``."""

    code: str = gql.column("Stable code.", filterable=True, sortable=True)
    name_zh: str = gql.column("Name in Chinese.")
    name_en: str = gql.column("Name in English.")
    versions: gql.Connection[Annotated["StandardVersion", strawberry.lazy("app.modules.standards.api")]] = (
        gql.connection(models.StandardVersion.table_id, "Its versions, last published first.")
    )


@gql.bound(models.StandardVersion, prefix="standardversion", description="A published version; it never changes.")
class StandardVersion(gql.Node):
    """A row of ``standard_version``."""

    table: StandardTable | None = gql.one(models.StandardVersion.table_id, "Its table.", filterable=True)
    area_code: str = gql.column("Where it holds: 00 the whole country, or a province's two digits.", filterable=True)
    version: str = gql.column("What it is called, such as the number of the standard.")
    valid_from: date | None = gql.column("First day in force; null: unknown, since ever.", filterable=True)
    valid_to: date | None = gql.column("First day out of force by law; mostly null: the next version ends it.")
    legal_basis: str = gql.column("Law and article, or document number; may be empty.")
    source: str = gql.column("Where its content was read.")
    mark: Mark = gql.column("The weakest mark of its rows.", filterable=True)
    row_count: int = gql.column("Number of rows.")
    published_by: str = gql.column("Agency that published it; empty for what ships with the product.")
    published_at: datetime = gql.column("When it was published.")
    rows: gql.Connection[Annotated["StandardRow", strawberry.lazy("app.modules.standards.api")]] = gql.connection(
        models.StandardRow.version_id, "Its rows, in its order."
    )


@gql.bound(models.StandardRow, prefix="standardrow", order="position", description="A row of a version of a table.")
class StandardRow(gql.Node):
    """A row of ``standard_row``."""

    standard_version: StandardVersion | None = gql.one(
        models.StandardRow.version_id, "The version that it belongs to.", filterable=True
    )
    position: int = gql.column("Place in the table, from 1.")
    code: str = gql.column("Key of the row within its version.", filterable=True)
    parent_code: str | None = gql.column("Key of the row above it, in tables that are trees.", filterable=True)
    name_zh: str = gql.column("Name or text in Chinese.")
    name_en: str = gql.column("Name in English; may be empty.")
    attrs: JSON = gql.column("The table's own columns: an object of texts.")
    legal_basis: str = gql.column("Law and article; may be empty.")
    valid_from: date | None = gql.column("First day of this row's rule where its law says more than the version.")
    source: str = gql.column("Where it was read.")
    mark: Mark = gql.column("How far it is backed.", filterable=True)


@strawberry.type(description="The version of a table that holds on a day.")
class StandardInForce:
    """Answer of ``standardInForce``."""

    id: strawberry.ID = strawberry.field(description="Id of the version, for `standardVersion(id)`.")
    table: str = strawberry.field(description="Code of the table.")
    area_code: str = strawberry.field(description="Where the version holds: 00 or a province.")
    version: str = strawberry.field(description="What it is called.")
    valid_from: date | None = strawberry.field(description="First day in force; null: unknown.")
    legal_basis: str = strawberry.field(description="Law and article; may be empty.")
    mark: Mark = strawberry.field(description="The weakest mark of its rows.")


@strawberry.type(description="A day as the working-day calendar judges it.")
class WorkingDay:
    """Part of the answers about working days."""

    day: date = strawberry.field(description="The legal day.")
    kind: DayKind = strawberry.field(description="What kind of day.")
    working: bool = strawberry.field(description="Whether it counts as a working day.")
    name_zh: str = strawberry.field(description="Name of the holiday, also on its make-up days; may be empty.")
    name_en: str = strawberry.field(description="The same in English.")
    provisional: bool = strawberry.field(description="The year's notice is not in the calendar yet.")


@strawberry.type(description="Working days between two days.")
class WorkingDays:
    """Answer of ``workingDays``."""

    count: int = strawberry.field(description="Number of working days, both ends included.")
    provisional: bool = strawberry.field(description="Whether any of the days is provisional.")
    days: list[WorkingDay] = strawberry.field(description="Every day of the span.")
    errors: list[gql.UserError] = strawberry.field(description="CALENDAR_RANGE; empty on success.")


@strawberry.type(description="节假日安排: the holidays and make-up days of a year.")
class HolidayCalendar:
    """Answer of ``holidayCalendar``."""

    year: int = strawberry.field(description="The year.")
    known: bool = strawberry.field(description="Whether the year's notice is in the calendar; if not, days is empty.")
    days: list[WorkingDay] = strawberry.field(description="Holidays and make-up days, in order.")


@strawberry.input(description="Days on which the clock stood still.")
class DeadlinePauseInput:
    """Part of ``deadlineCompute``."""

    first: date = strawberry.field(description="First day.")
    last: date | None = strawberry.field(default=None, description="Last day; null: it still stands.")
    reason: str = strawberry.field(description="Why, such as hearing or expert review; stands in the trace.")


@strawberry.type(description="The rule that a deadline was computed by.")
class DeadlineRule:
    """Part of a deadline."""

    code: str = strawberry.field(description="Its code in the table statutory_deadline.")
    amount: int = strawberry.field(description="How many units.")
    unit: str = strawberry.field(description="hour, day, month or year.")
    counting: str = strawberry.field(description="working, calendar or clock.")
    counting_mark: Mark = strawberry.field(
        description="How far the kind of days is backed; many regulations only say 日."
    )
    direction: str = strawberry.field(description="after the trigger, or before it.")
    pausable: bool = strawberry.field(description="Whether the law lets the clock stand still.")
    legal_basis: str = strawberry.field(description="Law and article.")
    mark: Mark = strawberry.field(description="How far it is backed.")
    valid_from: date | None = strawberry.field(description="First day on which this text applies; null: unknown.")


@strawberry.type(description="One step of a deadline's trace.")
class DeadlineStep:
    """Part of a deadline."""

    day: date = strawberry.field(description="The legal day.")
    kind: deadlines.Why = strawberry.field(description="What happened on it.")
    count: int | None = strawberry.field(description="Its number when it was counted; the day after the trigger is 1.")
    note: str = strawberry.field(description="Name of the holiday, reason of the pause, basis of the extension.")
    provisional: bool = strawberry.field(description="The calendar does not know the day's year yet.")


@strawberry.type(description="A deadline that explains itself.")
class Deadline:
    """Answer of ``deadlineCompute``."""

    rule: DeadlineRule | None = strawberry.field(description="The rule that held on the day of the trigger.")
    due_on: date | None = strawberry.field(description="Last day in time; null while the clock stands still.")
    due_at: datetime | None = strawberry.field(description="First moment that is late: 24:00 of that day in Shanghai.")
    provisional: bool = strawberry.field(
        description="It rests on a year whose holidays are not known yet, and is computed anew when they are."
    )
    remaining: int | None = strawberry.field(description="Days left when the clock stands still.")
    steps: list[DeadlineStep] = strawberry.field(description="Each day that was counted or skipped, and why.")
    errors: list[gql.UserError] = strawberry.field(description="DEADLINE_ codes and INVALID; empty on success.")


@strawberry.type
class StandardsQuery:
    """Reads of standards."""

    divisions: gql.Connection[Division] = gql.listing("Administrative divisions, by code.")
    division: Division | None = gql.by_id("One division by its id; null when there is none.")
    standard_tables: gql.Connection[StandardTable] = gql.listing("Code and rule tables, by code.")
    standard_table: StandardTable | None = gql.by_id("One table by its id; null when there is none.")
    standard_version: StandardVersion | None = gql.by_id("One version by its id; null when there is none.")
    standard_rows: gql.Connection[StandardRow] = gql.listing("Rows of all versions; filter by `standardVersion`.")

    @strawberry.field(description="The version of a table that holds on a day; null when none does.")
    async def standard_in_force(
        self,
        info: strawberry.Info[Any, None],
        table: Annotated[str, strawberry.argument(description="Code of the table.")],
        on: Annotated[date | None, strawberry.argument(description="Legal day; today when omitted.")] = None,
        area: Annotated[str, strawberry.argument(description=_AREA)] = models.NATIONAL,
    ) -> StandardInForce | None:
        """Look it up."""
        async with info.context.read_session() as session:
            found = await service.version_in_force(session, table, on or info.context.today, area)
        if found is None:
            return None
        return StandardInForce(
            id=strawberry.ID(global_id("standardversion", found.id)),
            table=found.table_code,
            area_code=found.area_code,
            version=found.version,
            valid_from=found.valid_from,
            legal_basis=found.legal_basis,
            mark=found.mark,
        )

    @strawberry.field(description="Which days of a span are working days, and why.")
    async def working_days(
        self,
        info: strawberry.Info[Any, None],
        first: Annotated[date, strawberry.argument(description="First day.")],
        last: Annotated[date, strawberry.argument(description="Last day, included; at most ten years on.")],
    ) -> WorkingDays:
        """Judge every day."""
        if not 0 <= (last - first).days < service.MAX_CALENDAR_DAYS:
            fault = Fault(errors.CALENDAR_RANGE, ("last",), limit=service.MAX_CALENDAR_DAYS)
            return WorkingDays(count=0, provisional=False, days=[], errors=_errors(info, fault))
        async with info.context.read_session() as session:
            days = list((await service.calendar(session)).between(first, last))
        return WorkingDays(
            count=sum(day.working for day in days),
            provisional=any(day.provisional for day in days),
            days=[_day(day) for day in days],
            errors=[],
        )

    @strawberry.field(description="Holidays and make-up days of a year.")
    async def holiday_calendar(
        self,
        info: strawberry.Info[Any, None],
        year: Annotated[int, strawberry.argument(description="The year.")],
    ) -> HolidayCalendar:
        """List the special days."""
        async with info.context.read_session() as session:
            calendar = await service.calendar(session)
        days = sorted(day for day in calendar.special if day.year == year)
        return HolidayCalendar(
            year=year, known=year in calendar.years, days=[_day(calendar.judge(day)) for day in days]
        )

    @strawberry.field(description="A legal time limit with every step of its computation.")
    async def deadline_compute(  # noqa: PLR0917 - GraphQL arguments are named
        self,
        info: strawberry.Info[Any, None],
        rule: Annotated[str, strawberry.argument(description="Code of a row of the table statutory_deadline.")],
        day: Annotated[
            date | None, strawberry.argument(description="Day of the trigger; this or `moment`, not both.")
        ] = None,
        moment: Annotated[
            datetime | None, strawberry.argument(description="Moment of the trigger; needed for limits in hours.")
        ] = None,
        pauses: Annotated[
            list[DeadlinePauseInput] | None, strawberry.argument(description="Days on which the clock stood still.")
        ] = None,
        extended: Annotated[bool, strawberry.argument(description="Whether the extension was granted.")] = False,  # noqa: FBT002 - GraphQL arguments are named
        area: Annotated[str, strawberry.argument(description=_AREA)] = models.NATIONAL,
    ) -> Deadline:
        """Compute it by the rule that held on the day of the trigger."""
        stops = [deadlines.Pause(pause.first, pause.last, pause.reason) for pause in pauses or []]
        try:
            trigger = moment if moment is not None else day
            require((day is None) is not (moment is None), INVALID, ("day",), reason="day | moment")
            async with info.context.read_session() as session:
                found = await service.deadline(
                    session, rule, cast("date | datetime", trigger), stops, extended=extended, area=area
                )
        except Fault as fault:
            return Deadline(
                rule=None,
                due_on=None,
                due_at=None,
                provisional=False,
                remaining=None,
                steps=[],
                errors=_errors(info, fault),
            )
        return _deadline(found)


@strawberry.type(description="Outcome of `standardVersionPublish`.")
class StandardVersionPublishPayload(gql.Payload):
    """See ``gql.Payload``."""

    standard_version: StandardVersion | None = gql.result("The new version; null when there are errors.")


@strawberry.input(description="A row of the new version.")
class StandardRowInput:
    """Part of ``standardVersionPublish``."""

    code: str = strawberry.field(description="Key, once per version.")
    name_zh: str = strawberry.field(description="Name or text in Chinese.")
    name_en: str = strawberry.field(default="", description="Name in English.")
    parent_code: str | None = strawberry.field(default=None, description="Key of the row above it, in a tree.")
    attrs: JSON | None = strawberry.field(
        default=None, description="The table's own columns: an object of texts, as in rows of the version in force."
    )
    legal_basis: str = strawberry.field(default="", description="Law and article.")
    valid_from: date | None = strawberry.field(default=None, description="First day of this row's rule, if later.")
    source: str = strawberry.field(default="", description="Where it was read.")
    mark: Mark = strawberry.field(description="How far it is backed.")


@strawberry.input(description="A new version of a code or rule table.")
class StandardVersionPublishInput:
    """Input of ``standardVersionPublish``."""

    table: str = strawberry.field(description="Code of the table.")
    version: str = strawberry.field(description="What the version is called.")
    valid_from: date = strawberry.field(description="First day in force: tomorrow or later.")
    legal_basis: str = strawberry.field(description="Law and article, or document number.")
    source: str = strawberry.field(default="", description="Where the content was read.")
    rows: list[StandardRowInput] = strawberry.field(description="All rows of the version, at most 5,000.")
    client_mutation_id: str | None = strawberry.field(
        default=None, description="1 to 64 characters; a repeat with the same id does nothing again."
    )


@strawberry.type
class StandardsMutation:
    """Changes of standards."""

    @gql.mutation(
        payload=StandardVersionPublishPayload,
        returns="standard_version",
        description="Publish a version of a code or rule table: the nation for the whole country, a province for "
        "itself. Forms keep the old version until the first day. Codes: NOT_PERMITTED, STANDARD_TABLE_UNKNOWN, "
        "STANDARD_EFFECTIVE_TOO_EARLY, STANDARD_VERSION_TAKEN, STANDARD_ROWS_EMPTY, STANDARD_ROWS_TOO_MANY, "
        "STANDARD_ROW_CODE_TWICE, STANDARD_ROW_INVALID, REQUIRED.",
    )
    async def standard_version_publish(ctx: WriteContext, input: StandardVersionPublishInput) -> UUID:  # noqa: A002, N805
        """Run ``service.publish``."""
        return await service.publish(
            ctx,
            service.NewVersion(
                table_code=input.table,
                version=input.version,
                valid_from=input.valid_from,
                legal_basis=input.legal_basis,
                source=input.source,
                rows=[_row(index, row) for index, row in enumerate(input.rows)],
            ),
        )


def _row(index: int, row: StandardRowInput) -> TableRow:
    attrs: object = row.attrs if row.attrs is not None else {}
    require(
        isinstance(attrs, Mapping),
        errors.ROW_INVALID,
        ("rows", str(index), "attrs"),
        row=index + 1,
        column="attrs",
        found="",
    )
    return TableRow(
        row.code,
        row.name_zh,
        row.name_en,
        row.parent_code,
        cast("Mapping[str, object]", attrs),
        row.legal_basis,
        row.valid_from,
        row.source,
        row.mark,
    )


def _day(day: JudgedDay) -> WorkingDay:
    return WorkingDay(
        day=day.day,
        kind=day.kind,
        working=day.working,
        name_zh=day.name_zh,
        name_en=day.name_en,
        provisional=day.provisional,
    )


def _deadline(found: deadlines.Deadline) -> Deadline:
    rule = found.rule
    return Deadline(
        rule=DeadlineRule(
            code=rule.code,
            amount=rule.span.amount,
            unit=rule.span.unit.value,
            counting=rule.span.counting.value,
            counting_mark=rule.counting_mark,
            direction=rule.direction.value,
            pausable=rule.pausable,
            legal_basis=rule.legal_basis,
            mark=rule.mark,
            valid_from=rule.valid_from,
        ),
        due_on=found.due_on,
        due_at=found.due_at,
        provisional=found.provisional,
        remaining=found.remaining,
        steps=[
            DeadlineStep(day=step.day, kind=step.why, count=step.count, note=step.note, provisional=step.provisional)
            for step in found.steps
        ],
        errors=[],
    )


def _errors(info: strawberry.Info[Any, None], fault: Fault) -> list[gql.UserError]:
    message = fault.message(info.context.locale)
    return [gql.UserError(code=fault.code, field=list(fault.field), message=message)]
