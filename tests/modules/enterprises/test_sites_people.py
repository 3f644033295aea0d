"""Sites, placed and seen where they stand; people, voided by a second person."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from app.kit.errors import NOT_FOUND, Fault
from app.modules.enterprises import errors, policies
from app.modules.enterprises.models import EnterprisePerson, Site
from app.modules.enterprises.service import file, people, sites
from app.modules.members.public import tenant_id
from tenants.context import Acting
from tests.conftest import Clone
from tests.factories.enterprises import (
    CHENGJIANG,
    JIANGYIN,
    JIANGYIN_PARK,
    TODAY,
    YIXING,
    Opened,
    office,
    open_enterprise,
    stored,
    working,
)

YIXING_POINT = (119.8, 31.35)


@pytest.fixture
async def opened(tree_db: Clone) -> Opened:
    return await open_enterprise(tree_db.db, tree_db.admin)


async def added(clone: Clone, opened: Opened, **over: Any) -> UUID:
    values = {"name": "二厂", "address": "试验路 2 号", "division_code": YIXING} | over
    async with working(clone.db, opened.manager) as ctx:
        return await sites.add(ctx, sites.NewSite(**values))


async def sees(clone: Clone, who: Acting, row_id: UUID, model: type[Any] = Site) -> bool:
    async with clone.db.read(who.login, who.claims(TODAY)) as session:
        return bool(await session.scalar(select(func.count()).where(model.id == row_id)))


async def test_each_county_sees_its_site(tree_db: Clone, opened: Opened) -> None:
    site_id = await added(tree_db, opened, longitude=YIXING_POINT[0], latitude=YIXING_POINT[1])
    here, there = await office(tree_db.admin, YIXING, "OFFICER"), await office(tree_db.admin, JIANGYIN, "OFFICER")
    assert (await sees(tree_db, here, site_id), await sees(tree_db, there, site_id)) == (True, False)
    main = await tree_db.admin.fetchval(
        "SELECT id FROM app.site WHERE enterprise_id = $1 AND is_main", opened.enterprise_id
    )
    assert (await sees(tree_db, here, main), await sees(tree_db, there, main)) == (False, True)
    row = await stored(tree_db.admin, "site", site_id)
    assert (row["enterprise_name"], row["division_on"]) == ("江阴试验化工有限公司", TODAY)


async def test_the_city_and_the_enterprise_see_both_and_the_township_none(tree_db: Clone, opened: Opened) -> None:
    site_id = await added(tree_db, opened, division_code=CHENGJIANG)
    city = await office(tree_db.admin, "3202", "OFFICER")
    assert await sees(tree_db, city, site_id)
    assert await sees(tree_db, opened.head, site_id)
    row = await stored(tree_db.admin, "site", site_id)
    township = await office(tree_db.admin, CHENGJIANG, "OFFICER")
    assert row["township_key"] == township.tenant_key
    with pytest.raises(Exception, match="permission denied"):
        await sees(tree_db, township, site_id)


async def test_a_park_sees_the_sites_in_it(tree_db: Clone, opened: Opened) -> None:
    park = await office(tree_db.admin, JIANGYIN_PARK, "OFFICER")
    site_id = await added(tree_db, opened, division_code=JIANGYIN, park_id=park.tenant_id)
    assert await sees(tree_db, park, site_id)
    async with working(tree_db.db, opened.manager) as ctx:
        await sites.edit(ctx, site_id, 1, {"park_id": None})
    assert not await sees(tree_db, park, site_id)


async def test_a_point_outside_is_accepted_with_its_distance(tree_db: Clone, opened: Opened) -> None:
    site_id = await added(tree_db, opened, longitude=120.28, latitude=31.90)
    row = await stored(tree_db.admin, "site", site_id)
    assert 10_000 < row["position_warning_m"] < 100_000
    async with working(tree_db.db, opened.manager) as ctx:
        await sites.edit(ctx, site_id, 1, {"longitude": YIXING_POINT[0], "latitude": YIXING_POINT[1]})
    assert (await stored(tree_db.admin, "site", site_id))["position_warning_m"] is None


@pytest.mark.parametrize(
    ("over", "code", "field"),
    [
        ({"division_code": "320299"}, errors.DIVISION_UNKNOWN, "divisionCode"),
        ({"division_code": "3202"}, errors.DIVISION_TOO_WIDE, "divisionCode"),
        ({"longitude": 120.0}, errors.COORDINATE_HALF, "latitude"),
        ({"longitude": float("nan"), "latitude": 1.0}, errors.COORDINATE_INVALID, "longitude"),
        ({"park_id": tenant_id("610802")}, errors.PARK_UNKNOWN, "park"),
        ({"division_code": "610802", "park_id": tenant_id(JIANGYIN_PARK)}, errors.PARK_UNKNOWN, "park"),
        ({"area_m2": Decimal(-1)}, errors.NUMBER_RANGE, "areaM2"),
        ({"name": " "}, "REQUIRED", "name"),
    ],
)
async def test_a_wrong_field_is_named(
    tree_db: Clone, opened: Opened, over: dict[str, object], code: str, field: str
) -> None:
    with pytest.raises(Fault) as caught:
        await added(tree_db, opened, **over)
    assert (caught.value.code, ".".join(caught.value.field)) == (code, field)


async def test_a_division_is_judged_on_its_day(tree_db: Clone, opened: Opened) -> None:
    async with tree_db.db.connect("sys_seed") as connection:
        await connection.execute(
            "INSERT INTO app.division (id, code, name, level, parent_code, valid_from, valid_to, source) "
            "VALUES (gen_random_uuid(), '320298', '旧县', 'COUNTY', '3202', '2000-01-01', '2020-01-01', 'test')"
        )
    with pytest.raises(Fault) as caught:
        await added(tree_db, opened, division_code="320298")
    assert caught.value.code == errors.DIVISION_UNKNOWN
    assert "2026-03-02" in caught.value.message("en")


async def test_there_is_one_main_site(tree_db: Clone, opened: Opened) -> None:
    site_id = await added(tree_db, opened, is_main=True)
    mains = await tree_db.admin.fetch(
        "SELECT id FROM app.site WHERE enterprise_id = $1 AND is_main", opened.enterprise_id
    )
    assert [row["id"] for row in mains] == [site_id]
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, opened.manager) as ctx:
            await sites.edit(ctx, site_id, 1, {"is_main": False})
    assert caught.value.code == errors.SITE_IS_MAIN


async def test_the_main_site_closes_last_and_a_closed_one_stays(tree_db: Clone, opened: Opened) -> None:
    second = await added(tree_db, opened)
    main = await tree_db.admin.fetchval(
        "SELECT id FROM app.site WHERE enterprise_id = $1 AND is_main", opened.enterprise_id
    )
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, opened.manager) as ctx:
            await sites.close(ctx, main, 1, "搬迁")
    assert caught.value.code == errors.SITE_IS_MAIN
    async with working(tree_db.db, opened.manager) as ctx:
        await sites.close(ctx, second, 1, "搬迁")
        await sites.close(ctx, main, 1, "搬迁")
    row = await stored(tree_db.admin, "site", second)
    assert (row["state"], row["closed_on"], row["close_reason"]) == ("CLOSED", TODAY, "搬迁")
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, opened.manager) as ctx:
            await sites.edit(ctx, second, 2, {"name": "x"})
    assert caught.value.code == "WRONG_STATE"


async def test_a_site_of_another_enterprise_is_not_found(tree_db: Clone, opened: Opened) -> None:
    other = await open_enterprise(tree_db.db, tree_db.admin)
    site_id = await added(tree_db, opened)
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, other.manager) as ctx:
            await sites.edit(ctx, site_id, 1, {"name": "x"})
    assert caught.value.code == NOT_FOUND


async def test_a_closed_enterprise_adds_nothing(tree_db: Clone, opened: Opened) -> None:
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    async with working(tree_db.db, county) as ctx:
        await file.set_lifecycle(ctx, opened.enterprise_id, 1, policies.CLOSE, "注销")
    with pytest.raises(Fault) as caught:
        await added(tree_db, opened)
    assert caught.value.code == "WRONG_STATE"


async def test_a_person_is_stored_masked(tree_db: Clone, opened: Opened) -> None:
    async with working(tree_db.db, opened.manager) as ctx:
        person_id = await people.add(
            ctx,
            people.NewPerson(
                "孙康",
                "SAFETY_ENGINEER",
                phone="13912345678",
                certificate_no="320219880101123X",
                certificate_type="注册",
            ),
        )
    row = await stored(tree_db.admin, "enterprise_person", person_id)
    assert (row["phone_masked"], row["certificate_no_masked"]) == ("139****5678", "320*********123X")
    assert "13912345678" not in str(row)
    township = await office(tree_db.admin, CHENGJIANG, "OFFICER")
    with pytest.raises(Exception, match="permission denied"):
        await sees(tree_db, township, person_id, EnterprisePerson)


async def test_a_wrong_entry_is_voided_by_somebody_else(tree_db: Clone, opened: Opened) -> None:
    async with working(tree_db.db, opened.manager) as ctx:
        person_id = await people.add(ctx, people.NewPerson("孙康", "HEAD"))
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, opened.manager) as ctx:
            await people.void(ctx, person_id, 1, "录错")
    assert caught.value.code == "OTHER_PERSON"
    with pytest.raises(Exception, match="second_person"):
        async with working(tree_db.db, opened.manager) as ctx:
            await ctx.session.execute(
                text("UPDATE app.enterprise_person SET state = 'VOID', void_reason = 'x', voided_by = written_by")
            )
    async with working(tree_db.db, opened.head) as ctx:
        await people.void(ctx, person_id, 1, "录错")
    row = await stored(tree_db.admin, "enterprise_person", person_id)
    assert (row["state"], row["voided_by_name"]) == ("VOID", opened.head.actor_name)
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, opened.manager) as ctx:
            await people.edit(ctx, person_id, 2, {"name": "x"})
    assert caught.value.code == "WRONG_STATE"


async def test_a_person_who_left_no_longer_counts(tree_db: Clone, opened: Opened) -> None:
    async with working(tree_db.db, opened.manager) as ctx:
        person_id = await people.add(ctx, people.NewPerson("孙康", "HEAD", appointed_on=date(2026, 1, 5)))
    there = (await stored(tree_db.admin, "enterprise", opened.enterprise_id))["completeness"]
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, opened.manager) as ctx:
            await people.edit(ctx, person_id, 1, {"left_on": date(2026, 1, 4)})
    assert (caught.value.code, caught.value.field) == (errors.DATE_ORDER, ("leftOn",))
    async with working(tree_db.db, opened.manager) as ctx:
        await people.edit(ctx, person_id, 1, {"left_on": date(2026, 3, 1)})
    assert (await stored(tree_db.admin, "enterprise", opened.enterprise_id))["completeness"] < there


async def test_nobody_deletes(tree_db: Clone, opened: Opened) -> None:
    for table in ("enterprise", "site", "enterprise_person", "enterprise_change"):
        with pytest.raises(Exception, match="permission denied"):
            async with working(tree_db.db, opened.head) as ctx:
                await ctx.session.execute(text(f"DELETE FROM app.{table}"))
