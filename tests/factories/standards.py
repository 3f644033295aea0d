"""Credit codes, calendars and rules for tests."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from functools import cache
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from app.kit.rules import calendar as calendars
from app.kit.rules import deadlines, uscc
from app.kit.rules.datafiles import Mark, read_rows
from app.kit.uow import WriteContext
from infra.db.port import Database
from tenants.context import Acting
from tenants.kinds import Kind
from tenants.roles import capabilities


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


OFFICES = {
    "nation": (Kind.NATIONAL, "国家平台", None, "EXCHANGE"),
    "shaanxi": (Kind.PROVINCE, "陕西省应急管理厅", "61", "STANDARDS"),
    "jiangsu": (Kind.PROVINCE, "江苏省应急管理厅", "32", "STANDARDS"),
    "xian": (Kind.CITY, "西安市应急管理局", "6101", "LEADER"),
}
"""Offices of the standards tests: kind, name, division, role of who acts."""


def office_key(name: str) -> int:
    """The internal key of an office."""
    return 1 + list(OFFICES).index(name)


async def add_offices(admin: Any) -> None:
    """Insert the offices as they stand, with their keys, past every trigger."""
    async with admin.transaction():
        await admin.execute("SET LOCAL session_replication_role = replica")
        for name, (kind, title, division, _) in OFFICES.items():
            key = office_key(name)
            row = (UUID(int=key), key, str(kind), title, division)
            await admin.execute(
                "INSERT INTO app.tenant (id, key, owner_key, kind, name, division_code) OVERRIDING SYSTEM VALUE "
                "VALUES ($1, $2, $2, $3, $4, $5)",
                *row,
            )
            await admin.execute(
                "INSERT INTO app.agency (id, key, kind, name, division_code) VALUES ($1, $2, $3, $4, $5)", *row
            )


def acting(name: str, role: str | None = None) -> Acting:
    """A membership of an office, with the office's usual role or another."""
    kind, title, _, usual = OFFICES[name]
    roles = frozenset({role or usual})
    key = office_key(name)
    return Acting(
        membership_id=UUID(int=100 + key),
        person_id=UUID(int=200 + key),
        tenant_id=UUID(int=key),
        tenant_key=key,
        tenant_name=title,
        kind=kind,
        roles=roles,
        capabilities=capabilities(kind, roles),
        actor_name="张三",
        post="标准管理员",
    )


@asynccontextmanager
async def writing(db: Database, who: Acting, today: date) -> AsyncIterator[WriteContext]:
    """A unit of work of a membership on a legal day."""
    async with db.write(who.login, who.claims(today)) as session:
        now = datetime(today.year, today.month, today.day, 4, tzinfo=UTC)
        yield WriteContext(session=session, caller=who, now=now, today=today, request_id="test")
