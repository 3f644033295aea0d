"""Bad input at the API over the whole stack: each a clear answer, nothing lost, nothing half-written."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest

from app.asgi import EVICT_CHANNEL, load_api
from tests.api.stack import Stack, counting, token_of
from tests.conftest import Clone, Server
from tests.world import TODAY, Actor, World, canary, tenant_id

PROPOSE = """mutation($input: MembershipProposeInput!) { membershipPropose(input: $input) {
  membership { id state version name tenant { name } } errors { code field message } } }"""
END = """mutation($input: MembershipReasonInput!) { membershipEnd(input: $input) {
  membership { id state version } errors { code field message } } }"""
WHO = (
    "{ viewer { membership { id } tenant { id name } roles memberships { id } } tenants { totalCount nodes { name } } }"
)


@dataclass
class Place:
    """A world of one's own with the stack over it."""

    stack: Stack
    clone: Clone
    world: World
    pg: Server

    async def ask(self, actor: Actor | str | None, query: str, given: dict[str, Any] | None = None, **more: Any) -> Any:
        """Return the answer's content."""
        variables = {} if given is None else {"input": given}
        return orjson.loads((await self.stack.post(actor, query, variables, **more)).content)

    async def propose(self, name: str = "王小明", **more: Any) -> Any:
        """Propose a member of the county D112 as its administrator."""
        given = {"tenant": f"tenant_{tenant_id('D112')}", "name": name, "roles": ["OFFICER"], **more}
        return (await self.ask(self.world.actors["county_2"], PROPOSE, given))["data"]["membershipPropose"]

    async def members(self) -> list[tuple[Any, ...]]:
        """Return every membership that was proposed here: name, state, version."""
        rows = await self.clone.admin.fetch(
            "SELECT name, state, version FROM app.membership WHERE proposed_by IS NOT NULL ORDER BY seq"
        )
        return [tuple(row) for row in rows]

    async def audited(self, action: str) -> list[tuple[str, str | None]]:
        """Return outcome and reason of the audit rows of an action."""
        rows = await self.clone.admin.fetch(
            "SELECT outcome, reason FROM app.audit_entry WHERE action = $1 ORDER BY seq", action
        )
        return [tuple(row) for row in rows]

    async def blocked(self) -> None:
        """Return when some session waits for a lock."""
        watcher = await self.pg.admin(self.clone.name)
        try:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'"
            while not await watcher.fetchval(query, self.clone.name):
                await asyncio.sleep(0.005)
        finally:
            await watcher.close()


@pytest.fixture
async def place(pg: Server, fresh_world: Clone) -> AsyncIterator[Place]:
    made = Stack(load_api(), fresh_world.db)
    yield Place(made, fresh_world, await World.read(fresh_world.admin), pg)
    await made.close()


def codes(payload: Any) -> list[str]:
    return [error["code"] for error in payload["errors"]]


# -- tokens ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        "gov:county_1:tenant=00000000-0000-4000-8000-00000000dead",
        f"gov:county_1:tenant={tenant_id('E2224')}",
    ],
    ids=["forged", "home tenant unknown", "home tenant suspended"],
)
async def test_a_token_that_opens_nothing(place: Place, token: str) -> None:
    answer = await place.stack.post(token, WHO)
    assert answer.status_code == 401
    assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["UNAUTHENTICATED"]
    assert "data" not in answer.json()


@pytest.mark.parametrize("token", ["ent:county_1", "gov:enterprise_admin", "gov:nobody", "gov:revoked", "gov:expired"])
async def test_a_token_without_a_membership_acts_as_the_public(place: Place, token: str) -> None:
    answer = await place.ask(token, WHO)
    assert answer["data"]["tenants"] == {"totalCount": 0, "nodes": []}
    assert answer["data"]["viewer"]["membership"] is None
    refused = await place.stack.post(token, PROPOSE, {"input": {"tenant": "x", "name": "x", "roles": ["OFFICER"]}})
    assert refused.status_code == 401
    assert await place.members() == []


