"""``./anlan token``: against a server on a real port, by the code flow like everybody else."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from app.cli import token as verb
from infra.identity.embedded import issuer_app
from infra.identity.issuers import embedded_issuers
from infra.identity.verifier import create_verifier
from infra.settings import load
from tests.infra.identity.conftest import MANAGER, OFFICIAL, Issuer


@pytest.fixture
async def url(issuer: Issuer) -> AsyncIterator[str]:
    """Serve the issuer on a free port; its address is known only once the port is bound."""
    config = uvicorn.Config(Starlette(), host="127.0.0.1", port=0, log_level="warning", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    sub = issuer_app(env="test", public_url=address, secrets=issuer.secrets, database=issuer.database)
    app: Starlette = config.app  # type: ignore[assignment]
    app.router.routes.append(Mount("/realms", sub))
    yield address
    server.should_exit = True
    await serving


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    return parser.parse_args(words)


async def outcome(
    capsys: pytest.CaptureFixture[str], *words: str, state: Path = Path("/nowhere")
) -> tuple[int, str, str]:
    settings = load({"ANLAN_STATE": str(state)})
    code = await asyncio.to_thread(verb.run, arguments(*words), settings)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("account", [OFFICIAL, MANAGER])
async def test_it_prints_a_token_that_verifies(
    url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, account: object
) -> None:
    assert account in (OFFICIAL, MANAGER)
    wanted = OFFICIAL if account is OFFICIAL else MANAGER
    code, out, err = await outcome(capsys, wanted.username, "--url", url)
    assert (code, err) == (0, "")
    async with httpx.AsyncClient(trust_env=False) as http:
        found = await create_verifier(embedded_issuers(url), http, tmp_path).verify(out.strip())
    assert found.issuer == f"{url}/realms/{wanted.realm}"
    assert (found.client, found.tenant_id) == ("anlan-cli", wanted.attributes.tenant_id)


async def test_it_finds_the_instance_by_its_state_folder(
    url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"url": url}))
    by_data = await outcome(capsys, OFFICIAL.username, "--data", str(tmp_path))
    by_setting = await outcome(capsys, OFFICIAL.username, state=tmp_path)
    assert [by_data[0], by_setting[0]] == [0, 0]
    assert by_data[1].count(".") == by_setting[1].count(".") == 2


async def test_what_goes_wrong_is_said_on_stderr_with_what_to_do(
    url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    for words, expected in (
        (["nobody", "--url", url], "no demo account 'nobody' in gov or ent"),
        ([MANAGER.username, "--realm", "gov", "--url", url], "in gov:"),
        (["x", "--url", "http://127.0.0.1:1"], "does not answer"),
        (["x", "--url", "nonsense"], "does not answer"),
        (["x", "--data", str(tmp_path)], "./anlan up"),
        (["x", "--data", str(broken)], "cannot be read"),
    ):
        code, out, err = await outcome(capsys, *words)
        assert (code, out) == (1, "")
        assert expected in err
        assert "Traceback" not in err
