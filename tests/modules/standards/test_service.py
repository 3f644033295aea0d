from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from app.kit.errors import Fault
from app.kit.rules.calendar import DayKind
from app.kit.rules.deadlines import Pause, Why
from app.kit.rules.geo import boundaries
from app.modules.standards import public
from tests.conftest import Clone

TODAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("code", "full_name", "path"),
    [
        ("61", "陕西省", ("61",)),
        ("610000", "陕西省", ("61",)),
        ("610100", "陕西省西安市", ("61", "6101")),
        ("610113", "陕西省西安市雁塔区", ("61", "6101", "610113")),
        ("320576052", "江苏省苏州市吴中区唯亭街道", ("32", "3205", "320506", "320576052")),
    ],
)
async def test_division_with_its_path(seeded_db: Clone, code: str, full_name: str, path: tuple[str, ...]) -> None:
    async with seeded_db.db.read("public", {}) as session:
        found = await public.division_on(session, code, TODAY)
    assert found is not None
    assert (found.full_name, found.path) == (full_name, path)


@pytest.mark.parametrize("code", ["", "99", "610199", "320576", "110101", "x' OR 1=1 --", "610113" * 9])
async def test_no_such_division(seeded_db: Clone, code: str) -> None:
    async with seeded_db.db.read("county", {"app.key": "4"}) as session:
        assert await public.division_on(session, code, TODAY) is None


async def test_a_merged_division_ends_on_its_day_and_names_its_successor(seeded_copy: Clone) -> None:
    await seeded_copy.admin.execute(
        "UPDATE app.division SET valid_to = '2026-06-01', successor_codes = '{610113}' WHERE code = '610112'"
    )
    async with seeded_copy.db.read("public", {}) as session:
        before = await public.division_on(session, "610112", date(2026, 5, 31))
        assert before is not None
        assert before.code == "610112"
        assert await public.division_on(session, "610112", date(2026, 6, 1)) is None
        assert await public.successors_on(session, "610112", date(2026, 5, 31)) == ("610112",)
        assert await public.successors_on(session, "610112", date(2026, 6, 1)) == ("610113",)


async def test_successors_follow_chains_splits_and_circles(seeded_copy: Clone) -> None:
    for code, day, then in (
        ("610112", "2026-06-01", "{610113,610114}"),
        ("610113", "2026-07-01", "{610115}"),
        ("610114", "2026-07-01", "{610112}"),
    ):
        await seeded_copy.admin.execute(
            "UPDATE app.division SET valid_to = $2::text::date, successor_codes = $3::text::text[] WHERE code = $1",
            code,
            day,
            then,
        )
    async with seeded_copy.db.read("public", {}) as session:
        assert await public.successors_on(session, "610112", date(2026, 6, 15)) == ("610113", "610114")
        assert await public.successors_on(session, "610112", date(2026, 7, 1)) == ("610115",)
        assert await public.successors_on(session, "999999", date(2026, 7, 1)) == ()


async def test_place_judges_a_township_by_its_county(seeded_db: Clone) -> None:
    async with seeded_db.db.read("public", {}) as session:
        township = await public.division_on(session, "320576052", TODAY)
        county = await public.division_on(session, "320506", TODAY)
    assert township is not None
    assert county is not None
    point = boundaries().inner_point("320506")
    assert point is not None
    assert public.place(*point, township).inside
    assert public.place(*point, county).inside
    far = public.place(108.94, 34.34, township)
    assert far.inside is False
    assert far.distance_m is not None
    assert far.distance_m > 1_000_000


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("2614", ("C", "26", "261", "2614")),
        ("261", ("C", "26", "261")),
        ("C", ("C",)),
        ("1111", ()),
        ("", ()),
        ("9999", ()),
    ],
)
async def test_industry_with_its_path(seeded_db: Clone, code: str, path: tuple[str, ...]) -> None:
    async with seeded_db.db.read("enterprise", {"app.key": "4"}) as session:
        found = await public.industry_on(session, code, TODAY)
    assert (found.path if found else ()) == path


async def test_size_class_of_a_chemical_plant(seeded_db: Clone) -> None:
    async with seeded_db.db.read("county", {}) as session:
        found = await public.size_class_on(
            session, "2614", {"从业人员": Decimal(320), "营业收入": Decimal(1999)}, TODAY
        )
        none = await public.size_class_on(session, "8310", {"从业人员": Decimal(320)}, TODAY)
        early = await public.size_class_on(session, "2614", {}, date(2011, 6, 17))
    assert found is not None
    assert found.size_class == "SMALL"
    assert none is None
    assert early is not None
    assert early.size_class is None


