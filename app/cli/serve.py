"""``serve``: the web process."""

import argparse
import contextlib
import socket

from infra.observability.logs import setup
from infra.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--fd", type=int, help="an inherited listening socket, instead of ANLAN_HOST and ANLAN_PORT")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Serve until SIGTERM; running requests are finished."""
    import uvicorn  # noqa: PLC0415 - other verbs do not need it

    settings.require_production_parts()
    setup("web", settings.log_level)
    config = uvicorn.Config(
        "app.asgi:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=15,
    )
    server = uvicorn.Server(config)
    with contextlib.suppress(KeyboardInterrupt):  # raised again by uvicorn when it has stopped
        server.run(None if args.fd is None else [socket.socket(fileno=args.fd)])
    return 0 if server.started else 1
