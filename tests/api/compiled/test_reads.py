"""Reads by hand: each shape once, compiled and on graphql-core, one statement each."""

from typing import Any

import pytest

from tests.api.client import ToyClient

EVERYTHING = """
query Everything($n: Int, $order: FirmOrder, $filter: FirmFilter, $id: ID!, $with: Boolean!) {
  firms(first: $n, order: $order, filter: $filter) {
    __typename totalCount totalCountIsExact
    pageInfo { __typename hasNextPage hasPreviousPage startCursor endCursor }
    edges { __typename cursor node { ...Body parent { id name parent { id } } licence { number firm { id } } } }
    again: nodes { id places(first: 2, order: AREA_DESC) { nodes { id title area notes(first: 2) { code body } } totalCount } }
  }
  one: firm(id: $id) { ...Body @include(if: $with) id places(last: 1) { edges { cursor node { firm { id } } } } }
  node(id: $id) { __typename id ... on Firm { name } ... on Place { title } }
  byState: firmCounts(by: STATE) { key count }
  byParent: firmCounts(by: PARENT, filter: {state: {in: [OPEN, CLOSED]}}) { count key __typename }
  openFirms { nodes { state } }
}
fragment Body on Firm {
  id name state founded opened staff big score ratio active tags extra bigStaff nameLength version __typename
}
"""


async def same(client: ToyClient, query: str, variables: dict[str, Any] | None = None, **more: Any) -> Any:
    """Ask on both paths; the answers must be equal, and the compiled one is one statement."""
    client.statements.reads.clear()
    compiled = await client.post(query, variables, **more)
    assert len(client.statements.reads) == 1
    fallback = await client.post(query, variables, fallback=True, **more)
    assert fallback.json() == compiled.json()
    assert list(fallback.json().get("data") or {}) == list(compiled.json().get("data") or {})
    assert "errors" not in compiled.json(), compiled.json()
    return compiled.json()["data"]


async def firm_id(client: ToyClient) -> str:
    found = await client.ask("{ firms(first: 1) { nodes { id } } }")
    return str(found["firms"]["nodes"][0]["id"])


@pytest.mark.parametrize("order", [None, "NAME_ASC", "NAME_DESC", "FOUNDED_ASC", "STAFF_DESC", "OPENED_ASC"])
async def test_everything_at_once(client: ToyClient, order: str | None) -> None:
    variables = {
        "n": 4,
        "order": order,
        "filter": {"state": {"in": ["OPEN", "DRAFT"]}, "staff": {"gte": -5}},
        "id": await firm_id(client),
        "with": True,
    }
    data = await same(client, EVERYTHING, variables)
    assert len(data["firms"]["edges"]) == 4
    assert data["firms"]["totalCount"] > 4
    assert data["firms"]["pageInfo"]["hasNextPage"]
    assert data["node"]["__typename"] == "Firm"
    assert data["node"]["id"] == data["one"]["id"] == variables["id"]
    assert {one["state"] for one in data["openFirms"]["nodes"]} == {"OPEN"}


async def test_unknown_foreign_and_malformed_ids_get_the_same_answer_by_one_statement(client: ToyClient) -> None:
    foreign = (await client.ask("{ firms(first: 1) { nodes { id } } }", token="county-11-app"))["firms"]["nodes"][0][
        "id"
    ]
    query = "query Q($id: ID!) { firm(id: $id) { id } node(id: $id) { id } nodes(ids: [$id]) { id } }"
    for given in (foreign, "firm_00000000-0000-7000-8000-000000000000", "firm_x", "place_1", "", "'; DROP", "x" * 500):
        assert await same(client, query, {"id": given}) == {"firm": None, "node": None, "nodes": [None]}


