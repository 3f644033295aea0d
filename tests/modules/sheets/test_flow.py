"""From a file to the ledger and back: dry run, errors by row and column, confirmation, update, cancel, resume."""

import asyncio
from typing import Any

import pytest

from app.kit.errors import ConflictFault, Fault, NotFoundFault, NotPermittedFault
from app.kit.jobs import JobRun
from app.kit.sheets import importing
from app.modules.sheets import jobs, service
from tests.conftest import Clone
from tests.factories.enterprises import CHENGJIANG, JIANGYIN, YIXING, form, new_code, office, open_enterprise, working
from tests.factories.sheets import (
    HEAD,
    cells,
    checked,
    confirmed,
    content_of,
    firm,
    job_of,
    rows_of,
    run_job,
    run_of,
    upload,
    workbook,
)
from tests.modules.used import checksums


async def test_a_county_brings_its_ledger_in(place: Clone) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    rows = [
        firm(1),
        firm(2, 生产经营地区划=f"{CHENGJIANG} 澄江街道", 国民经济行业="2631"),
        firm(3, 经度=None, 纬度=None),
    ]
    run_id = await checked(place, county, workbook(rows))
    run = await run_of(place, run_id)
    assert (run["state"], run["total"], run["errors"], run["created"]) == ("CHECKED", 3, 0, 3), run["problems"]
    assert await place.admin.fetchval("SELECT count(*) FROM app.enterprise") == 0
    assert await run_job(place, await confirmed(place, county, run_id), county) == "DONE"
    run = await run_of(place, run_id)
    assert (run["state"], run["created"], run["updated"], run["errors"]) == ("DONE", 3, 0, 0)
    files = await place.admin.fetch(
        "SELECT e.*, t.parent_id, t.name AS tenant, s.address, s.is_main, s.position_warning_m AS far, s.county_key AS at"
        " FROM app.enterprise e JOIN app.tenant t ON t.id = e.id JOIN app.site s ON s.enterprise_id = e.id ORDER BY e.name"
    )
    assert [row["credit_code"] for row in files] == [row["统一社会信用代码"] for row in rows]
    assert {row["county_key"] for row in files} == {row["at"] for row in files} == {county.tenant_key}
    assert {(row["status"], row["contact_phone"], row["is_main"]) for row in files} == {
        ("UNVERIFIED", "138****5678", True)
    }
    assert files[0]["far"] is None
    assert files[1]["division_code"] == CHENGJIANG
    assert all(row["completeness"] > 20 for row in files)
    assert files[2]["completeness"] < files[0]["completeness"]
    for table, count in (("enterprise_change", 3), ("site", 3)):
        assert await place.admin.fetchval(f"SELECT count(*) FROM app.{table}") == count
    assert await place.admin.fetchval("SELECT count(*) FROM app.event WHERE type = 'enterprise.imported'") == 3
    audited = await place.admin.fetch("SELECT action, count(*) AS n FROM app.audit_entry GROUP BY action")
    found = {row["action"]: row["n"] for row in audited}
    assert found["enterprise.imported"] == 6
    assert found.keys() >= {"import.start", "import.check", "import.confirm", "import.apply"}
    written = await rows_of(place, run_id)
    assert [row["object_id"] for row in written] == [row["id"] for row in files]


async def test_the_same_as_the_use_case_computes(place: Clone) -> None:
    """A file that comes in by Excel has what the same file has that was opened by the registration's approval."""
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    one = await open_enterprise(place.db, place.admin)
    sent = form()
    row = firm(
        企业名称=sent.name, 生产经营地址=sent.address, 注册地址=sent.address, 法定代表人=None, 国民经济行业=sent.industry_code,
        联系人=sent.contact_name,
    )  # fmt: skip
    run_id = await checked(place, county, workbook([row]))
    await run_job(place, await confirmed(place, county, run_id), county)
    query = "SELECT size_class, size_basis, duties, completeness FROM app.enterprise WHERE {} ORDER BY 1"
    approved = await place.admin.fetchrow(query.format("id = $1"), one.enterprise_id)
    imported = await place.admin.fetchrow(query.format("credit_code = $1"), row["统一社会信用代码"])
    assert [str(value).split('"asOf"')[0] for value in imported] == [
        str(value).split('"asOf"')[0] for value in approved
    ]


