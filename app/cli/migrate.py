"""``migrate``: the role step, the database, and every migration; safe to run again at any time."""

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from infra.db.port import DbAddress
from infra.secrets import Secrets
from infra.settings import Settings
from infra.wiring import db_address, db_passwords, start_database
from tenants.roles_step import MIGRATOR, all_logins, cluster_statements, database_statements

VERSIONS = Path(__file__).resolve().parent.parent / "migrations" / "versions"
ROLE_LOCK = 7_146_001
"""Advisory lock: two installations on one cluster take the role step one after the other."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--print-roles", action="store_true", help="print the role step's SQL for a DBA, and stop")
    parser.add_argument(
        "--new", metavar="SLUG", type=_slug, help="write a migration from the difference of models and database"
    )
    parser.add_argument(
        "--throw-away", action="store_true", help="on a server of its own, made for this call: for --new and --check"
    )
    parser.add_argument("--rev", type=_revision, help="id of the new migration, four digits")
    parser.add_argument(
        "--check",
        action="store_true",
        help="fail when the database differs from what the models declare: tables, policies, grants, functions, roles",
    )


def _slug(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{1,40}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no slug; expected small letters such as add-permits")
    return text.replace("-", "_")


def _revision(text: str) -> str:
    if not re.fullmatch(r"[0-9]{4}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no revision; expected four digits")
    return text


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the verb."""
    try:
        return _run(args, settings)
    except OSError as fault:
        where = "of ANLAN_DB_URL" if settings.db_url else f"of the state folder {settings.state}"
        print(
            f"anlan migrate: the server {where} does not answer ({fault.strerror or fault}); "
            "start it, or take one of its own with --throw-away",
            file=sys.stderr,
        )
        return 1


def _run(args: argparse.Namespace, settings: Settings) -> int:
    if args.print_roles:
        blanks = dict.fromkeys(all_logins(), "CHANGE-ME")
        statements = cluster_statements(settings.prefix, blanks)
        print(";\n".join([*statements, *database_statements(settings.prefix, "anlan")]) + ";")
        return 0
    if args.throw_away:
        with throw_away(settings) as own:
            return _migrate(args, own)
    return _migrate(args, settings)


@contextmanager
def throw_away(settings: Settings) -> Iterator[Settings]:
    """Start an embedded server with nothing in it, and remove it afterwards; from the main thread only."""
    with tempfile.TemporaryDirectory(prefix="anlan-") as folder:
        Path(folder).chmod(0o711)
        own = replace(settings, state=Path(folder) / "state", db_url=None)
        server = start_database(own)
        try:
            yield own
        finally:
            server.stop()


def _migrate(args: argparse.Namespace, settings: Settings) -> int:
    address = asyncio.run(prepare(settings))
    if args.new:
        revision = args.rev or f"{len(list(VERSIONS.glob('[0-9]*.py'))) + 1:04}"
        alembic(settings, address, "revision", message=args.new, autogenerate=True, rev_id=revision)
        written = list(VERSIONS.glob(f"{revision}_*.py"))
        for tidy in (("check", "--fix", "-q"), ("format", "-q")):
            subprocess.run([sys.executable, "-m", "ruff", *tidy, *written], check=False)  # noqa: S603 - our own tool
    elif args.check:
        return asyncio.run(check(settings, address))
    return 0


async def check(settings: Settings, address: DbAddress) -> int:
    """Compare a migrated database with the models, and print each difference on a line of its own.

    Args:
        settings: the installation, for the admin's login and the roles' prefix.
        address: the migrated database.

    Returns:
        0 when there is none; 1 otherwise.
    """
    from alembic.util import CommandError  # noqa: PLC0415 - see :func:`alembic`

    from app.registry import load_models  # noqa: PLC0415 - loads every slice
    from infra.db.base import Base  # noqa: PLC0415 - only here
    from tenants import gate  # noqa: PLC0415 - only here

    load_models()
    found = [f"migrations: {line}" for line in gate.migrations(VERSIONS)]
    try:
        await asyncio.to_thread(alembic, settings, address, "check")
    except CommandError as difference:
        found.append(f"tables: {difference}")
    connection = await _admin(settings, address.database)
    try:
        found += await gate.violations(connection, Base.metadata, settings.prefix)
    finally:
        await connection.close()
    for line in found:
        print(f"✗ {line}", file=sys.stderr)
    if not found:
        print("✓ tables, policies, grants, functions, triggers and roles are as declared")
    return 1 if found else 0


async def prepare(settings: Settings, database: str | None = None) -> DbAddress:
    """Make roles and database, then migrate to the newest version.

    Args:
        settings: where the server is.
        database: name of the database; the setting's when omitted.

    Returns:
        The address of the migrated database.
    """
    address, admin = db_address(settings), await _admin(settings)
    if database:
        address = DbAddress(address.host, address.port, database, tls=address.tls)
    try:
        await admin.execute("SELECT pg_advisory_lock($1)", ROLE_LOCK)
        for statement in cluster_statements(settings.prefix, db_passwords(settings)):
            await admin.execute(statement)
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", address.database):
            await admin.execute(f"CREATE DATABASE \"{address.database}\" TEMPLATE template0 ENCODING 'UTF8'")
    finally:
        await admin.close()
    inside = await _admin(settings, address.database)
    try:
        for statement in database_statements(settings.prefix, address.database):
            await inside.execute(statement)
    finally:
        await inside.close()
    await asyncio.to_thread(alembic, settings, address, "upgrade", revision="head")
    return address


def alembic(settings: Settings, address: DbAddress, command: str, **options: Any) -> None:
    """Run an alembic command as the migrator; see ``app/migrations/env.py``."""
    from alembic import command as commands  # noqa: PLC0415 - 3 s to import, only migrations need it
    from alembic.config import Config  # noqa: PLC0415

    root = Path(__file__).resolve().parent.parent
    config = Config()
    config.set_main_option("script_location", str(root / "migrations").replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")

    async def connect() -> Any:
        return await asyncpg.connect(
            host=address.host,
            port=address.port,
            database=address.database,
            user=f"{settings.prefix}_{MIGRATOR}",
            password=db_passwords(settings)[MIGRATOR],
            ssl="require" if address.tls else False,
        )

    config.attributes["engine"] = create_async_engine(
        URL.create("postgresql+asyncpg"), async_creator=connect, poolclass=NullPool
    )
    config.attributes["prefix"] = settings.prefix
    getattr(commands, command)(config, **options)


async def _admin(settings: Settings, database: str | None = None) -> Any:
    """Connect as the login that may create roles."""
    if settings.db_url:
        return await asyncpg.connect(settings.db_url, **({"database": database} if database else {}))
    address = db_address(settings)
    return await asyncpg.connect(
        host=address.host,
        port=address.port,
        database=database or "postgres",
        user="anlan_boot",
        password=Secrets(settings.state).get("db_boot"),
        ssl=False,
    )
