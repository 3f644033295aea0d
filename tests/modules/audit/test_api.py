"""The audit log over GraphQL: auditors read it, others nothing; denials of mutations are in it."""

from dataclasses import replace
from typing import Any

import pytest

from app.kit.ids import global_id, uuid7
from app.modules.audit import public
from tests.conftest import Clone
from tests.factories.audit import acting_as, ask, work
from tests.world import World, tenant_id

ENTRIES = """query E($filter: AuditEntryFilter) {
  auditEntries(filter: $filter, first: 50) {
    nodes { id action objectType objectId outcome reason actorName actorAgency requestId details position
            tenant { id } } } }"""
VERIFY = "query V($t: ID) { auditVerify(tenant: $t) { isIntact checked waiting flaw position entry } }"
END = """mutation M($i: MembershipReasonInput!) { membershipEnd(input: $i) { membership { id } errors { code } } }"""


async def _entries(clone: Clone, world: World, who: str, *roles: str, **where: Any) -> list[dict[str, Any]]:
    data = await ask(clone, acting_as(world, who, *roles), ENTRIES, filter=where or None)
    found: list[dict[str, Any]] = data["auditEntries"]["nodes"]
    return found


async def test_auditors_read_their_own_and_those_below(fresh_world: Clone, world: World) -> None:
    thing = uuid7()
    async with work(fresh_world.db, acting_as(world, "county_1")) as ctx:
        await public.record(ctx, "thing.do", "thing", thing, owner_key=world.keys["E1111"], details={"n": 1})
    own, theirs = sorted(
        await _entries(fresh_world, world, "auditor", objectId={"eq": str(thing)}),
        key=lambda entry: entry["actorName"] is None,
    )
    assert (own["action"], own["objectType"], own["outcome"], own["details"]) == (
        "thing.do",
        "thing",
        "ALLOWED",
        {"n": 1},
    )
    assert own["tenant"] == {"id": global_id("tenant", tenant_id("D111"))}
    assert theirs["tenant"] == {"id": global_id("tenant", tenant_id("E1111"))}
    assert own["position"] is None


@pytest.mark.parametrize("who", ["county_1", "city_1", "province_1", "enterprise_admin", "county_far", "national"])
async def test_nobody_else_reads_it(fresh_world: Clone, world: World, who: str) -> None:
    """Not even with an auditor's role in the token: the membership must have it."""
    async with work(fresh_world.db, acting_as(world, who)) as ctx:
        await public.record(ctx, "thing.do", "thing", uuid7())
    assert await _entries(fresh_world, world, who) == []
    assert await _entries(fresh_world, world, who, "AUDITOR") == []


async def test_an_auditor_who_acts_as_something_else_does_not_read_it(fresh_world: Clone, world: World) -> None:
    """Memberships never add up; and one whose days are over counts for nothing."""
    auditor = acting_as(world, "auditor")
    async with work(fresh_world.db, auditor) as ctx:
        await public.record(ctx, "thing.do", "thing", uuid7())
    other = uuid7()
    await fresh_world.admin.execute(
        "INSERT INTO app.membership (id, owner_key, person_id, name, roles, state, valid_from)"
        " VALUES ($1, $2, $3, '李', '{SECURITY}', 'ACTIVE', '2025-01-01')",
        other, auditor.tenant_key, auditor.person_id,
    )  # fmt: skip
    assert await _entries(fresh_world, world, "auditor")
    ask_entries = "{ auditEntries(first: 5) { totalCount } }"
    data = await ask(fresh_world, replace(auditor, membership_id=other), ask_entries)
    assert data["auditEntries"]["totalCount"] == 0
    await fresh_world.admin.execute(
        "UPDATE app.membership SET valid_to = '2025-06-01' WHERE id = $1", auditor.membership_id
    )
    assert await _entries(fresh_world, world, "auditor") == []


async def test_a_neighbours_auditor_sees_nothing_of_it(fresh_world: Clone, world: World) -> None:
    thing = uuid7()
    async with work(fresh_world.db, acting_as(world, "county_2")) as ctx:
        await public.record(ctx, "thing.do", "thing", thing)
    assert await _entries(fresh_world, world, "auditor", objectId={"eq": str(thing)}) == []


