"""Reads over GraphQL as a visitor, through the context of a request."""

from datetime import UTC, datetime
from typing import Any

import pytest
from graphql import graphql

from app.api.context import Identity, RequestContext, Runs
from app.api.schema import Api, build
from app.kit.errors import Fault, codes
from app.modules.standards import errors
from app.modules.standards.module import MODULE
from infra.clock import Clock
from tenants.context import Visitor
from tests.conftest import Clone
from tests.factories.standards import acting, writing


class NoMutations:
    """These tests only read."""

    async def run(self, *_: object) -> None:
        raise AssertionError("a read ran a mutation")


class RunAs:
    """Runs a mutation's function in a transaction of an office; the product's own runner is tested in tests/api."""

    def __init__(self, clone: Clone, who: str) -> None:
        self.clone, self.who = clone, who

    async def run(self, ctx: RequestContext, mark: Any, _name: str, _info: object, given: object) -> None:
        async with writing(self.clone.db, acting(self.who), ctx.today) as unit:
            await mark.run(unit, given)


def context(clone: Clone, runner: Runs | None = None) -> RequestContext:
    clock = Clock(source=lambda: datetime(2026, 3, 2, 4, tzinfo=UTC))
    return RequestContext(clone.db, clock, Identity(Visitor()), "test", runner or NoMutations(), locale="en")


@pytest.fixture(scope="module")
def api() -> Api:
    assert MODULE.query is not None
    assert MODULE.mutation is not None
    return build([MODULE.query], [MODULE.mutation])


async def ask(api: Api, clone: Clone, query: str, **variables: object) -> Any:
    answer = await graphql(api.schema, query, context_value=context(clone), variable_values=variables)
    assert answer.errors is None, answer.errors
    assert answer.data is not None
    return next(iter(answer.data.values()))


DEADLINE = """query Q(
  $rule: String!, $day: Date, $moment: DateTime, $pauses: [DeadlinePauseInput!], $extended: Boolean!
) {
  deadlineCompute(rule: $rule, day: $day, moment: $moment, pauses: $pauses, extended: $extended) {
    dueOn dueAt provisional remaining
    rule { code amount unit counting countingMark direction legalBasis mark validFrom pausable }
    steps { day kind count note provisional }
    errors { code field message }
  }
}"""


async def test_a_deadline_explains_itself_step_by_step(api: Api, seeded_db: Clone) -> None:
    found = await ask(api, seeded_db, DEADLINE, rule="PERMIT_DECIDE", day="2026-01-30", extended=False)
    assert (found["dueOn"], found["dueAt"]) == ("2026-03-05", "2026-03-05T16:00:00.000000Z")
    assert found["rule"] == {
        "code": "PERMIT_DECIDE",
        "amount": 20,
        "unit": "day",
        "counting": "working",
        "countingMark": "VERIFIED",
        "direction": "after",
        "legalBasis": "行政许可法 42, 82",
        "mark": "VERIFIED",
        "validFrom": "2019-04-23",
        "pausable": True,
    }
    assert found["steps"][0]["kind"] == "TRIGGER"
    assert found["steps"][-1]["kind"] == "DUE"
    assert sum(step["kind"] in ("COUNTED", "MAKEUP") for step in found["steps"]) == 20
    assert {step["note"] for step in found["steps"] if step["kind"] == "HOLIDAY"} == {"春节"}
    assert found["errors"] == []


async def test_a_standing_clock_a_moment_and_an_unverified_kind_of_days(api: Api, seeded_db: Clone) -> None:
    pauses = [{"first": "2026-02-03", "reason": "专家评审"}]
    standing = await ask(
        api, seeded_db, DEADLINE, rule="PERMIT_DECIDE", day="2026-01-30", pauses=pauses, extended=False
    )
    assert (standing["dueOn"], standing["remaining"]) == (None, 19)
    hour = await ask(
        api, seeded_db, DEADLINE, rule="ACCIDENT_UNIT_REPORT", moment="2026-03-05T10:05:00+08:00", extended=False
    )
    assert hour["dueAt"] == "2026-03-05T03:05:00.000000Z"
    licence = await ask(api, seeded_db, DEADLINE, rule="SAFETY_LICENCE_DECIDE", day="2026-03-02", extended=False)
    assert (licence["rule"]["mark"], licence["rule"]["countingMark"]) == ("VERIFIED", "UNVERIFIED")


