"""Drafts as people save them, through the API."""

from typing import Any

from tests.api.stack import Stack
from tests.world import Actor

SAVE = (
    "mutation($i:DraftSaveInput!){draftSave(input:$i){draft{id form object content version}errors{code field message}}}"
)
DISCARD = "mutation($i:DraftDiscardInput!){draftDiscard(input:$i){draft{id version}errors{code field}}}"
MINE = "{drafts(first:100){totalCount nodes{id form object content version expiresAt}}}"


async def save(stack: Stack, who: Actor, content: Any, *, seen: int = 0, **more: Any) -> dict[str, Any]:
    """Save a draft and return the payload."""
    given = {"form": "hazardReport", "content": content, "expectedVersion": seen, **more}
    _, data = await stack.ask(who, SAVE, {"i": given})
    found: dict[str, Any] = data["draftSave"]
    return found


async def saved(stack: Stack, who: Actor, content: Any, **more: Any) -> dict[str, Any]:
    """Save a draft, which must succeed, and return it."""
    payload = await save(stack, who, content, **more)
    assert payload["errors"] == []
    draft: dict[str, Any] = payload["draft"]
    return draft


async def mine(stack: Stack, who: Actor, **headers: str) -> list[dict[str, Any]]:
    """Return somebody's drafts."""
    answer = (await stack.post(who, MINE, headers=headers)).json()
    assert "errors" not in answer, answer
    found: list[dict[str, Any]] = answer["data"]["drafts"]["nodes"]
    return found
