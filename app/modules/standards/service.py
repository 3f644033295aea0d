"""Use cases: what held on a day, and publishing what will hold."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.kit.errors import Fault, require
from app.kit.ids import uuid7
from app.kit.rules import completeness, deadlines, size_class, supervision
from app.kit.rules import tables as rule_tables
from app.kit.rules.calendar import DayKind, SpecialDay, WorkingCalendar, legal_day
from app.kit.rules.datafiles import Mark
from app.kit.rules.tables import RowError, TableRow
from app.kit.uow import WriteContext
from app.modules.standards import errors
from app.modules.standards.models import (
    NATIONAL,
    CalendarDay,
    CalendarYear,
    Division,
    StandardRow,
    StandardTable,
    StandardVersion,
)
from app.modules.standards.policies import publishing_area
from tenants.models import Agency

T = TypeVar("T")
MAX_ROWS = 5000
"""Rows of one published version; the longest table at hand has 1,971."""
MAX_CALENDAR_DAYS = 3700
"""Days that one question about working days may span: ten years."""
GBT4754 = "gbt4754"


@dataclass(frozen=True)
class VersionInForce:
    """A version that holds on a day."""

    id: UUID
    table_code: str
    area_code: str
    version: str
    valid_from: date | None
    legal_basis: str
    mark: Mark


@dataclass(frozen=True)
class NewVersion:
    """What a standards administrator publishes."""

    table_code: str
    version: str
    valid_from: date
    legal_basis: str
    source: str
    rows: Sequence[TableRow]


async def division_on(session: AsyncSession, code: str, on: date) -> Division | None:
    """Return the division with this code on a day; an unknown first day counts as long ago."""
    query = select(Division).where(Division.code == code, _valid(Division.valid_from, Division.valid_to, on))
    return (await session.scalars(query.order_by(Division.valid_from.desc().nulls_last()).limit(1))).first()


async def division_path(session: AsyncSession, code: str, on: date) -> tuple[Division, ...]:
    """Return a division and what it lies in, highest first; empty when the code does not exist on that day."""
    path: list[Division] = []
    following: str | None = code
    while following is not None and (found := await division_on(session, following, on)) is not None:
        path.insert(0, found)
        following = found.parent_code
    return tuple(path)


async def successors_on(session: AsyncSession, code: str, on: date) -> tuple[str, ...]:
    """Return the codes that stand on a day for what a code once named: itself, or those that took its place.

    Roll-ups map old facts with it: a merged county's facts are counted under its successor. Several codes mean that
    it was split, and that its facts cannot be told apart by the code alone.
    """
    standing: list[str] = []
    waiting, seen = [code], set()
    while waiting:
        following = waiting.pop(0)
        if following in seen:
            continue
        seen.add(following)
        if await division_on(session, following, on) is not None:
            standing.append(following)
            continue
        ended = select(Division.successor_codes).where(Division.code == following, Division.valid_to <= on)
        waiting += await session.scalar(ended.order_by(Division.valid_to.desc()).limit(1)) or []
    return tuple(standing)


async def version_in_force(
    session: AsyncSession, table_code: str, on: date, area: str = NATIONAL
) -> VersionInForce | None:
    """Return the version of a table that holds on a day in an area.

    Args:
        session: any session; the tables are readable by all.
        table_code: code of the table.
        on: legal day.
        area: division code; its first two digits are the province whose own version goes before the national one.
    """
    query = (
        select(StandardVersion)
        .join(StandardTable, StandardTable.id == StandardVersion.table_id)
        .where(
            StandardTable.code == table_code,
            StandardVersion.area_code.in_({NATIONAL, area[:2]}),
            _valid(StandardVersion.valid_from, StandardVersion.valid_to, on),
        )
        .order_by(
            (StandardVersion.area_code != NATIONAL).desc(),
            StandardVersion.valid_from.desc().nulls_last(),
            StandardVersion.seq.desc(),
        )
        .limit(1)
    )
    found = (await session.scalars(query)).first()
    if found is None:
        return None
    return VersionInForce(
        found.id,
        table_code,
        found.area_code,
        found.version,
        found.valid_from,
        found.legal_basis,
        Mark(found.mark),
    )


async def rows_of(session: AsyncSession, version_id: UUID, codes: Sequence[str] = ()) -> tuple[TableRow, ...]:
    """Return rows of a version in its order.

    Args:
        session: any session.
        version_id: the version.
        codes: only these; all when empty.
    """
    query = select(StandardRow).where(StandardRow.version_id == version_id).order_by(StandardRow.position)
    if codes:
        query = query.where(StandardRow.code.in_(codes))
    return tuple(_table_row(row) for row in await session.scalars(query))


async def rows_in_force(
    session: AsyncSession, table_code: str, on: date, area: str = NATIONAL, codes: Sequence[str] = ()
) -> tuple[TableRow, ...]:
    """Return the rows of the version that holds on a day; empty when none does."""
    version = await version_in_force(session, table_code, on, area)
    return () if version is None else await rows_of(session, version.id, codes)


async def calendar(session: AsyncSession) -> WorkingCalendar:
    """Return the working-day calendar: of each year its latest edition."""
    latest = select(func.max(CalendarYear.seq)).group_by(CalendarYear.year)
    years = (await session.scalars(select(CalendarYear).where(CalendarYear.seq.in_(latest)))).all()
    days = await session.scalars(select(CalendarDay).where(CalendarDay.year_id.in_([year.id for year in years])))
    special = {day.day: SpecialDay(DayKind(day.kind), day.name_zh, day.name_en, in_lieu=day.in_lieu) for day in days}
    return WorkingCalendar(special, frozenset(year.year for year in years))


async def deadline_rule(session: AsyncSession, code: str, on: date, area: str = NATIONAL) -> deadlines.DeadlineRule:
    """Return the time limit with this code that holds on a day in an area.

    Raises:
        Fault: ``DEADLINE_RULE_UNKNOWN``.
    """
    rows = await rows_in_force(session, "statutory_deadline", on, area, [code])
    require(rows, errors.RULE_UNKNOWN, ("rule",), rule=code, on=on.isoformat())
    return rule_tables.deadline_rule(rows[0])


async def deadline(
    session: AsyncSession,
    code: str,
    trigger: date | datetime,
    pauses: Sequence[deadlines.Pause] = (),
    *,
    extended: bool = False,
    area: str = NATIONAL,
) -> deadlines.Deadline:
    """Compute a deadline by the rule that held on the day of its trigger.

    Raises:
        Fault: ``DEADLINE_RULE_UNKNOWN``, or ``DEADLINE_`` and the problem with trigger, pauses or extension.
    """
    on = legal_day(trigger) if isinstance(trigger, datetime) else trigger
    rule = await deadline_rule(session, code, on, area)
    try:
        return deadlines.compute(rule, trigger, await calendar(session), pauses, extended=extended)
    except deadlines.DeadlineInputError as problem:
        field = _PROBLEM_FIELDS.get(problem.problem, "trigger")
        begins = rule.valid_from.isoformat() if rule.valid_from else ""
        raise Fault(errors.DEADLINE_PREFIX + problem.problem, (field,), rule=code, begins=begins) from problem


_PROBLEM_FIELDS = {"PAUSE_NOT_ALLOWED": "pauses", "PAUSE_REVERSED": "pauses", "EXTENSION_NOT_ALLOWED": "extended"}


async def industry_on(session: AsyncSession, code: str, on: date) -> tuple[TableRow, ...]:
    """Return an industry of GB/T 4754 and what it lies in, section first; empty when the code is unknown.

    A class code that ends in 0 repeats its only parent group (9700 and 970); either form is found.
    """
    version = await version_in_force(session, GBT4754, on)
    if version is None:
        return ()
    spellings = [code, code[:-1] if len(code) == 4 and code.endswith("0") else f"{code}0"]  # noqa: PLR2004 - a class
    path: list[TableRow] = []
    while spellings and (found := await rows_of(session, version.id, spellings)):
        row = next((row for row in found if row.code == spellings[0]), found[0])
        path.insert(0, row)
        spellings = [row.parent_code] if row.parent_code else []
    return tuple(path)


async def size_class_on(
    session: AsyncSession, industry_code: str, values: Mapping[str, Decimal | None], on: date, area: str = NATIONAL
) -> size_class.SizeResult | None:
    """Return the size class of an enterprise; None when its industry has no size classes.

    Args:
        session: any session.
        industry_code: GB/T 4754.
        values: see :func:`app.kit.rules.size_class.classify`.
        on: legal day.
        area: division code.
    """
    path = await industry_on(session, industry_code, on)
    mapping = dict(await _read(session, "size_industry_map", on, area, rule_tables.industry_mapping))
    industry = size_class.industry_of(industry_code, path[0].code, mapping) if path else None
    if industry is None:
        return None
    bounds = await _read(session, "enterprise_size_class", on, area, rule_tables.size_bound)
    return size_class.classify(industry, values, bounds)


async def flags_on(
    session: AsyncSession, categories: Sequence[str], employees: int | None, on: date, area: str = NATIONAL
) -> tuple[supervision.Flag, ...]:
    """Return the duties that follow from supervision categories on a day."""
    rules = await _read(session, "supervision_flag", on, area, rule_tables.flag_rule)
    return supervision.flags(categories, employees, rules, on)


async def completeness_on(
    session: AsyncSession, values: Mapping[str, object], categories: Sequence[str], on: date, area: str = NATIONAL
) -> completeness.Completeness:
    """Return the completeness score of a file by the weights that hold on a day."""
    weights = await _read(session, "completeness_weight", on, area, rule_tables.field_weight)
    return completeness.score(values, categories, weights)


async def publish(ctx: WriteContext, new: NewVersion) -> UUID:
    """Publish a version that begins on a later day; until then the old one holds.

    Returns:
        id of the version.

    Raises:
        NotPermittedFault: not a standards administrator of a province or the nation.
        Fault: the codes of :mod:`app.modules.standards.errors` that begin with ``STANDARD_``.
    """
    agency = await ctx.session.get(Agency, ctx.acting.tenant_id)
    area = publishing_area(ctx.acting, agency.division_code if agency else None)
    table = (await ctx.session.scalars(select(StandardTable).where(StandardTable.code == new.table_code))).first()
    if table is None:
        raise Fault(errors.TABLE_UNKNOWN, ("table",), table=new.table_code)
    _check_version(ctx, new)
    digest = content_hash(new.version, new.valid_from, new.rows)
    same = select(StandardVersion.id).where(
        StandardVersion.table_id == table.id,
        StandardVersion.area_code == area,
        StandardVersion.content_hash == digest,
    )
    require(await ctx.session.scalar(same) is None, errors.VERSION_TAKEN, ("version",), version=new.version)
    version_id = uuid7()
    await ctx.session.execute(
        insert(StandardVersion).values(
            id=version_id,
            table_id=table.id,
            area_code=area,
            version=new.version,
            valid_from=new.valid_from,
            legal_basis=new.legal_basis,
            source=new.source,
            mark=max((row.mark for row in new.rows), key=list(Mark).index),
            content_hash=digest,
            row_count=len(new.rows),
        )
    )
    await ctx.session.execute(
        insert(StandardRow), [_row_values(version_id, position, row) for position, row in enumerate(new.rows, 1)]
    )
    return version_id


def content_hash(version: str, valid_from: date | None, rows: Sequence[TableRow]) -> str:
    """Return the SHA-256 of a version's content."""
    content = [version, valid_from, [astuple(row) for row in rows]]
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _check_version(ctx: WriteContext, new: NewVersion) -> None:
    require(new.version.strip(), "REQUIRED", ("version",))
    require(new.valid_from > ctx.today, errors.EFFECTIVE_TOO_EARLY, ("validFrom",), today=ctx.today.isoformat())
    require(new.rows, errors.ROWS_EMPTY, ("rows",))
    require(len(new.rows) <= MAX_ROWS, errors.ROWS_TOO_MANY, ("rows",), limit=MAX_ROWS, count=len(new.rows))
    reader = rule_tables.READERS.get(new.table_code)
    seen: set[str] = set()
    for index, row in enumerate(new.rows):
        place = ("rows", str(index))
        for column, text in (("code", row.code), ("nameZh", row.name_zh)):
            require(text.strip(), errors.ROW_INVALID, (*place, column), row=index + 1, column=column, found="")
        require(row.code not in seen, errors.ROW_CODE_TWICE, (*place, "code"), row=index + 1, code=row.code)
        seen.add(row.code)
        if reader is not None:
            try:
                reader(row)
            except RowError as problem:
                params = {"row": index + 1, "column": problem.column, "found": problem.found}
                raise Fault(errors.ROW_INVALID, (*place, problem.column), **params) from problem


async def _read(
    session: AsyncSession, table: str, on: date, area: str, reader: Callable[[TableRow], T]
) -> tuple[T, ...]:
    rows = await rows_in_force(session, table, on, area)
    return tuple(reader(row) for row in rows if row.valid_from is None or row.valid_from <= on)


def _valid(
    first: InstrumentedAttribute[date | None], last: InstrumentedAttribute[date | None], on: date
) -> ColumnElement[bool]:
    return or_(first.is_(None), first <= on) & or_(last.is_(None), last > on)


def _table_row(row: StandardRow) -> TableRow:
    return TableRow(
        row.code,
        row.name_zh,
        row.name_en,
        row.parent_code,
        row.attrs,
        row.legal_basis,
        row.valid_from,
        row.source,
        Mark(row.mark),
    )


def _row_values(version_id: UUID, position: int, row: TableRow) -> dict[str, object]:
    return {
        "id": uuid7(),
        "version_id": version_id,
        "position": position,
        "code": row.code,
        "parent_code": row.parent_code,
        "name_zh": row.name_zh,
        "name_en": row.name_en,
        "attrs": dict(row.attrs),
        "legal_basis": row.legal_basis,
        "valid_from": row.valid_from,
        "source": row.source,
        "mark": row.mark,
    }
