"""Every way to open a table by accident turns the gate red."""

from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from app.registry import load_models
from infra.db.base import Base
from tenants.access import Access, TableClass
from tenants.gate import _declaration, migrations, violations
from tests.conftest import Clone

load_models()
MIGRATIONS = Path(__file__).resolve().parents[2] / "app" / "migrations"

BREAKS = (
    ("table nobody declares", "CREATE TABLE app.stray (id int)", "table stray: exists, but no model declares it"),
    ("a declared table is gone", "DROP TABLE app.audit_head", "table audit_head: declared, but not in the database"),
    ("row security off", "ALTER TABLE app.tenant DISABLE ROW LEVEL SECURITY", "tenant: row security is off"),
    ("not forced", "ALTER TABLE app.tenant NO FORCE ROW LEVEL SECURITY", "tenant: row security is off or not forced"),
    ("missing policy", "DROP POLICY lv_county ON app.tenant", "tenant: policy lv_county is missing"),
    ("extra policy", "CREATE POLICY more ON app.tenant TO @_county USING (true)", "tenant: policy more is nobody's"),
    ("wider policy", "ALTER POLICY lv_county ON app.tenant USING (true)", "tenant: policy lv_county is"),
    ("wider check", "ALTER POLICY lv_county ON app.tenant WITH CHECK (true)", "tenant: policy lv_county is"),
    ("other role", "ALTER POLICY lv_county ON app.tenant TO @_city", "tenant: policy lv_county is"),
    (
        "unguarded setting",
        "ALTER POLICY lv_county ON app.tenant USING (county_key = current_setting('app.key', true)::int)",
        "tenant: policy lv_county reads a setting without nullif",
    ),
    (
        "LIKE in a policy",
        "CREATE POLICY more ON app.tenant TO @_county USING (name LIKE 'a%')",
        "tenant: policy more contains ~~",
    ),
    (
        "EXISTS in a policy",
        "CREATE POLICY more ON app.tenant TO @_county USING (EXISTS (SELECT FROM app.agency))",
        "tenant: policy more contains EXISTS",
    ),
    (
        "extra table grant",
        "GRANT SELECT ON app.outbox TO @_county",
        "outbox: @_county has SELECT, which nothing declares",
    ),
    (
        "extra column grant",
        "GRANT UPDATE (parent_id) ON app.tenant TO @_county",
        "tenant: @_county has UPDATE (parent_id), which nothing declares",
    ),
    ("lost grant", "REVOKE SELECT ON app.tenant FROM @_county", "tenant: @_county lacks SELECT"),
    (
        "level key to people",
        "GRANT UPDATE (county_key) ON app.tenant TO @_county",
        "tenant: @_county must never have UPDATE (county_key)",
    ),
    ("delete", "GRANT DELETE ON app.event TO @_county", "event: @_county must never have DELETE"),
    ("truncate", "GRANT TRUNCATE ON app.event TO @_city", "event: @_city must never have TRUNCATE"),
    ("references", "GRANT REFERENCES ON app.event TO @_park", "event: @_park must never have REFERENCES"),
    ("trigger", "GRANT TRIGGER ON app.event TO @_public", "event: @_public must never have TRIGGER"),
    ("to all", "GRANT SELECT ON app.event TO PUBLIC", "event: PUBLIC has SELECT, which nothing declares"),
    ("grant option", "GRANT SELECT ON app.event TO @_city WITH GRANT OPTION", "event: @_city may pass on SELECT"),
    ("sequence", "GRANT USAGE ON app.tenant_key_seq TO @_city", "tenant_key_seq: @_city has USAGE"),
    ("view", "CREATE VIEW app.all_tenants AS SELECT * FROM app.tenant", "view all_tenants: not security_invoker"),
    ("materialized", "CREATE MATERIALIZED VIEW app.m AS SELECT * FROM app.tenant", "m: materialized views"),
    (
        "stray function",
        "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "function app.f: nothing declares it",
    ),
    (
        "changed function",
        "CREATE OR REPLACE FUNCTION app.fill_keys_membership() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "function app.fill_keys_membership: its text is not the declared one",
    ),
    (
        "search path",
        "ALTER FUNCTION app.outbox_put(uuid, text, jsonb, jsonb, timestamptz) RESET search_path",
        "function app.outbox_put: its search_path is not pinned",
    ),
    (
        "callable by all",
        "GRANT EXECUTE ON FUNCTION app.fill_keys_tenant() TO PUBLIC",
        "function app.fill_keys_tenant: callers are",
    ),
    (
        "invoker",
        "ALTER FUNCTION app.fill_keys_tenant() SECURITY INVOKER",
        "function app.fill_keys_tenant: not SECURITY",
    ),
    ("trigger off", "ALTER TABLE app.tenant DISABLE TRIGGER fill_keys", "app.tenant: trigger fill_keys is missing"),
    ("trigger gone", "DROP TRIGGER verify_keys ON app.event", "app.event: trigger verify_keys is missing"),
    ("no index", "DROP INDEX app.ix_event_city_key_seq", "event: no index (city_key, seq)"),
    ("superuser", "ALTER ROLE @_county SUPERUSER", "role @_county: superuser or able to make roles"),
    ("bypass", "ALTER ROLE @_county BYPASSRLS", "role @_county: superuser or able to make roles"),
    ("create role", "ALTER ROLE @_sys_seed CREATEROLE", "role @_sys_seed: superuser or able to make roles"),
    ("membership", "GRANT @_province TO @_county", "role @_county: may become @_province"),
    ("create in app", "GRANT CREATE ON SCHEMA app TO @_county", "role @_county: may create objects in app"),
    ("create a schema", "GRANT CREATE ON DATABASE % TO @_county", "role @_county: may create objects in the database"),
    ("temporary", "GRANT TEMPORARY ON DATABASE % TO @_public", "role @_public: may make temporary tables"),
    ("the issuer's", "GRANT USAGE ON SCHEMA issuer TO @_county", "role @_county: enters issuer"),
    ("ownership", "ALTER TABLE app.event OWNER TO @_county", "role @_county: owns relations"),
)


