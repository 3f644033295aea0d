"""Memberships, slips, accounts, grants and the seeded tree, on a real database under the people's logins."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.kit.errors import ConflictFault, Fault
from app.kit.ids import uuid7
from app.kit.uow import WriteContext
from app.modules.members import jobs, public, service
from app.modules.members.seeds import seed
from app.modules.members.service import demo
from app.modules.members.service.activation import ALPHABET, hash_code
from infra.identity.port import Attributes, NewAccount
from infra.wiring import open_directory
from tenants.context import Caller, Visitor
from tenants.models import Hosting, IncidentCall, ScopeGrant
from tests.conftest import Clone
from tests.factories.audit import acting_as, visitor, work
from tests.factories.members import create_membership, create_slip, job_run, row_of
from tests.world import TODAY, World, tenant_id

Call = Callable[[WriteContext], Awaitable[Any]]


async def _do(clone: Clone, caller: Caller, call: Call) -> Any:
    async with work(clone.db, caller) as ctx:
        return await call(ctx)


async def _refused(clone: Clone, caller: Caller, call: Call) -> str:
    """Run a use case that must fail, and say how."""
    with pytest.raises(Fault) as refusal:
        await _do(clone, caller, call)
    return refusal.value.code


def _new(tenant: str, *roles: str, **more: Any) -> service.NewMember:
    return service.NewMember(tenant_id(tenant), "王安", roles or ("OFFICER",), **more)


async def _propose(clone: Clone, world: World, who: str, tenant: str, *roles: str) -> UUID:
    found: UUID = await _do(clone, acting_as(world, who), lambda ctx: service.propose(ctx, _new(tenant, *roles)))
    return found


# Delegated administration


async def test_a_city_administrator_creates_a_countys_user(fresh_world: Clone, world: World) -> None:
    city = acting_as(world, "city_1")
    made = await _do(
        fresh_world, city, lambda ctx: service.propose(ctx, _new("D111", "OFFICER", phone="138-1234 5678"))
    )
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
async def test_nobody_grants_above_outside_or_what_is_not_his(  # noqa: PLR0917 - pytest passes them by name
    fresh_world: Clone, world: World, who: str, tenant: str, roles: tuple[str, ...], code: str
) -> None:
    before = await fresh_world.admin.fetchval("SELECT count(*) FROM app.membership")
    new = service.NewMember(tenant_id(tenant), "王安", roles)
    assert await _refused(fresh_world, acting_as(world, who), lambda ctx: service.propose(ctx, new)) == code
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
    assert await _refused(fresh_world, caller, lambda ctx: service.propose(ctx, _new("D112", **more))) == code


async def test_a_suspended_tenant_takes_nobody(fresh_world: Clone, world: World) -> None:
    await fresh_world.admin.execute("UPDATE app.tenant SET status = 'SUSPENDED' WHERE id = $1", tenant_id("E1121"))
    caller = acting_as(world, "county_2")
    code = await _refused(fresh_world, caller, lambda ctx: service.propose(ctx, _new("E1121", "WORKER")))
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

    assert await _refused(fresh_world, officer, approve) == "NOT_PERMITTED"
    assert await _refused(fresh_world, proposer, approve) == "OTHER_PERSON"
    assert await _refused(fresh_world, acting_as(world, "county_far"), approve) == "NOT_FOUND"
    await _do(fresh_world, other, approve)
    row = await row_of(fresh_world.admin, made)
    assert (row["state"], row["approved_by"], row["version"]) == ("PENDING", other.person_id, 2)
    assert await _refused(fresh_world, other, lambda ctx: service.approve(ctx, made, 2)) == "WRONG_STATE"


async def test_a_refused_proposal_stays_refused(fresh_world: Clone, world: World) -> None:
    made = await _propose(fresh_world, world, "county_2", "D112", "AUDITOR")
    other = acting_as(world, "county_2", "SECURITY", person=uuid7())
    assert await _refused(fresh_world, other, lambda ctx: service.refuse(ctx, made, 1, " ")) == "MEMBER_REASON_REQUIRED"
    await _do(fresh_world, other, lambda ctx: service.refuse(ctx, made, 1, "兼职"))
    row = await row_of(fresh_world.admin, made)
    assert (row["state"], row["end_reason"]) == ("REFUSED", "兼职")
    assert await _refused(fresh_world, other, lambda ctx: service.approve(ctx, made, 2)) == "WRONG_STATE"


# Life of an active member


async def test_suspend_resume_change_and_end(fresh_world: Clone, world: World) -> None:
    admin = acting_as(world, "city_1")
    member = world.actors["county_1"].membership
    await _do(fresh_world, admin, lambda ctx: service.suspend(ctx, member, 1, "离岗"))
    assert (await row_of(fresh_world.admin, member))["state"] == "SUSPENDED"
    await _do(fresh_world, admin, lambda ctx: service.resume(ctx, member, 2))
    await _do(fresh_world, admin, lambda ctx: service.change_roles(ctx, member, 3, ["LEADER"], "副局长"))
    row = await row_of(fresh_world.admin, member)
    assert (row["state"], row["roles"], row["post"], row["version"]) == ("ACTIVE", ["LEADER"], "副局长", 4)
    await _do(fresh_world, admin, lambda ctx: service.end(ctx, member, 4, "调离"))
    row = await row_of(fresh_world.admin, member)
    assert (row["state"], row["end_reason"], row["valid_to"]) == ("ENDED", "调离", TODAY)
    assert await _refused(fresh_world, admin, lambda ctx: service.resume(ctx, member, 5)) == "WRONG_STATE"
    queued = await fresh_world.admin.fetch("SELECT actor FROM app.outbox WHERE actor LIKE 'members.%'")
    assert [row["actor"] for row in queued] == ["members.sync_account"] * 4


async def test_a_stale_version_conflicts_and_changes_nothing(fresh_world: Clone, world: World) -> None:
    admin, member = acting_as(world, "city_1"), world.actors["county_1"].membership
    await _do(fresh_world, admin, lambda ctx: service.suspend(ctx, member, 1, "离岗"))
    with pytest.raises(ConflictFault) as refusal:
        await _do(fresh_world, admin, lambda ctx: service.end(ctx, member, 1, "调离"))
    assert refusal.value.params["version"] == 2
    assert (await row_of(fresh_world.admin, member))["state"] == "SUSPENDED"


async def test_of_two_at_once_one_wins(fresh_world: Clone, world: World) -> None:
    admin, member = acting_as(world, "city_1"), world.actors["county_1"].membership
    calls = [_do(fresh_world, admin, lambda ctx: service.suspend(ctx, member, 1, "离岗")) for _ in range(3)]
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
        assert await _refused(fresh_world, admin, call) == "GRANT_SELF"


async def test_privileged_roles_are_memberships_of_their_own(fresh_world: Clone, world: World) -> None:
    admin = acting_as(world, "city_1")
    officer, auditor = world.actors["county_1"].membership, world.actors["auditor"].membership
    for member, roles in ((officer, ["ADMIN"]), (auditor, ["OFFICER"])):
        code = await _refused(fresh_world, admin, lambda ctx, m=member, r=roles: service.change_roles(ctx, m, 1, r))
        assert code == "MEMBER_NEEDS_PROPOSAL"


@pytest.mark.parametrize("member", [None, uuid7()])
async def test_unknown_and_foreign_members_are_not_found(fresh_world: Clone, world: World, member: UUID | None) -> None:
    admin, foreign = acting_as(world, "county_2"), world.actors["county_1"].membership
    for wanted in (member, foreign):
        code = await _refused(fresh_world, admin, lambda ctx, m=wanted: service.end(ctx, m, 1, "x"))
        assert code == "NOT_FOUND"


# Activation


@given(st.text(max_size=40))
def test_a_code_may_be_typed_in_any_way(noise: str) -> None:
    code = "ABCDE-01234-FGHJK-56789-MNPQR"
    junk = "".join(letter for letter in noise if letter.upper() not in (*ALPHABET, *"ILOU") and letter.isascii())
    typed = junk + code.lower().replace("-", " ").replace("0", "o").replace("1", "l") + junk
    assert hash_code(typed) == hash_code(code)


def test_codes_are_random_and_only_their_hash_is_kept() -> None:
    slips = [service.new_slip(uuid7()) for _ in range(200)]
    assert len({slip.code for slip in slips}) == 200
    for slip in slips:
        assert {len(group) for group in slip.code.split("-")} == {5}
        assert set(slip.code) <= {*ALPHABET, "-"}
    assert slips[0].svg.startswith("<svg")


async def test_a_slip_is_issued_by_those_who_may(fresh_world: Clone, world: World) -> None:
    member = await create_membership(fresh_world.admin, world, "E1111", state="PENDING", roles=("WORKER",))
    acceptor = acting_as(world, "county_1")
    slip = await _do(fresh_world, acceptor, lambda ctx: service.issue_slip(ctx, member, 1))
    row = await row_of(fresh_world.admin, member)
    assert (row["slip_hash"], row["slip_expires_at"]) == (hash_code(slip.code), slip.expires_at)
    assert slip.code not in str(row)
    for name, code in (("county_2", "NOT_FOUND"), ("enterprise_officer_1", "NOT_PERMITTED")):
        caller = acting_as(world, name)
        assert await _refused(fresh_world, caller, lambda ctx: service.issue_slip(ctx, member, 2)) == code
    active = world.actors["enterprise_officer_1"].membership
    assert await _refused(fresh_world, acceptor, lambda ctx: service.issue_slip(ctx, active, 1)) == "WRONG_STATE"


async def _run_provision(clone: Clone) -> list[dict[str, str]]:
    """Run every queued activation as the worker would."""
    rows = await clone.admin.fetch(
        "SELECT id, args::text FROM app.outbox WHERE actor = 'members.provision' AND sent_at IS NULL ORDER BY seq"
    )
    await clone.admin.execute("UPDATE app.outbox SET sent_at = now()")

    return [
        await jobs.provision(job_run(clone.db, "members.provision", row["id"]), **json.loads(row["args"]))
        for row in rows
    ]


async def test_a_redeemed_slip_becomes_an_account_and_an_active_member(fresh_world: Clone, world: World) -> None:
    member = await create_membership(fresh_world.admin, world, "D111", state="PENDING", name="李慎")
    slip = await create_slip(fresh_world.admin, member)
    nobody = Visitor()

    async def redeem(ctx: WriteContext) -> service.Status:
        return await service.redeem(ctx, slip.code, "Li.Shen")

    assert await _do(fresh_world, nobody, redeem) is service.Status.RECEIVED
    assert await _do(fresh_world, nobody, redeem) is service.Status.RECEIVED, "a repeat with the same name"
    assert await _run_provision(fresh_world) == [{"outcome": "ACTIVE"}]
    assert await _do(fresh_world, nobody, redeem) is service.Status.ACTIVE
    row = await row_of(fresh_world.admin, member)
    person = await fresh_world.admin.fetchrow("SELECT * FROM app.person WHERE person_id = $1", row["person_id"])
    account = await open_directory(fresh_world.db).find("gov", username="li.shen")
    assert account is not None
    assert (row["state"], row["is_primary"], person["issuer"]) == ("ACTIVE", True, "gov")
    assert (person["subject"], account.display_name, account.roles) == (str(account.subject), "李慎", {"OFFICER"})
    assert (account.attributes.tenant_id, account.attributes.tenant_tier) == (tenant_id("D111"), "county")
    audited = await fresh_world.admin.fetch("SELECT action FROM app.audit_entry WHERE object_id = $1", member)
    assert [entry["action"] for entry in audited] == ["membership.activate"]


async def test_the_job_may_run_again_at_any_point(fresh_world: Clone, world: World) -> None:
    """A crash after the account was made, before the membership became active, ends in one account."""
    member = await create_membership(fresh_world.admin, world, "E1111", state="PENDING", roles=("WORKER",), name="李慎")
    slip = await create_slip(fresh_world.admin, member)
    await _do(fresh_world, Visitor(), lambda ctx: service.redeem(ctx, slip.code, "lishen"))
    directory = open_directory(fresh_world.db)
    await directory.create_user(
        NewAccount("ent", "lishen", "李慎", Attributes(tenant_id("E1111"), "enterprise"), frozenset({"WORKER"}))
    )
    assert await _run_provision(fresh_world) == [{"outcome": "ACTIVE"}]
    await fresh_world.admin.execute("UPDATE app.outbox SET sent_at = NULL")
    assert await _run_provision(fresh_world) == [{"outcome": "GONE"}]
    assert await fresh_world.admin.fetchval("SELECT count(*) FROM issuer.account WHERE username = 'lishen'") == 1
    row = await row_of(fresh_world.admin, member)
    assert await fresh_world.admin.fetchval("SELECT count(*) FROM app.person WHERE person_id = $1", row["person_id"])


async def test_wrong_used_and_expired_codes_get_one_answer(fresh_world: Clone, world: World) -> None:
    used, old, ended = [await create_membership(fresh_world.admin, world, "D111", state="PENDING") for _ in range(3)]
    slips = [await create_slip(fresh_world.admin, member) for member in (used, ended)]
    slips.insert(1, await create_slip(fresh_world.admin, old, age=timedelta(days=7, seconds=1)))
    await _do(fresh_world, Visitor(), lambda ctx: service.redeem(ctx, slips[0].code, "first"))
    await fresh_world.admin.execute("UPDATE app.membership SET state = 'ENDED' WHERE id = $1", ended)
    wrong = service.new_slip(used)
    for slip in (*slips, wrong):
        code = await _refused(fresh_world, Visitor(), lambda ctx, s=slip: service.redeem(ctx, s.code, "second"))
        assert code == "MEMBER_SLIP_INVALID"
    assert await fresh_world.admin.fetchval("SELECT count(*) FROM app.outbox WHERE actor LIKE 'members.%'") == 1


async def test_of_many_redeemers_at_once_one_gets_the_slip(fresh_world: Clone, world: World) -> None:
    member = await create_membership(fresh_world.admin, world, "D111", state="PENDING")
    slip = await create_slip(fresh_world.admin, member)
    calls = [
        _do(fresh_world, Visitor(), lambda ctx, n=number: service.redeem(ctx, slip.code, f"name{n}"))
        for number in range(8)
    ]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [one for one in found if isinstance(one, service.Status)] == [service.Status.RECEIVED]
    assert await fresh_world.admin.fetchval("SELECT count(*) FROM app.outbox WHERE actor LIKE 'members.%'") == 1


@pytest.mark.parametrize("taken_in", ["D111", "D112"])
async def test_a_taken_name_leaves_the_slip_usable(fresh_world: Clone, world: World, taken_in: str) -> None:
    """Also a name of the very same tenant: nobody gets into a colleague's account."""
    directory = open_directory(fresh_world.db)
    other = await directory.create_user(NewAccount("gov", "lishen", "别人", Attributes(tenant_id(taken_in), "county")))
    await fresh_world.admin.execute(
        "INSERT INTO app.person (person_id, issuer, subject, display_name) VALUES ($1, 'gov', $2, '别人')",
        uuid7(),
        str(other.subject),
    )
    member = await create_membership(fresh_world.admin, world, "D111", state="PENDING", name="李慎")
    slip = await create_slip(fresh_world.admin, member)
    await _do(fresh_world, Visitor(), lambda ctx: service.redeem(ctx, slip.code, "lishen"))
    assert await _run_provision(fresh_world) == [{"outcome": "TAKEN"}]
    again = await _refused(fresh_world, Visitor(), lambda ctx: service.redeem(ctx, slip.code, "lishen"))
    assert again == "MEMBER_LOGIN_TAKEN"
    await _do(fresh_world, Visitor(), lambda ctx: service.redeem(ctx, slip.code, "lishen2"))
    assert await _run_provision(fresh_world) == [{"outcome": "ACTIVE"}]


