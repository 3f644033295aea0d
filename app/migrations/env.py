"""Alembic environment: runs as the migrator, creates as the owner, writes security beside each table."""

import asyncio
import re

from alembic import context
from alembic.operations import ops
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from app.registry import load_models
from infra.db.base import SCHEMA, Base
from infra.identity.embedded_schema import DROP as DROP_ISSUER
from infra.identity.embedded_schema import statements as issuer_statements
from tenants.isolation import PREFIX, ddl
from tenants.kinds import LOGINS

load_models()
target_metadata = Base.metadata
_FUNCTION = re.compile(r"CREATE FUNCTION ([\w.]+\([^)]*\))")
_TIED_POLICY = re.compile(r"CREATE POLICY (by_\w+) ON (\S+)")
_ROLE = re.compile(rf"\b{PREFIX}_({'|'.join((*LOGINS, 'owner', 'definer', 'migrator'))})\b")


def _include(obj: object, name: str | None, kind: str, reflected: object, compare_to: object) -> bool:
    del obj, reflected, compare_to
    return not (kind == "table" and name == "alembic_version")


def _secure(_context: object, revision: object, directives: list[ops.MigrationScript]) -> None:
    """Write the policies, grants and triggers of each new table into the migration, as plain text."""
    for script in directives:
        upgrade, downgrade = script.upgrade_ops, script.downgrade_ops
        assert upgrade is not None  # noqa: S101 - alembic always sets both here
        assert downgrade is not None  # noqa: S101
        created = [op for op in upgrade.ops if isinstance(op, ops.CreateTableOp)]
        for op in created:
            table = target_metadata.tables[f"{SCHEMA}.{op.table_name}"]
            op.info = {}
            statements = ddl(table)
            upgrade.ops.extend(ops.ExecuteSQLOp(statement) for statement in statements)
            tied = [found for found in map(_TIED_POLICY.match, statements) if found]
            downgrade.ops[:0] = [ops.ExecuteSQLOp(f"DROP POLICY {found[1]} ON {found[2]}") for found in tied]
            made = [found[1] for found in map(_FUNCTION.match, statements) if found]
            downgrade.ops.extend(ops.ExecuteSQLOp(f"DROP FUNCTION {function}") for function in made)
        if not revision:  # the first migration also makes the embedded issuer's own schema
            upgrade.ops.extend(ops.ExecuteSQLOp(statement) for statement in issuer_statements(PREFIX))
            downgrade.ops.append(ops.ExecuteSQLOp(DROP_ISSUER))


def _run(connection: object) -> None:
    context.configure(
        connection=connection,  # type: ignore[arg-type]
        target_metadata=target_metadata,
        include_schemas=True,
        include_name=lambda name, kind, _parents: name == SCHEMA if kind == "schema" else True,
        include_object=_include,
        version_table_schema=SCHEMA,
        process_revision_directives=_secure,
        compare_server_default=False,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _online() -> None:
    engine: AsyncEngine = context.config.attributes["engine"]
    prefix: str = context.config.attributes["prefix"]

    @event.listens_for(engine.sync_engine, "before_cursor_execute", retval=True)
    def _own_prefix(*call: object) -> tuple[object, object]:
        statement, parameters = str(call[2]), call[3]
        return (statement if prefix == PREFIX else _ROLE.sub(rf"{prefix}_\1", statement)), parameters

    async with engine.connect() as connection:
        await connection.exec_driver_sql(f"SET ROLE {prefix}_owner")
        await connection.exec_driver_sql("SET lock_timeout = '4s'")
        await connection.commit()
        await connection.run_sync(_run)
        await connection.commit()


if not context.is_offline_mode():
    asyncio.run(_online())
