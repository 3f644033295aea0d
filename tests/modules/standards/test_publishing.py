"""Scenario 29: a version published for next month; today's forms still use the old one."""

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from app.kit.errors import Fault, NotPermittedFault
from app.kit.ids import uuid7
from app.kit.rules.datafiles import Mark
from app.kit.rules.tables import TableRow
from app.modules.standards import models, public, service
from app.modules.standards.service import NewVersion
from tests.conftest import Clone
from tests.factories.standards import OFFICES, acting, writing

TODAY, LAST, FIRST = date(2026, 3, 2), date(2026, 3, 31), date(2026, 4, 1)
NEW = NewVersion(
    table_code="accident_type",
    version="GB 6441-2025",
    valid_from=FIRST,
    legal_basis="GB 6441-2025",
    source="test",
    rows=[TableRow("01", "物体打击", mark=Mark.SEEN), TableRow("99", "其他", mark=Mark.UNVERIFIED)],
)


async def codes(clone: Clone, on: date, area: str = "00") -> int:
    async with clone.db.read("county", {}) as session:
        return len(await public.rows_in_force(session, "accident_type", on, area))


async def publish(clone: Clone, who: str, new: NewVersion = NEW, role: str | None = None) -> None:
    async with writing(clone.db, acting(who, role), TODAY) as ctx:
        await service.publish(ctx, new)


async def test_the_old_version_holds_until_the_first_day(seeded_copy: Clone) -> None:
    await publish(seeded_copy, "nation")
    assert [await codes(seeded_copy, day) for day in (TODAY, LAST, FIRST)] == [20, 20, 2]
    async with seeded_copy.db.read("public", {}) as session:
        found = await service.version_in_force(session, "accident_type", FIRST)
    assert found is not None
    assert (found.version, found.mark) == ("GB 6441-2025", Mark.UNVERIFIED)


async def test_a_province_publishes_for_itself_only(seeded_copy: Clone) -> None:
    await publish(seeded_copy, "shaanxi")
    assert await codes(seeded_copy, FIRST, "610113") == 2
    assert await codes(seeded_copy, FIRST, "320506") == 20
    assert await codes(seeded_copy, FIRST) == 20
    await publish(seeded_copy, "nation", replace(NEW, rows=NEW.rows[:1]))
    assert await codes(seeded_copy, FIRST, "61") == 2
    assert await codes(seeded_copy, FIRST, "32") == 1
    names = await seeded_copy.admin.fetch(
        "SELECT area_code, published_by FROM app.standard_version WHERE version = $1 ORDER BY 1", NEW.version
    )
    assert [tuple(row) for row in names] == [("00", OFFICES["nation"][1]), ("61", OFFICES["shaanxi"][1])]


async def test_of_two_versions_with_one_first_day_the_later_holds(seeded_copy: Clone) -> None:
    await publish(seeded_copy, "nation")
    await publish(seeded_copy, "nation", replace(NEW, rows=NEW.rows[:1]))
    assert await codes(seeded_copy, FIRST) == 1


async def test_a_new_limit_moves_deadlines_from_its_first_day_only(seeded_copy: Clone) -> None:
    async with seeded_copy.db.read("public", {}) as session:
        rows = await public.rows_in_force(session, "statutory_deadline", TODAY)
    changed = [
        replace(row, attrs={**row.attrs, "amount": "15"}) if row.code == "PERMIT_DECIDE" else row for row in rows
    ]
    await publish(seeded_copy, "nation", replace(NEW, table_code="statutory_deadline", rows=changed))
    async with seeded_copy.db.read("public", {}) as session:
        before = await public.deadline(session, "PERMIT_DECIDE", LAST)
        after = await public.deadline(session, "PERMIT_DECIDE", FIRST)
    assert (before.rule.span.amount, after.rule.span.amount) == (20, 15)