async def test_errors_by_row_and_column(place: Clone) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    twin = new_code()
    rows = [
        firm(1),
        firm(2, 统一社会信用代码="91440606707539051"),
        firm(3, 企业名称=None),
        firm(4, 国民经济行业="9999999"),
        firm(5, 生产经营地区划="320282 宜兴市"),
        firm(6, 经度=31.90, 纬度=120.28),
        firm(7, 联系电话="12"),
        firm(8, 统一社会信用代码=twin),
        firm(9, 统一社会信用代码=twin.lower()),
        firm(10, 统一社会信用代码=123456789012345678),
        {},
        firm(12),
    ]
    run_id = await checked(place, county, workbook(rows))
    run = await run_of(place, run_id)
    found = {row["number"]: [(e["cell"], e["code"]) for e in row["errors"]] for row in await rows_of(place, run_id)}
    assert found == {
        2: [],
        3: [("A3", "USCC_LENGTH")],
        4: [("B4", "REQUIRED")],
        5: [("D5", "CELL_NOT_IN_LIST")],
        6: [("F6", "CELL_NOT_IN_LIST")],
        7: [("I7", "COORDINATE_SWAPPED")],
        8: [("K8", "PHONE_INVALID")],
        9: [("A9", "ROW_TWICE")],
        10: [("A10", "ROW_TWICE")],
        11: [("A11", "CELL_DIGITS_LOST")],
        13: [],
    }
    assert (run["state"], run["total"], run["errors"], run["created"]) == ("CHECKED", 11, 9, 2)
    back = cells(await content_of(place, run["failed_version_id"]))
    assert back[0][: len(HEAD)] == [
        "*" + t if t in ("统一社会信用代码", "企业名称", "生产经营地区划", "生产经营地址") else t for t in HEAD
    ]
    assert [row[-1] for row in back[1:]] == [3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert "A3 统一社会信用代码" in back[1][-2]
    assert back[2][0] == rows[2]["统一社会信用代码"]


async def test_the_file_of_failed_rows_comes_back_mended(place: Clone) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    run_id = await checked(place, county, workbook([firm(1), firm(2, 联系电话="12")]))
    head, row = cells(await content_of(place, (await run_of(place, run_id))["failed_version_id"]))
    mended = dict(zip(head, row, strict=True)) | {"联系电话": "0510-86861234"}
    again = await run_of(place, await checked(place, county, workbook([mended], head=head)))
    assert (again["state"], again["errors"], again["created"]) == ("CHECKED", 0, 1)


async def test_what_is_there_is_an_error_or_is_updated_by_choice(place: Clone) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    first = [firm(1), firm(2), firm(3)]
    await run_job(place, await confirmed(place, county, run := await checked(place, county, workbook(first))), county)
    ids = {row["number"]: row["object_id"] for row in await rows_of(place, run)}
    second = [first[0], first[1] | {"企业名称": "江阴改名化工有限公司", "法定代表人": None}, firm(4)]
    refused = await checked(place, county, workbook(second))
    assert [[e["code"] for e in row["errors"]] for row in await rows_of(place, refused)] == [
        ["ROW_EXISTS"],
        ["ROW_EXISTS"],
        [],
    ]
    chosen = await checked(place, county, workbook(second), update=True)
    assert [row["action"] for row in await rows_of(place, chosen)] == ["KEEP", "UPDATE", "CREATE"]
    before = await place.admin.fetchrow("SELECT * FROM app.enterprise WHERE id = $1", ids[2])
    await run_job(place, await confirmed(place, county, chosen), county)
    run_now = await run_of(place, chosen)
    assert (run_now["created"], run_now["updated"], run_now["kept"], run_now["errors"]) == (1, 1, 1, 0)
    assert await place.admin.fetchrow("SELECT * FROM app.enterprise WHERE id = $1", ids[2]) == before
    changed = await place.admin.fetchrow(
        "SELECT e.*, t.name AS tenant FROM app.enterprise e JOIN app.tenant t ON t.id = e.id WHERE e.id = $1", ids[3]
    )
    assert (changed["name"], changed["tenant"]) == ("江阴改名化工有限公司",) * 2
    assert changed["former_names"] == [first[1]["企业名称"]]
    assert changed["legal_representative"] == "王小安", "an empty cell keeps what is there"
    assert changed["version"] == 2
    assert (
        await place.admin.fetchval(
            "SELECT after->>'name' FROM app.enterprise_change WHERE enterprise_id = $1 AND kind = 'EDIT'", ids[3]
        )
        == "江阴改名化工有限公司"
    )


async def test_a_file_that_its_enterprise_works_with_is_left_alone(place: Clone) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    opened = await open_enterprise(place.db, place.admin)
    row = firm(1, 统一社会信用代码=opened.code, 企业名称="县里另起的名字")
    run_id = await checked(place, county, workbook([row]), update=True)
    assert [e["code"] for e in (await rows_of(place, run_id))[0]["errors"]] == ["FILE_IN_USE"]
    with pytest.raises(Fault, match="IMPORT_NOTHING"):
        await confirmed(place, county, run_id)


async def test_another_countys_code_is_refused_when_written(place: Clone) -> None:
    """The dry run sees no other county's row; the write meets the unique code and fails that row alone."""
    other = await open_enterprise(place.db, place.admin, division_code=YIXING, longitude=None, latitude=None)
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    run_id = await checked(place, county, workbook([firm(1), firm(2, 统一社会信用代码=other.code), firm(3)]))
    assert (await run_of(place, run_id))["errors"] == 0
    before = await place.admin.fetch("SELECT * FROM app.enterprise WHERE id = $1", other.enterprise_id)
    tenants = await place.admin.fetchval("SELECT count(*) FROM app.tenant")
    await run_job(place, await confirmed(place, county, run_id), county)
    run = await run_of(place, run_id)
    assert (run["state"], run["created"], run["errors"]) == ("DONE", 2, 1)
    assert [(row["state"], [e["code"] for e in row["errors"]]) for row in await rows_of(place, run_id)] == [
        ("WRITTEN", []), ("ERROR", ["CREDIT_CODE_TAKEN"]), ("WRITTEN", []),
    ]  # fmt: skip
    assert len(cells(await content_of(place, run["failed_version_id"]))) == 2
    assert await place.admin.fetch("SELECT * FROM app.enterprise WHERE id = $1", other.enterprise_id) == before
    assert await place.admin.fetchval("SELECT count(*) FROM app.tenant") == tenants + 2


async def test_what_changed_since_the_dry_run_is_not_overwritten(place: Clone) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    row = firm(1)
    await run_job(place, await confirmed(place, county, await checked(place, county, workbook([row]))), county)
    run_id = await checked(place, county, workbook([row | {"法定代表人": "钱明"}]), update=True)
    await place.admin.execute("UPDATE app.enterprise SET legal_representative = '孙平', version = version + 1")
    await run_job(place, await confirmed(place, county, run_id), county)
    assert [e["code"] for e in (await rows_of(place, run_id))[0]["errors"]] == ["CONFLICT"]
    assert await place.admin.fetchval("SELECT legal_representative FROM app.enterprise") == "孙平"


class Killed(BaseException):
    """Stands for kill -9: nothing of ours runs any more."""


@pytest.mark.parametrize("point", range(1, 8))
async def test_killed_at_any_point_it_goes_on_and_writes_no_row_twice(
    place: Clone, monkeypatch: pytest.MonkeyPatch, point: int
) -> None:
    """The attempt ends before its n-th commit or its n-th sign of progress; the next one finishes."""
    monkeypatch.setattr(importing, "WRITE_BATCH", 4)
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    run_id = await checked(place, county, workbook([firm(number) for number in range(10)]))
    job = await confirmed(place, county, run_id)
    steps = 0

    def step(original: Any) -> Any:
        async def stepping(*given: Any, **more: Any) -> Any:
            nonlocal steps
            done = await original(*given, **more)
            steps += 1
            if steps == point:
                raise Killed
            return done

        return stepping

    with monkeypatch.context() as patch:
        patch.setattr(importing, "_write", step(importing._write))
        patch.setattr(JobRun, "progress", step(JobRun.progress))
        patch.setattr(JobRun, "finish", step(JobRun.finish))
        try:
            await run_job(place, job, county)
        except Killed:
            await place.admin.execute("UPDATE app.job_attempt SET beat_at = NULL")
        else:
            assert point > steps
    assert await run_job(place, job, county) == "DONE"
    run = await run_of(place, run_id)
    assert (run["state"], run["created"]) == ("DONE", 10)
    for table in ("enterprise", "site", "enterprise_change"):
        assert await place.admin.fetchval(f"SELECT count(*) FROM app.{table}") == 10, table
    assert await place.admin.fetchval("SELECT count(*) FROM app.event WHERE type = 'enterprise.imported'") == 10
    assert await place.admin.fetchval("SELECT count(*) FROM app.audit_entry WHERE action = 'import.apply'") == 1


async def test_a_killed_dry_run_leaves_all_or_nothing(place: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    async with working(place.db, county) as ctx:
        started = await service.start_import(ctx, "enterprises", "台账.xlsx", update_existing=False)
    await upload(place.db, started.run_id, county, workbook([firm(1), firm(2)]))
    async with working(place.db, county) as ctx:
        await service.check_import(ctx, started.run_id, 2)
    job = await job_of(place, started.run_id)

    async def dies(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(JobRun, "finish", dies)
        with pytest.raises(Killed):
            await run_job(place, job, county)
    assert await rows_of(place, started.run_id) == []
    await place.admin.execute("UPDATE app.job_attempt SET beat_at = NULL")
    assert await run_job(place, job, county) == "DONE"
    assert len(await rows_of(place, started.run_id)) == 2


async def test_after_cancel_no_further_row_is_written(place: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "WRITE_BATCH", 2)
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    run_id = await checked(place, county, workbook([firm(number) for number in range(10)]))
    job = await confirmed(place, county, run_id)
    original, batches = importing._write, 0

    async def write(*given: Any) -> None:
        nonlocal batches
        await original(*given)
        batches += 1

    async def cancel() -> None:
        while batches < 2:
            await asyncio.sleep(0)
        async with working(place.db, county) as ctx:
            await service.cancel_import(ctx, run_id, (await run_of(place, run_id))["version"])

    monkeypatch.setattr(importing, "_write", write)
    state, _ = await asyncio.gather(run_job(place, job, county), cancel())
    run = await run_of(place, run_id)
    assert (state, run["state"]) == ("CANCELLED", "CANCELLED")
    there = await place.admin.fetchval("SELECT count(*) FROM app.enterprise")
    assert 4 <= there < 10
    assert run["created"] == there == sum(row["state"] == "WRITTEN" for row in await rows_of(place, run_id))
    assert await run_job(place, job, county) == "CANCELLED"
    assert await place.admin.fetchval("SELECT count(*) FROM app.enterprise") == there


async def test_cancelled_before_it_began(place: Clone) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    run_id = await checked(place, county, workbook([firm(1)]))
    job = await confirmed(place, county, run_id)
    async with working(place.db, county) as ctx:
        await service.cancel_import(ctx, run_id, (await run_of(place, run_id))["version"])
    assert await run_job(place, job, county) == "CANCELLED"
    assert (await run_of(place, run_id))["created"] == 0
    assert await place.admin.fetchval("SELECT count(*) FROM app.enterprise") == 0
    with pytest.raises(Fault, match="IMPORT_STATE"):
        async with working(place.db, county) as ctx:
            await service.cancel_import(ctx, run_id, (await run_of(place, run_id))["version"])


async def test_an_ended_membership_stops_it_with_the_reason(place: Clone) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    run_id = await checked(place, county, workbook([firm(1)]))
    job = await confirmed(place, county, run_id)
    assert await run_job(place, job, None) == "FAILED"
    assert await jobs.settle(place.db) == 1
    run = await run_of(place, run_id)
    assert (run["state"], [one["code"] for one in run["problems"]]) == ("FAILED", ["MEMBERSHIP_ENDED"])
    assert await place.admin.fetchval("SELECT count(*) FROM app.enterprise") == 0
    assert await jobs.settle(place.db) == 0


async def test_a_lost_role_stops_it_with_the_reason(place: Clone) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    officer = await office(place.admin, JIANGYIN, "OFFICER")
    run_id = await checked(place, county, workbook([firm(1)]))
    job = await confirmed(place, county, run_id)
    weaker = county.__class__(**{f: getattr(county, f) for f in county.__dataclass_fields__} | {"capabilities": officer.capabilities})  # fmt: skip
    assert await run_job(place, job, weaker) == "FAILED"
    run = await run_of(place, run_id)
    assert (run["state"], run["problems"][0]["code"]) == ("FAILED", "NOT_PERMITTED")
    assert await place.admin.fetchval("SELECT count(*) FROM app.enterprise") == 0


async def test_steps_out_of_order_change_nothing(place: Clone) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    async with working(place.db, county) as ctx:
        started = await service.start_import(ctx, "enterprises", "a.xlsx", update_existing=False)
    before = await checksums(place.admin)
    for step in (service.check_import, service.confirm_import):
        with pytest.raises(Fault, match="IMPORT_STATE"):
            async with working(place.db, county) as ctx:
                await step(ctx, started.run_id, 1)
    with pytest.raises(ConflictFault):
        async with working(place.db, county) as ctx:
            await service.cancel_import(ctx, started.run_id, 7)
    with pytest.raises(Fault, match="NO_FILE"):
        async with working(place.db, county) as ctx:
            await service.failed_rows(ctx, started.run_id)
    assert await checksums(place.admin) == before
    assert await upload(place.db, started.run_id, county, workbook([firm(1)]))
    assert not await upload(place.db, started.run_id, county, workbook([firm(2)])), "a second file is not taken"


async def test_only_its_own_person_in_its_own_tenant(place: Clone) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    run_id = await checked(place, county, workbook([firm(1)]))
    version = (await run_of(place, run_id))["version"]
    colleague = await office(place.admin, JIANGYIN, "ACCEPTOR", name="同事")
    elsewhere = await office(place.admin, YIXING, "ACCEPTOR")
    same_person = elsewhere.__class__(**{f: getattr(elsewhere, f) for f in elsewhere.__dataclass_fields__} | {"person_id": county.person_id})  # fmt: skip
    for stranger in (colleague, elsewhere, same_person):
        for step in (service.confirm_import, service.cancel_import):
            with pytest.raises(NotFoundFault):
                async with working(place.db, stranger) as ctx:
                    await step(ctx, run_id, version)
        with pytest.raises(NotFoundFault):
            async with working(place.db, stranger) as ctx:
                await service.failed_rows(ctx, run_id)


@pytest.mark.parametrize("who", [("OFFICER", JIANGYIN), ("LEADER", "3202"), ("LEADER", "32")])
async def test_who_may_not_import(place: Clone, who: tuple[str, str]) -> None:
    acting = await office(place.admin, who[1], who[0])
    before = await checksums(place.admin)
    for call in (
        lambda ctx: service.start_import(ctx, "enterprises", "a.xlsx", update_existing=False),
        lambda ctx: service.template(ctx, "enterprises"),
    ):
        with pytest.raises(NotPermittedFault):
            async with working(place.db, acting) as ctx:
                await call(ctx)
    with pytest.raises(Fault, match="LEDGER_UNKNOWN"):
        async with working(place.db, acting) as ctx:
            await service.start_import(ctx, "nothing", "a.xlsx", update_existing=False)
    assert await checksums(place.admin) == before


async def test_expired_runs_go_with_rows_and_files(place: Clone) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    run_id = await checked(place, county, workbook([firm(1, 联系电话="1"), firm(2)]))
    kept = await checked(place, county, workbook([firm(3)]))
    await place.admin.execute(
        "UPDATE app.import_run SET expires_at = now() - interval '1 second' WHERE id = $1", run_id
    )
    await place.admin.execute(
        "UPDATE app.object_version SET expires_at = now() - interval '1 second' WHERE key LIKE $1", f"%{run_id}%"
    )
    assert await jobs.forget(place.db) == 1
    assert await place.admin.fetch("SELECT id FROM app.import_run") == [(kept,)]
    assert await place.admin.fetchval("SELECT count(*) FROM app.import_row WHERE run_id = $1", run_id) == 0
    assert await place.admin.fetchval("SELECT count(*) FROM app.object_version WHERE key LIKE $1", f"%{run_id}%") == 0
    assert await place.admin.fetchval("SELECT count(*) FROM app.object_version") == 1
