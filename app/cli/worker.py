"""``worker``: the process that runs jobs."""

import argparse

from infra.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--processes", type=int, default=2, help="worker processes (2)")
    parser.add_argument("--threads", type=int, default=8, help="jobs at a time in each (8)")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Become the worker's master; never returns."""
    settings.require_production_parts()
    from app.worker import main  # noqa: PLC0415 - other verbs do not need it

    main(args.processes, args.threads)
