"""``check``: every gate that does not need a running database."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from infra.settings import Settings, child_environment

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ("app", "tenants", "infra", "tests")
GATES: dict[str, tuple[str, ...]] = {
    "lint": ("-m", "ruff", "check", "."),
    "format": ("-m", "ruff", "format", "--check", "."),
    "types": ("-m", "mypy"),
    "import contracts": ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
    "schema": ("-m", "app", "schema", "--check"),
    "spelling": ("-m", "codespell_lib", "app", "graphql", "tenants", "infra", "tests", "README.md", "CONTRIBUTING.md"),
    "dependencies": ("-m", "deptry", "."),
}
"""Gate to the arguments of the interpreter."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("gate", nargs="*", choices=[[], *GATES], help="only these gates")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the gates; 1 when one is red."""
    environment = child_environment(settings)
    red = []
    for gate in args.gate or GATES:
        begin = time.perf_counter()
        answer = subprocess.run(  # noqa: S603 - our own tools
            [sys.executable, *GATES[gate]], check=False, cwd=ROOT, env=environment, capture_output=True, text=True
        )
        ok = answer.returncode == 0
        print(f"{'✓' if ok else '✗'} {gate} ({time.perf_counter() - begin:.1f} s)", flush=True)
        if not ok:
            red.append(gate)
            print((answer.stdout + answer.stderr).strip()[-8000:], flush=True)
    print("all gates are green" if not red else f"red: {', '.join(red)}", flush=True)
    return 1 if red else 0
