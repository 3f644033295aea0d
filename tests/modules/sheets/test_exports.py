"""Exports: what the filter shows whoever asks, marked, logged; nothing more, nothing half-made."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.kit.errors import Fault, NotFoundFault, NotPermittedFault
from app.kit.sheets import exporting
from app.modules.enterprises import seeds
from app.modules.sheets import jobs, service
from tests.conftest import Clone
from tests.factories.enterprises import JIANGSU, JIANGYIN, TODAY, WUXI, office, working
from tests.factories.sheets import (
    cells,
    checked,
    confirmed,
    content_of,
    exported,
    firm,
    job_of,
    run_job,
    run_of,
    workbook,
)
from tests.modules.used import checksums

COUNT = 120


@pytest.fixture
async def filled(place: Clone) -> Clone:
    """Some invented enterprises in real counties."""
    async with place.db.connect("sys_seed") as connection:
        await seeds.seed(connection, COUNT, TODAY)
    return place


async def table(clone: Clone, run_id: Any) -> tuple[list[Any], list[list[Any]]]:
    """Return headings and rows of an export."""
    run = await run_of(clone, run_id, "export_run")
    assert run["state"] == "DONE", run["problems"]
    head, *rows = cells(await content_of(clone, run["file_version_id"]))
    assert len(rows) == run["total"]
    return head, rows


@pytest.mark.parametrize(
    ("who", "given", "where"),
    [
        ((JIANGYIN, "OFFICER"), {}, "county_key = $1"),
        ((WUXI, "OFFICER"), {}, "city_key = $1"),
        ((JIANGSU, "LEADER"), {"lifecycle": {"eq": "ACTIVE"}}, "province_key = $1 AND lifecycle = 'ACTIVE'"),
        (
            (JIANGSU, "LEADER"),
            {"industryCode": {"in": ["2614", "3110"]}, "employees": {"gte": 100, "lt": 900}},
            "province_key = $1 AND industry_code IN ('2614', '3110') AND employees BETWEEN 100 AND 899",
        ),
        ((JIANGSU, "LEADER"), {"sizeClass": {"isNull": False}, "name": None}, "province_key = $1 AND size_class IS NOT NULL"),
        ((JIANGSU, "LEADER"), {"name": {"eq": "没有这样的企业"}}, "province_key = $1 AND false"),
        ((JIANGSU, "LEADER"), {"establishedOn": {"gt": "2010-01-01"}}, "province_key = $1 AND established_on > '2010-01-01'"),
    ],
)  # fmt: skip
async def test_the_file_has_what_the_filter_shows(
    filled: Clone, monkeypatch: pytest.MonkeyPatch, who: tuple[str, str], given: dict[str, Any], where: str
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 7)
    acting = await office(filled.admin, *who)
    rows = await filled.admin.fetch(f"SELECT * FROM app.enterprise WHERE {where} ORDER BY seq", acting.tenant_key)
    head, found = await table(filled, await exported(filled, acting, given, "employees", "credit_code", "confirmed_on"))
    assert head == ["统一社会信用代码", "从业人员", "最近确认日期"], "in the ledger's order"
    assert found == [[row["credit_code"], row["employees"], row["confirmed_on"] or ""] for row in rows]


async def test_words_instead_of_codes_and_no_formula(filled: Clone) -> None:
    await filled.admin.execute(
        "UPDATE app.enterprise SET name = '=1+1' WHERE seq = (SELECT min(seq) FROM app.enterprise)"
    )
    acting = await office(filled.admin, JIANGSU, "LEADER")
    head, rows = await table(filled, await exported(filled, acting, {}))
    everything = {value for row in rows for value in row}
    assert {"ACTIVE 存续", "VERIFIED 已核实"} & everything
    assert any(str(value).startswith("2614 ") for value in everything)
    assert "生产经营地址" not in head
    names = [row[head.index("企业名称")] for row in rows]
    run = await filled.admin.fetchrow("SELECT province_key FROM app.enterprise WHERE name = '=1+1'")
    assert ("=1+1" in names) is (run["province_key"] == acting.tenant_key)
    assert not any("*" not in row[head.index("联系电话")] for row in rows if row[head.index("联系电话")])


async def test_the_mark_and_the_log(filled: Clone) -> None:
    acting = await office(filled.admin, JIANGYIN, "OFFICER")
    run_id = await exported(filled, acting, {"lifecycle": {"eq": "ACTIVE"}})
    run = await run_of(filled, run_id, "export_run")
    content = await content_of(filled, run["file_version_id"])
    mark = dict(cells(content, "导出说明"))
    assert mark["导出人"] == acting.actor_name
    assert mark["导出单位"] == acting.tenant_name
    assert mark["用途"] == "核对台账"
    assert mark["导出编号"] == f"export_run_{run_id}"
    async with working(filled.db, acting) as ctx:
        fetched = await service.export_file(ctx, run_id)
    assert f"/{run['file_version_id']}?" in fetched.address
    rows = await filled.admin.fetch(
        "SELECT action, details FROM app.audit_entry WHERE object_id = $1 ORDER BY seq", run_id
    )
    assert [row["action"] for row in rows] == ["export.start", "export.make", "export.download"]
    assert json.loads(rows[1]["details"]) == {"rows": run["total"], "ledger": "enterprises"}


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"nothing": {"eq": 1}}, "FILTER_UNKNOWN", ("filter", "nothing")),
        ({"revenueWan": {"gt": "1"}}, "FILTER_UNKNOWN", ("filter", "revenueWan")),
        ({"name": {"like": "a"}}, "FILTER_UNKNOWN", ("filter", "name", "like")),
        ({"name": "a"}, "FILTER_VALUE", ("filter", "name")),
        ({"name": {"eq": 1}}, "FILTER_VALUE", ("filter", "name", "eq")),
        ({"name": {"eq": "a\0"}}, "FILTER_VALUE", ("filter", "name", "eq")),
        ({"employees": {"eq": "1"}}, "FILTER_VALUE", ("filter", "employees", "eq")),
        ({"employees": {"eq": 2**40}}, "FILTER_VALUE", ("filter", "employees", "eq")),
        ({"employees": {"eq": True}}, "FILTER_VALUE", ("filter", "employees", "eq")),
        ({"establishedOn": {"eq": "2026-02-30"}}, "FILTER_VALUE", ("filter", "establishedOn", "eq")),
        ({"lifecycle": {"eq": "GONE"}}, "FILTER_VALUE", ("filter", "lifecycle", "eq")),
        ({"lifecycle": {"in": "ACTIVE"}}, "FILTER_UNKNOWN", ("filter", "lifecycle", "in")),
        ({"name": {"in": ["a"] * 101}}, "FILTER_TOO_MANY", ("filter", "name", "in")),
    ],
)
async def test_wrong_filters(place: Clone, given: dict[str, Any], code: str, field: tuple[str, ...]) -> None:
    acting = await office(place.admin, JIANGYIN, "OFFICER")
    with pytest.raises(Fault) as fault:
        async with working(place.db, acting) as ctx:
            await service.start_export(ctx, "enterprises", given, (), "核对")
    assert (fault.value.code, fault.value.field) == (code, field)
    assert fault.value.message("zh-CN")


async def test_other_wrong_input(place: Clone) -> None:
    acting = await office(place.admin, JIANGYIN, "OFFICER")
    before = await checksums(place.admin)
    for columns, purpose, code in (
        (["nothing"], "核对", "COLUMN_UNKNOWN"),
        ([], " ", "REQUIRED"),
        ([], "核" * 201, "TOO_LONG"),
    ):
        with pytest.raises(Fault, match=code):
            async with working(place.db, acting) as ctx:
                await service.start_export(ctx, "enterprises", {}, columns, purpose)
    with pytest.raises(NotPermittedFault):
        async with working(place.db, await office(place.admin, "320281001", "OFFICER")) as ctx:
            await service.start_export(ctx, "enterprises", {}, (), "核对")
    assert await checksums(place.admin) == before


async def test_too_many_rows_are_refused(filled: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MAX_ROWS", 5)
    acting = await office(filled.admin, JIANGSU, "LEADER")
    run_id = await exported(filled, acting, {})
    run = await run_of(filled, run_id, "export_run")
    assert (run["state"], run["problems"][0]["code"], run["file_version_id"]) == ("FAILED", "EXPORT_TOO_MANY", None)
    with pytest.raises(Fault, match="NO_FILE"):
        async with working(filled.db, acting) as ctx:
            await service.export_file(ctx, run_id)


async def test_cancelled_and_ended(filled: Clone) -> None:
    acting = await office(filled.admin, JIANGYIN, "OFFICER")
    async with working(filled.db, acting) as ctx:
        run_id = await service.start_export(ctx, "enterprises", {}, (), "核对")
    job = await job_of(filled, run_id, "export_run")
    async with working(filled.db, acting) as ctx:
        await service.cancel_export(ctx, run_id, 1)
    assert await run_job(filled, job, acting) == "CANCELLED"
    with pytest.raises(Fault, match="EXPORT_STATE"):
        async with working(filled.db, acting) as ctx:
            await service.cancel_export(ctx, run_id, 2)
    async with working(filled.db, acting) as ctx:
        other = await service.start_export(ctx, "enterprises", {}, (), "核对")
    assert await run_job(filled, await job_of(filled, other, "export_run"), None) == "FAILED"
    assert await jobs.settle(filled.db) == 1
    assert (await run_of(filled, other, "export_run"))["problems"][0]["code"] == "MEMBERSHIP_ENDED"
    assert await filled.admin.fetchval("SELECT count(*) FROM app.object_version") == 0


async def test_only_ones_own(filled: Clone) -> None:
    acting = await office(filled.admin, JIANGYIN, "OFFICER")
    run_id = await exported(filled, acting, {})
    elsewhere = replace(await office(filled.admin, WUXI, "OFFICER"), person_id=acting.person_id)
    for stranger in (await office(filled.admin, JIANGYIN, "OFFICER", name="同事"), elsewhere):
        with pytest.raises(NotFoundFault):
            async with working(filled.db, stranger) as ctx:
                await service.export_file(ctx, run_id)


async def test_what_was_exported_can_be_imported_again(place: Clone, tmp_path: Path) -> None:
    """Headings and words of an export are those that an import reads."""
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    await run_job(place, await confirmed(place, county, await checked(place, county, workbook([firm(1)]))), county)
    columns = ("credit_code", "name", "legal_representative", "industry_code", "division_code")
    head, rows = await table(place, await exported(place, county, {}, *columns))
    row = dict(zip(head, rows[0], strict=True)) | {"生产经营地址": "试验路 1 号"}
    again = await run_of(place, await checked(place, county, workbook([row], head=tuple(row)), update=True))
    assert (again["state"], again["errors"], again["kept"]) == ("CHECKED", 0, 1), again["problems"]
