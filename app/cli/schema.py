"""``./anlan schema``: write the contract's generated files, or check that they are up to date."""

import argparse
import json
import sys

from graphql import GraphQLSyntaxError, build_schema, parse, validate

from app.api.contract import contract_folder
from app.api.trusted import load_documents, manifest
from app.asgi import load_api
from infra.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")


def generated() -> dict[str, str]:
    """Return the generated files of ``graphql/``: name to text."""
    documents = json.dumps(manifest(load_documents()), ensure_ascii=False, indent=1, sort_keys=True)
    return {"schema.graphql": load_api().sdl(), "documents.json": documents + "\n"}


def faults() -> list[str]:
    """Return what the schema says against the trusted operations, one line each; empty when all are valid."""
    schema = build_schema(load_api().sdl())
    found = []
    for document in load_documents().values():
        try:
            errors = validate(schema, parse(document.text))
        except GraphQLSyntaxError as fault:
            errors = [fault]
        found += [f"graphql/operations/{document.path}: {error.message}" for error in errors]
    return found


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the verb; 1 when ``--check`` finds a difference, or a trusted operation is not valid."""
    del settings
    wrong = faults()
    if wrong:
        print("\n".join(f"anlan schema: {line}" for line in wrong), file=sys.stderr)
        return 1
    folder = contract_folder()
    stale = []
    for name, text in generated().items():
        path = folder / name
        current = path.read_text(encoding="utf-8") if path.exists() else None
        if current == text:
            continue
        stale.append(f"graphql/{name}")
        if not args.check:
            path.write_text(text, encoding="utf-8")
    if args.check and stale:
        print(f"anlan schema: {', '.join(stale)} out of date: run ./anlan schema and commit", file=sys.stderr)
        return 1
    print(f"anlan schema: {', '.join(stale) + ' written' if stale else 'up to date'}")
    return 0