@pytest.mark.parametrize("name", ["", "a", "ab", "-abc", "a b c", "名字名字", "x" * 65, "a/b/c", "a@b.c"])
async def test_login_names_have_a_form(fresh_world: Clone, name: str) -> None:
    assert await _refused(fresh_world, Visitor(), lambda ctx: service.redeem(ctx, "X", name)) == "MEMBER_LOGIN_INVALID"


async def test_somebody_signed_in_adds_the_membership_to_the_account_at_hand(fresh_world: Clone, world: World) -> None:
    member = await create_membership(fresh_world.admin, world, "E1111", state="PENDING", roles=("WORKER",))
    slip = await create_slip(fresh_world.admin, member)
    citizen = visitor(world)  # of realm ent in the world
    await _do(fresh_world, citizen, lambda ctx: service.redeem(ctx, slip.code, "mine"))
    assert await _run_provision(fresh_world) == [{"outcome": "ACTIVE"}]
    assert (await row_of(fresh_world.admin, member))["person_id"] == citizen.person_id
    assert await open_directory(fresh_world.db).find("ent", username="mine") is None


async def test_an_account_of_the_other_door_cannot_carry_it(fresh_world: Clone, world: World) -> None:
    member = await create_membership(fresh_world.admin, world, "D111", state="PENDING")
    slip = await create_slip(fresh_world.admin, member)
    await _do(fresh_world, visitor(world), lambda ctx: service.redeem(ctx, slip.code, "mine"))
    assert await _run_provision(fresh_world) == [{"outcome": "REALM"}]
    row = await row_of(fresh_world.admin, member)
    assert (row["state"], row["slip_expires_at"]) == ("PENDING", slip.expires_at)


