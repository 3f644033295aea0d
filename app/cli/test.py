"""``test``: run the tests."""

import argparse
import subprocess
import sys
from pathlib import Path

from infra.settings import Settings, child_environment

ROOT = Path(__file__).resolve().parents[2]
PASSES_ON = True
"""Options are pytest's."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.usage = "anlan test [-h] [full] [SELECTION ...]"
    parser.add_argument(
        "selection",
        nargs="...",
        metavar="SELECTION",
        help="`full` for the longer tests as well; paths and options of pytest; nothing: what a developer runs",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run pytest; its exit code is the verb's."""
    selection: list[str] = list(args.selection)
    if selection[:1] == ["--"]:
        selection = selection[1:]
    full = selection[:1] == ["full"]
    if full:
        selection = selection[1:]
    options = [] if selection else ["-n", "2", "--dist", "loadgroup"]
    if not full and not any("::" in part for part in selection):  # a test that is named runs, whatever its mark
        options += ["-m", "not full"]
    command = [sys.executable, "-m", "pytest", *options, *selection]
    environment = {**child_environment(settings), "ANLAN_ENV": "test"}
    return subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode  # noqa: S603 - our own tests
