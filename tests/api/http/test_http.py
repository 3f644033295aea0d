"""HTTP by hand: statuses, media types, tokens, trusted documents, timeouts, lost connections."""

import asyncio
import hashlib
from typing import Any

import asyncpg
import httpx
import pytest

from app.api.endpoint import HttpFaultError, negotiate
from app.api.middleware import RequestFrame
from app.api.schema import Api
from app.api.trusted import load_documents, manifest
from infra.db.port import DatabaseUnavailableError
from tests.api.client import ToyClient
from tests.api.conftest import ToyWorld

RESPONSE = "application/graphql-response+json"
TEXT = "{ firms(first: 1) { nodes { id } } }"
DOCUMENT = hashlib.sha256(TEXT.encode()).hexdigest()


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        (RESPONSE, RESPONSE),
        (f"{RESPONSE}, application/json;q=0.9", RESPONSE),
        (f"{RESPONSE};q=0.5, application/json;q=0.9", "application/json"),
        ("text/html, application/json; charset=utf-8", "application/json"),
        ("text/html", None),
        ("application/json; charset=latin-1", None),
        ("application/json;q=0", None),
        ("application/json;q=x", None),
    ],
)
def test_negotiation(accept: str | None, media: str | None) -> None:
    if media is None:
        with pytest.raises(HttpFaultError) as fault:
            negotiate(accept)
        assert fault.value.status == 406
    else:
        assert negotiate(accept) == media


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {}, 400),
        (b"[]", {}, 400),
        (b"[{}]", {}, 400),
        (b"{}", {}, 400),
        (b'{"query": 1}', {}, 400),
        (b'{"query": "{ __typename }", "variables": []}', {}, 400),
        (b'{"query": "{ __typename }", "operationName": {}}', {}, 400),
        (b'{"query": "{ __typename }", "extensions": "x"}', {}, 400),
        (b'{"query": "{ __typename }"}', {"content-type": "text/plain"}, 415),
        (b'{"query": "{ __typename }"}', {"content-type": "application/json; charset=gbk"}, 415),
        (b'{"query": "{ __typename }"}', {"accept": "text/html"}, 406),
        (b"x" * 102_401, {}, 413),
        (b"x" * (1024 * 1024 + 1), {}, 413),
        (b'{"query": "\xff"}', {}, 400),
        (b'{"query": "{ __typename }"}', {"content-encoding": "gzip"}, 415),
        (b'{"query": "{ __typename }", "variables": {"a": [{"b": "x\\u0000"}]}}', {}, 400),
        (b"[" * 5000, {}, 400),
    ],
)
async def test_requests_that_are_none(client: ToyClient, content: bytes, headers: dict[str, str], status: int) -> None:
    answer = await client.http.post(
        "/graphql", content=content, headers={"content-type": "application/json", **headers}
    )
    assert answer.status_code == status
    assert client.statements.reads == []
    assert len(answer.headers["x-request-id"]) >= 8


async def test_a_text_with_nul_is_refused_with_its_place(client: ToyClient) -> None:
    """PostgreSQL cannot store it, in whatever field it stands."""
    answer = await client.post("query Q($v: [V]) { x }", {"v": [{"name": "a\0"}]})
    assert answer.status_code == 400
    assert "variables.v.0.name" in answer.json()["errors"][0]["message"]
    for text in ('{ hello(name: "a\\u0000") }', '{ hello(name: """a\0""") }'):
        answer = await client.post(text, headers={"accept": RESPONSE})
        assert answer.status_code == 400, text
        assert answer.json()["errors"][0]["extensions"]["code"] == "INVALID_REQUEST"
    assert client.statements.reads == []


async def test_get_is_for_queries(client: ToyClient) -> None:
    answer = await client.http.get("/graphql", params={"query": "{ __typename }"})
    assert answer.json() == {"data": {"__typename": "Query"}}
    answer = await client.http.get(
        "/graphql", params={"query": 'mutation { say(input: {name: "x"}) { errors { code } } }'}
    )
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    answer = await client.http.put("/graphql")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    answer = await client.http.get("/graphql", params={"query": "{ __typename }", "variables": "{"})
    assert answer.status_code == 400
    assert client.statements.sessions == 0