async def test_who_proposed_or_approved_cannot_redeem(fresh_world: Clone, world: World) -> None:
    admin = acting_as(world, "county_2")
    for column in ("proposed_by", "approved_by"):
        member = await create_membership(fresh_world.admin, world, "D112", state="PENDING", **{column: admin.person_id})
        slip = await create_slip(fresh_world.admin, member)
        code = await _refused(fresh_world, admin, lambda ctx, s=slip: service.redeem(ctx, s.code, "myself"))
        assert code == "MEMBER_SLIP_INVALID"


async def test_the_account_follows_the_memberships(fresh_world: Clone, world: World) -> None:
    directory, person = open_directory(fresh_world.db), world.actors["county_1"].person
    assert person is not None
    account = await directory.create_user(NewAccount("gov", "c1", "c1", Attributes(tenant_id("D111"), "county")))
    await fresh_world.admin.execute(
        "UPDATE app.person SET subject = $2 WHERE person_id = $1", person, str(account.subject)
    )
    for states, outcome, roles, enabled in (
        ("ACTIVE", "OPEN", {"OFFICER", "ACCEPTOR"}, True),
        ("SUSPENDED", "CLOSED", set(), False),
        ("ACTIVE", "OPEN", {"OFFICER", "ACCEPTOR"}, True),
    ):
        await fresh_world.admin.execute("UPDATE app.membership SET state = $2 WHERE person_id = $1", person, states)
        run = job_run(fresh_world.db, service.SYNC_JOB)
        assert await jobs.sync_account(run, str(person)) == {"outcome": outcome}
        now = await directory.find("gov", subject=account.subject)
        assert now is not None
        assert (now.roles, now.enabled) == (roles, enabled)


