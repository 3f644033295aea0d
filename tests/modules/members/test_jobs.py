"""Activation slips, and the jobs that make accounts follow memberships."""

import asyncio
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.ids import uuid7
from app.kit.uow import WriteContext
from app.modules.members import jobs, public, service
from app.modules.members.service.activation import ALPHABET, hash_code
from infra.identity.port import Attributes, NewAccount
from infra.wiring import open_directory
from tenants.context import Visitor
from tests.conftest import Clone
from tests.factories.audit import acting_as, visitor
from tests.factories.members import calling, create_membership, create_slip, do, job_run, refused, row_of
from tests.world import World, tenant_id


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
    await fresh_world.admin.execute("DELETE FROM app.membership WHERE owner_key = $1", world.keys["E1114"])
    member = await create_membership(fresh_world.admin, world, "E1114", state="PENDING", roles=("ADMIN", "HEAD"))
    acceptor = acting_as(world, "county_1")
    slip = await do(fresh_world, acceptor, lambda ctx: service.issue_slip(ctx, member, 1))
    row = await row_of(fresh_world.admin, member)
    assert (row["slip_hash"], row["slip_expires_at"]) == (hash_code(slip.code), slip.expires_at)
    assert slip.code not in str(row)
    for name, code in (("county_2", "NOT_FOUND"), ("enterprise_officer_1", "NOT_FOUND")):
        caller = acting_as(world, name)
        assert await refused(fresh_world, caller, lambda ctx: service.issue_slip(ctx, member, 2)) == code
    active = world.actors["enterprise_officer_1"].membership
    assert await refused(fresh_world, acceptor, lambda ctx: service.issue_slip(ctx, active, 1)) == "WRONG_STATE"


async def _run_provision(clone: Clone) -> list[dict[str, Any] | None]:
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

    assert await do(fresh_world, nobody, redeem) is service.Status.RECEIVED
    assert await do(fresh_world, nobody, redeem) is service.Status.RECEIVED, "a repeat with the same name"
    assert await _run_provision(fresh_world) == [{"outcome": "ACTIVE"}]
    assert await do(fresh_world, nobody, redeem) is service.Status.ACTIVE
    row = await row_of(fresh_world.admin, member)
    person = await fresh_world.admin.fetchrow("SELECT * FROM app.person WHERE person_id = $1", row["person_id"])
    account = await open_directory(fresh_world.db).find("gov", username="li.shen")
    assert account is not None
    assert (row["state"], row["is_primary"], person["issuer"]) == ("ACTIVE", True, "gov")
    assert (person["subject"], account.display_name, account.roles) == (
        str(account.subject),
        "李慎",
        frozenset({"OFFICER"}),
    )
    assert (account.attributes.tenant_id, account.attributes.tenant_tier) == (tenant_id("D111"), "county")
    audited = await fresh_world.admin.fetch("SELECT action FROM app.audit_entry WHERE object_id = $1", member)
    assert [entry["action"] for entry in audited] == ["membership.activate"]


async def test_the_job_may_run_again_at_any_point(fresh_world: Clone, world: World) -> None:
    """A crash after the account was made, before the membership became active, ends in one account."""
    member = await create_membership(fresh_world.admin, world, "E1111", state="PENDING", roles=("WORKER",), name="李慎")
    slip = await create_slip(fresh_world.admin, member)
    await do(fresh_world, Visitor(), lambda ctx: service.redeem(ctx, slip.code, "lishen"))
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
    await do(fresh_world, Visitor(), lambda ctx: service.redeem(ctx, slips[0].code, "first"))
    await fresh_world.admin.execute("UPDATE app.membership SET state = 'ENDED' WHERE id = $1", ended)
    wrong = service.new_slip(used)
    for slip in (*slips, wrong):
        code = await refused(fresh_world, Visitor(), calling(service.redeem, slip.code, "second"))
        assert code == "MEMBER_SLIP_INVALID"
    assert await fresh_world.admin.fetchval("SELECT count(*) FROM app.outbox WHERE actor LIKE 'members.%'") == 1