async def test_a_realm_carries_no_tier_above_its_ceiling(place: Place) -> None:
    person = uuid.uuid4()
    await place.clone.admin.execute(
        "INSERT INTO app.person (person_id, issuer, subject, display_name) VALUES ($1, 'ent', 'climber', '攀')", person
    )
    await place.clone.admin.execute(
        "INSERT INTO app.membership (id, owner_key, person_id, name, roles, state, valid_from, is_primary)"
        " VALUES (gen_random_uuid(), $1, $2, '攀', '{ADMIN}', 'ACTIVE', '2025-01-01', true)",
        place.world.keys["D111"],
        person,
    )
    answer = await place.ask("ent:climber", WHO)
    assert answer["data"]["viewer"]["membership"] is None
    assert answer["data"]["tenants"]["totalCount"] == 0


async def test_the_tokens_tenant_opens_nothing_of_that_tenant(place: Place) -> None:
    own = await place.ask("gov:county_1", WHO)
    named = await place.ask(f"gov:county_1:tenant={tenant_id('D211')}", WHO)
    assert named == own
    assert canary("D211") not in orjson.dumps(named).decode()


async def test_a_membership_ends_with_its_last_day(place: Place) -> None:
    await place.clone.admin.execute(
        "UPDATE app.membership SET valid_to = $1 WHERE id = $2", TODAY, place.world.actors["county_1"].membership
    )
    assert (await place.ask("gov:county_1", WHO))["data"]["tenants"]["totalCount"] > 1
    place.stack.clock.offset = timedelta(days=1)
    assert (await place.ask("gov:county_1", WHO))["data"]["tenants"]["totalCount"] == 0


# -- the header Anlan-Membership -----------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["county_2", "nobody", "revoked", "rubbish"])
async def test_a_membership_that_is_not_theirs_is_refused_and_audited(place: Place, whose: str) -> None:
    actors = place.world.actors
    given = str(actors[whose].membership) if whose in actors else {"nobody": str(uuid.uuid4())}.get(whose, "x" * 300)
    actor = actors["revoked" if whose == "revoked" else "county_1"]
    answer = await place.stack.post(actor, WHO, headers={"anlan-membership": given})
    assert answer.status_code == 401
    assert await place.audited("membership.act") == [("DENIED", "MEMBERSHIP_REFUSED")]
    row = await place.clone.admin.fetchrow("SELECT * FROM app.audit_entry WHERE action = 'membership.act'")
    assert (row["person_id"], row["owner_key"]) == (actor.person, place.world.keys["N0"])
    assert given not in str(dict(row))


async def test_refusals_of_foreign_and_unknown_memberships_look_the_same(place: Place) -> None:
    seen = []
    for given in (str(place.world.actors["county_2"].membership), str(uuid.uuid4())):
        with counting(place.stack) as counted:
            answer = await place.stack.post("gov:county_1", WHO, headers={"anlan-membership": given})
        content = answer.json()
        del content["errors"][0]["extensions"]["requestId"]
        seen.append((answer.status_code, content, counted[0]))
    assert seen[0] == seen[1]


async def test_memberships_never_add_up(place: Place) -> None:
    second = uuid.uuid4()
    await place.clone.admin.execute(
        "INSERT INTO app.membership (id, owner_key, person_id, name, roles, state, valid_from)"
        " VALUES ($1, $2, $3, '李', '{LEADER}', 'ACTIVE', '2025-01-01')",
        second,
        place.world.keys["C22"],
        place.world.actors["county_1"].person,
    )
    first = await place.ask("gov:county_1", WHO)
    other = await place.ask("gov:county_1", WHO, headers={"anlan-membership": f"membership_{second}"})
    bare = await place.ask("gov:county_1", WHO, headers={"anlan-membership": str(second)})
    assert bare["data"] == other["data"]
    names = [{node["name"] for node in answer["data"]["tenants"]["nodes"]} for answer in (first, other)]
    assert canary("D111") in names[0]
    assert canary("C22") in names[1]
    assert names[0].isdisjoint(names[1])
    assert (first["data"]["viewer"]["roles"], other["data"]["viewer"]["roles"]) == (["ACCEPTOR", "OFFICER"], ["LEADER"])
    assert len(first["data"]["viewer"]["memberships"]) == len(other["data"]["viewer"]["memberships"]) == 2


