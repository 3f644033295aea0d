"""Drafts: given back exactly, to nobody else, never overwritten unseen, gone after their time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from app.asgi import load_api
from app.modules.drafts import service
from app.modules.drafts.jobs import forget
from tests.api.stack import Stack
from tests.conftest import Clone
from tests.factories.drafts import DISCARD, SAVE, mine, save, saved
from tests.factories.members import create_membership
from tests.world import ACTORS, Actor, World, tenant_id

OFFICER = next(actor for actor in ACTORS if actor.name == "county_1")
AUDITOR = next(actor for actor in ACTORS if actor.name == "auditor")
"""A colleague of the officer's."""
ABOVE = next(actor for actor in ACTORS if actor.name == "city_1")


@pytest.fixture
async def stack(fresh_world: Clone) -> AsyncIterator[Stack]:
    await fresh_world.admin.execute("DELETE FROM app.draft")
    made = Stack(load_api(), fresh_world.db)
    yield made
    await made.close()


async def discard(stack: Stack, who: Actor, draft: dict[str, Any], seen: int | None = None) -> list[str]:
    given = {"id": draft["id"], "expectedVersion": draft["version"] if seen is None else seen}
    _, data = await stack.ask(who, DISCARD, {"i": given})
    return [error["code"] for error in data["draftDiscard"]["errors"]]


async def test_a_draft_comes_back_as_it_was(stack: Stack) -> None:
    content = {
        "乙": "二",
        "a": [1, 2.50, -0.0, 1e300, None, True],
        "A": {"z": "", "y": {"x": ["'\"\\/", "🙂\u2028"]}},
        "": {},
    }
    await saved(stack, OFFICER, content)
    (found,) = await mine(stack, OFFICER)
    assert orjson.dumps(found["content"]) == orjson.dumps(content), "order of keys included"
    assert (found["form"], found["object"], found["version"]) == ("hazardReport", None, 1)
    left = datetime.fromisoformat(found["expiresAt"]) - datetime.now(UTC)
    assert timedelta(days=29) < left <= service.KEPT


async def test_one_draft_per_form_and_object(stack: Stack) -> None:
    about = f"tenant_{tenant_id('D111')}"
    made = [
        await saved(stack, OFFICER, {"n": 1}),
        await saved(stack, OFFICER, {"n": 2}, object=about),
        await saved(stack, OFFICER, {"n": 3}, form="enterpriseUpdate", object=about),
    ]
    assert len({draft["id"] for draft in made}) == 3
    again = await saved(stack, OFFICER, {"n": 4}, object=about, seen=1)
    assert (again["id"], again["version"], again["content"]) == (made[1]["id"], 2, {"n": 4})
    assert {draft["content"]["n"] for draft in await mine(stack, OFFICER)} == {1, 3, 4}


async def test_nobody_else_sees_it(stack: Stack, fresh_world: Clone, world: World) -> None:
    draft = await saved(stack, OFFICER, {"secret": "canary"})
    for other in ACTORS:
        if other != OFFICER and other.acts:
            assert draft["id"] not in {one["id"] for one in await mine(stack, other)}, other.name
            assert (await stack.ask(other, "query($i:ID!){draft(id:$i){id} node(id:$i){id}}", {"i": draft["id"]}))[
                1
            ] == {
                "draft": None,
                "node": None,
            }
            assert await discard(stack, other, draft) == ["NOT_FOUND"]
    assert (await saved(stack, AUDITOR, {"mine": 1}))["id"] != draft["id"], "a colleague has his own"
    assert len(await mine(stack, OFFICER)) == 1


@pytest.mark.parametrize("tenant", ["D111", "D112"])
async def test_another_membership_of_the_same_person_does_not_see_it(
    stack: Stack, fresh_world: Clone, world: World, tenant: str
) -> None:
    draft = await saved(stack, OFFICER, {"n": 1})
    second = await create_membership(fresh_world.admin, world, tenant, person_id=OFFICER.person)
    other = {"anlan-membership": f"membership_{second}"}
    assert await mine(stack, OFFICER, **other) == []
    given = {"form": "hazardReport", "content": {"n": 2}, "expectedVersion": 0}
    answer = (await stack.post(OFFICER, SAVE, {"i": given}, headers=other)).json()["data"]["draftSave"]
    assert answer["errors"] == []
    assert answer["draft"]["id"] != draft["id"]
    (found,) = await mine(stack, OFFICER)
    assert found["content"] == {"n": 1}


