"""``fix``: format, and mend what a tool can mend."""

import argparse
import subprocess
import sys
from pathlib import Path

from infra.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    del parser


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the tools."""
    del args, settings
    for command in (("check", "--fix", "."), ("format", ".")):
        if code := subprocess.run([sys.executable, "-m", "ruff", *command], check=False, cwd=ROOT).returncode:  # noqa: S603
            return code
    return 0
