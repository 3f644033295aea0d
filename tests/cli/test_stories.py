"""Stories against a real instance: two at once, and writes that go on while its processes are killed."""

import asyncio
import json
import os
import random
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from app.cli.demo import play
from app.cli.instance import Instance, running
from app.cli.stories import Story, StoryError
from app.kit.rules import uscc
from app.modules.members.public import account_in, tree
from tenants.kinds import Kind

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("up")]

SUBMIT = """mutation Submit($input: RegistrationSubmitInput!) {
  registrationSubmit(input: $input) { received errors { code field message } } }"""
APPROVE = """mutation Approve($input: RegistrationApproveInput!) {
  registrationApprove(input: $input) { registration { enterprise { id } } errors { code field message } } }"""
INBOX = """query Inbox($code: String!) {
  registrations(filter: {creditCode: {eq: $code}}, first: 10) { totalCount nodes { id version state } } }"""
SEEN = """query Seen($code: String!) {
  enterprises(filter: {creditCode: {eq: $code}}, first: 5) {
    totalCount nodes { id sites(first: 5) { totalCount } tenant { id } } } }"""
FAULTS = (StoryError, httpx.HTTPError)
COUNTY = "320281"


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    with running() as found:
        yield found


async def test_onboarding_twice_at_once_in_each_province(instance: Instance) -> None:
    """Seeds are drawn anew each time; a run that fails names its seed."""
    seeds = [_seed_in(province) for province in ("32", "61")]
    stories = await asyncio.gather(*(play("onboarding", instance.url, seed=seed, quiet=True) for seed in seeds))
    for seed, story in zip(seeds, stories, strict=True):
        assert story.ok, f"seed {seed}: {json.dumps(story.report(), ensure_ascii=False)[-1500:]}"
        assert len(story.steps) >= 15


def _seed_in(province: str) -> int:
    """Draw a seed whose first county lies in this province."""
    counties = [tenant for tenant in tree() if tenant.kind is Kind.COUNTY]
    chance = random.SystemRandom()
    while True:
        seed = chance.randrange(2**32)
        if random.Random(seed).choice(counties).ref.startswith(province):
            return seed


def _form() -> dict[str, Any]:
    body = "".join(random.choices("0123456789ABCDEFGHJKLMNPQRTUWXY", k=8))
    return {
        "creditCode": uscc.generate(next(iter(uscc.FICTITIOUS_REGIONS)), body),
        "name": f"演练{body}化工有限公司",
        "divisionCode": COUNTY,
        "address": "演练路 1 号",
        "contactName": "演练人",
        "contactPhone": "13900000000",
        "industryCode": "2631",
        "clientMutationId": str(uuid.uuid4()),
    }


@pytest.mark.parametrize("part", ["web", "worker", "relay", "queue", "postgresql"])
async def test_what_was_acknowledged_outlives_a_kill(instance: Instance, part: str) -> None:
    """Registrations and approvals go on while a part is killed hard; a repeat with the same id ends each once."""
    async with Story("drill", instance.url, quiet=True) as story:
        acceptor = await story.person(account_in(COUNTY, "ACCEPTOR"), "gov")
        forms = [_form() for _ in range(24)]
        acknowledged: set[str] = set()
        begun = asyncio.Event()

        async def register(form: dict[str, Any]) -> None:
            if (await story.anonymous().attempt(SUBMIT, input=form))["received"]:
                acknowledged.add(form["creditCode"])
            begun.set()
            row = (await acceptor.ask(INBOX, code=form["creditCode"]))["registrations"]["nodes"][0]
            given = {"id": row["id"], "expectedVersion": row["version"], "clientMutationId": f"a-{row['id'][-36:]}"}
            await acceptor.attempt(APPROVE, input=given)

        async def all_forms() -> None:
            for place in range(0, len(forms), 4):
                with suppress(*FAULTS):
                    await asyncio.gather(*(_try(register, form) for form in forms[place : place + 4]))

        work = asyncio.create_task(all_forms())
        await begun.wait()
        _kill(instance, part)
        await work
        await story.until("ready again", lambda: _ready(instance))
        for form in forms:
            await _until_whole(story, acceptor, form, known=form["creditCode"] in acknowledged)


async def _try(what: Callable[..., Any], form: dict[str, Any]) -> None:
    with suppress(*FAULTS):
        await what(form)


def _kill(instance: Instance, part: str) -> None:
    pids = json.loads((instance.state / "run.json").read_text(encoding="utf-8"))["pids"]
    os.kill(pids[part], signal.SIGKILL)


async def _ready(instance: Instance) -> bool:
    async with httpx.AsyncClient(trust_env=False) as http:
        with suppress(httpx.HTTPError):
            return (await http.get(f"{instance.url}/readyz")).status_code == httpx.codes.OK
    return False


async def _until_whole(story: Story, acceptor: Any, form: dict[str, Any], *, known: bool) -> None:
    """What was acknowledged is there; the whole of it, once, after the same requests are sent again."""
    code = form["creditCode"]
    inbox = (await acceptor.ask(INBOX, code=code))["registrations"]
    assert inbox["totalCount"] in ({1} if known else {0, 1}), "an acknowledged registration is lost, or there twice"
    assert (await story.anonymous().attempt(SUBMIT, input=form))["received"]
    inbox = (await acceptor.ask(INBOX, code=code))["registrations"]
    assert inbox["totalCount"] == 1
    row = inbox["nodes"][0]
    seen = (await acceptor.ask(SEEN, code=code))["enterprises"]
    assert seen["totalCount"] == int(row["state"] == "APPROVED"), "an approval is half-written"
    if row["state"] != "APPROVED":
        given = {"id": row["id"], "expectedVersion": row["version"], "clientMutationId": f"b-{row['id'][-36:]}"}
        assert (await acceptor.attempt(APPROVE, input=given))["errors"] == []
        seen = (await acceptor.ask(SEEN, code=code))["enterprises"]
    assert seen["totalCount"] == 1
    assert seen["nodes"][0]["sites"]["totalCount"] == 1
    assert seen["nodes"][0]["tenant"]
