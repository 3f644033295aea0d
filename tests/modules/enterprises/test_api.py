"""US-04 through the schema: each person asks as himself and sees what is his."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from app.api.context import Identity, RequestContext
from app.api.engine import Engine, GraphQLRequest
from app.api.limits import load_limits
from app.api.mutations import MutationRunner
from app.api.schema import Api
from app.api.trusted import TrustedDocuments
from app.asgi import load_api
from app.kit.ids import global_id
from app.modules.enterprises.models import LIFECYCLES, PERSON_ROLES, SIZE_CLASSES, STATUSES
from app.modules.members.public import tenant_id
from infra.clock import Clock
from tenants.context import Caller, Visitor
from tenants.kinds import Kind
from tests.conftest import Clone
from tests.factories.enterprises import (
    CHENGJIANG,
    JIANGSU,
    JIANGYIN,
    JIANGYIN_PARK,
    WUXI,
    YIXING,
    Opened,
    member,
    new_code,
    office,
    open_enterprise,
    stored,
)

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)


@dataclass
class Desk:
    """Asks one database through the schema, as anybody."""

    clone: Clone
    api: Api

    async def ask(self, who: Caller | None, query: str, **variables: Any) -> dict[str, Any]:
        """Return the data; top-level errors fail the test."""
        engine = Engine(self.api, load_limits(), TrustedDocuments({}, free_text=True, clients=frozenset()))
        context = RequestContext(
            self.clone.db,
            Clock(source=lambda: NOW),
            Identity(who or Visitor()),
            "test",
            MutationRunner(self.api.bindings),
            locale="en",
        )
        answer = await engine.run(GraphQLRequest(query, variables=variables), context)
        content = orjson.loads(answer.body)
        assert "errors" not in content, content["errors"]
        data: dict[str, Any] = content["data"]
        return data

    async def one(self, who: Caller | None, query: str, **variables: Any) -> Any:
        """Return the only root field of the data."""
        return next(iter((await self.ask(who, query, **variables)).values()))


@pytest.fixture(scope="module")
def api() -> Api:
    return load_api()


@pytest.fixture
def desk(tree_db: Clone, api: Api) -> Desk:
    return Desk(tree_db, api)


SUBMIT = """mutation($i: RegistrationSubmitInput!) { registrationSubmit(input: $i) {
  received errors { code field message } } }"""
APPROVE = """mutation($i: RegistrationApproveInput!) { registrationApprove(input: $i) {
  registration { id state kind enterprise { id name status sites { totalCount } } }
  slipCode slipQrSvg slipExpiresAt errors { code field } } }"""
CONFIRM = """mutation($i: RegistrationConfirmClaimInput!) { registrationConfirmClaim(input: $i) {
  registration { state } slipCode errors { code } } }"""
REVEAL = """mutation($i: RegistrationPhoneRevealInput!) { registrationPhoneReveal(input: $i) {
  registration { id version state phoneMasked } contactPhone errors { code field message } } }"""
WAITING = """query($code: String!) { registrations(filter: {creditCode: {eq: $code}}) {
  nodes { id version kind state phoneMasked enterprise { id } } } }"""
UPDATE = """mutation($i: EnterpriseUpdateInput!) { enterpriseUpdate(input: $i) {
  enterprise { version employees sizeClass sizeBasis completeness duties } errors { code field message } } }"""
SITE_ADD = """mutation($i: SiteAddInput!) { siteAdd(input: $i) {
  site { id version positionWarningM place { name } park { name } enterpriseName } errors { code field } } }"""
SITES = """query($e: String!) { sites(filter: {enterpriseName: {eq: $e}}) { totalCount nodes { id divisionCode
  enterprise { name } place { divisionCode } } } }"""


def filled(**over: Any) -> dict[str, Any]:
    return {
        "creditCode": new_code(),
        "name": "江阴试验化工有限公司",
        "divisionCode": JIANGYIN,
        "address": "试验路 1 号",
        "contactName": "王小安",
        "contactPhone": "138 1234 5678",
        "industryCode": "2631",
    } | over


async def test_the_whole_way_from_citizen_to_two_counties(desk: Desk) -> None:
    admin = desk.clone.admin
    wrong = await desk.one(None, SUBMIT, i=filled(creditCode="91440606707539051R"))
    assert (wrong["received"], wrong["errors"][0]["field"]) == (False, ["creditCode"])
    assert "position 18" in wrong["errors"][0]["message"]
    form = filled(name=f"江阴{uuid.uuid4().hex[:8]}化工有限公司")
    assert await desk.one(None, SUBMIT, i=form) == {"received": True, "errors": []}

    county = await office(admin, JIANGYIN, "ACCEPTOR")
    (waiting,) = (await desk.one(county, WAITING, code=form["creditCode"]))["nodes"]
    assert (waiting["kind"], waiting["phoneMasked"]) == ("NEW", "138****5678")
    shown = await desk.one(county, REVEAL, i={"id": waiting["id"], "reason": "电话核实"})
    assert (shown["errors"], shown["contactPhone"]) == ([], "13812345678")
    done = await desk.one(county, APPROVE, i={"id": waiting["id"], "expectedVersion": waiting["version"]})
    assert done["errors"] == []
    assert done["slipQrSvg"].startswith("<svg")
    opened = done["registration"]["enterprise"]
    assert (opened["status"], opened["sites"]["totalCount"]) == ("CLAIMED", 1)

    head = await member(admin, uuid.UUID(opened["id"].removeprefix("enterprise_")), Kind.ENTERPRISE, "HEAD")
    change = {"id": opened["id"], "expectedVersion": 1, "employees": 320, "revenueWan": "41000.5"}
    changed = await desk.one(head, UPDATE, i=change)
    assert (changed["errors"], changed["enterprise"]["sizeClass"], changed["enterprise"]["version"]) == (
        [],
        "MEDIUM",
        2,
    )
    site = await desk.one(
        head,
        SITE_ADD,
        i={"name": "二厂", "address": "x", "divisionCode": YIXING, "longitude": 120.28, "latitude": 31.9},
    )
    assert site["errors"] == []
    assert site["site"]["positionWarningM"] > 10_000
    assert site["site"]["place"]["name"] == "宜兴市应急管理局"

    seen = {
        ref: (await desk.one(await office(admin, ref, "OFFICER"), SITES, e=opened["name"]))
        for ref in (JIANGYIN, YIXING, WUXI, JIANGSU, "320205", "610802")
    }
    counts = {ref: found["totalCount"] for ref, found in seen.items()}
    assert counts == {JIANGYIN: 1, YIXING: 1, WUXI: 2, JIANGSU: 2, "320205": 0, "610802": 0}
    assert seen[JIANGYIN]["nodes"][0]["enterprise"] == {"name": form["name"]}
    assert seen[YIXING]["nodes"][0]["enterprise"] is None  # the neighbour sees the site, not the file

    assert await desk.one(None, SUBMIT, i=form | {"divisionCode": YIXING}) == {"received": True, "errors": []}
    assert (await desk.one(await office(admin, YIXING, "ACCEPTOR"), WAITING, code=form["creditCode"]))["nodes"] == []
    claim = (await desk.one(county, WAITING, code=form["creditCode"]))["nodes"][0]
    assert (claim["kind"], claim["enterprise"]["id"]) == ("CLAIM", opened["id"])
    confirmed = await desk.one(county, CONFIRM, i={"id": claim["id"], "expectedVersion": claim["version"]})
    assert (confirmed["errors"], confirmed["registration"]["state"]) == ([], "CLAIM_CONFIRMED")


async def test_a_repeat_says_received_and_shows_no_slip_again(desk: Desk) -> None:
    form = filled(clientMutationId=str(uuid.uuid4()))
    for _ in range(2):
        assert await desk.one(None, SUBMIT, i=form) == {"received": True, "errors": []}
    county = await office(desk.clone.admin, JIANGYIN, "ACCEPTOR")
    (waiting,) = (await desk.one(county, WAITING, code=form["creditCode"]))["nodes"]
    approval = {"id": waiting["id"], "expectedVersion": 1, "clientMutationId": "approve-1-" + waiting["id"][-12:]}
    first = await desk.one(county, APPROVE, i=approval)
    again = await desk.one(county, APPROVE, i=approval)
    assert (first["slipCode"] is None, again["slipCode"], again["errors"]) == (False, None, [])
    assert again["registration"] == first["registration"]
    kept = await desk.clone.admin.fetch("SELECT outcome::text FROM app.idempotency")
    assert all(first["slipCode"] not in row["outcome"] for row in kept)


async def test_a_number_is_shown_once_and_kept_nowhere_but_in_its_row(desk: Desk) -> None:
    number = f"139{uuid.uuid4().int % 10**8:08}"
    form = filled(contactPhone=number)
    await desk.one(None, SUBMIT, i=form)
    admin = desk.clone.admin
    county = await office(admin, JIANGYIN, "ACCEPTOR")
    (waiting,) = (await desk.one(county, WAITING, code=form["creditCode"]))["nodes"]
    given = {"id": waiting["id"], "reason": "电话核实", "clientMutationId": "reveal-" + waiting["id"][-12:]}
    first = await desk.one(county, REVEAL, i=given)
    again = await desk.one(county, REVEAL, i=given)
    assert (first["contactPhone"], again["contactPhone"], again["errors"]) == (number, None, [])
    assert again["registration"] == first["registration"] == {
        "id": waiting["id"], "version": 1, "state": "RECEIVED", "phoneMasked": waiting["phoneMasked"],
    }  # fmt: skip
    entries = await admin.fetch(
        "SELECT * FROM app.audit_entry WHERE object_id = $1", uuid.UUID(waiting["id"].removeprefix("registration_"))
    )
    assert [entry["action"] for entry in entries] == ["registration.revealPhone"]
    tables = [
        row["name"] for row in await admin.fetch("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'app'")
    ]
    held = "SELECT count(*) FROM app.{} t WHERE t::text LIKE $1"
    holding = [name for name in tables if await admin.fetchval(held.format(name), f"%{number}%")]
    assert holding == ["registration"]


async def test_a_refused_reveal_shows_nothing(desk: Desk) -> None:
    form = filled()
    await desk.one(None, SUBMIT, i=form)
    admin = desk.clone.admin
    county = await office(admin, JIANGYIN, "ACCEPTOR")
    (waiting,) = (await desk.one(county, WAITING, code=form["creditCode"]))["nodes"]
    given = {"id": waiting["id"], "reason": "电话核实"}
    for caller, changed, code in (
        (await office(admin, JIANGYIN, "OFFICER"), {}, "NOT_PERMITTED"),
        (await office(admin, YIXING, "ACCEPTOR"), {}, "NOT_FOUND"),
        (county, {"id": "registration_x"}, "NOT_FOUND"),
        (county, {"reason": "电"}, "TOO_SHORT"),
    ):
        answer = await desk.one(caller, REVEAL, i=given | changed)
        assert ([error["code"] for error in answer["errors"]], answer["contactPhone"]) == ([code], None)
        assert answer["registration"] is None


async def test_unknown_and_foreign_ids_get_the_same_answer(desk: Desk) -> None:
    mine, other = [await open_enterprise(desk.clone.db, desk.clone.admin) for _ in range(2)]
    foreign = global_id("enterprise", other.enterprise_id)
    for given in (foreign, global_id("enterprise", uuid.uuid4()), "enterprise_x", "site_1", ""):
        answer = await desk.one(mine.head, UPDATE, i={"id": given, "expectedVersion": 1, "employees": 1})
        assert [(error["code"], error["field"]) for error in answer["errors"]] == [("NOT_FOUND", ["id"])]
        assert answer["enterprise"] is None
        assert await desk.one(mine.head, "query($i: ID!) { enterprise(id: $i) { name } }", i=given) is None


async def test_a_conflict_shows_the_file_as_it_is_now(desk: Desk) -> None:
    opened = await open_enterprise(desk.clone.db, desk.clone.admin)
    change = {"id": global_id("enterprise", opened.enterprise_id), "expectedVersion": 1}
    await desk.one(opened.head, UPDATE, i=change | {"employees": 10})
    stale = await desk.one(opened.manager, UPDATE, i=change | {"employees": 20})
    assert [error["code"] for error in stale["errors"]] == ["CONFLICT"]
    assert (stale["enterprise"]["version"], stale["enterprise"]["employees"]) == (2, 10)


async def test_a_form_shows_every_fault(desk: Desk) -> None:
    opened = await open_enterprise(desk.clone.db, desk.clone.admin)
    wrong = {"employees": -5, "revenueWan": "1.00001", "divisionCode": "999999", "supervisionCategories": ["X"]}
    answer = await desk.one(
        opened.head, UPDATE, i={"id": global_id("enterprise", opened.enterprise_id), "expectedVersion": 1} | wrong
    )
    assert {error["field"][0] for error in answer["errors"]} == set(wrong)
    assert all(error["message"] for error in answer["errors"])
    assert (await stored(desk.clone.admin, "enterprise", opened.enterprise_id))["version"] == 1


async def test_null_empties_and_absence_keeps(desk: Desk) -> None:
    opened = await open_enterprise(desk.clone.db, desk.clone.admin)
    change = {"id": global_id("enterprise", opened.enterprise_id), "expectedVersion": 1}
    await desk.one(opened.head, UPDATE, i=change | {"employees": 10, "revenueWan": "500"})
    change["expectedVersion"] = 2
    after = await desk.one(opened.head, UPDATE, i=change | {"revenueWan": None})
    assert (after["errors"], after["enterprise"]["employees"]) == ([], 10)
    assert after["enterprise"]["sizeBasis"]["missing"] == ["revenueWan"]


CHANGE = """mutation($i: EnterpriseChangeSubmitInput!) { enterpriseChangeSubmit(input: $i) {
  enterpriseChange { id version state before after actorName } errors { code field } } }"""
STEPS = {
    name: f"mutation($i: {kind}!) {{ {name}(input: $i) {{ {result} errors {{ code field }} }} }}"
    for name, kind, result in (
        ("enterpriseChangeSend", "EnterpriseChangeStepInput", "enterpriseChange { version state }"),
        ("enterpriseChangeWithdraw", "EnterpriseChangeStepInput", "enterpriseChange { version state }"),
        ("enterpriseChangeReview", "EnterpriseChangeReviewInput", "enterpriseChange { version state reviewedByName }"),
        ("enterpriseVerify", "EnterpriseVerifyInput", "enterprise { version status }"),
        ("enterpriseConfirm", "EnterpriseConfirmInput", "enterprise { version confirmedOn }"),
        ("enterpriseSetLifecycle", "EnterpriseSetLifecycleInput", "enterprise { version lifecycle }"),
        ("enterpriseLockFields", "EnterpriseLockFieldsInput", "enterprise { version lockedFields locks }"),
        ("registrationRefuse", "RegistrationRefuseInput", "registration { version state reason }"),
        ("siteUpdate", "SiteUpdateInput", "site { version name areaM2 park { id } }"),
        ("siteClose", "SiteCloseInput", "site { version state }"),
        ("personAdd", "PersonAddInput", "person { id version name role phoneMasked }"),
        ("personUpdate", "PersonUpdateInput", "person { version leftOn }"),
        ("personVoid", "PersonVoidInput", "person { version state voidedByName }"),
    )
}


async def did(desk: Desk, who: Caller, step: str, /, **given: Any) -> Any:
    """The object of a step that must succeed."""
    answer = await desk.one(who, STEPS[step], i=given)
    assert answer.pop("errors") == [], step
    return next(iter(answer.values()))


async def test_every_step_of_a_file(desk: Desk) -> None:
    admin = desk.clone.admin
    opened = await open_enterprise(desk.clone.db, admin)
    file_id = global_id("enterprise", opened.enterprise_id)
    county = await office(admin, JIANGYIN, "ACCEPTOR")
    city = await office(admin, WUXI, "LEADER")
    draft = await desk.one(
        opened.head,
        CHANGE,
        i={"id": file_id, "expectedVersion": 1, "changes": {"name": "新名化工"}, "reason": "变更", "draft": True},
    )
    change = draft["enterpriseChange"]
    assert (change["state"], change["after"]) == ("DRAFT", {"name": "新名化工"})
    waiting = "{ enterpriseChanges(filter: {state: {eq: SUBMITTED}}) { nodes { id } } }"
    assert change["id"] not in str(await desk.one(county, waiting))
    sent = await did(desk, opened.head, "enterpriseChangeSend", id=change["id"], expectedVersion=1)
    assert change["id"] in str(await desk.one(county, waiting))
    reviewed = await did(
        desk, county, "enterpriseChangeReview", id=change["id"], expectedVersion=sent["version"], accept=True
    )
    assert (reviewed["state"], reviewed["reviewedByName"]) == ("ACCEPTED", county.actor_name)
    verified = await did(desk, county, "enterpriseVerify", id=file_id, expectedVersion=2)
    assert verified == {"version": 3, "status": "VERIFIED"}
    confirmed = await did(desk, opened.head, "enterpriseConfirm", id=file_id, expectedVersion=3)
    assert confirmed["confirmedOn"] == "2026-03-02"
    held = await did(desk, city, "enterpriseLockFields", id=file_id, expectedVersion=4, lock=["NAME"], reason="核查")
    assert (held["lockedFields"], held["locks"]["name"]["kind"]) == (["name"], "CITY")
    gone = await did(
        desk, county, "enterpriseSetLifecycle", id=file_id, expectedVersion=5, action="CLOSE", reason="注销"
    )
    assert gone["lifecycle"] == "CLOSED"
    history = await desk.one(
        county,
        "query($i: ID!) { enterprise(id: $i) { formerNames changes(first: 10) { nodes { kind } } } }",
        i=file_id,
    )
    assert history["formerNames"] == ["江阴试验化工有限公司"]
    assert [node["kind"] for node in history["changes"]["nodes"]] == [
        "EDIT",
        "LOCK",
        "CONFIRM",
        "VERIFY",
        "REVIEW",
        "CREATE",
    ]


async def test_every_step_of_sites_and_people(desk: Desk) -> None:
    admin = desk.clone.admin
    opened = await open_enterprise(desk.clone.db, admin)
    park = global_id("agency", tenant_id(JIANGYIN_PARK))
    site = (await desk.one(opened.manager, SITE_ADD, i={"name": "二厂", "address": "x", "divisionCode": CHENGJIANG}))[
        "site"
    ]
    moved = await did(desk, opened.manager, "siteUpdate", id=site["id"], expectedVersion=1, park=park, areaM2="12.5")
    assert moved == {"version": 2, "name": "二厂", "areaM2": "12.50", "park": {"id": park}}
    closed = await did(desk, opened.manager, "siteClose", id=site["id"], expectedVersion=2, reason="搬迁")
    assert closed["state"] == "CLOSED"
    person = await did(desk, opened.manager, "personAdd", name="孙康", role="HEAD", phone="13912345678")
    assert person["phoneMasked"] == "139****5678"
    left = await did(desk, opened.manager, "personUpdate", id=person["id"], expectedVersion=1, leftOn="2026-02-01")
    assert left == {"version": 2, "leftOn": "2026-02-01"}
    void = await did(desk, opened.head, "personVoid", id=person["id"], expectedVersion=2, reason="录错")
    assert void["state"] == "VOID"
    nested = await desk.one(
        opened.head,
        "query($i: ID!) { enterprise(id: $i) { sites { totalCount } people { nodes { name role } } } }",
        i=global_id("enterprise", opened.enterprise_id),
    )
    assert nested == {"sites": {"totalCount": 2}, "people": {"nodes": [{"name": "孙康", "role": "HEAD"}]}}


async def test_a_refusal_and_a_withdrawal(desk: Desk) -> None:
    admin = desk.clone.admin
    form = filled()
    await desk.one(None, SUBMIT, i=form)
    county = await office(admin, JIANGYIN, "ACCEPTOR")
    (waiting,) = (await desk.one(county, WAITING, code=form["creditCode"]))["nodes"]
    refused = await did(desk, county, "registrationRefuse", id=waiting["id"], expectedVersion=1, reason="不清")
    assert refused == {"version": 2, "state": "REFUSED", "reason": "不清"}
    opened = await open_enterprise(desk.clone.db, admin)
    file_id = global_id("enterprise", opened.enterprise_id)
    made = await desk.one(
        opened.head, CHANGE, i={"id": file_id, "expectedVersion": 1, "changes": {"name": "甲"}, "reason": "x"}
    )
    change = made["enterpriseChange"]
    back = await did(desk, opened.head, "enterpriseChangeWithdraw", id=change["id"], expectedVersion=change["version"])
    assert back["state"] == "WITHDRAWN"


async def test_counts_are_of_what_one_sees(desk: Desk, opened: Opened) -> None:
    city = await office(desk.clone.admin, WUXI, "STATISTICIAN")
    groups = await desk.one(city, "{ enterpriseCounts(by: STATUS) { key count } }")
    total = await desk.clone.admin.fetchval("SELECT count(*) FROM app.enterprise WHERE city_key = $1", city.tenant_key)
    assert sum(group["count"] for group in groups) == total > 0
    for by in ("DIVISION_CODE", "INDUSTRY_CODE", "SIZE_CLASS", "LIFECYCLE"):
        found = await desk.one(city, f"{{ enterpriseCounts(by: {by}) {{ key count }} }}")
        assert sum(group["count"] for group in found) == total
    mine = await desk.one(opened.head, "{ enterpriseCounts(by: STATUS) { key count } }")
    assert mine == [{"key": "CLAIMED", "count": 1}]


async def test_orders_and_filters(desk: Desk) -> None:
    city = await office(desk.clone.admin, WUXI, "OFFICER")
    await open_enterprise(desk.clone.db, desk.clone.admin, name="宜兴甲澜化工有限公司", industry_code="2614")
    names = await desk.one(city, "{ enterprises(first: 100, order: NAME_SORT_ASC) { nodes { nameSort } } }")
    keys = [node["nameSort"] for node in names["nodes"]]
    assert keys == sorted(keys)
    found = await desk.one(
        city,
        '{ enterprises(filter: {industryCode: {eq: "2614"}, status: {in: [CLAIMED]}}) { nodes { industryCode } } }',
    )
    assert {node["industryCode"] for node in found["nodes"]} == {"2614"}


async def test_who_has_no_grant_sees_nothing(desk: Desk, opened: Opened) -> None:
    township = await office(desk.clone.admin, CHENGJIANG, "OFFICER")
    file_id = global_id("enterprise", opened.enterprise_id)
    for who in (None, township):
        for query in (
            "query($i: ID!) { enterprise(id: $i) { name } }",
            "query($i: ID!) { node(id: $i) { id } }",
        ):
            assert await desk.one(who, query, i=file_id) is None
        assert (await desk.one(who, "{ sites { totalCount nodes { id } } }")) == {"totalCount": 0, "nodes": []}


@pytest.fixture
async def opened(tree_db: Clone) -> Opened:
    return await open_enterprise(tree_db.db, tree_db.admin)


def test_words_of_the_schema_are_those_of_the_tables(api: Api) -> None:
    for name, words in (
        ("EnterpriseStatus", STATUSES),
        ("EnterpriseLifecycle", LIFECYCLES),
        ("EnterpriseSizeClass", SIZE_CLASSES),
        ("EnterprisePersonRole", PERSON_ROLES),
    ):
        kind: Any = api.schema.type_map[name]
        assert tuple(kind.values) == words
