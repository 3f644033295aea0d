"""The feed: by position, without gaps, with a cursor even where there is nothing to show."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.asgi import load_api
from app.kit.events import emit
from tests.api.stack import Stack
from tests.conftest import Clone
from tests.factories.feed import number_all
from tests.world import ACTORS, Actor, World, tenant_id

OFFICER = next(actor for actor in ACTORS if actor.name == "county_1")
PLANT = next(actor for actor in ACTORS if actor.name == "enterprise_officer_1")
FAR = next(actor for actor in ACTORS if actor.name == "county_far")
FEED = (
    "query($after:BigInt,$first:Int,$types:[String!],$kinds:[String!],$object:ID){"
    "events(after:$after,first:$first,types:$types,objectTypes:$kinds,object:$object)"
    "{cursor hasMore head events{position type objectType object payload}}}"
)


@pytest.fixture
async def stack(fresh_world: Clone) -> AsyncIterator[Stack]:
    await fresh_world.admin.execute("DELETE FROM app.event")
    made = Stack(load_api(), fresh_world.db)
    yield made
    await made.close()


async def page(stack: Stack, who: Actor, **variables: Any) -> dict[str, Any]:
    """Return a page, the same on both ways of execution."""
    compiled = await stack.ask(who, FEED, variables)
    forced = await stack.post(who, FEED, variables, {"x-force-fallback": "1"})
    assert forced.json()["data"] == compiled[1]
    found: dict[str, Any] = compiled[1]["events"]
    return found


async def happen(clone: Clone, world: World, who: Actor, *types: str, about: uuid.UUID | None = None) -> None:
    """Let something happen to objects of somebody's tenant."""
    async with clone.db.write(world.login(who), world.claims(who)) as session:
        for number, type_ in enumerate(types):
            await emit(
                session,
                type_,
                about or uuid.uuid4(),
                owner_key=world.keys[str(who.tenant)],
                payload={"n": number},
            )


async def test_pages_follow_each_other_without_gaps(stack: Stack, fresh_world: Clone, world: World) -> None:
    await happen(fresh_world, world, PLANT, *(f"site.step{n}" for n in range(5)))
    await happen(fresh_world, world, FAR, "site.elsewhere")
    assert (await page(stack, OFFICER))["events"] == [], "what has no position yet is not there yet"
    await number_all(fresh_world)
    seen: list[str] = []
    after, more = None, True
    while more:
        part = await page(stack, OFFICER, after=after, first=2)
        seen += [one["type"] for one in part["events"]]
        after, more = part["cursor"], part["hasMore"]
        assert after == part["events"][-1]["position"]
    assert seen == [f"site.step{n}" for n in range(5)]
    empty = await page(stack, OFFICER, after=after)
    assert (empty["events"], empty["cursor"], empty["hasMore"]) == ([], after, False)


async def test_an_empty_page_moves_on(stack: Stack, fresh_world: Clone, world: World) -> None:
    await happen(fresh_world, world, PLANT, "site.added", "site.closed", "enterprise.changed")
    await number_all(fresh_world)
    whole = await page(stack, PLANT)
    empty = await page(stack, PLANT, types=["nothing.here"])
    assert empty["events"] == []
    assert empty["cursor"] == empty["head"] == whole["head"] == whole["events"][-1]["position"]
    assert int((await page(stack, FAR))["cursor"]) < int(empty["cursor"]), "the head tells nothing of other tenants"
    far_ahead = await page(stack, PLANT, after="9000000000000000000")
    assert far_ahead["cursor"] == "9000000000000000000", "a cursor never goes back"


async def test_filters(stack: Stack, fresh_world: Clone, world: World) -> None:
    firm = tenant_id("E1111")
    await happen(fresh_world, world, PLANT, "site.added", "enterprise.changed", "tenant.renamed")
    await happen(fresh_world, world, PLANT, "tenant.moved", about=firm)
    await number_all(fresh_world)

    async def types(**variables: Any) -> list[str]:
        return [one["type"] for one in (await page(stack, PLANT, **variables))["events"]]

    assert await types(types=["site.added", "tenant.moved"]) == ["site.added", "tenant.moved"]
    assert await types(types=[]) == []
    assert await types(kinds=["tenant"]) == ["tenant.renamed", "tenant.moved"]
    assert await types(kinds=["tenant"], types=["site.added"]) == []
    assert await types(object=f"tenant_{firm}") == ["tenant.moved"]
    assert await types(object=f"site_{firm}") == []
    assert await types(object="nonsense") == []
    assert (await page(stack, PLANT, object=f"tenant_{firm}"))["events"][0]["object"] == f"tenant_{firm}"


@pytest.mark.parametrize(
    "variables", [{"first": 0}, {"first": 101}, {"types": ["x"] * 101}, {"after": "x"}, {"after": str(2**63)}]
)
async def test_bad_input_is_refused(stack: Stack, variables: dict[str, Any]) -> None:
    answer = (await stack.post(OFFICER, FEED, variables)).json()
    assert {error["extensions"]["code"] for error in answer["errors"]} <= {"INVALID_REQUEST", "LIMIT"}


async def test_the_object_of_an_event_is_read_under_the_reader_s_policy(
    stack: Stack, fresh_world: Clone, world: World
) -> None:
    await happen(fresh_world, world, PLANT, "tenant.moved", about=tenant_id("E1111"))
    await happen(fresh_world, world, PLANT, "tenant.moved", about=tenant_id("E2111"))
    await happen(fresh_world, world, PLANT, "unheard.of")
    await number_all(fresh_world)
    query = "{events{events{node{__typename id ...on Tenant{name}}}}}"
    _, data = await stack.ask(PLANT, query, {})
    first, second, third = (one["node"] for one in data["events"]["events"])
    assert first == {"__typename": "Tenant", "id": f"tenant_{tenant_id('E1111')}", "name": "canary-E1111-"}
    assert second is None, "of another province, whatever the event says"
    assert third is None
    _, data = await stack.ask(PLANT, "{events{events{node{...on Site{id}}}}}", {})
    assert [one["node"] for one in data["events"]["events"]] == [None, None, None], "a type that nobody asked for"


async def test_a_subscription_is_not_served_by_post(stack: Stack) -> None:
    answer = (await stack.post(OFFICER, "subscription{events{type}}")).json()
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_REQUEST"
