"""Finds the contract, ``graphql/``: packaged in a wheel, the checkout's folder otherwise."""

from functools import cache
from importlib.resources import files
from pathlib import Path


@cache
def contract_folder() -> Path:
    """Return the folder that holds ``schema.graphql``, ``limits.toml`` and ``operations/``."""
    package = Path(str(files("app")))
    packaged = package / "_graphql"
    return packaged if packaged.is_dir() else package.parent / "graphql"