async def test_nodes_keep_the_order_of_the_ids_across_types(client: ToyClient) -> None:
    data = await client.ask(
        "{ firms(first: 3) { nodes { id places(first: 1) { nodes { id } } } } notes(first: 2) { nodes { id } } }"
    )
    firms = [one["id"] for one in data["firms"]["nodes"]]
    notes = [one["id"] for one in data["notes"]["nodes"]]
    ids = [notes[0], firms[0], "nothing_x", firms[2], notes[1], firms[0]]
    query = "query Q($ids: [ID!]!) { nodes(ids: $ids) { id __typename ... on Note { code } ...F } } fragment F on Firm { name }"
    found = await same(client, query, {"ids": ids})
    assert [one and one["id"] for one in found["nodes"]] == [one if "nothing" not in one else None for one in ids]
    assert [one and one["__typename"] for one in found["nodes"]] == ["Note", "Firm", None, "Firm", "Note", "Firm"]


async def test_at_most_fifty_ids(client: ToyClient) -> None:
    answer = await client.post("query Q($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["firm_x"] * 51})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "LIMIT"
    assert client.statements.reads == []


@pytest.mark.parametrize(
    "order",
    [
        None,
        "NAME_ASC",
        "NAME_DESC",
        "FOUNDED_ASC",
        "FOUNDED_DESC",
        "STAFF_ASC",
        "STAFF_DESC",
        "SCORE_ASC",
        "SCORE_DESC",
        "OPENED_DESC",
    ],
)
@pytest.mark.parametrize("size", [1, 4])
async def test_pages_forward_and_backward_visit_every_row_once(client: ToyClient, order: str | None, size: int) -> None:
    whole = await client.ask("query Q($o: FirmOrder) { firms(first: 100, order: $o) { nodes { id } } }", {"o": order})
    expected = [one["id"] for one in whole["firms"]["nodes"]]
    assert len(expected) == 30
    forward = """query Q($o: FirmOrder, $c: String, $n: Int) { firms(first: $n, after: $c, order: $o) {
      nodes { id } pageInfo { endCursor hasNextPage hasPreviousPage } } }"""
    backward = """query Q($o: FirmOrder, $c: String, $n: Int) { firms(last: $n, before: $c, order: $o) {
      nodes { id } pageInfo { startCursor hasPreviousPage hasNextPage } } }"""
    for query, key, more, back in (
        (forward, "endCursor", "hasNextPage", False),
        (backward, "startCursor", "hasPreviousPage", True),
    ):
        seen: list[str] = []
        cursor = None
        while True:
            page = (await same(client, query, {"o": order, "c": cursor, "n": size}))["firms"]
            ids = [one["id"] for one in page["nodes"]]
            seen = [*ids, *seen] if back else [*seen, *ids]
            assert page["pageInfo"]["hasPreviousPage" if not back else "hasNextPage"] == (cursor is not None)
            cursor = page["pageInfo"][key]
            if not page["pageInfo"][more]:
                break
        assert seen == expected


async def test_offset_pages(client: ToyClient) -> None:
    query = (
        "query Q($k: Int!) { firms(first: 7, offset: $k) { nodes { id } pageInfo { hasNextPage hasPreviousPage } } }"
    )
    seen = []
    for offset in (0, 7, 14, 21, 28):
        page = (await same(client, query, {"k": offset}))["firms"]
        seen += [one["id"] for one in page["nodes"]]
        assert page["pageInfo"] == {"hasNextPage": offset < 28, "hasPreviousPage": offset > 0}
    assert len(set(seen)) == 30


@pytest.mark.parametrize(
    ("arguments", "variables", "code"),
    [
        ("first: 1, last: 1", {}, "INVALID_REQUEST"),
        ("first: 0", {}, "LIMIT"),
        ("first: 101", {}, "LIMIT"),
        ("first: $n", {"n": 101}, "LIMIT"),
        ("first: $n", {"n": -1}, "LIMIT"),
        ("last: 1, offset: 3", {}, "INVALID_REQUEST"),
        ("first: 1, offset: 10000", {}, "INVALID_REQUEST"),
        ("first: 1, offset: -1", {}, "INVALID_REQUEST"),
        ('first: 1, after: "zz"', {}, "INVALID_REQUEST"),
        ('first: 1, after: "5b5d"', {}, "INVALID_REQUEST"),
        ("first: 1, after: $c", {"c": "5b224e414d455f415343222c2278222c315d"}, "INVALID_REQUEST"),
        ("first: 1, order: NAME_ASC, after: $c", {"c": b'["NAME_ASC","\\u0000",1]'.hex()}, "INVALID_REQUEST"),
        ("first: 1, order: NAME_ASC, after: $c", {"c": b'["NAME_ASC","\\ud800",1]'.hex()}, "INVALID_REQUEST"),
        ("first: 1, order: NAME_ASC, after: $c", {"c": b'["NAME_ASC",null,1]'.hex()}, "INVALID_REQUEST"),
        ("first: 1, order: FOUNDED_ASC, after: $c", {"c": b'["FOUNDED_ASC","yesterday",1]'.hex()}, "INVALID_REQUEST"),
        ("first: 1, after: $c", {"c": b'["",{"a":1},[]]'.hex()}, "INVALID_REQUEST"),
        ("first: 1, after: $c", {"c": f'["",1,{2**70}]'.encode().hex()}, "INVALID_REQUEST"),
        ('filter: {name: {eq: "a\\u0000b"}}', {}, "INVALID_REQUEST"),
    ],
)
async def test_arguments_that_are_not_allowed(
    client: ToyClient, arguments: str, variables: dict[str, Any], code: str
) -> None:
    head = "".join(f"(${name}: {'Int' if name == 'n' else 'String'})" for name in variables)
    for fallback in (False, True):
        answer = await client.post(
            f"query Q{head} {{ firms({arguments}) {{ nodes {{ id }} }} }}", variables, fallback=fallback
        )
        error = answer.json()["errors"][0]
        assert error["extensions"]["code"] == code
        assert error["extensions"]["requestId"] == answer.headers["x-request-id"]
        assert not answer.json().get("data")


async def test_computed_fields_fall_back_with_one_statement(client: ToyClient) -> None:
    data = await client.ask("{ firms(first: 2) { nodes { loud: shout name } } }")
    assert len(client.statements.reads) == 1
    assert all(one["loud"] == one["name"].upper() + "!" for one in data["firms"]["nodes"])


async def test_at_most_eight_variants(client: ToyClient) -> None:
    query = "query Q($f: FirmFilter) { firms(first: 2, filter: $f) { nodes { id } } }"
    keys = ["eq", "in", "gt", "gte", "lt", "lte"]
    for number in range(12):
        given = {key: (["a"] if key == "in" else "a") for index, key in enumerate(keys) if (number + 1) >> index & 1}
        answer = await client.post(query, {"f": {"name": given}})
        assert "errors" not in answer.json()
    operation = client.engine.documents.get(query, None)
    assert len(operation.variants) == 8  # type: ignore[union-attr]


async def test_null_operands_mean_no_condition(client: ToyClient) -> None:
    query = "query Q($f: FirmFilter) { firms(filter: $f) { totalCount } }"
    everything = await same(client, query, {})
    empties: list[Any] = [None, {}, {"name": None}, {"name": {}}, {"name": {"eq": None}}]
    for empty in empties:
        assert await same(client, query, {"f": empty}) == everything


async def test_the_claim_is_gone_after_the_statement(client: ToyClient, toy_world: Any) -> None:
    await client.ask("{ firms(first: 1) { nodes { id } } }")
    pool = toy_world.db.reader("county")
    assert await pool.fetchval("SELECT current_setting('app.key', true)") in ("", None)
    assert await pool.fetchval("SELECT count(*) FROM toy.firm") == 0


async def test_without_a_claim_there_are_no_rows(client: ToyClient) -> None:
    for token in (None, "nobody-0-app"):
        assert await client.ask("{ firms { totalCount nodes { id } } }", token=token) == {
            "firms": {"totalCount": 0, "nodes": []}
        }
