"""The mutation runner: transactions, repeats, conflicts, faults, audit."""

import asyncio
import uuid
from typing import Any

import pytest

from app.kit.ids import parse_global_id
from tests.api.client import PERSON, ToyClient
from tests.api.conftest import ToyWorld

ADD = """mutation Add($input: FirmAddInput!) { firmAdd(input: $input) {
  firm { id name version places(first: 1) { totalCount } loud: shout } errors { code field message } } }"""
RENAME = """mutation Rename($input: FirmRenameInput!) { firmRename(input: $input) {
  firm { id name version } other: firm { version } errors { code field message } } }"""


async def add(client: ToyClient, name: str, **more: Any) -> Any:
    return (await client.ask(ADD, {"input": {"name": name, **more}}))["firmAdd"]


async def rows(world: ToyWorld, name: str) -> list[Any]:
    admin = await world.admin()
    found = await admin.fetch("SELECT * FROM toy.firm WHERE name = $1", name)
    await admin.close()
    return list(found)


@pytest.fixture
def name() -> str:
    return f"made {uuid.uuid4()}"


@pytest.fixture(autouse=True)
async def clean(toy_world: ToyWorld) -> Any:
    yield
    admin = await toy_world.admin()
    await admin.execute("DELETE FROM toy.firm WHERE name LIKE 'made %'")
    await admin.execute("DELETE FROM app.idempotency")
    await admin.close()


async def test_the_payload_is_the_changed_object(client: ToyClient, toy_world: ToyWorld, name: str) -> None:
    made = await add(client, name)
    assert made["errors"] == []
    assert made["firm"]["name"] == name
    assert made["firm"]["loud"] == name.upper() + "!"
    assert [row["county_key"] for row in await rows(toy_world, name)] == [10]
    assert client.audit.told == [("success", "firmAdd")]
    changed = await client.ask(RENAME, {"input": {"id": made["firm"]["id"], "name": name + "x", "expectedVersion": 1}})
    assert changed["firmRename"] == {
        "firm": {"id": made["firm"]["id"], "name": name + "x", "version": 2},
        "other": {"version": 2},
        "errors": [],
    }


@pytest.mark.parametrize(
    ("fail", "errors", "told"),
    [
        ("fault", [("INVALID", ["name"])], []),
        ("group", [("INVALID", ["name"]), ("INVALID", ["fail"])], []),
        ("permission", [("NOT_PERMITTED", [])], [("NOT_PERMITTED", "firmAdd")]),
    ],
)
async def test_a_fault_rolls_back_and_is_data(
    client: ToyClient, toy_world: ToyWorld, name: str, fail: str, errors: Any, told: Any
) -> None:
    made = await add(client, name, fail=fail, clientMutationId="one")
    assert made["firm"] is None
    assert [(one["code"], one["field"]) for one in made["errors"]] == errors
    assert await rows(toy_world, name) == []
    assert client.audit.told == told
    again = await add(client, name, clientMutationId="one")
    assert again["errors"] == [], "a failed attempt is not stored"


