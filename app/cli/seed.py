"""``seed``: fill an empty database with the real division tree, code tables and demo enterprises."""

import argparse
import asyncio
import json
import time

from app.modules.members.public import demo_accounts
from app.registry import slice_parts
from infra.settings import Settings
from infra.wiring import open_database

SIZES = ("s", "m")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--size", choices=SIZES, default="s", help="how many demo enterprises: s 500, m 20,000")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the verb."""
    asyncio.run(seed(settings, args.size))
    settings.state.mkdir(parents=True, exist_ok=True)
    accounts = json.dumps(demo_accounts(), ensure_ascii=False)
    (settings.state / "accounts.json").write_text(accounts, encoding="utf-8")
    return 0


async def seed(settings: Settings, size: str, database: str | None = None) -> list[str]:
    """Seed every slice in the order of the registry; running it again changes nothing.

    Args:
        settings: where the database is.
        size: ``s`` or ``m``; about enterprises, the division tree is always whole (decision 43).
        database: name of the database; the setting's when omitted.

    Returns:
        The lines that were printed.
    """
    db = open_database(settings, database)
    lines: list[str] = []
    try:
        for part in slice_parts("module"):
            if part.MODULE.seed is None:
                continue
            begin = time.perf_counter()
            for line in await part.MODULE.seed(db, settings, size):
                text = f"{part.MODULE.name}: {line}"
                lines.append(text)
                print(f"  {text}", flush=True)
            print(f"  {part.MODULE.name}: {time.perf_counter() - begin:.1f} s", flush=True)
    finally:
        await db.close()
    return lines
