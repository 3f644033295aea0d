"""Verbs of the command line, one module each: ``add_arguments(parser)`` and ``run(args, settings) -> int``."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from infra.settings import SettingsError, load

VERBS = {
    "up": "start everything on embedded parts, seeded, and keep it running",
    "test": "run the tests; `full` adds the longer ones",
    "check": "run every gate: lint, types, import contracts, schema, spelling, dependencies",
    "fix": "format, and mend what a tool can mend",
    "schema": "write graphql/schema.graphql from the slices, or --check it",
    "migrate": "make roles and database, and migrate; --new writes a migration",
    "seed": "fill the database with the division tree, code tables and demo enterprises",
    "new-slice": "write a slice that passes every gate as it stands",
    "token": "print an access token of a demo account",
    "demo": "play a story through the public API",
    "matrix": "print the isolation matrix",
    "bench": "measure, and print ratios and times",
    "serve": "the web process",
    "worker": "the process that runs jobs",
    "relay": "the process that numbers events and sends jobs",
}
"""Each verb and what it does; its module is ``app.cli.<verb>``."""


def main(arguments: Sequence[str]) -> int:
    """Run a verb; only its own module is imported.

    Args:
        arguments: the command line without the program.

    Returns:
        The exit code: 0 done, 1 not done, 2 a wrong command line.
    """
    parser = argparse.ArgumentParser(
        prog="anlan",
        description="Anlan 安澜: work-safety supervision for every tier.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {verb:<10} {text}" for verb, text in VERBS.items()),
    )
    parser.add_argument("verb", choices=list(VERBS), metavar="VERB", help="one of those below; each has --help")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments[:1] or ["--help"])
    module = import_module(f"app.cli.{chosen.verb.replace('-', '_')}")
    verb_parser = argparse.ArgumentParser(prog=f"anlan {chosen.verb}", description=VERBS[chosen.verb])
    module.add_arguments(verb_parser)
    rest = list(arguments[1:])
    if getattr(module, "PASSES_ON", False) and rest[:1] not in (["-h"], ["--help"]):
        rest.insert(0, "--")  # else argparse takes the first option for the verb's own
    args = verb_parser.parse_args(rest)
    try:
        settings = load()
    except SettingsError as fault:
        print(f"anlan: {fault}", file=sys.stderr)
        return 2
    return int(module.run(args, settings))
