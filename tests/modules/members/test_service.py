"""Memberships, slips, accounts, grants and the seeded tree, on a real database under the people's logins."""

import asyncio
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.kit.errors import ConflictFault
from app.kit.ids import uuid7
from app.kit.uow import WriteContext
from app.modules.audit import public as public_audit
from app.modules.members import jobs, service
from tenants.changes import ChangeKind
from tenants.models import Hosting, IncidentCall, ScopeGrant
from tests.conftest import Clone
from tests.factories.audit import acting_as
from tests.factories.members import calling, create_membership, do, job_run, refused, row_of
from tests.world import TODAY, World, tenant_id


def _new(tenant: str, *roles: str, **more: Any) -> service.NewMember:
    return service.NewMember(tenant_id(tenant), "王安", roles or ("OFFICER",), **more)


async def _propose(clone: Clone, world: World, who: str, tenant: str, *roles: str) -> UUID:
    found: UUID = await do(clone, acting_as(world, who), lambda ctx: service.propose(ctx, _new(tenant, *roles)))
    return found


# Delegated administration


async def test_a_city_administrator_creates_a_countys_user(fresh_world: Clone, world: World) -> None:
    city = acting_as(world, "city_1")
    made = await do(fresh_world, city, lambda ctx: service.propose(ctx, _new("D111", "OFFICER", phone="138-1234 5678")))
    row = await row_of(fresh_world.admin, made)
    assert (row["state"], row["roles"], row["owner_key"]) == ("PENDING", ["OFFICER"], world.keys["D111"])
    assert (row["city_key"], row["county_key"], row["author_key"]) == (
        world.keys["C11"],
        world.keys["D111"],
        world.keys["C11"],
    )
    assert (row["phone_masked"], row["valid_from"], row["proposed_by"]) == ("138****5678", TODAY, city.person_id)
    audited = await fresh_world.admin.fetch("SELECT * FROM app.audit_entry WHERE object_id = $1", made)
    assert {entry["owner_key"] for entry in audited} == {world.keys["C11"], world.keys["D111"]}
    events = await fresh_world.admin.fetch("SELECT type, county_key FROM app.event WHERE object_id = $1", made)
    assert [tuple(event) for event in events] == [("membership.propose", world.keys["D111"])]


@pytest.mark.parametrize(
    ("who", "tenant", "roles", "code"),
    [
        ("county_2", "D111", ("OFFICER",), "NOT_FOUND"),  # the neighbour
        ("county_2", "C11", ("OFFICER",), "NOT_FOUND"),  # above
        ("county_2", "D112", ("CAPTAIN",), "GRANT_UNKNOWN_ROLE"),
        ("county_2", "D112", (), "GRANT_NO_ROLE"),
        ("county_2", "D112", ("ADMIN", "AUDITOR"), "GRANT_EXCLUSIVE"),
        ("county_1", "D111", ("OFFICER",), "NOT_PERMITTED"),  # no administrator
        ("county_far", "D211", ("OFFICER",), "NOT_PERMITTED"),  # a security officer
        ("city_1", "D211", ("OFFICER",), "NOT_FOUND"),  # another province
        ("enterprise_admin", "E1111", ("WORKER",), "NOT_FOUND"),
    ],
)
async def test_nobody_grants_above_outside_or_what_is_not_his(
    fresh_world: Clone, world: World, who: str, tenant: str, roles: tuple[str, ...], code: str
) -> None:
    before = await fresh_world.admin.fetchval("SELECT count(*) FROM app.membership")
    new = service.NewMember(tenant_id(tenant), "王安", roles)
    assert await refused(fresh_world, acting_as(world, who), lambda ctx: service.propose(ctx, new)) == code
    assert await fresh_world.admin.fetchval("SELECT count(*) FROM app.membership") == before


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"valid_to": TODAY - timedelta(days=1)}, "MEMBER_DATES"),
        ({"valid_from": TODAY + timedelta(days=9), "valid_to": TODAY + timedelta(days=8)}, "MEMBER_DATES"),
        ({"phone": "12"}, "MEMBER_PHONE"),
        ({"post": "x" * 65}, "TOO_LONG"),
    ],
)
async def test_wrong_fields_are_named(fresh_world: Clone, world: World, more: dict[str, Any], code: str) -> None:
    caller = acting_as(world, "county_2")
    assert await refused(fresh_world, caller, lambda ctx: service.propose(ctx, _new("D112", **more))) == code


