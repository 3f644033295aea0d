"""Which membership acts (decision 30), on the fixture world through the login that may look."""

import uuid
from datetime import date, timedelta
from typing import Any

import pytest

from infra.db.pool import LifoPool
from tenants.context import Acting, Visitor
from tenants.kinds import Kind
from tenants.memberships import (
    HomeTenantRefusedError,
    MembershipRefusedError,
    list_memberships,
    reauthorize,
    resolve_acting,
)
from tests.conftest import Clone
from tests.world import SPACE, SUSPENDED, TODAY, World, tenant_id

GOV = frozenset({"national", "province", "city", "county", "township", "park", "rescue_team", "agency"})
ENT = frozenset({"enterprise", "citizen", "agency"})
EVERY_ROLE = frozenset({"OFFICER", "ACCEPTOR", "ADMIN", "LEADER", "SAFETY_MANAGER", "AUDITOR", "HEAD"})


async def _resolve(clone: Clone, subject: str, home: str | None, **more: Any) -> Acting | Visitor:
    issuer = more.pop("issuer", "gov")
    given: dict[str, Any] = {
        "token_tenant_id": tenant_id(home) if home else None,
        "token_roles": EVERY_ROLE,
        "tier_ceiling": GOV if issuer == "gov" else ENT,
        "header_membership_id": None,
        "today": TODAY,
        "client": "anlan-web",
        "token_expires": 1234,
        **more,
    }
    return await resolve_acting(clone.db, issuer, subject, **given)


async def _second(clone: Clone, person: str, tenant: str, roles: list[str], **more: Any) -> uuid.UUID:
    """Give a person another membership."""
    row = {"state": "ACTIVE", "valid_from": date(2026, 1, 1), "valid_to": None, "is_primary": False, **more}
    membership = uuid.uuid4()
    await clone.admin.execute(
        "INSERT INTO app.membership (id, owner_key, person_id, name, roles, state, valid_from, valid_to, is_primary) "
        "SELECT $1, key, $2, 'second', $3, $4, $5, $6, $7 FROM app.tenant WHERE id = $8",
        membership,
        uuid.uuid5(SPACE, f"person/{person}"),
        roles,
        row["state"],
        row["valid_from"],
        row["valid_to"],
        row["is_primary"],
        tenant_id(tenant),
    )
    return membership


async def test_the_primary_membership_acts(world_db: Clone, world: World) -> None:
    acting = await _resolve(world_db, "county_1", "D111")
    assert isinstance(acting, Acting)
    actor = world.actors["county_1"]
    assert (acting.membership_id, acting.person_id) == (actor.membership, actor.person)
    assert (acting.tenant_key, acting.kind, acting.login) == (world.keys["D111"], Kind.COUNTY, "county")
    assert acting.roles == {"OFFICER", "ACCEPTOR"}
    assert "registration.decide" in acting.capabilities
    assert (acting.client, acting.token_expires) == ("anlan-web", 1234)
    assert acting.claims(TODAY)["app.key"] == str(world.keys["D111"])


async def test_the_token_is_a_ceiling_and_the_row_the_authority(world_db: Clone) -> None:
    less = await _resolve(world_db, "county_1", "D111", token_roles={"OFFICER", "ADMIN"})
    assert isinstance(less, Acting)
    assert less.roles == {"OFFICER"}
    assert "registration.decide" not in less.capabilities
    none = await _resolve(world_db, "county_1", "D111", token_roles=set())
    assert isinstance(none, Acting)
    assert none.capabilities == frozenset()


@pytest.mark.parametrize(("who", "home"), [("revoked", "D121"), ("expired", "D122"), ("nobody-knows", "D111")])
async def test_without_a_valid_membership_a_visitor(world_db: Clone, world: World, who: str, home: str) -> None:
    visitor = await _resolve(world_db, who, home)
    actor = world.actors.get(who)
    assert visitor == Visitor(person_id=actor.person if actor else None)
    assert visitor.login == "public"


async def test_a_citizen_is_a_visitor_with_a_name(world_db: Clone, world: World) -> None:
    visitor = await _resolve(world_db, "citizen", None, issuer="ent")
    assert visitor == Visitor(person_id=world.actors["citizen"].person)


async def test_the_other_door_knows_nobody(world_db: Clone) -> None:
    """(iss, sub) names a person; the same subject at the other issuer is somebody else."""
    assert await _resolve(world_db, "county_1", "D111", issuer="ent") == Visitor()


async def test_a_membership_above_the_issuers_ceiling_never_acts(fresh_world: Clone) -> None:
    county = await _second(fresh_world, "enterprise_officer_1", "D111", ["OFFICER"])
    acting = await _resolve(fresh_world, "enterprise_officer_1", "E1111", issuer="ent")
    assert isinstance(acting, Acting)
    assert acting.kind is Kind.ENTERPRISE
    with pytest.raises(MembershipRefusedError):
        await _resolve(fresh_world, "enterprise_officer_1", "E1111", issuer="ent", header_membership_id=county)


