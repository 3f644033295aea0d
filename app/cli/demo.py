"""``demo STORY``: drive a story through the public API as the people in it, and print each step with its latency."""

import argparse
import asyncio
import json
import sys
from importlib import import_module
from pathlib import Path

from app.cli.stories import Story, StoryError
from app.cli.token import TokenError, find_instance
from infra.settings import Settings

STORIES = ("onboarding",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("story", choices=STORIES)
    parser.add_argument("--url", help="address of the running instance; default: the one of --data or ANLAN_STATE")
    parser.add_argument("--data", type=Path, help="state folder of the running instance")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    parser.add_argument("--seed", type=int, help="choose counties and names by this number; random when omitted")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run a story; 0 when every step held, 1 when one did not."""
    try:
        url = (args.url or find_instance(args.data or settings.state)).rstrip("/")
    except TokenError as fault:
        print(f"anlan demo: {fault}", file=sys.stderr)
        return 1
    story = asyncio.run(play(args.story, url, seed=args.seed, quiet=args.json))
    if args.json:
        print(json.dumps(story.report(), ensure_ascii=False))
    return 0 if story.ok else 1


async def play(name: str, url: str, *, seed: int | None = None, quiet: bool = False) -> Story:
    """Play a story against an instance.

    Args:
        name: one of ``STORIES``.
        url: address of the instance.
        seed: chooses counties and names; random when None.
        quiet: print nothing while it runs.
    """
    story = Story(name, url, seed=seed, quiet=quiet)
    async with story:
        try:
            await import_module(f"app.cli.stories.{name}").tell(story)
        except StoryError as fault:
            story.fail(str(fault))
    return story
