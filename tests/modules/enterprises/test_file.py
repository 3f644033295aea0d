"""The file: edits at once, change sets that the county reviews, verifying, locking, what is computed."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from app.kit.errors import CONFLICT, NOT_FOUND, Fault, FaultGroup, NotPermittedFault
from app.modules.enterprises import errors, policies
from app.modules.enterprises.models import REVIEWED, Enterprise
from app.modules.enterprises.service import changes, file, people, sites
from tests.conftest import Clone
from tests.factories.enterprises import (
    JIANGSU,
    JIANGYIN,
    TODAY,
    WUXI,
    YIXING,
    Opened,
    new_code,
    office,
    open_enterprise,
    stored,
    working,
)

WHOLE: dict[str, Any] = {
    "legal_representative": "赵明",
    "established_on": date(2011, 5, 4),
    "capital_wan": Decimal(5000),
    "employees": 320,
    "revenue_wan": Decimal("41000.5"),
    "assets_wan": Decimal(30000),
    "supervision_categories": ["HAZ_PROD", "KEY_PROCESS"],
    "standardization_grade": "2",
    "contact_phone": "0510-86861234",
    "safety_licence_no": "（苏）WH安许证字〔2024〕001",
    "liability_policy_no": "AZX-2026-1",
}


@pytest.fixture
async def opened(tree_db: Clone) -> Opened:
    return await open_enterprise(tree_db.db, tree_db.admin)


async def version_of(clone: Clone, opened: Opened) -> int:
    return int((await stored(clone.admin, "enterprise", opened.enterprise_id))["version"])


async def updated(clone: Clone, opened: Opened, **sent: object) -> None:
    version = await version_of(clone, opened)
    async with working(clone.db, opened.manager) as ctx:
        await file.update_file(ctx, opened.enterprise_id, version, sent)


async def verified(clone: Clone, opened: Opened) -> None:
    county = await office(clone.admin, JIANGYIN, "ACCEPTOR")
    async with working(clone.db, county) as ctx:
        await file.verify(ctx, opened.enterprise_id, await version_of(clone, opened))


async def submitted(clone: Clone, opened: Opened, *, draft: bool = False, **sent: object) -> Any:
    version = await version_of(clone, opened)
    async with working(clone.db, opened.head) as ctx:
        return await changes.submit(ctx, opened.enterprise_id, version, sent, "工商变更", draft=draft)


def codes_of(fault: Fault) -> list[tuple[str, str]]:
    faults = fault.faults if isinstance(fault, FaultGroup) else (fault,)
    return [(one.code, ".".join(one.field)) for one in faults]


async def test_a_whole_file_is_complete_and_has_its_size_class(tree_db: Clone, opened: Opened) -> None:
    async with working(tree_db.db, opened.manager) as ctx:
        await people.add(ctx, people.NewPerson("赵明", "HEAD"))
        await people.add(ctx, people.NewPerson("钱平", "SAFETY_MANAGER", phone="13912345678"))
    await updated(tree_db, opened, **WHOLE)
    row = await stored(tree_db.admin, "enterprise", opened.enterprise_id)
    assert (row["completeness"], row["size_class"], row["size_class_as_of"]) == (100, "MEDIUM", TODAY)
    assert row["contact_phone"] == "051******1234"


async def test_the_size_class_shows_what_it_rests_on(tree_db: Clone, opened: Opened) -> None:
    await updated(tree_db, opened, employees=1000, revenue_wan=Decimal(40000))
    async with working(tree_db.db, opened.head) as ctx:
        row = await ctx.session.get_one(Enterprise, opened.enterprise_id)
        assert (row.size_class, row.size_basis["industry"], row.size_basis["missing"]) == ("LARGE", "工业", [])
        tests: Any = row.size_basis["tests"]
        assert [(one["indicator"], one["minimum"], one["passed"]) for one in tests] == [
            ("从业人员", "1000", True),
            ("营业收入", "40000", True),
        ]
    await updated(tree_db, opened, revenue_wan=None)
    again = await stored(tree_db.admin, "enterprise", opened.enterprise_id)
    assert (again["size_class"], again["size_class_as_of"]) == (None, None)
    assert '"missing": ["revenueWan"]' in again["size_basis"]


async def test_duties_follow_from_the_categories(tree_db: Clone, opened: Opened) -> None:
    await updated(tree_db, opened, supervision_categories=["HAZ_PROD"], employees=8)
    async with working(tree_db.db, opened.head) as ctx:
        row = await ctx.session.get_one(Enterprise, opened.enterprise_id)
        duties: Any = {duty["code"]: duty for duty in row.duties}  # type: ignore[index]
    assert duties["SAFETY_ORG_ANY_SIZE"]["because"] == ["HAZ_PROD"]
    assert duties["SAFETY_ORG_ANY_SIZE"]["legalBasis"].startswith("安全生产法 24")
    assert "SAFETY_ORG_BY_SIZE" not in duties


async def test_an_edit_is_recorded_field_by_field(tree_db: Clone, opened: Opened) -> None:
    await updated(tree_db, opened, employees=20)
    version = await version_of(tree_db, opened)
    async with working(tree_db.db, opened.manager) as ctx:
        await file.update_file(ctx, opened.enterprise_id, version, {"employees": 25}, "新增班组")
    rows = await tree_db.admin.fetch(
        "SELECT before, after, reason, actor_name, actor_agency, state FROM app.enterprise_change "
        "WHERE enterprise_id = $1 AND kind = 'EDIT' ORDER BY seq",
        opened.enterprise_id,
    )
    assert [(row["before"], row["after"]) for row in rows] == [
        ('{"employees": null}', '{"employees": 20}'),
        ('{"employees": 20}', '{"employees": 25}'),
    ]
    assert dict(rows[1])["reason"] == "新增班组"
    assert (rows[1]["actor_name"], rows[1]["state"]) == (opened.manager.actor_name, "ACCEPTED")


async def test_what_is_the_same_changes_nothing(tree_db: Clone, opened: Opened) -> None:
    await updated(tree_db, opened, employees=20)
    before = await stored(tree_db.admin, "enterprise", opened.enterprise_id)
    await updated(tree_db, opened, employees=20)
    assert await stored(tree_db.admin, "enterprise", opened.enterprise_id) == before


async def test_a_stale_version_is_a_conflict(tree_db: Clone, opened: Opened) -> None:
    await updated(tree_db, opened, employees=20)
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, opened.manager) as ctx:
            await file.update_file(ctx, opened.enterprise_id, 1, {"employees": 30})
    assert (caught.value.code, caught.value.params) == (CONFLICT, {"version": 2})


@pytest.mark.parametrize(
    ("sent", "code", "field"),
    [
        ({"employees": -1}, errors.NUMBER_RANGE, "employees"),
        ({"revenue_wan": Decimal("1.23456")}, errors.NUMBER_RANGE, "revenueWan"),
        ({"assets_wan": Decimal("NaN")}, errors.NUMBER_RANGE, "assetsWan"),
        ({"established_on": date(2026, 3, 3)}, errors.DATE_FUTURE, "establishedOn"),
        ({"established_on": date(1500, 1, 1)}, errors.DATE_ORDER, "establishedOn"),
        ({"division_code": "999999"}, errors.DIVISION_UNKNOWN, "divisionCode"),
        ({"supervision_categories": ["NOPE"]}, errors.CODE_UNKNOWN, "supervisionCategories"),
        ({"standardization_grade": "9"}, errors.CODE_UNKNOWN, "standardizationGrade"),
        ({"contact_phone": "abc"}, errors.PHONE_INVALID, "contactPhone"),
        ({"legal_representative": "x" * 121}, "TOO_LONG", "legalRepresentative"),
    ],
)
async def test_a_wrong_field_is_named(
    tree_db: Clone, opened: Opened, sent: dict[str, object], code: str, field: str
) -> None:
    with pytest.raises(Fault) as caught:
        await updated(tree_db, opened, **sent)
    assert codes_of(caught.value) == [(code, field)]
    assert await version_of(tree_db, opened) == 1


async def test_a_reviewed_field_is_filled_once_and_then_reviewed(tree_db: Clone, opened: Opened) -> None:
    await updated(tree_db, opened, legal_representative="赵明")
    for name, value in {"legal_representative": "钱明", "name": "新名", "industry_code": "2614"}.items():
        with pytest.raises(Fault) as caught:
            await updated(tree_db, opened, **{name: value})
        assert caught.value.code == errors.FIELD_REVIEWED


async def test_the_database_holds_the_same_rule(tree_db: Clone, opened: Opened) -> None:
    await updated(tree_db, opened, legal_representative="赵明")
    values = {"legal_representative": "'钱明'", "industry_code": "'2614'", "registered_address": "'别处'"}
    for name in REVIEWED:
        with pytest.raises(Exception, match=r"reviews changes|permission denied"):
            async with working(tree_db.db, opened.head) as ctx:
                await ctx.session.execute(
                    text(f"UPDATE app.enterprise SET {name} = {values.get(name, name)} WHERE id = :id"),
                    {"id": opened.enterprise_id},
                )


@pytest.mark.parametrize("column", ["status", "locked_fields", "verified_at", "former_names", "province_key"])
async def test_the_enterprise_cannot_write_what_authorities_say(tree_db: Clone, opened: Opened, column: str) -> None:
    with pytest.raises(Exception, match="permission denied"):
        async with working(tree_db.db, opened.head) as ctx:
            await ctx.session.execute(text(f"UPDATE app.enterprise SET {column} = {column}"))


async def test_a_change_set_takes_effect_when_the_county_accepts(tree_db: Clone, opened: Opened) -> None:
    old = (await stored(tree_db.admin, "enterprise", opened.enterprise_id))["name"]
    change_id = await submitted(tree_db, opened, name="江阴新试验化工有限公司", industry_code="2614")
    assert (await stored(tree_db.admin, "enterprise", opened.enterprise_id))["name"] == old
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    async with working(tree_db.db, county) as ctx:
        await changes.review(ctx, change_id, 2, accept=True)
    row = await stored(tree_db.admin, "enterprise", opened.enterprise_id)
    assert (row["name"], row["former_names"], row["industry_code"]) == ("江阴新试验化工有限公司", [old], "2614")
    tenant = await stored(tree_db.admin, "tenant", opened.enterprise_id)
    assert tenant["name"] == row["name"]
    dated = await tree_db.admin.fetchrow(
        "SELECT kind, valid_from FROM app.tenant_change WHERE owner_key = $1", row["owner_key"]
    )
    assert tuple(dated) == ("RENAME", TODAY)
    change = await stored(tree_db.admin, "enterprise_change", change_id)
    assert (change["state"], change["reviewed_by_name"], change["reviewed_by_agency"]) == (
        "ACCEPTED",
        county.actor_name,
        county.tenant_name,
    )


async def test_a_returned_set_says_why_and_changes_nothing(tree_db: Clone, opened: Opened) -> None:
    change_id = await submitted(tree_db, opened, name="江阴新试验化工有限公司")
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, county) as ctx:
            await changes.review(ctx, change_id, 2, accept=False)
    assert codes_of(caught.value) == [("REQUIRED", "reason")]
    async with working(tree_db.db, county) as ctx:
        await changes.review(ctx, change_id, 2, accept=False, reason="缺变更通知书")
    assert (await stored(tree_db.admin, "enterprise_change", change_id))["review_reason"] == "缺变更通知书"
    assert await version_of(tree_db, opened) == 1


async def test_a_draft_is_the_enterprises_own_until_it_is_sent(tree_db: Clone, opened: Opened) -> None:
    change_id = await submitted(tree_db, opened, draft=True, name="草稿化工有限公司")
    row = await stored(tree_db.admin, "enterprise_change", change_id)
    assert (row["state"], row["county_key"], row["enterprise_key"]) == ("DRAFT", None, opened.head.tenant_key)
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, county) as ctx:
            await changes.review(ctx, change_id, 1, accept=True)
    assert caught.value.code == NOT_FOUND
    async with working(tree_db.db, opened.head) as ctx:
        await changes.send(ctx, change_id, 1)
    assert (await stored(tree_db.admin, "enterprise_change", change_id))["county_key"] == county.tenant_key


async def test_one_set_at_a_time_and_it_can_be_withdrawn(tree_db: Clone, opened: Opened) -> None:
    change_id = await submitted(tree_db, opened, name="甲化工有限公司")
    with pytest.raises(Fault) as caught:
        await submitted(tree_db, opened, name="乙化工有限公司")
    assert caught.value.code == errors.CHANGE_OPEN
    async with working(tree_db.db, opened.head) as ctx:
        await changes.withdraw(ctx, change_id, 2)
    draft = await submitted(tree_db, opened, draft=True, name="乙化工有限公司")
    async with working(tree_db.db, opened.head) as ctx:
        await changes.withdraw(ctx, draft, 1)
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, opened.head) as ctx:
            await changes.send(ctx, draft, 2)
    assert caught.value.code == "WRONG_STATE"


async def test_a_set_made_from_an_older_file_is_outdated(tree_db: Clone, opened: Opened) -> None:
    change_id = await submitted(tree_db, opened, legal_representative="钱明")
    await updated(tree_db, opened, legal_representative="赵明")
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, county) as ctx:
            await changes.review(ctx, change_id, 2, accept=True)
    assert caught.value.code == errors.CHANGE_OUTDATED


async def test_a_credit_code_changes_by_review_and_stays_unique(tree_db: Clone, opened: Opened) -> None:
    other = await open_enterprise(tree_db.db, tree_db.admin, division_code=YIXING, longitude=None, latitude=None)
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    taken = await submitted(tree_db, opened, credit_code=other.code)
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, county) as ctx:
            await changes.review(ctx, taken, 2, accept=True)
    assert caught.value.code == errors.CREDIT_CODE_TAKEN
    async with working(tree_db.db, opened.head) as ctx:
        await changes.withdraw(ctx, taken, 2)
    fresh = new_code()
    change_id = await submitted(tree_db, opened, credit_code=fresh)
    async with working(tree_db.db, county) as ctx:
        await changes.review(ctx, change_id, 2, accept=True)
    assert (await stored(tree_db.admin, "enterprise", opened.enterprise_id))["credit_code"] == fresh


async def test_a_set_holds_reviewed_fields_that_change(tree_db: Clone, opened: Opened) -> None:
    with pytest.raises(Fault) as caught:
        await submitted(tree_db, opened, employees=5)
    assert codes_of(caught.value) == [(errors.FIELD_NOT_REVIEWED, "changes.employees")]
    with pytest.raises(Fault) as caught:
        await submitted(tree_db, opened, industry_code="2631")
    assert caught.value.code == errors.NOTHING_CHANGED
    with pytest.raises(Fault) as caught:
        await submitted(tree_db, opened, credit_code="91440606707539051R")
    assert codes_of(caught.value) == [("USCC_CHECK_LIKELY", "changes.creditCode")]


async def test_a_verified_file_has_even_empty_fields_reviewed(tree_db: Clone, opened: Opened) -> None:
    await verified(tree_db, opened)
    row = await stored(tree_db.admin, "enterprise", opened.enterprise_id)
    assert (row["status"], row["verified_by_name"]) == ("VERIFIED", "李四")
    with pytest.raises(Fault) as caught:
        await updated(tree_db, opened, legal_representative="赵明")
    assert codes_of(caught.value) == [(errors.FIELD_REVIEWED, "legalRepresentative")]
    with pytest.raises(Fault) as caught:
        await verified(tree_db, opened)
    assert caught.value.code == "WRONG_STATE"


async def test_a_locked_field_is_closed_to_enterprise_and_county(tree_db: Clone, opened: Opened) -> None:
    change_id = await submitted(tree_db, opened, name="丙化工有限公司")
    city = await office(tree_db.admin, WUXI, "LEADER")
    async with working(tree_db.db, city) as ctx:
        await file.lock_fields(ctx, opened.enterprise_id, 1, lock=["name", "employees"], unlock=[], reason="核查中")
    with pytest.raises(Fault) as caught:
        await updated(tree_db, opened, employees=5)
    assert codes_of(caught.value) == [(errors.FIELD_LOCKED, "employees")]
    assert city.tenant_name in caught.value.message("zh-CN")
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, county) as ctx:
            await changes.review(ctx, change_id, 2, accept=True)
    assert caught.value.code == errors.FIELD_LOCKED
    with pytest.raises(Exception, match="locked this field"):
        async with working(tree_db.db, county) as ctx:
            await ctx.session.execute(
                text("UPDATE app.enterprise SET name = 'x' WHERE id = :id"), {"id": opened.enterprise_id}
            )


async def test_what_the_province_locked_the_city_leaves(tree_db: Clone, opened: Opened) -> None:
    province = await office(tree_db.admin, JIANGSU, "LEADER")
    city = await office(tree_db.admin, WUXI, "LEADER")
    async with working(tree_db.db, province) as ctx:
        await file.lock_fields(ctx, opened.enterprise_id, 1, lock=["name"], unlock=[], reason="核查中")
    for lock, unlock, path in ((["name"], [], "lock"), ([], ["name"], "unlock")):
        with pytest.raises(Fault) as caught:
            async with working(tree_db.db, city) as ctx:
                await file.lock_fields(ctx, opened.enterprise_id, 2, lock=lock, unlock=unlock, reason="x")
        assert codes_of(caught.value) == [(errors.LOCK_HIGHER, path)]
    async with working(tree_db.db, province) as ctx:
        await file.lock_fields(ctx, opened.enterprise_id, 2, lock=[], unlock=["name"], reason="核查结束")
    row = await stored(tree_db.admin, "enterprise", opened.enterprise_id)
    assert (row["locked_fields"], row["locks"]) == ([], "{}")


async def test_the_file_is_confirmed_suspended_resumed_and_closed(tree_db: Clone, opened: Opened) -> None:
    async with working(tree_db.db, opened.head) as ctx:
        await file.confirm(ctx, opened.enterprise_id, 1)
        await file.set_lifecycle(ctx, opened.enterprise_id, 2, policies.SUSPEND, "检修")
    async with working(tree_db.db, opened.head) as ctx:
        await file.confirm(ctx, opened.enterprise_id, 3)
        await file.set_lifecycle(ctx, opened.enterprise_id, 4, policies.RESUME, "复产")
    row = await stored(tree_db.admin, "enterprise", opened.enterprise_id)
    assert (row["confirmed_on"], row["lifecycle"]) == (TODAY, "ACTIVE")
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    async with working(tree_db.db, county) as ctx:
        await file.set_lifecycle(ctx, opened.enterprise_id, 5, policies.CLOSE, "注销")
    with pytest.raises(Fault) as caught:
        await updated(tree_db, opened, employees=5)
    assert caught.value.code == "WRONG_STATE"


async def test_the_enterprise_does_not_close_itself(tree_db: Clone, opened: Opened) -> None:
    with pytest.raises(NotPermittedFault):
        async with working(tree_db.db, opened.head) as ctx:
            await file.set_lifecycle(ctx, opened.enterprise_id, 1, policies.CLOSE, "x")


async def test_others_find_no_file(tree_db: Clone, opened: Opened) -> None:
    other = await open_enterprise(tree_db.db, tree_db.admin)
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, other.head) as ctx:
            await file.update_file(ctx, opened.enterprise_id, 1, {"employees": 1})
    assert codes_of(caught.value) == [(NOT_FOUND, "id")]
    neighbour = await office(tree_db.admin, YIXING, "ACCEPTOR")
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, neighbour) as ctx:
            await file.verify(ctx, opened.enterprise_id, 1)
    assert codes_of(caught.value) == [(NOT_FOUND, "id")]


async def test_sites_count_towards_completeness(tree_db: Clone, opened: Opened) -> None:
    before = (await stored(tree_db.admin, "enterprise", opened.enterprise_id))["completeness"]
    async with working(tree_db.db, opened.manager) as ctx:
        await sites.add(ctx, sites.NewSite("二厂", "申港街道", JIANGYIN))
    after = await stored(tree_db.admin, "enterprise", opened.enterprise_id)
    assert after["completeness"] < before  # one site is without coordinates now
    assert after["version"] == 1