async def test_the_header_chooses_and_memberships_never_add_up(fresh_world: Clone) -> None:
    other = await _second(fresh_world, "county_1", "C11", ["LEADER"])
    first = await _resolve(fresh_world, "county_1", "D111")
    second = await _resolve(fresh_world, "county_1", "D111", header_membership_id=str(other))
    assert isinstance(first, Acting)
    assert isinstance(second, Acting)
    assert (first.kind, second.kind) == (Kind.COUNTY, Kind.CITY)
    assert second.roles == {"LEADER"}
    assert "registration.decide" in first.capabilities - second.capabilities
    assert "enterprise.lock" in second.capabilities - first.capabilities


@pytest.mark.parametrize("wrong", ["county_2", "expired", "not-a-uuid", "'; DROP TABLE app.tenant; --", ""])
async def test_a_header_that_is_not_theirs_is_refused(world_db: Clone, world: World, wrong: str) -> None:
    named = world.actors[wrong].membership if wrong in world.actors else wrong
    with pytest.raises(MembershipRefusedError) as refused:
        await _resolve(world_db, "county_1", "D111", header_membership_id=named)
    assert refused.value.person_id == world.actors["county_1"].person


@pytest.mark.parametrize("change", ["state = 'ENDED'", "state = 'SUSPENDED'", "valid_to = '2026-03-01'"])
async def test_an_ended_membership_of_their_own_is_refused_as_well(fresh_world: Clone, change: str) -> None:
    other = await _second(fresh_world, "county_1", "C11", ["LEADER"])
    await fresh_world.admin.execute(f"UPDATE app.membership SET {change} WHERE id = $1", other)
    with pytest.raises(MembershipRefusedError):
        await _resolve(fresh_world, "county_1", "D111", header_membership_id=other)


@pytest.mark.parametrize("home", [SUSPENDED, "no-such-tenant"])
async def test_the_home_tenant_must_be_active(world_db: Clone, home: str) -> None:
    with pytest.raises(HomeTenantRefusedError):
        await _resolve(world_db, "county_1", home)


async def test_a_suspended_tenant_ends_every_membership_in_it(fresh_world: Clone) -> None:
    other = await _second(fresh_world, "county_1", "C11", ["LEADER"])
    await fresh_world.admin.execute("UPDATE app.tenant SET status = 'SUSPENDED' WHERE id = $1", tenant_id("C11"))
    with pytest.raises(MembershipRefusedError):
        await _resolve(fresh_world, "county_1", "D111", header_membership_id=other)


async def test_a_membership_ends_with_its_last_day(world_db: Clone) -> None:
    last = date(2026, 3, 1)
    assert isinstance(await _resolve(world_db, "expired", "D122", today=last), Acting)
    assert isinstance(await _resolve(world_db, "expired", "D122", today=last + timedelta(days=1)), Visitor)
    assert isinstance(await _resolve(world_db, "expired", "D122", today=date(2024, 12, 31)), Visitor)


async def test_one_statement_whatever_the_answer(world_db: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    whole = LifoPool.fetchval

    async def counted(self: LifoPool, sql: str, *args: object) -> Any:
        calls.append(sql)
        return await whole(self, sql, *args)

    monkeypatch.setattr(LifoPool, "fetchval", counted)
    for who, home in (("county_1", "D111"), ("citizen", None), ("nobody-knows", "D111"), ("revoked", "D121")):
        calls.clear()
        await _resolve(world_db, who, home)
        assert len(calls) == 1


async def test_the_list_of_ones_own_memberships(fresh_world: Clone, world: World) -> None:
    other = await _second(fresh_world, "county_1", "C11", ["LEADER"], valid_to=date(2026, 2, 1))
    mine = await list_memberships(fresh_world.db, "gov", "county_1")
    assert [one.id for one in mine] == [world.actors["county_1"].membership, other]
    assert [one.usable(TODAY) for one in mine] == [True, False]
    assert await list_memberships(fresh_world.db, "gov", "nobody-knows") == []


async def test_a_job_runs_only_while_its_membership_holds(fresh_world: Clone, world: World) -> None:
    actor, other = world.actors["county_1"], world.actors["county_2"]
    assert actor.person is not None
    assert other.person is not None
    again = await reauthorize(fresh_world.db, actor.membership, actor.person, TODAY)
    assert again is not None
    assert again.roles == {"OFFICER", "ACCEPTOR"}
    assert await reauthorize(fresh_world.db, actor.membership, other.person, TODAY) is None
    assert await reauthorize(fresh_world.db, uuid.uuid4(), actor.person, TODAY) is None
    await fresh_world.admin.execute("UPDATE app.membership SET state = 'ENDED' WHERE id = $1", actor.membership)
    assert await reauthorize(fresh_world.db, actor.membership, actor.person, TODAY) is None
