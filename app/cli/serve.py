"""``serve``: the web process."""

import argparse

from infra.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    del parser


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Serve until SIGTERM; running requests are finished."""
    del args
    import uvicorn  # noqa: PLC0415 - other verbs do not need it

    settings.require_production_parts()
    uvicorn.run(
        "app.asgi:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=15,
    )
    return 0