async def test_a_new_tenants_first_member_comes_once(fresh_world: Clone, world: World) -> None:
    county = acting_as(world, "county_1")
    await fresh_world.admin.execute("DELETE FROM app.membership WHERE owner_key = $1", world.keys["E1114"])
    first = public.FirstMember("赵实", ("ADMIN", "HEAD"), phone="13812345678")

    async def invite(ctx: WriteContext) -> public.Slip:
        tenant = await service.rows.tenant_by_id(ctx, tenant_id("E1114"))
        return await public.first_member(ctx, tenant, first)

    slip = await _do(fresh_world, county, invite)
    row = await row_of(fresh_world.admin, slip.member_id)
    assert (row["state"], row["roles"], row["is_primary"]) == ("PENDING", ["ADMIN", "HEAD"], True)
    assert row["slip_hash"] == hash_code(slip.code)
    assert await _refused(fresh_world, county, invite) == "MEMBER_HAS_MEMBERS"


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
    made = await _do(fresh_world, owner, lambda ctx: service.give_grant(ctx, ScopeGrant, _grant(None, "A1")))
    assert await _sees(fresh_world, world, "agency", "tenant", "E1112")
    await _do(fresh_world, owner, lambda ctx: service.end_grant(ctx, ScopeGrant, made, 1))
    assert not await _sees(fresh_world, world, "agency", "tenant", "E1112")
    assert await _refused(fresh_world, owner, lambda ctx: service.end_grant(ctx, ScopeGrant, made, 2)) == "WRONG_STATE"


async def test_calls_and_hostings(fresh_world: Clone, world: World) -> None:
    city = acting_as(world, "city_1")
    hosted = await _do(fresh_world, city, lambda ctx: service.give_grant(ctx, Hosting, _grant("D111", "A2")))
    assert await _sees(fresh_world, world, "host", "membership", "D111")
    await _do(fresh_world, city, lambda ctx: service.end_grant(ctx, Hosting, hosted, 1))
    assert not await _sees(fresh_world, world, "host", "membership", "D111")
    county = acting_as(world, "county_2")
    call = _grant("E1121", "R2", incident_id=uuid7())
    await _do(fresh_world, county, lambda ctx: service.give_grant(ctx, IncidentCall, call))
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
async def test_grants_that_are_refused(  # noqa: PLR0917 - pytest passes them by name
    fresh_world: Clone, world: World, who: str, model: Any, grant: service.NewGrant, code: str
) -> None:
    caller = acting_as(world, who)
    assert await _refused(fresh_world, caller, lambda ctx: service.give_grant(ctx, model, grant)) == code


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
    assert await _refused(fresh_world, owner, lambda ctx: service.give_grant(ctx, ScopeGrant, grant)) == "GRANT_LIMIT"


# The seeded tree


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
