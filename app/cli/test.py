"""``test``: run the tests."""

import argparse
import subprocess
import sys
from pathlib import Path

from infra.settings import Settings, child_environment

ROOT = Path(__file__).resolve().parents[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "selection",
        nargs=argparse.REMAINDER,
        help="`full` for everything, or anything that pytest takes; nothing: what a developer runs",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run pytest; its exit code is the verb's."""
    selection: list[str] = list(args.selection)
    if selection[:1] == ["full"]:
        options, selection = ["-n", "2", "--dist", "loadgroup"], selection[1:]
    elif selection:
        options = []
    else:
        options = ["-n", "2", "--dist", "loadgroup", "-m", "not full"]
    command = [sys.executable, "-m", "pytest", *options, *selection]
    environment = {**child_environment(settings), "ANLAN_ENV": "test"}
    return subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode  # noqa: S603 - our own tests
