import asyncio
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from app.kit.rules import shipped
from app.modules.standards import public, seeds
from tests.conftest import Clone

TABLES = ("division", "standard_table", "standard_version", "standard_row", "calendar_year", "calendar_day")


async def counts(admin: Any) -> dict[str, int]:
    return {table: await admin.fetchval(f"SELECT count(*) FROM app.{table}") for table in TABLES}


async def test_everything_that_ships_arrives(seeded_db: Clone) -> None:
    tables = list(shipped.tables())
    assert await counts(seeded_db.admin) == {
        "division": 3039,
        "standard_table": len(tables),
        "standard_version": len(tables),
        "standard_row": sum(len(table.rows) for table in tables),
        "calendar_year": 23,
        "calendar_day": 769,
    }


async def test_rows_keep_their_columns(seeded_db: Clone) -> None:
    rows = await seeded_db.admin.fetch(
        "SELECT t.code AS table_code, r.code, r.name_zh, r.parent_code, r.mark, r.attrs::text, r.legal_basis, "
        "r.valid_from, r.position FROM app.standard_row r JOIN app.standard_version v ON v.id = r.version_id "
        "JOIN app.standard_table t ON t.id = v.table_id"
    )
    found = {(row["table_code"], row["code"]): row for row in rows}
    for table in shipped.tables():
        for position, row in enumerate(table.rows, 1):
            stored = found.pop((table.code, row.code))
            assert (stored["name_zh"], stored["parent_code"], stored["mark"]) == (
                row.name_zh,
                row.parent_code,
                row.mark,
            )
            assert (stored["legal_basis"], stored["valid_from"]) == (row.legal_basis, row.valid_from)
            assert stored["position"] == position
            assert all(f'"{key}"' in stored["attrs"] for key in row.attrs)
    assert not found


async def test_every_division_but_a_province_lies_in_one_that_exists(seeded_db: Clone) -> None:
    orphans = await seeded_db.admin.fetch(
        "SELECT code FROM app.division d WHERE level <> 'PROVINCE' AND NOT EXISTS "
        "(SELECT FROM app.division p WHERE p.code = d.parent_code)"
    )
    assert not orphans


async def test_again_adds_nothing_and_names_what_is_skipped(seeded_copy: Clone) -> None:
    before = await counts(seeded_copy.admin)
    async with seeded_copy.db.connect("sys_seed") as connection:
        done = await seeds.seed(connection)
    assert await counts(seeded_copy.admin) == before
    assert {name: count for name, count in done.items() if count} == {"skipped_county": 9, "skipped_township": 10}


async def test_two_at_once_write_everything_once(fresh_db: Clone) -> None:
    async def one() -> dict[str, int]:
        async with fresh_db.db.connect("sys_seed") as connection:
            return await seeds.seed(connection)

    first, second = await asyncio.gather(one(), one())
    assert sorted((first["division"], second["division"])) == [0, 3039]
    assert (await counts(fresh_db.admin))["standard_row"] == sum(len(table.rows) for table in shipped.tables())


async def test_a_seed_that_breaks_off_leaves_nothing(fresh_db: Clone) -> None:
    await fresh_db.admin.execute("ALTER TABLE app.calendar_day ADD CONSTRAINT broken CHECK (day < '2020-01-01')")
    async with fresh_db.db.connect("sys_seed") as connection:
        try:
            await seeds.seed(connection)
        except Exception as fault:  # noqa: BLE001 - whatever the driver calls it
            assert "broken" in str(fault)  # noqa: PT017 - what follows is the point
    assert set((await counts(fresh_db.admin)).values()) == {0}
    await fresh_db.admin.execute("ALTER TABLE app.calendar_day DROP CONSTRAINT broken")
    async with fresh_db.db.connect("sys_seed") as connection:
        assert (await seeds.seed(connection))["calendar_day"] == 769


async def test_a_newer_notice_of_a_year_is_a_new_edition(seeded_copy: Clone) -> None:
    await seeded_copy.admin.execute("UPDATE app.calendar_year SET content_hash = 'older' WHERE year = 2026")
    async with seeded_copy.db.connect("sys_seed") as connection:
        done = await seeds.seed(connection)
    assert (done["calendar_year"], done["standard_version"]) == (1, 0)
    assert done["calendar_day"] == await seeded_copy.admin.fetchval(
        "SELECT count(*) FROM app.calendar_day WHERE year_id = (SELECT id FROM app.calendar_year "
        "WHERE year = 2026 AND content_hash <> 'older')"
    )


async def test_a_newer_list_ends_a_division_and_opens_another(
    seeded_copy: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = date(2026, 6, 1)
    listed = list(shipped.divisions())
    merged = next(item for item in listed if item.code == "610112")
    renamed = next(item for item in listed if item.code == "610114")
    newer = [item for item in listed if item not in (merged, renamed)]
    newer += [replace(merged, valid_to=day, successor_codes=("610113",)), replace(renamed, valid_to=day)]
    newer += [replace(renamed, name="新名区", valid_from=day)]
    monkeypatch.setattr(shipped, "divisions", lambda: iter(newer))
    async with seeded_copy.db.connect("sys_seed") as connection:
        first, second = await seeds.seed(connection), await seeds.seed(connection)
    assert (first["division"], first["division_closed"]) == (1, 2)
    assert (second["division"], second["division_closed"]) == (0, 0)
    async with seeded_copy.db.read("public", {}) as session:
        before = await public.division_on(session, "610114", date(2026, 5, 31))
        after = await public.division_on(session, "610114", day)
        assert await public.successors_on(session, "610112", day) == ("610113",)
    assert before is not None
    assert after is not None
    assert (before.name, after.name) == (renamed.name, "新名区")