async def test_of_many_redeemers_at_once_one_gets_the_slip(fresh_world: Clone, world: World) -> None:
    member = await create_membership(fresh_world.admin, world, "D111", state="PENDING")
    slip = await create_slip(fresh_world.admin, member)
    calls = [do(fresh_world, Visitor(), calling(service.redeem, slip.code, f"name{number}")) for number in range(8)]
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
    await do(fresh_world, Visitor(), lambda ctx: service.redeem(ctx, slip.code, "lishen"))
    assert await _run_provision(fresh_world) == [{"outcome": "TAKEN"}]
    again = await refused(fresh_world, Visitor(), lambda ctx: service.redeem(ctx, slip.code, "lishen"))
    assert again == "MEMBER_LOGIN_TAKEN"
    await do(fresh_world, Visitor(), lambda ctx: service.redeem(ctx, slip.code, "lishen2"))
    assert await _run_provision(fresh_world) == [{"outcome": "ACTIVE"}]


@pytest.mark.parametrize("name", ["", "a", "ab", "-abc", "a b c", "名字名字", "x" * 65, "a/b/c", "a@b.c"])
async def test_login_names_have_a_form(fresh_world: Clone, name: str) -> None:
    assert await refused(fresh_world, Visitor(), lambda ctx: service.redeem(ctx, "X", name)) == "MEMBER_LOGIN_INVALID"


async def test_somebody_signed_in_adds_the_membership_to_the_account_at_hand(fresh_world: Clone, world: World) -> None:
    member = await create_membership(fresh_world.admin, world, "E1111", state="PENDING", roles=("WORKER",))
    slip = await create_slip(fresh_world.admin, member)
    citizen = visitor(world)  # of realm ent in the world
    await do(fresh_world, citizen, lambda ctx: service.redeem(ctx, slip.code, "mine"))
    assert await _run_provision(fresh_world) == [{"outcome": "ACTIVE"}]
    assert (await row_of(fresh_world.admin, member))["person_id"] == citizen.person_id
    assert await open_directory(fresh_world.db).find("ent", username="mine") is None


async def test_an_account_of_the_other_door_cannot_carry_it(fresh_world: Clone, world: World) -> None:
    member = await create_membership(fresh_world.admin, world, "D111", state="PENDING")
    slip = await create_slip(fresh_world.admin, member)
    await do(fresh_world, visitor(world), lambda ctx: service.redeem(ctx, slip.code, "mine"))
    assert await _run_provision(fresh_world) == [{"outcome": "REALM"}]
    row = await row_of(fresh_world.admin, member)
    assert (row["state"], row["slip_expires_at"]) == ("PENDING", slip.expires_at)


async def test_who_proposed_or_approved_cannot_redeem(fresh_world: Clone, world: World) -> None:
    admin = acting_as(world, "county_2")
    for column in ("proposed_by", "approved_by"):
        more: dict[str, Any] = {column: admin.person_id}
        member = await create_membership(fresh_world.admin, world, "D112", state="PENDING", **more)
        slip = await create_slip(fresh_world.admin, member)
        code = await refused(fresh_world, admin, calling(service.redeem, slip.code, "myself"))
        assert code == "MEMBER_SLIP_INVALID"


async def test_of_a_privileged_role_only_the_second_person_prints_the_slip(fresh_world: Clone, world: World) -> None:
    """Else whoever prints it last becomes the administrator."""
    security = acting_as(world, "county_2", "SECURITY")
    more: dict[str, Any] = {"roles": ("SECURITY",), "proposed_by": uuid7(), "approved_by": security.person_id}
    member = await create_membership(fresh_world.admin, world, "D112", state="PENDING", **more)
    for name, role in (("county_2", "ADMIN"), ("city_1", "ADMIN"), ("county_2", "ACCEPTOR")):
        caller = replace(acting_as(world, name, role), person_id=uuid7())
        issue = calling(service.issue_slip, member, 1)
        assert await refused(fresh_world, caller, issue) in {"MEMBER_SLIP_APPROVER", "NOT_PERMITTED"}, (name, role)
    slip = await do(fresh_world, security, calling(service.issue_slip, member, 1))
    assert (await row_of(fresh_world.admin, member))["slip_hash"] == hash_code(slip.code)


async def test_an_acceptor_prints_for_first_users_only(fresh_world: Clone, world: World) -> None:
    acceptor = acting_as(world, "county_1")
    for tenant, role in (("D111", "OFFICER"), ("E1111", "WORKER")):
        member = await create_membership(fresh_world.admin, world, tenant, state="PENDING", roles=(role,))
        assert await refused(fresh_world, acceptor, calling(service.issue_slip, member, 1)) == "GRANT_NOT_ADMIN"