@pytest.mark.parametrize(
    ("who", "role"), [("xian", None), ("shaanxi", "LEADER"), ("nation", "AUDITOR"), ("xian", "ADMIN")]
)
async def test_only_standards_administrators_publish(seeded_copy: Clone, who: str, role: str | None) -> None:
    with pytest.raises(NotPermittedFault):
        await publish(seeded_copy, who, role=role)
    assert await codes(seeded_copy, FIRST) == 20


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"table_code": "no_such"}, "STANDARD_TABLE_UNKNOWN", ("table",)),
        ({"valid_from": TODAY}, "STANDARD_EFFECTIVE_TOO_EARLY", ("validFrom",)),
        ({"version": "  "}, "REQUIRED", ("version",)),
        ({"rows": []}, "STANDARD_ROWS_EMPTY", ("rows",)),
        ({"rows": [TableRow(str(n), "x") for n in range(5001)]}, "STANDARD_ROWS_TOO_MANY", ("rows",)),
        ({"rows": [TableRow("1", "x"), TableRow("1", "y")]}, "STANDARD_ROW_CODE_TWICE", ("rows", "1", "code")),
        ({"rows": [TableRow(" ", "x")]}, "STANDARD_ROW_INVALID", ("rows", "0", "code")),
        ({"rows": [TableRow("1", "")]}, "STANDARD_ROW_INVALID", ("rows", "0", "nameZh")),
        (
            {"table_code": "statutory_deadline", "rows": [TableRow("1", "x", attrs={"amount": "soon"})]},
            "STANDARD_ROW_INVALID",
            ("rows", "0", "amount"),
        ),
    ],
)
async def test_refuses_with_place_and_leaves_nothing(
    seeded_copy: Clone, change: dict[str, object], code: str, field: tuple[str, ...]
) -> None:
    before = await seeded_copy.admin.fetchval("SELECT count(*) FROM app.standard_version")
    with pytest.raises(Fault) as raised:
        await publish(seeded_copy, "nation", replace(NEW, **change))  # type: ignore[arg-type]
    assert (raised.value.code, raised.value.field) == (code, field)
    assert "{" not in raised.value.message("zh-CN") + raised.value.message("en")
    assert await seeded_copy.admin.fetchval("SELECT count(*) FROM app.standard_version") == before


async def test_the_same_content_is_not_published_twice(seeded_copy: Clone) -> None:
    await publish(seeded_copy, "nation")
    with pytest.raises(Fault) as raised:
        await publish(seeded_copy, "nation")
    assert raised.value.code == "STANDARD_VERSION_TAKEN"


@pytest.mark.parametrize(
    ("who", "area", "first"),
    [("shaanxi", "00", FIRST), ("shaanxi", "32", FIRST), ("nation", "61", FIRST), ("shaanxi", "61", TODAY)],
)
async def test_the_database_refuses_what_the_service_never_sends(
    seeded_copy: Clone, who: str, area: str, first: date
) -> None:
    someone = acting(who)
    table_id = await seeded_copy.admin.fetchval("SELECT id FROM app.standard_table LIMIT 1")
    values = {"id": uuid7(), "table_id": table_id, "area_code": area, "version": "x", "valid_from": first}
    values |= {"legal_basis": "", "source": "", "mark": "SEEN", "content_hash": "x", "row_count": 0}
    with pytest.raises(DBAPIError, match=r"published by the nation|begins after"):
        async with seeded_copy.db.write(someone.login, someone.claims(TODAY)) as session:
            await session.execute(insert(models.StandardVersion).values(values))


@pytest.mark.parametrize("login", ["province", "assigned"])
async def test_a_published_version_takes_no_more_rows_and_no_change(seeded_copy: Clone, login: str) -> None:
    someone = acting("shaanxi" if login == "province" else "nation")
    version_id = await seeded_copy.admin.fetchval("SELECT id FROM app.standard_version LIMIT 1")
    row = {"id": uuid7(), "version_id": version_id, "position": 1, "code": "zz", "name_zh": "x", "mark": "SEEN"}
    with pytest.raises(DBAPIError, match="does not change"):
        async with seeded_copy.db.write(someone.login, someone.claims(TODAY)) as session:
            await session.execute(insert(models.StandardRow).values(row))
    for change in (
        "UPDATE app.standard_row SET name_zh = 'x'",
        "DELETE FROM app.standard_row",
        "UPDATE app.standard_version SET valid_from = NULL",
        "INSERT INTO app.division (id, code, name, level, source) VALUES (gen_random_uuid(), '99', 'x', 'CITY', '')",
        "UPDATE app.calendar_day SET kind = 'MAKEUP'",
    ):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with seeded_copy.db.write(someone.login, someone.claims(TODAY)) as session:
                await session.execute(text(change))


@pytest.mark.parametrize("login", ["city", "county", "township", "park", "enterprise", "public"])
async def test_other_levels_cannot_publish(seeded_copy: Clone, login: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with seeded_copy.db.write(login, {"app.key": "2", "app.today": "2026-03-02"}) as session:
            await session.execute(text("INSERT INTO app.standard_version (id) VALUES (gen_random_uuid())"))