async def test_a_suspended_tenant_takes_nobody(fresh_world: Clone, world: World) -> None:
    await fresh_world.admin.execute("UPDATE app.tenant SET status = 'SUSPENDED' WHERE id = $1", tenant_id("E1121"))
    caller = acting_as(world, "county_2")
    code = await refused(fresh_world, caller, lambda ctx: service.propose(ctx, _new("E1121", "WORKER")))
    assert code == "MEMBER_TENANT_INACTIVE"


# Four eyes


async def test_an_administrator_needs_a_security_officer_who_is_somebody_else(fresh_world: Clone, world: World) -> None:
    made = await _propose(fresh_world, world, "county_2", "D112", "ADMIN")
    assert (await row_of(fresh_world.admin, made))["state"] == "PROPOSED"

    proposer = acting_as(world, "county_2", "SECURITY")  # the same person in another office
    other = acting_as(world, "county_2", "SECURITY", person=uuid7())
    officer = acting_as(world, "county_2", "ADMIN", person=uuid7())

    async def approve(ctx: WriteContext) -> UUID:
        return await service.approve(ctx, made, 1)

    assert await refused(fresh_world, officer, approve) == "NOT_PERMITTED"
    assert await refused(fresh_world, proposer, approve) == "OTHER_PERSON"
    assert await refused(fresh_world, acting_as(world, "county_far"), approve) == "NOT_FOUND"
    await do(fresh_world, other, approve)
    row = await row_of(fresh_world.admin, made)
    assert (row["state"], row["approved_by"], row["version"]) == ("PENDING", other.person_id, 2)
    assert await refused(fresh_world, other, lambda ctx: service.approve(ctx, made, 2)) == "WRONG_STATE"


async def test_a_refused_proposal_stays_refused(fresh_world: Clone, world: World) -> None:
    made = await _propose(fresh_world, world, "county_2", "D112", "AUDITOR")
    other = acting_as(world, "county_2", "SECURITY", person=uuid7())
    assert await refused(fresh_world, other, lambda ctx: service.refuse(ctx, made, 1, " ")) == "MEMBER_REASON_REQUIRED"
    await do(fresh_world, other, lambda ctx: service.refuse(ctx, made, 1, "兼职"))
    row = await row_of(fresh_world.admin, made)
    assert (row["state"], row["end_reason"]) == ("REFUSED", "兼职")
    assert await refused(fresh_world, other, lambda ctx: service.approve(ctx, made, 2)) == "WRONG_STATE"


# Life of an active member


async def test_the_audited_do_not_silence_their_auditor(fresh_world: Clone, world: World) -> None:
    member = await create_membership(fresh_world.admin, world, "D112", roles=("AUDITOR",), person_id=None)
    person = world.actors["county_1"].person
    await fresh_world.admin.execute("UPDATE app.membership SET person_id = $2 WHERE id = $1", member, person)
    own, above = acting_as(world, "county_2", "ADMIN"), acting_as(world, "city_1", "ADMIN")
    for step in (calling(service.suspend, member, 1, "离岗"), calling(service.end, member, 1, "离岗")):
        assert await refused(fresh_world, own, step) == "MEMBER_FROM_ABOVE"
    await do(fresh_world, above, calling(service.suspend, member, 1, "离岗"))
    assert await refused(fresh_world, own, calling(service.resume, member, 2)) == "MEMBER_FROM_ABOVE"