async def test_a_refused_mutation_leaves_a_denial(fresh_world: Clone, world: World) -> None:
    foreign = world.actors["county_2"].membership
    for name, target, code in (
        ("county_1", world.actors["auditor"].membership, "NOT_PERMITTED"),
        ("county_1", foreign, "NOT_FOUND"),
    ):
        given = {"id": global_id("membership", target), "expectedVersion": 1, "reason": "x"}
        data = await ask(fresh_world, acting_as(world, name), END, i=given)
        assert data["membershipEnd"] == {"membership": None, "errors": [{"code": code}]}
        denied = await _entries(fresh_world, world, "auditor", objectId={"eq": str(target)}, outcome={"eq": "DENIED"})
        assert [(entry["action"], entry["reason"], entry["requestId"]) for entry in denied] == [
            ("membershipEnd", code, "request-api")
        ]


async def test_a_mutation_is_written_once_for_the_actor(fresh_world: Clone, world: World) -> None:
    target = world.actors["county_1"].membership
    given = {"id": global_id("membership", target), "expectedVersion": 1, "reason": "调离"}
    data = await ask(fresh_world, acting_as(world, "city_1"), END, i=given)
    assert data["membershipEnd"]["errors"] == []
    rows = await fresh_world.admin.fetch("SELECT owner_key, action FROM app.audit_entry WHERE object_id = $1", target)
    assert sorted(tuple(row) for row in rows) == sorted(
        (world.keys[name], "membership.end") for name in ("C11", "D111")
    )


async def test_auditors_have_a_chain_verified(fresh_world: Clone, world: World) -> None:
    async with fresh_world.admin.transaction():
        await fresh_world.admin.execute("SET LOCAL session_replication_role = replica")
        await fresh_world.admin.execute("DELETE FROM app.audit_entry")
        await fresh_world.admin.execute("DELETE FROM app.audit_head")
    for _ in range(3):
        async with work(fresh_world.db, acting_as(world, "county_1")) as ctx:
            await public.record(ctx, "thing.do", "thing", uuid7())
    await public.seal(fresh_world.db)
    auditor = acting_as(world, "auditor")
    whole = {"isIntact": True, "checked": 3, "waiting": 0, "flaw": None, "position": None, "entry": None}
    assert (await ask(fresh_world, auditor, VERIFY))["auditVerify"] == whole
    wrong = await fresh_world.admin.fetchval("SELECT id FROM app.audit_entry WHERE position = 2")
    async with fresh_world.admin.transaction():
        await fresh_world.admin.execute("SET LOCAL session_replication_role = replica")
        await fresh_world.admin.execute("UPDATE app.audit_entry SET action = 'x.y' WHERE id = $1", wrong)
    named = {"isIntact": False, "checked": 1, "waiting": 0, "flaw": "ALTERED", "position": "2"}
    data = await ask(fresh_world, auditor, VERIFY, t=global_id("tenant", tenant_id("D111")))
    assert data["auditVerify"] == {**named, "entry": global_id("audit_entry", wrong)}


@pytest.mark.parametrize("tenant", ["D112", "C11", "nonsense"])
async def test_a_foreign_chain_is_as_unknown_as_none(fresh_world: Clone, world: World, tenant: str) -> None:
    wanted = global_id("tenant", tenant_id(tenant)) if tenant != "nonsense" else tenant
    assert (await ask(fresh_world, acting_as(world, "auditor"), VERIFY, t=wanted))["auditVerify"] is None


async def test_verifying_is_for_auditors_and_its_refusal_is_written(fresh_world: Clone, world: World) -> None:
    assert (await ask(fresh_world, acting_as(world, "county_1"), VERIFY))["auditVerify"] is None
    denied = await _entries(fresh_world, world, "auditor", action={"eq": "audit.read"})
    assert [entry["outcome"] for entry in denied] == ["DENIED"]