@pytest.mark.parametrize(
    ("variables", "code", "field"),
    [
        ({"rule": "PERMIT_DECIDE"}, "INVALID", ["day"]),
        ({"rule": "PERMIT_DECIDE", "day": "2026-01-30", "moment": "2026-01-30T00:00:00Z"}, "INVALID", ["day"]),
        ({"rule": "nonsense", "day": "2026-01-30"}, "DEADLINE_RULE_UNKNOWN", ["rule"]),
        (
            {"rule": "PERMIT_DELIVER", "day": "2026-01-30", "extended": True},
            "DEADLINE_EXTENSION_NOT_ALLOWED",
            ["extended"],
        ),
    ],
)
async def test_faults_are_in_the_answer(
    api: Api, seeded_db: Clone, variables: dict[str, object], code: str, field: list[str]
) -> None:
    found = await ask(api, seeded_db, DEADLINE, **{"extended": False, **variables})
    assert [(error["code"], error["field"]) for error in found["errors"]] == [(code, field)]
    assert (found["dueOn"], found["rule"], found["steps"]) == (None, None, [])


async def test_working_days_of_a_span(api: Api, seeded_db: Clone) -> None:
    query = """query Q($first: Date!, $last: Date!) { workingDays(first: $first, last: $last) {
      count provisional days { day kind working nameZh nameEn provisional } errors { code field message } } }"""
    found = await ask(api, seeded_db, query, first="2026-02-13", last="2026-02-24")
    assert (found["count"], found["provisional"], len(found["days"])) == (3, False, 12)
    assert found["days"][1] == {
        "day": "2026-02-14",
        "kind": "MAKEUP",
        "working": True,
        "nameZh": "春节",
        "nameEn": "Spring Festival",
        "provisional": False,
    }
    assert (await ask(api, seeded_db, query, first="2026-12-31", last="2027-01-01"))["provisional"]
    for last in ("2026-02-12", "2036-12-31"):
        wrong = await ask(api, seeded_db, query, first="2026-02-13", last=last)
        assert [error["code"] for error in wrong["errors"]] == ["CALENDAR_RANGE"]
        assert wrong["days"] == []


async def test_the_holidays_of_a_year(api: Api, seeded_db: Clone) -> None:
    query = "query Q($year: Int!) { holidayCalendar(year: $year) { year known days { day kind } } }"
    known = await ask(api, seeded_db, query, year=2026)
    assert known["known"]
    assert [day["kind"] for day in known["days"]].count("HOLIDAY") == 33
    assert await ask(api, seeded_db, query, year=2027) == {"year": 2027, "known": False, "days": []}


async def test_the_version_in_force(api: Api, seeded_db: Clone) -> None:
    query = """query Q($table: String!, $on: Date, $area: String) {
      standardInForce(table: $table, on: $on, area: $area) { id table areaCode version validFrom legalBasis mark } }"""
    found = await ask(api, seeded_db, query, table="enterprise_size_class", area="610113")
    assert found["id"].startswith("standardversion_")
    assert {**found, "id": ""} == {
        "id": "",
        "table": "enterprise_size_class",
        "areaCode": "00",
        "version": "2011-300",
        "validFrom": "2011-06-18",
        "legalBasis": "工信部联企业〔2011〕300号",
        "mark": "UNVERIFIED",
    }
    assert await ask(api, seeded_db, query, table="enterprise_size_class", on="2011-06-17") is None
    assert await ask(api, seeded_db, query, table="nonsense") is None


def test_every_code_of_this_slice_has_a_text_in_both_languages() -> None:
    named = {value for name, value in vars(errors).items() if name.isupper() and not name.endswith("PREFIX")}
    for locale in ("zh-CN", "en"):
        assert named <= codes(locale)


async def test_divisions_by_parent_and_level(api: Api, seeded_db: Clone) -> None:
    query = """query Q($filter: DivisionFilter, $first: Int) { divisions(filter: $filter, first: $first) {
      totalCount nodes { id code name level parentCode validFrom validTo successorCodes source } } }"""
    counties = await ask(api, seeded_db, query, filter={"parentCode": {"eq": "6101"}}, first=100)
    assert counties["totalCount"] == len(counties["nodes"])
    assert [node["code"] for node in counties["nodes"]] == sorted(node["code"] for node in counties["nodes"])
    assert {node["level"] for node in counties["nodes"]} == {"COUNTY"}
    assert counties["nodes"][0] | {"id": ""} == {
        "id": "",
        "code": "610102",
        "name": "新城区",
        "level": "COUNTY",
        "parentCode": "6101",
        "validFrom": None,
        "validTo": None,
        "successorCodes": [],
        "source": "mca",
    }
    all_cities = await ask(api, seeded_db, query, filter={"level": {"eq": "CITY"}}, first=1)
    assert all_cities["totalCount"] == 23


