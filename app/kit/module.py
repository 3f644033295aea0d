"""The record by which a slice registers itself: ``MODULE`` in each ``module.py``."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from infra.db.port import Database
from infra.settings import Settings

Seeder = Callable[[Database, Settings, str], Awaitable[list[str]]]
"""Seeds a slice: (database, settings, size ``s`` or ``m``) to lines that say what was done."""


@dataclass(frozen=True)
class Module:
    """What a slice brings.

    Args:
        name: its folder.
        title: its name for people, Chinese first.
        query: Strawberry type whose fields join the root ``Query``.
        mutation: Strawberry type whose fields join the root ``Mutation``.
        subscription: Strawberry type whose fields join the root ``Subscription``.
        types: further types that the schema must hold.
        seed: fills the slice's demo data; idempotent, run in the order of ``SLICES``.
    """

    name: str
    title: str
    query: type | None = None
    mutation: type | None = None
    subscription: type | None = None
    types: tuple[type, ...] = field(default=())
    seed: Seeder | None = None