async def test_an_enterprises_head_needs_a_second_person(fresh_world: Clone, world: World) -> None:
    """Whoever approves others is not made by one person alone."""
    admin = acting_as(world, "enterprise_officer_1", "ADMIN")
    made = await do(fresh_world, admin, calling(service.propose, _new("E1111", "HEAD")))
    assert (await row_of(fresh_world.admin, made))["state"] == "PROPOSED"
    worker = await create_membership(fresh_world.admin, world, "E1111", roles=("WORKER",))
    assert (
        await refused(fresh_world, admin, calling(service.change_roles, worker, 1, ["HEAD"])) == "MEMBER_NEEDS_PROPOSAL"
    )


async def test_suspend_resume_change_and_end(fresh_world: Clone, world: World) -> None:
    admin = acting_as(world, "city_1")
    member = world.actors["county_1"].membership
    await do(fresh_world, admin, lambda ctx: service.suspend(ctx, member, 1, "离岗"))
    assert (await row_of(fresh_world.admin, member))["state"] == "SUSPENDED"
    await do(fresh_world, admin, lambda ctx: service.resume(ctx, member, 2))
    await do(fresh_world, admin, lambda ctx: service.change_roles(ctx, member, 3, ["LEADER"], "副局长"))
    row = await row_of(fresh_world.admin, member)
    assert (row["state"], row["roles"], row["post"], row["version"]) == ("ACTIVE", ["LEADER"], "副局长", 4)
    await do(fresh_world, admin, lambda ctx: service.end(ctx, member, 4, "调离"))
    row = await row_of(fresh_world.admin, member)
    assert (row["state"], row["end_reason"], row["valid_to"]) == ("ENDED", "调离", TODAY)
    assert await refused(fresh_world, admin, lambda ctx: service.resume(ctx, member, 5)) == "WRONG_STATE"
    queued = await fresh_world.admin.fetch("SELECT actor FROM app.outbox WHERE actor LIKE 'members.%'")
    assert [row["actor"] for row in queued] == ["members.sync_account"] * 4


async def test_a_stale_version_conflicts_and_changes_nothing(fresh_world: Clone, world: World) -> None:
    admin, member = acting_as(world, "city_1"), world.actors["county_1"].membership
    await do(fresh_world, admin, lambda ctx: service.suspend(ctx, member, 1, "离岗"))
    with pytest.raises(ConflictFault) as refusal:
        await do(fresh_world, admin, lambda ctx: service.end(ctx, member, 1, "调离"))
    assert refusal.value.params["version"] == 2
    assert (await row_of(fresh_world.admin, member))["state"] == "SUSPENDED"


