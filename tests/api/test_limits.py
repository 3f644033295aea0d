"""The analyser: figures by hand, linear by count, monotone in page sizes."""

import dataclasses
import time
from typing import Any

import pytest
from graphql import FragmentDefinitionNode, OperationDefinitionNode, Visitor, get_introspection_query, parse, visit
from hypothesis import given
from hypothesis import strategies as st

from app.api.compiled import plan
from app.api.limits import Analysis, LimitError, analyse, load_limits, scan
from app.api.schema import Api
from tests.api.client import ToyClient

LIMITS = load_limits()
WIDE = dataclasses.replace(LIMITS, fields=10**30, aliases=10**30, depth=10**6, nodes=10**30)


def measure(api: Api, text: str, limits: Any = LIMITS) -> Analysis:
    document = parse(text)
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    node = next(one for one in document.definitions if isinstance(one, OperationDefinitionNode))
    return analyse(api.schema, node, fragments, limits)


def nodes_of(text: str) -> int:
    class Counter(Visitor):
        count = 0

        def enter(self, *_: Any) -> None:
            self.count += 1

    counter = Counter()
    visit(parse(text), counter)
    return counter.count


@pytest.mark.parametrize(
    ("text", "variables", "cost"),
    [
        ("{ __typename }", {}, 0),
        ('{ hello(name: "a") }', {}, 0),
        ('{ firm(id: "x") { name } }', {}, 1),
        ('{ firm(id: "x") { name parent { name } } }', {}, 2),
        ("{ firms(first: 10) { nodes { name } } }", {}, 2 + 10),
        ("{ firms { nodes { name } } }", {}, 2 + 20),
        ("{ firms(last: 3) { edges { cursor node { name } } } }", {}, 2 + 3),
        ("{ firms(first: 10) { totalCount nodes { name } } }", {}, 2 + 10 + 10),
        ("query Q($n: Int) { firms(first: $n) { nodes { parent { name } } } }", {"n": 7}, 2 + 7 * 2),
        ("query Q($n: Int) { firms(first: $n) { nodes { name } } }", {}, 2 + 20),
        ("{ firms(first: 10) { nodes { places(first: 5) { nodes { title notes { code } } } } } }", {},
         2 + 10 * (1 + 2 + 5 * (1 + 2 + 3))),
        ("{ firmCounts(by: STATE) { key } }", {}, 11),
        ("query Q($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": ["a", "b"]}, 2 + 2),
        ("mutation M($i: FirmAddInput!) { firmAdd(input: $i) { firm { id } errors { code } } }", {}, 10 + 1 + 10),
    ],
)  # fmt: skip
def test_cost_by_hand(toy_api: Api, text: str, variables: dict[str, Any], cost: int) -> None:
    assert measure(toy_api, text).price(variables) == cost


def bomb(n: int) -> str:
    parts = [f"fragment f{i} on Firm {{ ...f{i + 1} parent {{ ...f{i + 1} }} }}" for i in range(n)]
    return f'{{ firm(id: "x") {{ ...f0 }} }} {" ".join(parts)} fragment f{n} on Firm {{ name }}'


def test_the_analyser_looks_at_each_node_at_most_once(toy_api: Api) -> None:
    for n in (1, 5, 20, 38):
        text = bomb(n)
        made = measure(toy_api, text, WIDE)
        assert made.visits <= nodes_of(text)
        assert len(made.program) <= 4 * nodes_of(text)
        assert made.price({}) == 2**n
    growth = [measure(toy_api, bomb(n), WIDE).visits for n in (10, 20, 40)]
    assert growth[2] - growth[1] == 2 * (growth[1] - growth[0])


@pytest.mark.parametrize("n", [12, 20, 39])
async def test_fragment_bombs_are_refused_before_any_statement(client: ToyClient, n: int) -> None:
    started = time.process_time()
    answer = await client.post(bomb(n))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "LIMIT"
    assert client.statements.reads == []
    assert time.process_time() - started < 60, "a bomb that explodes would take hours"