async def test_what_was_saved_elsewhere_is_not_overwritten_unseen(stack: Stack) -> None:
    await saved(stack, OFFICER, {"n": 1})
    for seen in (0, 2):
        payload = await save(stack, OFFICER, {"n": 2}, seen=seen)
        assert [error["code"] for error in payload["errors"]] == ["CONFLICT"]
        assert payload["draft"]["content"] == {"n": 1}, "the other's, to choose from"
    payload = await save(stack, OFFICER, {"n": 2}, seen=1, form="another")
    assert [error["code"] for error in payload["errors"]] == ["CONFLICT"]
    assert payload["draft"] is None


@pytest.mark.parametrize("before", [0, 1])
async def test_of_two_at_once_one_wins(stack: Stack, before: int) -> None:
    if before:
        await saved(stack, OFFICER, {"n": 0})
    payloads = await asyncio.gather(*(save(stack, OFFICER, {"n": n}, seen=before) for n in range(1, 5)))
    won = [payload for payload in payloads if not payload["errors"]]
    assert len(won) == 1
    (found,) = await mine(stack, OFFICER)
    assert found["content"] == won[0]["draft"]["content"]
    for payload in payloads:
        assert payload["draft"]["content"] == found["content"], "the losers are shown what is there"


async def test_a_discarded_draft_is_gone_and_its_content_with_it(stack: Stack, fresh_world: Clone) -> None:
    draft = await saved(stack, OFFICER, {"phone": "13812345678"})
    assert await discard(stack, OFFICER, draft, seen=9) == ["CONFLICT"]
    assert await discard(stack, OFFICER, draft) == []
    assert await discard(stack, OFFICER, draft) == ["NOT_FOUND"]
    assert await mine(stack, OFFICER) == []
    assert await fresh_world.admin.fetchval("SELECT content::text FROM app.draft") == "{}"
    assert (await saved(stack, OFFICER, {"n": 2}))["version"] == 1, "the form begins anew"
    assert await forget(fresh_world.db) == 1
    assert len(await mine(stack, OFFICER)) == 1


async def test_after_its_time_it_is_hidden_then_removed(stack: Stack, fresh_world: Clone) -> None:
    old = await saved(stack, OFFICER, {"n": 1})
    await fresh_world.admin.execute("UPDATE app.draft SET expires_at = now()")
    assert await mine(stack, OFFICER) == []
    assert await discard(stack, OFFICER, old) == ["NOT_FOUND"]
    new = await saved(stack, OFFICER, {"n": 2})
    assert new["id"] != old["id"]
    assert await forget(fresh_world.db) == 1
    assert await fresh_world.admin.fetchval("SELECT count(*) FROM app.draft") == 1


def _deep(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(levels - 1):
        made = {"a": made}
    return made


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"form": ""}, "DRAFT_FORM"),
        ({"form": "Hazard"}, "DRAFT_FORM"),
        ({"form": "a" * 65}, "DRAFT_FORM"),
        ({"form": "a b"}, "DRAFT_FORM"),
        ({"object": "nothing"}, "DRAFT_OBJECT"),
        ({"object": "x" * 100 + "_" + str(tenant_id("D111"))}, "DRAFT_OBJECT"),
        ({"content": []}, "DRAFT_CONTENT"),
        ({"content": "text"}, "DRAFT_CONTENT"),
        ({"content": _deep(51)}, "DRAFT_CONTENT"),
        ({"content": {"a": "汉" * 21_850}}, "DRAFT_TOO_LARGE"),
    ],
)
async def test_bad_input_is_named(stack: Stack, given: dict[str, Any], code: str) -> None:
    payload = await save(stack, OFFICER, **{"content": {}, **given})
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [(code, [next(iter(given))])]
    assert await mine(stack, OFFICER) == []


async def test_the_largest_that_fits_is_kept(stack: Stack) -> None:
    content = {"a": "汉" * 21_800, "b": ""}
    content["b"] = "x" * (service.MAX_BYTES - len(orjson.dumps(content)))
    await saved(stack, OFFICER, content)
    await saved(stack, ABOVE, _deep(50))
    (found,) = await mine(stack, OFFICER)
    assert found["content"] == content


async def test_one_membership_has_so_many_drafts(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_DRAFTS", 2)
    for number in range(2):
        await saved(stack, OFFICER, {}, form=f"form{number}")
    payload = await save(stack, OFFICER, {}, form="form3")
    assert [error["code"] for error in payload["errors"]] == ["DRAFT_TOO_MANY"]
    await saved(stack, OFFICER, {"again": 1}, form="form1", seen=1)