@pytest.mark.parametrize(
    ("query", "variables"),
    [("{ x", {}), ("{ firmz { id } }", {}), ("query Q($n: Int!) { firms(first: $n) { totalCount } }", {"n": "x"}),
     ("query A { __typename } query B { __typename }", {}), ("subscription { x }", {})],
)  # fmt: skip
async def test_request_errors_have_no_data_and_no_hints(
    client: ToyClient, query: str, variables: dict[str, Any]
) -> None:
    for fallback in (False, True):
        answer = await client.post(query, variables, headers={"accept": RESPONSE}, fallback=fallback)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == f"{RESPONSE}; charset=utf-8"
        assert list(answer.json()) == ["errors"]
        assert answer.json()["errors"][0]["extensions"]["code"] == "INVALID_REQUEST"
        assert "Did you mean" not in answer.text
    plain = await client.post(query, variables)
    assert plain.status_code == 200


async def test_a_bug_in_a_resolver_is_masked(client: ToyClient) -> None:
    answer = await client.post("{ broken }", headers={"x-request-id": "support-12345"})
    assert answer.status_code == 500
    assert answer.json()["data"] == {"broken": None}
    assert answer.json()["errors"][0]["extensions"] == {"code": "INTERNAL", "requestId": "support-12345"}
    assert "secret" not in answer.text
    answer = await client.post('{ broken hello(name: "a") }')
    assert answer.status_code == 200
    assert answer.json()["data"] == {"broken": None, "hello": "hello a"}


@pytest.mark.parametrize("token", ["forged", "x" * 9000, "a-b"])
async def test_refused_tokens_are_401_and_reach_no_resolver(client: ToyClient, token: str) -> None:
    for accept in (RESPONSE, "application/json"):
        answer = await client.post(TEXT, token=token, headers={"accept": accept})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert client.statements.reads == []
    assert len(client.denied) == 2


async def test_ambiguous_credentials_are_refused(client: ToyClient) -> None:
    json = {"content-type": "application/json"}
    body = b'{"query": "{ __typename }"}'
    two = [("authorization", "Bearer county-10-a"), ("authorization", "Bearer county-11-a"), *json.items()]
    assert (await client.http.post("/graphql", content=body, headers=two)).status_code == 401
    query = await client.http.post("/graphql?access_token=county-10-a", content=body, headers=json)
    assert query.status_code == 401
    both = {"authorization": "Bearer county-10-a", "cookie": "anlan_session=x", **json}
    assert (await client.http.post("/graphql", content=body, headers=both)).status_code == 400
    basic = {"authorization": "Basic county-10-a", **json}
    assert (await client.http.post("/graphql", content=body, headers=basic)).status_code == 401


async def test_a_membership_that_is_not_theirs_is_refused_and_told(client: ToyClient) -> None:
    answer = await client.post(TEXT, headers={"anlan-membership": "foreign"})
    assert answer.status_code == 401
    assert client.denied == ["MEMBERSHIP_REFUSED"]


async def test_verified_tokens_are_remembered_until_evicted(client: ToyClient) -> None:
    for _ in range(3):
        await client.ask(TEXT)
    assert client.verifier.calls == 1
    client.authenticator.evict()
    await client.ask(TEXT)
    assert client.verifier.calls == 2
    await client.ask(TEXT, headers={"anlan-membership": "other"})
    assert client.verifier.calls == 3


async def test_trusted_documents_in_production(toy_api: Api, toy_world: ToyWorld) -> None:
    client = ToyClient(toy_api, toy_world.db, free_text=False, documents=(f"{DOCUMENT}|{TEXT}",))
    for token in (None, "county-10-app"):
        refused = await client.post("{ firms { totalCount } }", token=token)
        assert refused.json()["errors"][0]["extensions"]["reason"] == "UNTRUSTED_DOCUMENT"
        for more in ({"documentId": DOCUMENT}, {"documentId": f"sha256:{DOCUMENT}"},
                     {"extensions": {"persistedQuery": {"sha256Hash": DOCUMENT}}}):  # fmt: skip
            answer = await client.post(None, token=token, **more)
            assert list(answer.json()) == ["data"]
        assert "data" in (await client.post(TEXT, token=token)).json()
        unknown = await client.post(None, token=token, documentId="0" * 64)
        assert unknown.json()["errors"][0]["extensions"]["reason"] == "UNKNOWN_DOCUMENT"
    assert "data" in (await client.post("{ firms { totalCount } }", token="county-10-registered")).json()
    await client.http.aclose()