# -- repeated, conflicting, stale ------------------------------------------------------------------------


async def test_a_repeat_does_it_once_and_another_input_is_told(place: Place) -> None:
    first = await place.propose(clientMutationId="mine")
    assert codes(first) == []
    assert await place.propose(clientMutationId="mine") == first
    assert codes(await place.propose("somebody else", clientMutationId="mine")) == ["IDEMPOTENCY_CONFLICT"]
    assert await place.members() == [("王小明", "PENDING", 1)]
    assert [outcome for outcome, _ in await place.audited("membership.propose")] == ["ALLOWED"]


async def test_ten_at_once_with_one_id_do_it_once(place: Place) -> None:
    answers = await asyncio.gather(*(place.propose(clientMutationId="mine") for _ in range(10)))
    assert [answer for answer in answers if answer != answers[0]] == []
    assert len(await place.members()) == 1


async def test_a_stale_version_shows_the_current_object_and_changes_nothing(place: Place) -> None:
    member = (await place.propose())["membership"]
    given = {"id": member["id"], "expectedVersion": member["version"] + 3, "reason": "x"}
    payload = (await place.ask("gov:county_2", END, given))["data"]["membershipEnd"]
    assert codes(payload) == ["CONFLICT"]
    assert payload["membership"] == {"id": member["id"], "state": "PENDING", "version": member["version"]}
    assert await place.members() == [("王小明", "PENDING", 1)]


async def test_of_two_conflicting_changes_one_wins(place: Place) -> None:
    member = (await place.propose())["membership"]
    given = {"id": member["id"], "expectedVersion": member["version"], "reason": "x"}
    answers = await asyncio.gather(*(place.ask("gov:county_2", END, given) for _ in range(6)))
    outcomes = sorted(codes(answer["data"]["membershipEnd"]) for answer in answers)
    assert outcomes[0] == []
    assert {code for codes_ in outcomes[1:] for code in codes_} <= {"CONFLICT", "WRONG_STATE"}
    assert all(outcomes[1:])
    assert await place.members() == [("王小明", "ENDED", 2)]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"name": " "}, "REQUIRED"),
        ({"name": "x" * 10_000}, "TOO_LONG"),
        ({"roles": []}, "GRANT_NO_ROLE"),
        ({"roles": ["EMPEROR"]}, "GRANT_UNKNOWN_ROLE"),
        ({"validFrom": "2026-05-01", "validTo": "2026-04-01"}, "MEMBER_DATES"),
        ({"phone": "12"}, "MEMBER_PHONE"),
        ({"tenant": "tenant_x"}, "NOT_FOUND"),
        ({"clientMutationId": "x" * 65}, "CLIENT_MUTATION_ID"),
    ],
)
async def test_wrong_values_are_named_with_their_field(place: Place, more: dict[str, Any], expected: str) -> None:
    payload = await place.propose(**({"name": "王"} | more))
    assert (payload["membership"], codes(payload)) == (None, [expected])
    assert payload["errors"][0]["message"]
    assert payload["errors"][0]["field"] or expected == "MEMBER_DATES"
    assert await place.members() == []


# -- too much, too deep ------------------------------------------------------------------------------------