async def test_one_person_is_never_two_sorts_of_administrator(fresh_world: Clone, world: World) -> None:
    """三员分立: when the slip is redeemed, and again when two were redeemed at once."""
    auditor = acting_as(world, "county_2", "AUDITOR")
    await fresh_world.admin.execute(
        "UPDATE app.membership SET roles = '{AUDITOR}' WHERE id = $1", auditor.membership_id
    )
    members = [
        await create_membership(fresh_world.admin, world, "D112", state="PENDING", roles=(role,))
        for role in ("SECURITY", "OFFICER", "ADMIN")
    ]
    slips = [await create_slip(fresh_world.admin, member) for member in members]
    assert await refused(fresh_world, auditor, calling(service.redeem, slips[0].code, "mine")) == "GRANT_EXCLUSIVE"
    await do(fresh_world, auditor, calling(service.redeem, slips[1].code, "mine"))
    assert await _run_provision(fresh_world) == [{"outcome": "ACTIVE"}]

    await fresh_world.admin.execute(
        "UPDATE app.membership SET roles = '{OFFICER}' WHERE id = $1", auditor.membership_id
    )
    for slip in (slips[0], slips[2]):
        await do(fresh_world, auditor, calling(service.redeem, slip.code, "mine"))
    outcomes = await _run_provision(fresh_world)
    assert sorted(str(one["outcome"]) for one in outcomes if one) == ["ACTIVE", "EXCLUSIVE"]


async def test_a_further_membership_reaches_the_account(fresh_world: Clone, world: World) -> None:
    member = await create_membership(fresh_world.admin, world, "E1111", state="PENDING", roles=("WORKER",))
    slip = await create_slip(fresh_world.admin, member)
    citizen = visitor(world)
    await do(fresh_world, citizen, calling(service.redeem, slip.code, "mine"))
    await _run_provision(fresh_world)
    queued = await fresh_world.admin.fetchval("SELECT args FROM app.outbox WHERE actor = $1", service.SYNC_JOB)
    assert json.loads(queued) == {"person_id": str(citizen.person_id), "lost": False}


async def test_an_activation_that_no_slip_started_does_nothing(fresh_world: Clone, world: World) -> None:
    """A message that names a waiting member is no proof: only the used slip is."""
    member = await create_membership(fresh_world.admin, world, "E1111", state="PENDING", roles=("WORKER",))
    slip = await create_slip(fresh_world.admin, member)
    args = {"membership_id": str(member), "login_name": "forged", "person_id": None,
            "slip_expires_at": slip.expires_at.isoformat()}  # fmt: skip
    for message in (uuid7(), UUID(hashlib.md5(f"{hash_code(slip.code)} forged".encode()).hexdigest())):  # noqa: S324
        run = job_run(fresh_world.db, service.PROVISION, message)
        assert await jobs.provision(run, **args) == {"outcome": "GONE"}
    assert (await row_of(fresh_world.admin, member))["state"] == "PENDING"
    assert await open_directory(fresh_world.db).find("ent", username="forged") is None


async def test_the_account_follows_the_memberships(fresh_world: Clone, world: World) -> None:
    directory, person = open_directory(fresh_world.db), world.actors["county_1"].person
    assert person is not None
    account = await directory.create_user(NewAccount("gov", "c1", "c1", Attributes(tenant_id("D111"), "county")))
    await fresh_world.admin.execute(
        "UPDATE app.person SET subject = $2 WHERE person_id = $1", person, str(account.subject)
    )
    for states, outcome, roles, enabled in (
        ("ACTIVE", "OPEN", frozenset({"OFFICER", "ACCEPTOR"}), True),
        ("SUSPENDED", "CLOSED", frozenset(), False),
        ("ACTIVE", "OPEN", frozenset({"OFFICER", "ACCEPTOR"}), True),
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

    slip = await do(fresh_world, county, invite)
    row = await row_of(fresh_world.admin, slip.member_id)
    assert (row["state"], row["roles"], row["is_primary"]) == ("PENDING", ["ADMIN", "HEAD"], True)
    assert row["slip_hash"] == hash_code(slip.code)
    assert await refused(fresh_world, county, invite) == "MEMBER_HAS_MEMBERS"
