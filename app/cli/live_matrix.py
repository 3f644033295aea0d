"""The isolation matrix on a running instance: for every demo account, listings and ``nodes`` show the same rows.

What an account's listing does not hold, ``nodes`` must not show it, and the other way round; ids are
those that any of the accounts has seen. There is no oracle over whole tables here: the throw-away
world has one.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from graphql import GraphQLObjectType, GraphQLSchema, get_named_type, is_leaf_type

from app.asgi import load_api
from app.cli.token import fetch_token

PER_KIND = 2
"""Accounts of each kind of tenant."""
SAMPLE = 50
"""Rows of each type and account whose ids the others try; also what ``nodes`` takes."""
PAGE = 100
MAX_PAGES = 30
"""A longer listing is not read to its end: what it lacks proves nothing then."""
_SECONDS = 60.0


class LiveMatrixError(Exception):
    """There is nothing to check, or the instance does not answer; the message says why and what to do."""


@dataclass
class _Account:
    name: str
    kind: str
    token: str
    seen: dict[str, set[str]] = field(default_factory=dict)
    """Type to the ids of its listing."""
    whole: dict[str, bool] = field(default_factory=dict)


async def check(url: str, state: Path) -> dict[str, Any]:
    """Return the report of a running instance, in the shape of the throw-away world's.

    Args:
        url: address of the instance.
        state: its folder, which lists the demo accounts.

    Raises:
        LiveMatrixError: no demo accounts, or no answer.
        TokenError: an account cannot sign in.
    """
    schema = load_api().schema
    async with httpx.AsyncClient(base_url=url, timeout=_SECONDS, trust_env=False) as http:
        try:
            accounts = [
                _Account(one["account"], one["kind"], await fetch_token(http, url, one["account"]))
                for one in _chosen(state)
            ]
            run = _Run(http, schema, accounts)
            for account in accounts:
                await run.list_all(account)
            for account in accounts:
                await run.compare(account)
        except httpx.HTTPError as fault:
            raise LiveMatrixError(f"{url} does not answer ({type(fault).__name__}): is it running?") from None
    return run.report()


def _chosen(state: Path) -> Iterator[dict[str, str]]:
    path = state / "accounts.json"
    try:
        accounts: list[dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise LiveMatrixError(f"{path} lists no demo accounts: name the state folder with --data") from None
    taken: dict[str, int] = defaultdict(int)
    for account in accounts:
        taken[account["kind"]] += 1
        if taken[account["kind"]] <= PER_KIND:
            yield account


class _Run:
    def __init__(self, http: httpx.AsyncClient, schema: GraphQLSchema, accounts: list[_Account]) -> None:
        self.http, self.accounts = http, accounts
        self.lists: dict[str, str] = {}
        self.leaves: dict[str, list[str]] = {}
        self.cells: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
        self.holes: list[str] = []
        self.failures: list[str] = []
        query = schema.query_type
        for name, root in (query.fields if query else {}).items():
            page = get_named_type(root.type)
            if isinstance(page, GraphQLObjectType) and {"nodes", "pageInfo"} <= page.fields.keys():
                kind = get_named_type(page.fields["nodes"].type)
                self.lists[kind.name] = name
                self.leaves[kind.name] = [
                    key for key, one in kind.fields.items() if is_leaf_type(get_named_type(one.type))
                ]

    async def _ask(self, account: _Account, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.http.post(
            "/graphql",
            json={"query": query, "variables": dict(variables)},
            headers={"authorization": f"Bearer {account.token}"},
        )
        content = answer.json()
        if "errors" in content:
            raise LiveMatrixError(f"{account.name} asks {query[:80]}… and gets {content['errors'][0]['message']}")
        data: dict[str, Any] = content["data"]
        return data

    async def list_all(self, account: _Account) -> None:
        """Read every listing of an account, ids only."""
        for kind, root in self.lists.items():
            query = (
                f"query($after:String){{{root}(first:{PAGE},after:$after)"
                "{nodes{id} pageInfo{hasNextPage endCursor}}}"
            )
            found: set[str] = set()
            after, more = None, True
            for _ in range(MAX_PAGES):
                page = (await self._ask(account, query, {"after": after}))[root]
                found |= {node["id"] for node in page["nodes"]}
                after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
                if not more:
                    break
            account.seen[kind], account.whole[kind] = found, not more

    async def compare(self, account: _Account) -> None:
        """Ask for everybody's ids directly."""
        for kind, leaves in self.leaves.items():
            pool = sorted({gid for other in self.accounts for gid in sorted(other.seen[kind])[:SAMPLE]})
            entry = self.cells[account.kind][kind]
            if not pool:
                self.holes.append(f"{kind}: no account sees a row")
                entry["empty"] += len(leaves)
            query = f"query($ids:[ID!]!){{nodes(ids:$ids){{... on {kind}{{{' '.join(leaves)}}}}}}}"
            for start in range(0, len(pool), SAMPLE):
                ids = pool[start : start + SAMPLE]
                nodes = (await self._ask(account, query, {"ids": ids}))["nodes"]
                for gid, node in zip(ids, nodes, strict=True):
                    listed = gid in account.seen[kind]
                    wrong = listed is not bool(node) and (listed or account.whole[kind])
                    entry["tested"] += len(leaves)
                    entry["failed"] += len(leaves) * wrong
                    if wrong:
                        self.failures.append(f"{account.name}: {gid} is {'listed' if listed else 'shown'} only")

    def report(self) -> dict[str, Any]:
        """Return what was found."""
        words = ("cells", "tested", "empty", "failed")
        shown: dict[str, Any] = {}
        for kind, types in sorted(self.cells.items()):
            entries = {
                name: {
                    "cells": one["tested"] + one["empty"],
                    **{word: one[word] for word in words[1:]},
                    "reads": ["what its listing holds"] if self._reads(kind, name) else [],
                }
                for name, one in sorted(types.items())
            }
            shown[kind] = {**{word: sum(one[word] for one in entries.values()) for word in words}, "types": entries}
        return {
            **{word: sum(one[word] for one in shown.values()) for word in words},
            "byKind": shown,
            "holes": sorted(set(self.holes)),
            "failures": self.failures[:200],
        }

    def _reads(self, kind: str, name: str) -> bool:
        return any(account.kind == kind and account.seen[name] for account in self.accounts)
