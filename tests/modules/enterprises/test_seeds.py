"""The bulk path: real counties, valid codes, right keys, nothing twice."""

from datetime import date

import pytest

from app.kit.rules import shipped, uscc
from app.kit.rules.geo import boundaries
from app.modules.enterprises import seeds
from app.modules.enterprises.seeds.invented import COAL, TRADES, Inventor
from app.modules.enterprises.service import file, people
from tenants.kinds import Kind
from tests.conftest import Clone
from tests.factories.enterprises import TODAY, member, working

COUNT = 60


async def seeded(clone: Clone, count: int = COUNT) -> seeds.Seeded:
    async with clone.db.connect("sys_seed") as connection:
        return await seeds.seed(connection, count, TODAY)


def test_the_same_everywhere() -> None:
    first, second = Inventor(TODAY), Inventor(TODAY)
    assert [first.one(number) for number in range(20)] == [second.one(number) for number in range(20)]


def test_codes_are_valid_and_nobodys() -> None:
    made = list(Inventor(TODAY).many(400))
    assert all(uscc.check(item.credit_code).valid for item in made)
    assert {item.credit_code[2:4] for item in made} == {"99"}
    assert len({item.credit_code for item in made}) == 400
    assert len({item.name for item in made}) > 390


def test_trades_are_of_the_lists() -> None:
    tables = {table.code: {row.code for row in table.rows} for table in shipped.tables()}
    for trade in (*TRADES, COAL):
        assert trade.industry in tables["gbt4754"]
        assert set(trade.categories) <= tables["supervision_category"]


def test_sites_stand_in_their_county() -> None:
    inventor = Inventor(TODAY)
    sites = [site for item in inventor.many(300) for site in item.sites]
    for site in sites:
        if len(site.place_code) == 6:
            assert boundaries().place(*site.point, site.place_code).inside, site


def test_some_are_in_parks_and_some_in_two_counties() -> None:
    made = list(Inventor(TODAY).many(500))
    assert any(item.park_id for item in made)
    both = [item for item in made if len({site.place_code[:6] for site in item.sites}) == 2]
    assert 20 < len(both) < 100


async def test_rows_arrive_with_their_keys_and_twice_adds_nothing(tree_copy: Clone) -> None:
    done = await seeded(tree_copy)
    admin = tree_copy.admin
    assert done.rows["tenant"] == COUNT
    assert done.rows["enterprise"] == COUNT + 2  # the members slice's own two
    assert done.rate > 0
    wrong = await admin.fetchval(
        "SELECT count(*) FROM app.site s JOIN app.tenant p ON p.id = s.place_id JOIN app.enterprise e "
        "ON e.id = s.enterprise_id LEFT JOIN app.tenant k ON k.id = s.park_id "
        "WHERE (s.province_key, s.city_key, s.county_key, s.township_key, s.park_key, s.enterprise_key, s.owner_key) "
        "IS DISTINCT FROM (p.province_key, p.city_key, p.county_key, p.township_key, k.key, e.owner_key, e.owner_key)"
    )
    assert wrong == 0
    again = await seeded(tree_copy)
    assert sum(again.rows.values()) == 0
    more = await seeded(tree_copy, COUNT + 5)
    assert more.rows["tenant"] == 5


async def test_the_database_refuses_wrong_keys(tree_copy: Clone) -> None:
    await seeded(tree_copy, 5)
    async with tree_copy.db.connect("sys_seed") as connection:
        with pytest.raises(Exception, match="wrong level keys"):
            await connection.execute(
                "INSERT INTO app.enterprise_person (id, owner_key, enterprise_id, name, role, county_key) "
                "SELECT gen_random_uuid(), owner_key, id, 'x', 'HEAD', county_key + 1 FROM app.enterprise LIMIT 1"
            )


async def test_a_seeded_file_is_what_the_use_case_would_compute(tree_copy: Clone) -> None:
    await seeded(tree_copy, 40)
    rows = await tree_copy.admin.fetch(
        "SELECT * FROM app.enterprise WHERE status <> 'UNVERIFIED' ORDER BY seq LIMIT 15"
    )
    for row in rows:
        who = await member(tree_copy.admin, row["id"], Kind.ENTERPRISE, "SAFETY_MANAGER")
        async with working(tree_copy.db, who, date(2026, 3, 2)) as ctx:
            await people.add(ctx, people.NewPerson("某某", "OPERATOR"))
            await file.update_file(ctx, row["id"], 1, {"contact_name": "某某"})
        after = await tree_copy.admin.fetchrow("SELECT * FROM app.enterprise WHERE id = $1", row["id"])
        computed = ("size_class", "size_class_as_of", "size_basis", "duties", "completeness")
        assert [after[name] for name in computed] == [row[name] for name in computed]