_DEEP = "{ tenants { nodes " + "{ children { nodes " * 12 + "{ id }" + " } }" * 12 + " } }"
_WIDE = "{" + " ".join(f"a{n}: tenants {{ totalCount }}" for n in range(60)) + "}"
_BOMB = (
    "{ ...f0 } "
    + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(30))
    + " fragment f30 on Query { viewer { name } }"
)
_MANY = (
    "{ tenants(first: 100) { nodes { children(first: 100) { nodes { memberships(first: 100) { nodes { id } } } } } } }"
)


@pytest.mark.parametrize("query", [_DEEP, _WIDE, _BOMB, _MANY], ids=["deep", "wide", "bomb", "explodes"])
async def test_queries_beyond_a_limit_reach_no_database(place: Place, query: str) -> None:
    await place.ask("gov:county_1", "{ viewer { name } }")
    with counting(place.stack) as counted:
        answer = await place.stack.post("gov:county_1", query)
    assert answer.status_code == 400
    assert {error["extensions"]["code"] for error in answer.json()["errors"]} <= {"LIMIT", "COST_LIMIT"}
    assert counted == [0]


async def test_an_oversized_body_is_refused_unread(place: Place) -> None:
    answer = await place.stack.post("gov:county_1", "{ viewer { name } }" + " " * 200_000)
    assert answer.status_code == 413


# -- in the middle -------------------------------------------------------------------------------------------


async def test_a_membership_that_ends_while_a_request_runs(place: Place) -> None:
    """The request that was let in ends whole; the next one is not let in, in every process, without waiting 30 s."""
    member = (await place.propose())["membership"]
    admin = place.clone.admin
    async with place.clone.db.listen("sys_identity", EVICT_CHANNEL) as changes:
        lock = admin.transaction()
        await lock.start()
        await admin.execute("SELECT FROM app.membership WHERE id = $1 FOR UPDATE", uuid.UUID(member["id"][11:]))
        given = {"id": member["id"], "expectedVersion": member["version"], "reason": "x"}
        running = asyncio.ensure_future(place.ask("gov:county_2", END, given))
        await place.blocked()
        await admin.execute(
            "UPDATE app.membership SET state = 'ENDED' WHERE id = $1", place.world.actors["county_2"].membership
        )
        await lock.commit()
        payload = (await running)["data"]["membershipEnd"]
        assert codes(payload) == []
        assert await place.members() == [("王小明", "ENDED", 2)]
        assert [outcome for outcome, _ in await place.audited("membership.end")] == ["ALLOWED"]
        await anext(changes)
        place.stack.authenticator.evict()  # what the listener of every process does
    answer = await place.stack.post("gov:county_2", END, {"input": given})
    assert answer.status_code == 401


async def test_a_connection_lost_during_a_mutation_leaves_it_whole(place: Place) -> None:
    member = (await place.propose())["membership"]
    admin = place.clone.admin
    lock = admin.transaction()
    await lock.start()
    await admin.execute("SELECT FROM app.membership WHERE id = $1 FOR UPDATE", uuid.UUID(member["id"][11:]))
    given = {"id": member["id"], "expectedVersion": member["version"], "reason": "x", "clientMutationId": "once"}
    running = asyncio.ensure_future(place.ask("gov:county_2", END, given))
    await place.blocked()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await place.audited("membership.end") == []
    await lock.rollback()
    payload = (await place.ask("gov:county_2", END, given))["data"]["membershipEnd"]
    assert (codes(payload), payload["membership"]["state"]) == ([], "ENDED")
    assert await place.members() == [("王小明", "ENDED", 2)]
    assert [outcome for outcome, _ in await place.audited("membership.end")] == ["ALLOWED"]


async def test_a_client_that_disconnects_within_its_body_has_asked_for_nothing(place: Place) -> None:
    body = orjson.dumps({"query": PROPOSE, "variables": {"input": {}}})
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": body[:40], "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    token = token_of(place.world.actors["county_2"])
    headers = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {token}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "headers": headers}
    await place.stack.app({**scope, "state": {}}, receive, send)
    assert sent[0]["status"] == httpx.codes.BAD_REQUEST
    assert await place.members() == []
