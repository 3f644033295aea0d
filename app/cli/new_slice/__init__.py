"""``new-slice NAME``: write a slice that passes every gate as it stands.

It writes the folder below ``app/modules``, its tests, factory, messages and expectations, adds the
line to ``app/registry.py``, then makes the two generated files: the schema and the migration.
"""

import argparse
import keyword
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from string import Template

from infra.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
_FILES = {
    "init": "app/modules/{name}/__init__.py",
    "module": "app/modules/{name}/module.py",
    "errors": "app/modules/{name}/errors.py",
    "models": "app/modules/{name}/models.py",
    "policies": "app/modules/{name}/policies.py",
    "service": "app/modules/{name}/service.py",
    "public": "app/modules/{name}/public.py",
    "api": "app/modules/{name}/api.py",
    "messages.zh-CN": "app/kit/messages/{name}.zh-CN.json",
    "messages.en": "app/kit/messages/{name}.en.json",
    "factory": "tests/factories/{name}.py",
    "test_init": "tests/modules/{name}/__init__.py",
    "test_service": "tests/modules/{name}/test_service.py",
    "expectations": "tests/modules/{name}/expectations.py",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("name", help="folder of the slice, plural, lower case: permits")
    parser.add_argument("--noun", help="singular of NAME; NAME without its last letter s when omitted")
    parser.add_argument("--title", help="name for people, Chinese first; the noun when omitted")
    parser.add_argument("--no-generate", action="store_true", help="write the files only, no schema and no migration")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the verb."""
    del settings
    noun = args.noun or args.name.removesuffix("s")
    words = re.fullmatch(r"[a-z][a-z0-9_]{2,30}", args.name) and re.fullmatch(r"[a-z][a-z0-9_]{1,30}", noun)
    if not words or noun == args.name or keyword.iskeyword(args.name) or keyword.iskeyword(noun):
        print(
            f"anlan new-slice: {args.name!r} must be a plural in lower case with another singular: "
            "permits, or `--noun`; neither may be a word of Python",
            file=sys.stderr,
        )
        return 2
    if (ROOT / "app" / "modules" / args.name).exists():
        print(f"anlan new-slice: app/modules/{args.name} is there already; choose another name", file=sys.stderr)
        return 2
    registry = (ROOT / "app" / "registry.py").read_text(encoding="utf-8")
    write(args.name, noun, args.title or noun)
    for command in () if args.no_generate else (("schema",), ("migrate", "--throw-away", "--new", args.name)):
        done = subprocess.run([sys.executable, "-m", "app", *command], check=False)  # noqa: S603 - our own verbs
        if done.returncode != 0:
            _remove(args.name, registry)
            print(f"anlan new-slice: `{' '.join(command)}` failed; nothing of {args.name} is left", file=sys.stderr)
            return 1
    print(f"app/modules/{args.name} is there. Next: its fields in models.py, its words in api.py, then ./anlan test")
    return 0


def write(name: str, noun: str, title: str) -> None:
    """Write the files of a slice and register it.

    Args:
        name: folder, plural.
        noun: singular, lower case with underscores.
        title: for people.
    """
    pascal = "".join(part.title() for part in noun.split("_"))
    values = {
        "name": name,
        "names": _camel(name),
        "noun": noun,
        "one": _camel(noun),
        "Noun": pascal,
        "NOUN": noun.upper(),
        "title": title,
    }
    templates = files("app.cli.new_slice")
    for template, target in _FILES.items():
        path = ROOT / target.format(name=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (templates / f"{template}.txt").read_text(encoding="utf-8")
        path.write_text(Template(text).substitute(values), encoding="utf-8")
    registry = ROOT / "app" / "registry.py"
    text = registry.read_text(encoding="utf-8")
    registry.write_text(re.sub(r"(?ms)^(SLICES = \(.*?)^\)$", rf'\1    "{name}",\n)', text), encoding="utf-8")


def _remove(name: str, registry: str) -> None:
    """Take back what :func:`write` wrote, and what was generated from it."""
    for target in _FILES.values():
        (ROOT / target.format(name=name)).unlink(missing_ok=True)
    for folder in ("app", "tests"):
        shutil.rmtree(ROOT / folder / "modules" / name, ignore_errors=True)
    (ROOT / "app" / "registry.py").write_text(registry, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "app", "schema"], check=False)


def _camel(name: str) -> str:
    """Return a name as GraphQL writes it."""
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)