async def test_a_bug_is_masked_and_rolled_back(
    client: ToyClient, toy_world: ToyWorld, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await client.post(ADD, {"input": {"name": name, "fail": "bug"}})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    error = answer.json()["errors"][0]
    assert error["extensions"] == {"code": "INTERNAL", "requestId": answer.headers["x-request-id"]}
    assert answer.headers["x-request-id"] in error["message"]
    assert await rows(toy_world, name) == []
    assert any(record.exc_info for record in caplog.records)


async def test_a_repeat_does_nothing_again_and_reads_under_todays_state(
    client: ToyClient, toy_world: ToyWorld, name: str
) -> None:
    first = await add(client, name, clientMutationId="same")
    renamed = {"id": first["firm"]["id"], "name": name + " later", "expectedVersion": 1}
    await client.ask(RENAME, {"input": renamed})
    client.audit.told.clear()
    again = await add(client, name, clientMutationId="same")
    assert again["errors"] == []
    assert again["firm"]["id"] == first["firm"]["id"]
    assert again["firm"]["name"] == name + " later"
    assert client.audit.told == []
    assert await rows(toy_world, name) == []


async def test_a_repeat_by_somebody_who_lost_the_right_shows_nothing(
    client: ToyClient, toy_world: ToyWorld, name: str
) -> None:
    await add(client, name, clientMutationId="same")
    query = ADD
    other = (await client.ask(query, {"input": {"name": name, "clientMutationId": "same"}}, token="county-11-app"))[
        "firmAdd"
    ]
    assert other == {"firm": None, "errors": []}
    assert len(await rows(toy_world, name)) == 1


async def test_the_same_id_with_another_input_is_a_conflict(client: ToyClient, name: str) -> None:
    await add(client, name, clientMutationId="same")
    other = await add(client, name + "!", clientMutationId="same")
    assert [(one["code"], one["field"]) for one in other["errors"]] == [("IDEMPOTENCY_CONFLICT", ["clientMutationId"])]
    assert other["firm"] is None


async def test_many_at_once_with_one_id_do_it_once(client: ToyClient, toy_world: ToyWorld, name: str) -> None:
    made = await asyncio.gather(*(add(client, name, clientMutationId="same") for _ in range(8)))
    assert len({one["firm"]["id"] for one in made}) == 1
    assert len(await rows(toy_world, name)) == 1


async def test_ids_expire_after_seven_days(client: ToyClient, toy_world: ToyWorld, name: str) -> None:
    await add(client, name, clientMutationId="same")
    admin = await toy_world.admin()
    await admin.execute("UPDATE app.idempotency SET created_at = now() - interval '7 days 1 minute'")
    await admin.close()
    later = await add(client, name + " second", clientMutationId="same")
    assert later["errors"] == []
    assert later["firm"]["name"] == name + " second"


@pytest.mark.parametrize("given", ["", "x" * 65])
async def test_ids_of_another_form_are_refused(client: ToyClient, name: str, given: str) -> None:
    made = await add(client, name, clientMutationId=given)
    assert [(one["code"], one["field"]) for one in made["errors"]] == [("CLIENT_MUTATION_ID", ["clientMutationId"])]


async def test_a_stale_version_is_a_conflict_and_shows_the_current_object(client: ToyClient, name: str) -> None:
    made = (await add(client, name))["firm"]
    answer = await client.ask(RENAME, {"input": {"id": made["id"], "name": "made stale", "expectedVersion": 7}})
    assert answer["firmRename"]["firm"] == {"id": made["id"], "name": name, "version": 1}
    assert answer["firmRename"]["other"] == {"version": 1}
    assert [(one["code"], one["field"]) for one in answer["firmRename"]["errors"]] == [
        ("CONFLICT", ["expectedVersion"])
    ]


async def test_foreign_and_unknown_ids_get_the_same_answer_and_statements(client: ToyClient, name: str) -> None:
    foreign = (await client.ask(ADD, {"input": {"name": name}}, token="county-11-app"))["firmAdd"]["firm"]["id"]
    answers = []
    for given in (foreign, f"firm_{uuid.uuid4()}"):
        client.statements.sessions = 0
        made = await client.ask(RENAME, {"input": {"id": given, "name": "x", "expectedVersion": 1}})
        answers.append((made, client.statements.sessions))
    assert answers[0] == answers[1]
    assert answers[0][0]["firmRename"]["errors"][0]["code"] == "NOT_FOUND"


async def test_one_transaction_per_root_field(client: ToyClient, toy_world: ToyWorld, name: str) -> None:
    query = """mutation Two($a: FirmAddInput!, $b: FirmAddInput!) {
      one: firmAdd(input: $a) { firm { id } errors { code } } two: firmAdd(input: $b) { firm { id } errors { code } } }"""
    data = await client.ask(query, {"a": {"name": name}, "b": {"name": name, "fail": "fault"}})
    assert data["one"]["firm"]
    assert data["two"] == {"firm": None, "errors": [{"code": "INVALID"}]}
    assert len(await rows(toy_world, name)) == 1


async def test_visitors_must_sign_in(client: ToyClient, name: str) -> None:
    for token in (None, "nobody-0-app"):
        answer = await client.post(ADD, {"input": {"name": name}}, token=token)
        assert answer.status_code == 401
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert client.statements.sessions == 0


async def test_anonymous_repeats_answer_received_only(client: ToyClient, toy_world: ToyWorld) -> None:
    query = "mutation Say($input: FirmAddInput!) { say(input: $input) { firm { id } errors { code field } } }"
    key = str(uuid.uuid4())
    for _ in range(2):
        data = await client.ask(query, {"input": {"name": "x", "clientMutationId": key}}, token=None)
        assert data["say"] == {"firm": None, "errors": []}
    admin = await toy_world.admin()
    stored = await admin.fetch("SELECT * FROM app.idempotency")
    await admin.close()
    assert len(stored) == 1
    assert stored[0]["person_id"] not in (PERSON, uuid.UUID(key))
    refused = await client.ask(query, {"input": {"name": "x", "clientMutationId": "mine"}}, token=None)
    assert refused["say"]["errors"] == [{"code": "CLIENT_MUTATION_ID", "field": ["clientMutationId"]}]
    conflict = await client.ask(query, {"input": {"name": "other", "clientMutationId": key}}, token=None)
    assert conflict["say"]["errors"] == [{"code": "IDEMPOTENCY_CONFLICT", "field": ["clientMutationId"]}]


async def test_a_client_that_goes_away_leaves_no_half(client: ToyClient, toy_world: ToyWorld, name: str) -> None:
    task = asyncio.ensure_future(add(client, name, clientMutationId="gone"))
    while client.statements.sessions == 0:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    again = await add(client, name, clientMutationId="gone")
    assert again["errors"] == []
    assert len(await rows(toy_world, name)) == 1
    found = parse_global_id(again["firm"]["id"], "firm")
    assert found
    assert found[1] == (await rows(toy_world, name))[0]["id"]
