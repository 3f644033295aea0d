"""``matrix``: the isolation matrix: who reads what, in which relation, on which path, and whether every cell holds.

Without ``--data`` or ``--url`` the whole matrix runs over a throw-away world: the test that generates
it from the schema, whose report is printed. A running instance has no oracle; there the ways to a row
must agree for the demo accounts (:mod:`app.cli.live_matrix`).
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.cli.live_matrix import LiveMatrixError, check
from app.cli.token import TokenError, find_instance
from infra.settings import Settings, child_environment

ROOT = Path(__file__).resolve().parents[2]
TEST = "tests/api/test_matrix.py::test_matrix"
REPORT = "ANLAN_MATRIX_REPORT"
_SHAPE = ("cells", "tested", "empty", "failed", "byKind")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--url", help="check a running instance at this address, with its demo accounts")
    parser.add_argument("--data", type=Path, help="check the running instance of this state folder")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print the matrix; 0 when every cell holds and none is empty, 1 otherwise.

    On a running instance a type of which it has no row is shown as empty, and is no fault.
    """
    live = bool(args.url or args.data)
    try:
        report = _live(args, settings) if live else _throw_away(settings)
    except (LiveMatrixError, TokenError) as fault:
        print(f"anlan matrix: {fault}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps({word: report[word] for word in _SHAPE}, ensure_ascii=False))
    else:
        print("\n".join(table(report)))
    return 0 if report["tested"] and not report["failures"] and (live or not report["empty"]) else 1


def _throw_away(settings: Settings) -> dict[str, Any]:
    """Run the test of the matrix and return its report.

    Raises:
        LiveMatrixError: it wrote none.
    """
    with tempfile.TemporaryDirectory(prefix="anlan-matrix-") as folder:
        path = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", TEST]
        environment = {**child_environment(settings), "ANLAN_ENV": "test", REPORT: str(path)}
        done = subprocess.run(  # noqa: S603 - our own tests
            command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True
        )
        if not path.exists():
            raise LiveMatrixError(f"the matrix did not run; its last lines:\n{(done.stdout + done.stderr)[-2000:]}")
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return report


def _live(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    state = args.data or settings.state
    return asyncio.run(check((args.url or find_instance(state)).rstrip("/"), state))


def table(report: Mapping[str, Any]) -> list[str]:
    """Return the report as lines for people: by kind of actor and type."""
    lines: list[str] = []
    for kind, entry in report["byKind"].items():
        lines.append(f"{kind}: {entry['cells']} cells, {entry['empty']} empty, {entry['failed']} failed")
        for name, one in entry["types"].items():
            mark = "FAILED" if one["failed"] else "EMPTY" if one["empty"] else "holds"
            lines.append(f"  {name:<18} {one['tested']:>6}  {mark:<6}  reads: {', '.join(one['reads']) or 'nothing'}")
    lines += [f"empty: {hole}" for hole in report["holes"]]
    lines += [f"failed: {failure}" for failure in report["failures"]]
    words = ("cells", "tested", "empty", "failed")
    return [*lines, ", ".join(f"{report[word]} {word}" for word in words)]
