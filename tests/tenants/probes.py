"""Probes: what a login can do to a table at the level of SQL, whatever the product's code would let it.

They run as the login inside one transaction of a superuser that rolls back, so that a probe leaves
nothing, also under a policy that has just been broken.
"""

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import Table

from infra.db.base import Base
from tenants.access import access_of
from tests.conftest import Clone
from tests.expectations import TABLES as RULES
from tests.oracle import NAMES, Oracle, identity
from tests.world import Actor, World

DENIED = "permission denied"
REFUSED = "row-level security"
PASSED = "passed"
TABLES: Mapping[str, Table] = {table.name: table for table in Base.metadata.sorted_tables}


@asynccontextmanager
async def acting(clone: Clone, login: str, claims: Mapping[str, str]) -> AsyncIterator[Any]:
    """Be a login with claims for the length of a savepoint or transaction that rolls back."""
    transaction = clone.admin.transaction()
    await transaction.start()
    try:
        await clone.admin.execute(f"SET LOCAL SESSION AUTHORIZATION {clone.prefix}_{login}")
        for name, value in claims.items():
            await clone.admin.execute("SELECT set_config($1, $2, true)", name, value)
        yield clone.admin
    finally:
        await transaction.rollback()


def key_of(table: str) -> str:
    """Return the column that identifies rows of a table."""
    return next(name for name in NAMES if name in TABLES[table].columns)


async def seen(clone: Clone, login: str, claims: Mapping[str, str], table: str) -> set[str] | str:
    """Return the rows that a login sees, or that it may not read the table at all."""
    async with acting(clone, login, claims) as connection:
        try:
            rows = await connection.fetch(f"SELECT {key_of(table)} AS id FROM app.{table}")
        except asyncpg.InsufficientPrivilegeError as fault:
            return _said(fault)
    return {str(row["id"]) for row in rows}


async def changed(clone: Clone, login: str, claims: Mapping[str, str], table: str, column: str) -> set[str] | str:
    """Return the rows that an UPDATE without a condition reaches, or why it failed."""
    async with acting(clone, login, claims) as connection:
        try:
            rows = await connection.fetch(f"UPDATE app.{table} SET {column} = {column} RETURNING {key_of(table)} AS id")
        except asyncpg.PostgresError as fault:
            return _said(fault)
    return {str(row["id"]) for row in rows}


async def added(clone: Clone, login: str, claims: Mapping[str, str], table: str, row: Mapping[str, Any]) -> str:
    """Return what becomes of an INSERT of this row: refused by a policy, denied, or past the policies."""
    names = ", ".join(f'"{name}"' for name in row)
    async with acting(clone, login, claims) as connection:
        try:
            await connection.execute(
                f"INSERT INTO app.{table} ({names}) SELECT {names} FROM jsonb_populate_record(NULL::app.{table}, $1)",
                json.dumps(dict(row), default=str),
            )
        except asyncpg.PostgresError as fault:
            return _said(fault)
    return PASSED


def _said(fault: asyncpg.PostgresError) -> str:
    """A policy refused, a grant is lacking, or some later check of the product's tables objected."""
    text = str(fault)
    return REFUSED if REFUSED in text else DENIED if DENIED in text else f"{PASSED}, then {type(fault).__name__}"


def insertable(world: World, actor: Actor, table: str, owner: str) -> dict[str, Any] | None:
    """Return a row like those that a tenant owns, in the columns that the actor's login may name."""
    columns = access_of(TABLES[table]).insert.get(world.login(actor), ())
    if "owner_key" not in columns:
        return None
    like = next((row for row in world.tables[table] if row["owner_key"] == world.keys[owner]), None)
    if like is None:
        return None
    row = {name: _plain(value) for name, value in like.items() if name in columns and value is not None}
    return {**row, key_of(table): str(uuid.uuid4())}


def _plain(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def expected_insert(oracle: Oracle, table: str, actor: Actor, row: Mapping[str, Any]) -> bool:
    """Whether the policies let the row in: only a row that its writer would see."""
    world, rule = oracle.world, RULES[table]
    key = world.keys[str(actor.tenant)]
    full = {"site_id": None, "park_id": None, "state": None, "agencies_only": False, **row, "author_key": key}
    if world.login(actor) == "assigned":
        return bool(full["owner_key"] == key)
    return key in oracle.audience(rule, full)


__all__ = ["DENIED", "PASSED", "REFUSED", "TABLES", "acting", "added", "changed", "identity", "insertable", "seen"]