def test_the_manifest_names_documents_by_their_hash(tmp_path: Any) -> None:
    folder = tmp_path / "operations" / "toys"
    folder.mkdir(parents=True)
    (folder / "one.graphql").write_text(TEXT, encoding="utf-8")
    assert manifest(load_documents(tmp_path)) == {DOCUMENT: TEXT}


async def test_a_statement_timeout_is_said_so_and_not_tried_again(client: ToyClient) -> None:
    client.statements.fault = [asyncpg.QueryCanceledError("canceling statement")]
    answer = await client.post(TEXT)
    assert answer.status_code == 504
    assert answer.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"
    assert len(client.statements.reads) == 1


@pytest.mark.parametrize(
    "fault",
    [DatabaseUnavailableError("gone"), ConnectionRefusedError(), asyncpg.SerializationError("again")],
)
async def test_a_lost_connection_is_tried_once_more(client: ToyClient, fault: BaseException) -> None:
    client.statements.fault = [fault]
    answer = await client.post(TEXT)
    assert list(answer.json()) == ["data"]
    assert len(client.statements.reads) == 2


@pytest.mark.parametrize("when", ["while signing in", "while reading", "in a mutation"])
async def test_a_database_that_is_away_is_said_so(
    client: ToyClient, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """503 in every case, never a bug's 500, and no word of the server."""

    def gone(*_: Any, **__: Any) -> Any:
        raise DatabaseUnavailableError("ConnectionRefusedError: /run/anlan")

    text = TEXT
    if when == "while signing in":
        monkeypatch.setattr(client.authenticator, "identify", gone)
    elif when == "while reading":
        client.statements.fault = [DatabaseUnavailableError("x") for _ in range(9)]
        monkeypatch.setattr(client.statements, "read", gone)
    else:
        monkeypatch.setattr(client.statements, "write", gone)
        text = 'mutation { firmAdd(input: {name: "x"}) { errors { code } } }'
    answer = await client.post(text)
    assert answer.status_code == 503
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "UNAVAILABLE"
    assert error["extensions"]["requestId"]
    assert "clientMutationId" in error["message"]
    assert "/run" not in answer.text


async def test_a_bug_outside_of_graphql_is_masked_on_every_route(client: ToyClient) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("secret of the server")

    async with httpx.AsyncClient(transport=httpx.ASGITransport(RequestFrame(broken)), base_url="http://toy") as http:
        answer = await http.get("/realms/x", headers={"accept-language": "en"})
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in answer.json()["errors"][0]["message"]
    assert "secret" not in answer.text


async def test_other_faults_of_a_statement_are_told_by_graphql_core(client: ToyClient) -> None:
    client.statements.fault = [asyncpg.DivisionByZeroError("x"), asyncpg.DivisionByZeroError("x")]
    answer = await client.post(TEXT)
    assert answer.status_code == 500
    assert answer.json()["errors"][0]["path"] == ["firms"]
    assert len(client.statements.reads) == 2


async def test_thousands_of_interleaved_requests_never_mix(client: ToyClient, toy_world: ToyWorld) -> None:
    expected = {
        token: {f"firm_{row['id']}" for row in toy_world.tables["firm"] if row[column] == key}
        for token, column, key in [
            ("county-10-a", "county_key", 10), ("county-11-a", "county_key", 11),
            *((f"enterprise-{key}-a", "enterprise_key", key) for key in range(100, 106)),
        ]
    }  # fmt: skip
    tokens = list(expected) * 250

    async def one(token: str) -> None:
        found: httpx.Response = await client.post("{ firms(first: 100) { nodes { id } } }", token=token)
        assert {node["id"] for node in found.json()["data"]["firms"]["nodes"]} == expected[token]

    for start in range(0, len(tokens), 100):
        await asyncio.gather(*(one(token) for token in tokens[start : start + 100]))