@given(st.data())
def test_cost_is_monotone_in_page_sizes(toy_api: Api, data: st.DataObject) -> None:
    text = "query Q($a: Int, $b: Int) { firms(first: $a) { nodes { places(last: $b) { nodes { title } } } } }"
    made = measure(toy_api, text, WIDE)
    a, b = data.draw(st.integers(1, 99)), data.draw(st.integers(1, 99))
    here = made.price({"a": a, "b": b})
    assert here == 2 + a * (1 + 2 + b)
    assert made.price({"a": a + 1, "b": b}) > here
    assert made.price({"a": a, "b": b + 1}) > here


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{" + " __typename" * 2001 + "}", "tokens"),
        ("{ __typename }" + "".join(f" fragment f{i} on Firm {{ name }}" for i in range(41)), "fragments"),
        ('{ firm(id: "x") {' + " ...F" * 81 + "} } fragment F on Firm { name }", "spreads"),
        ("{ firms(filter: " + "[" * 61 + "]" * 61 + ") { totalCount } }", "nested"),
        ('{ firm(id: "x") ' + "{ parent " * 10 + "{ name }" + " }" * 11, "depth"),
        ('{ firm(id: "x") {' + "".join(f" a{i}: name" for i in range(31)) + "} }", "aliases"),
        ("{" + "".join(f" a{i}: __typename" for i in range(11)) + "}", "root fields"),
        ("{ firms(first: 100) { nodes { places(first: 100) { nodes { firm { id } } } } } }", "rows"),
    ],
)
async def test_each_limit_refuses_with_its_name(client: ToyClient, text: str, name: str) -> None:
    answer = await client.post(text)
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["extensions"]["code"]) == (400, "LIMIT")
    assert name in error["message"]
    assert client.statements.reads == []


async def test_cost_is_in_headers_only(client: ToyClient) -> None:
    query = "query Q($n: Int) { firms(first: $n) { nodes { name parent { parent { name } } } } }"
    answer = await client.post(query, {"n": 100})
    assert answer.headers["x-query-cost"] == "302"
    assert answer.headers["ratelimit-limit"] == "10000"
    assert answer.headers["ratelimit-remaining"] == "9698"
    assert list(answer.json()) == ["data"]


async def test_budgets_of_visitors_and_users(client: ToyClient) -> None:
    query = "{ firms(first: 50) { nodes { places(first: 50) { nodes { id } } } } }"
    assert (await client.post(query)).status_code == 200
    client.statements.reads.clear()
    answer = await client.post(query, token=None)
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["extensions"]["code"]) == (400, "COST_LIMIT")
    assert "2652" in error["message"]
    assert answer.headers["ratelimit-limit"] == "2000"
    assert client.statements.reads == []


async def test_the_standard_introspection_query_passes(client: ToyClient) -> None:
    answer = await client.post(get_introspection_query())
    assert "errors" not in answer.json()
    assert len(answer.json()["data"]["__schema"]["types"]) > 10


def test_scan_counts_tokens() -> None:
    assert scan("{ a(b: [1, 2]) { ...F } } # comment", LIMITS) == 15
    with pytest.raises(LimitError):
        scan("{ a }", dataclasses.replace(LIMITS, tokens=2))


async def test_deep_json_and_many_variables_are_refused_cheaply(client: ToyClient) -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = {"name": deep}
    answer = await client.post("query Q($f: FirmFilter) { firms(filter: $f) { totalCount } }", {"f": deep})
    assert answer.json()["errors"][0]["extensions"]["code"] == "INVALID_REQUEST"
    many = {f"v{i}": i for i in range(5000)}
    assert (await client.post("{ __typename }", many)).json() == {"data": {"__typename": "Query"}}
    answer = await client.post("{ __typename }" + "#" * 110_000)
    assert answer.status_code == 413


_SPREADS = " ".join(f"...F{number}" for number in range(20))
_MANY = " ".join("parent { name }" for _ in range(9))
_FRAGMENTS = " ".join(f"fragment F{number} on Firm {{ {_MANY} }}" for number in range(20))
REPEATING = {
    "roots": "{ %s }" % ("firms { nodes { id } } " * 60),
    "fields": "{ firms { nodes { %s } } }" % ("parent { id } " * 60),
    "conditions": "{ firms { nodes { %s } } }" % ("... on Firm { parent { id } } " * 60),
    "fragments": f"{{ firms {{ nodes {{ {_SPREADS} }} }} }} {_FRAGMENTS}",
    "a fragment of itself": "{ firms { nodes { ...A } } } fragment A on Firm { ...A %s }" % ("name " * 60),
}


@pytest.mark.parametrize("text", REPEATING.values(), ids=REPEATING)
def test_what_repeats_is_refused_before_it_is_compared_in_pairs(
    toy_api: Api, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("the document reached validation")

    monkeypatch.setattr(plan, "validate", never)
    refused = plan.Documents(toy_api.schema, toy_api.bindings, LIMITS).get(text, None)
    assert isinstance(refused, plan.Refusal)
    assert refused.limit
    assert "times in one selection" in refused.errors[0].message


def test_conflicting_fields_are_still_refused(toy_api: Api) -> None:
    refused = plan.Documents(toy_api.schema, toy_api.bindings, LIMITS).get(
        '{ firm(id: "a") { name } firm(id: "b") { name } }', None
    )
    assert isinstance(refused, plan.Refusal)
    assert "conflict" in refused.errors[0].message