async def test_from_a_table_through_its_version_to_its_rows(api: Api, seeded_db: Clone) -> None:
    tables = """query { standardTables(filter: {code: {eq: "accident_grade"}}) { nodes { id code nameZh nameEn
      versions { totalCount nodes { id version areaCode rowCount mark publishedBy table { code }
        rows(first: 2) { totalCount nodes { position code nameZh attrs legalBasis mark standardVersion { version } } }
    } } } } }"""
    table = (await ask(api, seeded_db, tables))["nodes"][0]
    version = table["versions"]["nodes"][0]
    assert (table["nameZh"], table["versions"]["totalCount"], version["rowCount"]) == ("事故等级", 1, 4)
    assert (version["areaCode"], version["publishedBy"], version["table"]) == ("00", "", {"code": "accident_grade"})
    assert [row["position"] for row in version["rows"]["nodes"]] == [1, 2]
    first = version["rows"]["nodes"][0]
    assert (first["nameZh"], first["attrs"]["deaths_min"], first["mark"]) == ("特别重大事故", "30", "SEEN")
    rows = """query Q($id: ID!) { standardRows(filter: {standardVersion: {eq: $id}}, first: 100) {
      totalCount nodes { code } } }"""
    found = await ask(api, seeded_db, rows, id=version["id"])
    assert [row["code"] for row in found["nodes"]] == ["1", "2", "3", "4"]
    one = "query Q($id: ID!) { standardVersion(id: $id) { version legalBasis validFrom } }"
    assert (await ask(api, seeded_db, one, id=version["id"]))["validFrom"] == "2007-06-01"
    assert await ask(api, seeded_db, one, id="standardversion_00000000-0000-7000-8000-000000000000") is None


async def test_a_version_is_published_with_its_columns(api: Api, seeded_copy: Clone) -> None:
    mutation = """mutation M($input: StandardVersionPublishInput!) {
      standardVersionPublish(input: $input) { errors { code } } }"""
    rows = [
        {"code": "1", "nameZh": "甲", "mark": "SEEN", "attrs": {"deaths_min": "30"}, "validFrom": "2026-05-01"},
        {"code": "2", "nameZh": "乙", "nameEn": "two", "parentCode": "1", "mark": "VERIFIED", "legalBasis": "x 3"},
    ]
    given = {"table": "accident_grade", "version": "2026", "validFrom": "2026-04-01", "legalBasis": "x", "rows": rows}
    answer = await graphql(
        api.schema,
        mutation,
        context_value=context(seeded_copy, RunAs(seeded_copy, "shaanxi")),
        variable_values={"input": given},
    )
    assert answer.errors is None, answer.errors
    stored = await seeded_copy.admin.fetch(
        "SELECT r.code, r.name_zh, r.name_en, r.parent_code, r.attrs::text, r.mark, r.valid_from::text, "
        "v.area_code, v.mark AS weakest FROM app.standard_row r JOIN app.standard_version v ON v.id = r.version_id "
        "WHERE v.version = '2026' ORDER BY r.position"
    )
    assert [tuple(row) for row in stored] == [
        ("1", "甲", "", None, '{"deaths_min": "30"}', "SEEN", "2026-05-01", "61", "SEEN"),
        ("2", "乙", "two", "1", "{}", "VERIFIED", None, "61", "SEEN"),
    ]


async def test_columns_that_are_no_object_are_refused(api: Api, seeded_copy: Clone) -> None:
    mutation = """mutation M($input: StandardVersionPublishInput!) {
      standardVersionPublish(input: $input) { errors { code } } }"""
    rows = [{"code": "1", "nameZh": "甲", "mark": "SEEN", "attrs": ["no", "object"]}]
    given = {"table": "accident_grade", "version": "2026", "validFrom": "2026-04-01", "legalBasis": "x", "rows": rows}
    answer = await graphql(
        api.schema,
        mutation,
        context_value=context(seeded_copy, RunAs(seeded_copy, "nation")),
        variable_values={"input": given},
    )
    assert answer.errors is not None
    fault = answer.errors[0].original_error
    assert isinstance(fault, Fault)
    assert (fault.code, fault.field) == ("STANDARD_ROW_INVALID", ("rows", "0", "attrs"))
