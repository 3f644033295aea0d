"""``relay``: the process that numbers events and sends jobs."""

import argparse

from infra.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    del parser


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Relay until SIGTERM."""
    del args
    settings.require_production_parts()
    from app.relay import main  # noqa: PLC0415 - other verbs do not need it

    main(settings)
    return 0
