"""A worker of one message in a process of its own, to be killed: ``python -m tests.modules.sheets.worker``."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from app.kit.job_runner import JobRunner
from app.kit.sheets import files, importing
from app.registry import load_ledgers, load_models, slice_parts
from infra.queue.port import Delivery, RetryLaterError
from infra.settings import load
from infra.wiring import open_database
from tenants.context import Acting
from tenants.kinds import Kind
from tenants.roles import capabilities


async def main(given: dict[str, Any]) -> None:
    """Run the message, again as long as it is another attempt's."""
    importing.WRITE_BATCH = given["batch"]
    settings = load({"ANLAN_ENV": "test", "ANLAN_STATE": given["state"], **given["environ"]})
    files.use(load({"ANLAN_ENV": "test", "ANLAN_STATE": given["files"]}))
    who = {name: UUID(given["acting"][name]) for name in ("membership_id", "person_id", "tenant_id")}
    roles = frozenset(given["acting"]["roles"])
    acting = Acting(
        membership_id=who["membership_id"], person_id=who["person_id"], tenant_id=who["tenant_id"],
        tenant_key=given["acting"]["tenant_key"], tenant_name="", kind=Kind.COUNTY, roles=roles,
        capabilities=capabilities(Kind.COUNTY, roles), actor_name="李", post="",
    )  # fmt: skip

    async def again(*_: Any) -> Acting:
        return acting

    runner = JobRunner(lambda: open_database(settings, given["database"]), again, lease_s=1.0)
    while True:
        try:
            await runner.run(Delivery(given["id"], given["actor"], given["args"], given["context"]))
        except RetryLaterError:
            await asyncio.sleep(0.1)
        else:
            break
    await runner.close()


if __name__ == "__main__":
    load_models()
    load_ledgers()
    slice_parts("jobs")
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