async def test_of_two_at_once_one_wins(fresh_world: Clone, world: World) -> None:
    admin, member = acting_as(world, "city_1"), world.actors["county_1"].membership
    calls = [do(fresh_world, admin, lambda ctx: service.suspend(ctx, member, 1, "离岗")) for _ in range(3)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert sorted(type(one).__name__ for one in found) == ["ConflictFault", "ConflictFault", "UUID"]
    assert (await row_of(fresh_world.admin, member))["version"] == 2


async def test_nobody_decides_over_himself(fresh_world: Clone, world: World) -> None:
    admin = acting_as(world, "county_2")
    own = admin.membership_id
    for call in (
        lambda ctx: service.suspend(ctx, own, 1, "x"),
        lambda ctx: service.end(ctx, own, 1, "x"),
    ):
        assert await refused(fresh_world, admin, call) == "GRANT_SELF"


async def test_privileged_roles_are_memberships_of_their_own(fresh_world: Clone, world: World) -> None:
    admin = acting_as(world, "city_1")
    officer, auditor = world.actors["county_1"].membership, world.actors["auditor"].membership
    for member, roles in ((officer, ["ADMIN"]), (auditor, ["OFFICER"])):
        code = await refused(fresh_world, admin, calling(service.change_roles, member, 1, roles))
        assert code == "MEMBER_NEEDS_PROPOSAL"


@pytest.mark.parametrize("member", [None, uuid7()])
async def test_unknown_and_foreign_members_are_not_found(fresh_world: Clone, world: World, member: UUID | None) -> None:
    admin, foreign = acting_as(world, "county_2"), world.actors["county_1"].membership
    for wanted in (member, foreign):
        code = await refused(fresh_world, admin, calling(service.end, wanted, 1, "x"))
        assert code == "NOT_FOUND"


# Dated grants


def _grant(owner: str | None, grantee: str, days: int = 30, **more: Any) -> service.NewGrant:
    values = {"purpose": "评估", "valid_from": TODAY, "valid_to": TODAY + timedelta(days=days), **more}
    return service.NewGrant(tenant_id(owner) if owner else None, tenant_id(grantee), **values)


async def _sees(clone: Clone, world: World, who: str, table: str, owner: str) -> bool:
    async with clone.db.read("assigned", acting_as(world, who).claims(TODAY)) as session:
        found = await session.scalar(
            text(f"SELECT count(*) FROM app.{table} WHERE owner_key = :key"), {"key": world.keys[owner]}
        )
    return bool(found)


async def test_a_scope_grant_opens_and_its_end_closes(fresh_world: Clone, world: World) -> None:
    owner = acting_as(world, "enterprise_admin")
    assert not await _sees(fresh_world, world, "agency", "tenant", "E1112")
    made = await do(fresh_world, owner, lambda ctx: service.give_grant(ctx, ScopeGrant, _grant(None, "A1")))
    assert await _sees(fresh_world, world, "agency", "tenant", "E1112")
    await do(fresh_world, owner, lambda ctx: service.end_grant(ctx, ScopeGrant, made, 1))
    assert not await _sees(fresh_world, world, "agency", "tenant", "E1112")
    assert await refused(fresh_world, owner, lambda ctx: service.end_grant(ctx, ScopeGrant, made, 2)) == "WRONG_STATE"


async def test_calls_and_hostings(fresh_world: Clone, world: World) -> None:
    city = acting_as(world, "city_1")
    hosted = await do(fresh_world, city, lambda ctx: service.give_grant(ctx, Hosting, _grant("D111", "A2")))
    assert await _sees(fresh_world, world, "host", "membership", "D111")
    await do(fresh_world, city, lambda ctx: service.end_grant(ctx, Hosting, hosted, 1))
    assert not await _sees(fresh_world, world, "host", "membership", "D111")
    county = acting_as(world, "county_2")
    call = _grant("E1121", "R2", incident_id=uuid7())
    await do(fresh_world, county, lambda ctx: service.give_grant(ctx, IncidentCall, call))
    assert await _sees(fresh_world, world, "rescue_2", "tenant", "E1121")


@pytest.mark.parametrize(
    ("who", "model", "grant", "code"),
    [
        ("enterprise_admin", ScopeGrant, _grant(None, "R1"), "GRANT_GRANTEE_KIND"),
        ("enterprise_admin", ScopeGrant, _grant(None, "D111"), "GRANT_GRANTEE_UNKNOWN"),
        ("enterprise_admin", ScopeGrant, _grant("E1111", "A1"), "NOT_FOUND"),
        ("enterprise_admin", ScopeGrant, _grant(None, "A1", days=-1), "GRANT_DATES"),
        ("enterprise_admin", ScopeGrant, _grant(None, "A1", days=400), "GRANT_DATES"),
        ("enterprise_admin", ScopeGrant, _grant(None, "A1", purpose=" "), "REQUIRED"),
        ("enterprise_admin", Hosting, _grant(None, "A1"), "NOT_PERMITTED"),
        ("enterprise_two_provinces", ScopeGrant, _grant(None, "A1"), "NOT_PERMITTED"),
        ("county_2", ScopeGrant, _grant(None, "A1"), "GRANT_OWNER_KIND"),
        ("county_2", IncidentCall, _grant("E1121", "R1"), "REQUIRED"),
        ("city_1", ScopeGrant, _grant("E1121", "A1"), "NOT_PERMITTED"),
    ],
)
async def test_grants_that_are_refused(
    fresh_world: Clone, world: World, who: str, model: Any, grant: service.NewGrant, code: str
) -> None:
    caller = acting_as(world, who)
    assert await refused(fresh_world, caller, lambda ctx: service.give_grant(ctx, model, grant)) == code


async def test_a_grantee_holds_fifty_at_most(fresh_world: Clone, world: World) -> None:
    await fresh_world.admin.execute(
        "INSERT INTO app.scope_grant (id, owner_key, grantee_key, grantee_name, purpose, valid_from, valid_to)"
        " SELECT gen_random_uuid(), $1, $2, 'x', 'x', $3, $3 FROM generate_series(1, 50)",
        world.keys["E2111"],
        world.keys["A1"],
        TODAY,
    )
    owner = acting_as(world, "enterprise_admin")
    grant = _grant(None, "A1")
    assert await refused(fresh_world, owner, lambda ctx: service.give_grant(ctx, ScopeGrant, grant)) == "GRANT_LIMIT"


# The tree


def _change(tenant: str, kind: ChangeKind, version: int = 1, **more: Any) -> service.NewChange:
    return service.NewChange(tenant_id(tenant), version, kind, more.pop("valid_from", TODAY), **more)


async def _applied(clone: Clone, recorded: service.Recorded) -> dict[str, Any]:
    run = job_run(clone.db, service.APPLY_JOB, recorded.job_id)
    done = await jobs.apply_change(run, str(recorded.change_id))
    assert done is not None
    return done


async def test_a_city_moves_a_township_between_its_counties(fresh_world: Clone, world: World) -> None:
    admin, caller = fresh_world.admin, acting_as(world, "city_1")
    version = await admin.fetchval("SELECT version FROM app.tenant WHERE id = $1", tenant_id("T111"))
    new = _change("T111", ChangeKind.MOVE, version, parent_id=tenant_id("D112"), document="府发1号")
    recorded = await do(fresh_world, caller, lambda ctx: service.change_tenant(ctx, new))
    queued = await admin.fetchrow("SELECT actor, due_at FROM app.outbox WHERE id = $1", recorded.job_id)
    assert tuple(queued) == (service.APPLY_JOB, None)
    assert await admin.fetchval("SELECT person_id FROM app.job WHERE id = $1", recorded.job_id) == caller.person_id

    await public_audit.seal(fresh_world.db)
    done = await _applied(fresh_world, recorded)
    assert done["rows"] > 0
    for table in ("tenant", "membership", "tenant_change", "audit_entry"):
        wrong = await admin.fetchval(
            f"SELECT count(*) FROM app.{table} WHERE owner_key = $1 AND county_key IS DISTINCT FROM $2",
            world.keys["T111"],
            world.keys["D112"],
        )
        assert wrong == 0, table
    row = await admin.fetchrow("SELECT * FROM app.tenant_change WHERE id = $1", recorded.change_id)
    assert (row["document"], row["actor_name"], row["actor_agency"]) == (
        "府发1号",
        caller.actor_name,
        caller.tenant_name,
    )
    progress = await admin.fetchval("SELECT progress FROM app.job WHERE id = $1", recorded.job_id)
    assert progress == done["rows"]
    assert (await _applied(fresh_world, recorded))["rows"] == 0, "a second delivery finds nothing to do"


async def test_a_change_of_a_later_day_waits_for_it(fresh_world: Clone, world: World) -> None:
    later = _change("D111", ChangeKind.RENAME, name="新名县应急管理局", valid_from=TODAY + timedelta(days=3))
    recorded = await do(fresh_world, acting_as(world, "city_1"), lambda ctx: service.change_tenant(ctx, later))
    due = await fresh_world.admin.fetchval("SELECT due_at FROM app.outbox WHERE id = $1", recorded.job_id)
    assert due.isoformat() == "2026-03-04T16:00:00+00:00", "the legal day begins at midnight in Shanghai"
    await _applied(fresh_world, recorded)
    for table in ("tenant", "agency"):
        name = await fresh_world.admin.fetchrow(
            f"SELECT name, name_sort FROM app.{table} WHERE id = $1", tenant_id("D111")
        )
        assert name["name"] == "新名县应急管理局"
        assert name["name_sort"].startswith("xin1 ming2 xian4")


@pytest.mark.parametrize(
    ("who", "change", "code"),
    [
        ("county_2", _change("D112", ChangeKind.RENAME, name="x"), "TENANT_NOT_ABOVE"),  # itself
        ("county_2", _change("C11", ChangeKind.RENAME, name="x"), "NOT_FOUND"),
        ("county_2", _change("D111", ChangeKind.CLOSE), "NOT_FOUND"),
        ("county_1", _change("T111", ChangeKind.RENAME, name="x"), "NOT_PERMITTED"),
        ("city_1", _change("D111", ChangeKind.RENAME, name="  "), "REQUIRED"),
        ("city_1", _change("D111", ChangeKind.RENAME, name="canary-D111-"), "TENANT_NAME_SAME"),
        ("city_1", _change("D111", ChangeKind.RENAME, name="x", version=7), "CONFLICT"),
        ("city_1", _change("T111", ChangeKind.MOVE, parent_id=tenant_id("D121")), "NOT_FOUND"),  # another city's
        ("city_1", _change("T111", ChangeKind.MOVE, parent_id=tenant_id("C11")), "CHANGE_TARGET_INVALID"),
        ("city_1", _change("D111", ChangeKind.MERGE, other_id=tenant_id("E1111")), "CHANGE_TARGET_INVALID"),
        ("city_1", _change("D111", ChangeKind.MERGE, other_id=tenant_id("D111")), "CHANGE_TARGET_INVALID"),
        ("city_1", _change("D111", ChangeKind.CLOSE, valid_from=date(2020, 1, 1)), "CHANGE_DATE_INVALID"),
    ],
)
async def test_changes_that_are_refused(
    fresh_world: Clone, world: World, who: str, change: service.NewChange, code: str
) -> None:
    before = await fresh_world.admin.fetchval("SELECT count(*) FROM app.tenant_change")
    caller = acting_as(world, who)
    assert await refused(fresh_world, caller, lambda ctx: service.change_tenant(ctx, change)) == code
    assert await fresh_world.admin.fetchval("SELECT count(*) FROM app.tenant_change") == before


async def test_merged_counties_and_closed_tenants_close(fresh_world: Clone, world: World) -> None:
    caller = acting_as(world, "city_1")
    merged = _change("D112", ChangeKind.MERGE, other_id=tenant_id("D111"))
    await _applied(fresh_world, await do(fresh_world, caller, lambda ctx: service.change_tenant(ctx, merged)))
    status = await fresh_world.admin.fetchrow("SELECT * FROM app.tenant WHERE id = $1", tenant_id("D112"))
    assert (status["status"], status["successor_id"]) == ("CLOSED", tenant_id("D111"))
    moved = await fresh_world.admin.fetchval("SELECT county_key FROM app.tenant WHERE id = $1", tenant_id("E1121"))
    assert moved == world.keys["D111"]
    stale = _change("D112", ChangeKind.CLOSE, status["version"])
    code = await refused(fresh_world, caller, lambda ctx: service.change_tenant(ctx, stale))
    assert code in ("CHANGE_TENANT_CLOSED", "TENANT_NOT_ABOVE")