async def test_flags_and_completeness_by_the_tables_of_the_day(seeded_db: Clone) -> None:
    async with seeded_db.db.read("county", {}) as session:
        flags = await public.flags_on(session, ["HAZ_PROD"], 20, TODAY)
        early = await public.flags_on(session, ["HAZ_PROD"], 20, date(2019, 4, 1))
        full = await public.completeness_on(session, {"name": "x", "credit_code": "y"}, [], TODAY)
    assert "SAFETY_ENGINEER" in {flag.rule.code for flag in flags if flag.applies}
    assert {flag.rule.code for flag in early} == {"HALF_YEAR_DRILL", "RESCUE_TEAM", "RESCUE_EQUIPMENT"}
    assert 0 < full.percent < 100


async def test_calendar_is_the_shipped_one(seeded_db: Clone) -> None:
    async with seeded_db.db.read("public", {}) as session:
        calendar = await public.calendar(session)
    assert calendar.judge(date(2026, 2, 14)).kind is DayKind.MAKEUP
    assert calendar.years == set(range(2004, 2027))
    assert len(calendar.special) == 769


async def test_the_latest_edition_of_a_year_holds(seeded_copy: Clone) -> None:
    await seeded_copy.admin.execute(
        "INSERT INTO app.calendar_year (id, year, source, mark, content_hash) "
        "VALUES (gen_random_uuid(), 2026, 'test', 'SEEN', 'new')"
    )
    async with seeded_copy.db.read("public", {}) as session:
        calendar = await public.calendar(session)
        answer = await public.deadline(session, "PERMIT_DECIDE", date(2026, 1, 30))
    assert calendar.judge(date(2026, 2, 16)).working
    assert calendar.judge(date(2025, 1, 28)).kind is DayKind.HOLIDAY
    assert answer.due_on == date(2026, 2, 27)


async def test_deadline_by_the_rule_of_the_law(seeded_db: Clone) -> None:
    async with seeded_db.db.read("enterprise", {}) as session:
        plain = await public.deadline(session, "PERMIT_DECIDE", date(2026, 1, 30))
        longer = await public.deadline(session, "PERMIT_DECIDE", date(2026, 1, 30), extended=True)
        review = [Pause(date(2026, 2, 2), date(2026, 2, 6), "专家评审")]
        paused = await public.deadline(session, "PERMIT_DECIDE", date(2026, 1, 30), review)
        report = await public.deadline(session, "ACCIDENT_UNIT_REPORT", datetime(2026, 3, 5, 2, 5, tzinfo=UTC))
    assert (plain.due_on, plain.rule.legal_basis) == (date(2026, 3, 5), "行政许可法 42, 82")
    assert longer.due_on == date(2026, 3, 19)
    assert paused.due_on == date(2026, 3, 12)
    assert [step.note for step in paused.steps if step.why is Why.PAUSED] == ["专家评审"] * 5
    assert report.due_at == datetime(2026, 3, 5, 3, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "trigger", "pauses", "code", "field"),
    [
        ("NO_SUCH", date(2026, 3, 2), [], "DEADLINE_RULE_UNKNOWN", "rule"),
        ("PENALTY_DECIDE", date(2021, 7, 14), [], "DEADLINE_RULE_NOT_IN_FORCE", "trigger"),
        ("ACCIDENT_UNIT_REPORT", date(2026, 3, 2), [], "DEADLINE_MOMENT_NEEDED", "trigger"),
        (
            "PERMIT_DELIVER",
            date(2026, 3, 2),
            [Pause(date(2026, 3, 3), None, "x")],
            "DEADLINE_PAUSE_NOT_ALLOWED",
            "pauses",
        ),
    ],
)
async def test_deadline_faults_name_their_place(
    seeded_db: Clone, rule: str, trigger: date, pauses: list[Pause], code: str, field: str
) -> None:
    async with seeded_db.db.read("enterprise", {}) as session:
        with pytest.raises(Fault) as raised:
            await public.deadline(session, rule, trigger, pauses)
    assert (raised.value.code, raised.value.field) == (code, (field,))
    for locale in ("zh-CN", "en"):
        assert rule in raised.value.message(locale)
