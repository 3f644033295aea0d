"""``bench NAME``: the only place where time is measured; every result says on which machine.

Times are of this machine and this moment; ratios compare things of one interleaved run.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.settings import Settings

Result = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("name", choices=sorted(BENCHES), help="what to measure")
    parser.add_argument("--rounds", type=int, default=3, help="how often (3)")
    parser.add_argument("--size", choices=("s", "m"), default="s", help="of the demo data (s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run a bench and print it."""
    del settings
    operations = BENCHES[args.name](args.rounds, args.size)
    result = {"machine": machine(), "rounds": args.rounds, "operations": operations}
    if args.json:
        print(json.dumps(result, ensure_ascii=False))
        return 0
    print(f"{args.name}: {args.rounds} rounds, size {args.size.upper()}, on {result['machine']}")
    for name, values in operations.items():
        print(f"  {name}: " + ", ".join(f"{key} {value}" for key, value in values.items()))
    return 0


def machine() -> str:
    """Describe this machine: cores, memory, system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}"


def _spread(values: list[float], unit: str) -> Result:
    return {f"median_{unit}": round(statistics.median(values), 2), "all": [round(value, 2) for value in values]}


def start(rounds: int, size: str) -> Result:
    """Cold start (empty state folder, dependencies installed) and warm start, to ready."""
    from app.cli.instance import running  # noqa: PLC0415 - only this bench starts instances

    cold, warm = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="anlan-") as folder:
            with running(Path(folder), size=size) as instance:
                cold.append(instance.seconds)
            with running(Path(folder), size=size) as instance:
                warm.append(instance.seconds)
    return {"cold start": _spread(cold, "s"), "warm start": _spread(warm, "s")}


def memory(rounds: int, size: str) -> Result:
    """Proportional memory of the whole stack: at rest after a start, and after ``demo onboarding``."""
    import asyncio  # noqa: PLC0415

    from app.cli.demo import play  # noqa: PLC0415
    from app.cli.instance import running  # noqa: PLC0415

    rest, after = [], []
    for _ in range(rounds):
        with running(size=size) as instance:
            rest.append(instance.memory_mb())
            story = asyncio.run(play("onboarding", instance.url, quiet=True))
            if not story.ok:
                raise SystemExit(f"the story failed: {story.report()}")
            after.append(instance.memory_mb())
    return {"at rest": _spread(rest, "MiB"), "after demo": _spread(after, "MiB")}


def approval(rounds: int, size: str) -> Result:
    """From the county's approval to the first answer for the new tenant's first user."""
    import asyncio  # noqa: PLC0415

    from app.cli.demo import play  # noqa: PLC0415
    from app.cli.instance import running  # noqa: PLC0415
    from app.cli.stories.onboarding import TENANT_WORKS  # noqa: PLC0415

    took: list[float] = []
    with running(size=size) as instance:
        for _ in range(rounds):
            story = asyncio.run(play("onboarding", instance.url, quiet=True))
            if not story.ok:
                raise SystemExit(f"the story failed: {story.report()}")
            took += [step["ms"] / 1000 for step in story.steps if step["name"] == TENANT_WORKS]
    return {"approval to working tenant": _spread(took, "s")}


def seed(rounds: int, size: str) -> Result:
    """Rows a second of the enterprise seeds against bare COPY into equal tables, in the same run."""
    import asyncio  # noqa: PLC0415

    from app.cli.benches.seeding import measure  # noqa: PLC0415

    return asyncio.run(measure(rounds, size))


def imports(rounds: int, size: str) -> Result:
    """Rows a second of an import by Excel: dry run, writing; and of the export of the same rows."""
    import asyncio  # noqa: PLC0415

    from app.cli.benches.importing import measure  # noqa: PLC0415

    return asyncio.run(measure(rounds, size))


BENCHES: dict[str, Callable[[int, str], Result]] = {
    "start": start,
    "memory": memory,
    "approval": approval,
    "seed": seed,
    "import": imports,
}
"""Name to bench."""
