"""Random operations: the compiled answer equals the oracle's, and graphql-core's, by one statement."""

import random
from typing import Any
from uuid import UUID

import pytest

from app.api.compiled.plan import Operation
from tests.api.client import ToyClient
from tests.api.compiled.operations import ORDERS, Writer
from tests.api.compiled.oracle import Oracle, moment
from tests.api.conftest import ToyWorld

CALLERS = [("county", 10), ("county", 11), ("enterprise", 101), ("enterprise", 104), ("county", 99)]


@pytest.fixture
async def known(client: ToyClient, toy_world: ToyWorld) -> Any:
    """Cursors by (type, order, row), collected by asking for every row."""
    found: dict[tuple[str, str, UUID], str] = {}
    edges = "edges { cursor node { id } }"
    for token in ("county-10-app", "county-11-app"):
        for order in ("", *ORDERS["Firm"]):
            argument = f", order: {order}" if order else ""
            data = await client.ask(f"{{ firms(first: 100{argument}) {{ {edges} }} }}", token=token)
            for edge in data["firms"]["edges"]:
                found["Firm", order, UUID(edge["node"]["id"][5:])] = edge["cursor"]
        data = await client.ask(f"{{ notes(first: 100) {{ {edges} pageInfo {{ hasNextPage }} }} }}", token=token)
        cursor = None
        while True:
            query = f"query Q($c: String) {{ notes(first: 100, after: $c) {{ {edges} pageInfo {{ hasNextPage endCursor }} }} }}"
            data = await client.ask(query, {"c": cursor}, token=token)
            for edge in data["notes"]["edges"]:
                found["Note", "", UUID(edge["node"]["id"][5:])] = edge["cursor"]
            cursor = data["notes"]["pageInfo"]["endCursor"]
            if not data["notes"]["pageInfo"]["hasNextPage"]:
                break
        for firm in [str(i) for k, o, i in list(found) if (k, o) == ("Firm", "")]:
            asked = " ".join(
                f"p{n}: places(first: 50{f', order: {order}' if order else ''}) {{ {edges} }}"
                for n, order in enumerate(("", *ORDERS["Place"]))
            )
            data = await client.ask(f'{{ firm(id: "firm_{firm}") {{ {asked} }} }}', token=token)
            for number, order in enumerate(("", *ORDERS["Place"])):
                for edge in (data["firm"] or {}).get(f"p{number}", {"edges": []})["edges"]:
                    found["Place", order, UUID(edge["node"]["id"][6:])] = edge["cursor"]
    return found


def values_of(world: ToyWorld) -> dict[str, list[Any]]:
    """Values that exist, and some that do not."""
    firms = world.tables["firm"]
    return {
        "firm": [f"firm_{row['id']}" for row in firms] + ["firm_00000000-0000-7000-8000-000000000000", "firm_x"],
        "note": [f"note_{row['id']}" for row in world.tables["note"]] + ["note_"],
        "name": [row["name"] for row in firms] + ["no such name"],
        "state": ["OPEN", "CLOSED", "DRAFT"],
        "founded": [row["founded"].isoformat() for row in firms if row["founded"]],
        "opened": [moment(row["opened_at"]) for row in firms] + ["2026-01-01T08:00:00+08:00"],
        "staff": [row["staff"] for row in firms if row["staff"] is not None] + [2**31 - 1],
        "big": [str(row["big"]) for row in firms if row["big"] is not None],
        "active": [True, False],
        "parent": [f"firm_{row['parent_id']}" for row in firms if row["parent_id"]] + ["firm_x", "place_1"],
    }


def keys(value: Any) -> Any:
    """The order of keys at every depth."""
    if isinstance(value, dict):
        return [(key, keys(item)) for key, item in value.items()]
    return [keys(item) for item in value] if isinstance(value, list) else None


async def run(client: ToyClient, world: ToyWorld, cursors: dict[Any, str], seeds: range) -> int:
    """Compare so many operations; return how many ran compiled."""
    by_order: dict[tuple[str, str], list[str]] = {}
    compiled = 0
    values = values_of(world)
    for seed in seeds:
        rng = random.Random(seed)
        login, key = rng.choice(CALLERS)
        column = f"{login}_key"
        by_order.clear()
        tables = {"Firm": "firm", "Place": "place", "Note": "note"}
        own = {kind: {row["id"] for row in world.tables[table] if row[column] == key} for kind, table in tables.items()}
        for (kind, order, row_id), cursor in cursors.items():
            if row_id in own[kind]:
                by_order.setdefault((kind, order), []).append(cursor)
        writer = Writer(rng, values, by_order)
        text, variables = writer.operation()
        token = f"{login}-{key}-app"
        client.statements.reads.clear()
        answer = await client.post(text, variables, token=token)
        if answer.json().get("errors", [{}])[0].get("extensions", {}).get("code") in ("LIMIT", "COST_LIMIT"):
            continue
        assert answer.status_code == 200, (seed, text, variables, answer.text)
        assert "errors" not in answer.json(), (seed, text, variables, answer.text)
        expected = Oracle(world.tables, login, key, cursors).answer(text, writer.defaults | variables)
        assert answer.json()["data"] == expected, (seed, text, variables)
        assert keys(answer.json()["data"]) == keys(expected), (seed, text, variables)
        assert len(client.statements.reads) == 1, (seed, text)
        operation = client.engine.documents.get(text, None)
        assert isinstance(operation, Operation)
        assert operation.reason == "", (seed, text)
        again = await client.post(text, variables, token=token, fallback=True)
        assert again.json() == answer.json(), (seed, text, variables)
        compiled += 1
    return compiled


async def test_random_operations(client: ToyClient, toy_world: ToyWorld, known: dict[Any, str]) -> None:
    assert await run(client, toy_world, known, range(250)) > 200


@pytest.mark.full
async def test_ten_thousand_random_operations(client: ToyClient, toy_world: ToyWorld, known: dict[Any, str]) -> None:
    assert await run(client, toy_world, known, range(1000, 11_000)) > 9_000