async def test_the_database_is_what_the_models_declare(world_db: Clone) -> None:
    assert await violations(world_db.admin, Base.metadata, world_db.prefix) == []


@pytest.mark.parametrize(("statement", "expected"), [row[1:] for row in BREAKS], ids=[row[0] for row in BREAKS])
async def test_each_break_is_seen(world_db: Clone, statement: str, expected: str) -> None:
    transaction = world_db.admin.transaction()
    await transaction.start()
    try:
        await world_db.admin.execute(statement.replace("@", world_db.prefix).replace(" % ", f" {world_db.name} "))
        found = await violations(world_db.admin, Base.metadata, world_db.prefix)
    finally:
        await transaction.rollback()
    assert any(line.startswith(expected.replace("@", world_db.prefix)) for line in found), found


def _with(name: str, access: Access | None, *columns: str) -> MetaData:
    """The product's metadata and one table more."""
    metadata = MetaData(schema="app")
    for table in Base.metadata.sorted_tables:
        table.to_metadata(metadata)
    table = Table(name, metadata, Column("id", Integer, primary_key=True), *(Column(c, Integer) for c in columns))
    if access is not None:
        table.info["access"] = access  # afterwards: the standard indexes want columns that these tables lack
    return metadata


async def test_a_table_without_a_class(world_db: Clone) -> None:
    found = await violations(world_db.admin, _with("forgotten", None), world_db.prefix)
    assert any(line.startswith("forgotten: declare info=") for line in found)


@pytest.mark.parametrize(
    ("access", "columns", "expected"),
    [
        (Access(TableClass.TENANT), (), "x: a tenant table carries ScopeColumns"),
        (Access(TableClass.TENANT), (), "x: sys_move must be able to rewrite"),
        (Access(TableClass.PERSON), (), "x: a person table carries person_id"),
        (Access(TableClass.SYSTEM, select=("county",)), (), "x: a system table is read by system logins only"),
        (Access(TableClass.SYSTEM, delete=("county",)), (), "x: people never delete"),
        (Access(TableClass.SYSTEM, system={"county": "true"}), (), "x: a login of people is declared"),
        (
            Access(TableClass.TENANT, insert={"county": ("county_key",)}),
            ("county_key",),
            "x: county may name a level key",
        ),
        (Access(TableClass.TENANT, update={"county": ("no_such",)}), (), "x: UPDATE for county names unknown columns"),
        (Access(TableClass.TENANT, update={"counti": ("id",)}), (), "x: counti is no login"),
        (Access(TableClass.TENANT, draft_state="DRAFT", granted=True), (), "x: whoever holds a grant would see drafts"),
    ],
)
def test_a_declaration_that_may_not_be(access: Access, columns: tuple[str, ...], expected: str) -> None:
    table = _with("x", access, *columns).tables["app.x"]
    assert any(line.startswith(expected) for line in _declaration(table, access))


def test_migrations_run_everywhere() -> None:
    assert migrations(MIGRATIONS) == []


@pytest.mark.parametrize(
    "line",
    [
        "CREATE EXTENSION pgcrypto",
        "CREATE EXTENSION hstore",
        'CREATE EXTENSION IF NOT EXISTS "uuid-ossp"',
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql LEAKPROOF",
        "ALTER ROLE x BYPASSRLS",
        'COLLATE "zh-x-icu"',
        "DEFAULT uuidv7()",
    ],
)
def test_a_migration_that_does_not(tmp_path: Path, line: str) -> None:
    (tmp_path / "0002_x.py").write_text(f"op.execute('''{line}''')\n", encoding="utf-8")
    assert migrations(tmp_path)


def test_a_harmless_migration(tmp_path: Path) -> None:
    (tmp_path / "0002_x.py").write_text("op.execute('CREATE EXTENSION pg_trgm')  # NOBYPASSRLS\n", encoding="utf-8")
    assert migrations(tmp_path) == []
