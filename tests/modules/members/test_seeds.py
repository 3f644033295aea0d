"""The seeded tree and its people."""

from datetime import date

from app.modules.members import public
from app.modules.members.seeds import seed
from app.modules.members.service import demo
from infra.wiring import open_directory
from tests.conftest import Clone
from tests.world import TODAY


async def test_the_whole_tree_is_seeded_once(fresh_db: Clone) -> None:
    directory = open_directory(fresh_db.db)
    first = await seed(fresh_db.db, directory)
    kinds = dict(await fresh_db.admin.fetch("SELECT kind, count(*) FROM app.tenant GROUP BY kind"))
    assert kinds == {
        "NATIONAL": 1,
        "PROVINCE": 2,
        "CITY": 23,
        "COUNTY": 202,
        "TOWNSHIP": 2812,
        "PARK": 23,
        "ENTERPRISE": 2,
        "RESCUE_TEAM": 1,
        "AGENCY": 2,
    }
    assert "9 county, 10 township" in first[1]
    assert await fresh_db.admin.fetchval("SELECT count(*) FROM app.agency") == 1 + 2 + 23 + 202 + 2812 + 23
    before = await fresh_db.admin.fetch("SELECT * FROM app.tenant ORDER BY id")
    members = await fresh_db.admin.fetch("SELECT * FROM app.membership ORDER BY id")
    again = await seed(fresh_db.db, directory)
    assert (again[0].split()[0], again[2]) == ("0", "0 people, 0 memberships, 0 accounts new")
    assert await fresh_db.admin.fetch("SELECT * FROM app.tenant ORDER BY id") == before
    assert await fresh_db.admin.fetch("SELECT * FROM app.membership ORDER BY id") == members
    wrong = await fresh_db.admin.fetch(
        "SELECT t.division_code FROM app.tenant t JOIN app.tenant p ON p.id = t.parent_id"
        " WHERE t.kind IN ('CITY', 'COUNTY', 'TOWNSHIP') AND left(t.division_code, 2) <> left(p.division_code, 2)"
    )
    assert not wrong


def test_the_demo_has_an_account_for_every_kind_and_office() -> None:
    shown = public.demo_accounts()
    assert {entry["kind"] for entry in shown} == {str(kind) for kind in {tenant.kind for tenant in demo.tree()}}
    assert {"ADMIN", "SECURITY", "AUDITOR", "OFFICER", "ACCEPTOR"} <= {entry["role"] for entry in shown}
    every = public.demo_accounts(every=True)
    assert len({entry["account"] for entry in every}) == len(every) > len(shown)
    assert public.account_in("320102", "ACCEPTOR") == "acceptor.320102"
    assert date(2024, 1, 1) <= TODAY
