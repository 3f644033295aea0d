"""The catalog gate (decision 14): a live database against the declarations of its tables.

What PostgreSQL's catalogs say must be exactly what the models declare: nothing missing and nothing
more. The gate reads only; the policies that should exist are deparsed by the server itself, on empty
temporary twins of the tables in a transaction that rolls back, so that texts compare character by
character. ``migrations`` reads the text of migrations for what must run everywhere.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, Table

from tenants.access import Access, TableClass, UndeclaredTableError, access_of
from tenants.isolation import PREFIX, ddl, policies
from tenants.kinds import LEVELS, LOGINS, PEOPLE_LOGINS, SYSTEM_LOGINS, key_column

SCHEMA = "app"
EXCEPTED = frozenset({"alembic_version"})
"""Alembic's own table: the owner's alone."""
PEOPLE = (*PEOPLE_LOGINS, "public")
_NEVER = ("DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
"""Privileges that no login of people ever has."""
_OPEN = (TableClass.REFERENCE, TableClass.PUBLIC)
_KEYS = frozenset(key_column(level) for level in LEVELS)
_FORBIDDEN = re.compile(r"~~|\bLIKE\b|\^@|<@|\bpath\b|\bEXISTS\b", re.IGNORECASE)
_SETTING = re.compile(r"current_setting\(")
_WRAPPED = re.compile(r"NULLIF\(current_setting\(", re.IGNORECASE)
_FUNCTION = re.compile(r"^CREATE FUNCTION ([\w.]+)\(.*?\$\$\n(.*)\n\$\$$", re.DOTALL)
_TRIGGER = re.compile(r"^CREATE TRIGGER (\w+) .*? ON ([\w.]+) .*EXECUTE FUNCTION ([\w.]+)\(\)", re.DOTALL)
_EXECUTE = re.compile(r"^GRANT EXECUTE ON FUNCTION ([\w.]+)\(.*\) TO (.+)$", re.DOTALL)
_SEQUENCE = re.compile(r"^GRANT (\w+) ON SEQUENCE app\.(\w+) TO (\w+)$")
_EXTENSIONS = frozenset({"ltree", "pg_trgm", "btree_gin", "btree_gist", "citext", "unaccent", "cube", "earthdistance"})
_REFUSED = ("pgcrypto", "uuid-ossp", "postgis", "sslinfo", "-x-icu", "uuidv7(", "LEAKPROOF")
_BYPASS = re.compile(r"(?<!NO)BYPASSRLS")
_EXTENSION = re.compile(r"CREATE EXTENSION (?:IF NOT EXISTS )?[\"']?([\w-]+)", re.IGNORECASE)


async def violations(connection: Any, metadata: MetaData, prefix: str) -> list[str]:
    """Return every difference between the database and the declarations; an empty list when there is none.

    Args:
        connection: asyncpg connection of a login that may make temporary tables and see every catalog row.
        metadata: the complete metadata (``app.registry.load_models``).
        prefix: prefix of the installation's roles.
    """
    found: list[str] = []
    tables: dict[str, Table] = {}
    for table in metadata.sorted_tables:
        if table.schema != SCHEMA:
            continue
        try:
            access = access_of(table)
        except UndeclaredTableError as fault:
            found.append(str(fault))
            continue
        tables[table.name] = table
        found += _declaration(table, access)
    found += await _existing(connection, tables, frozenset(table.name for table in metadata.sorted_tables))
    found += await _policies(connection, tables, prefix)
    found += await _grants(connection, tables, prefix)
    found += await _functions(connection, tables, prefix)
    found += await _indexes(connection, tables)
    found += await _roles(connection, prefix)
    return found


def migrations(folder: Path) -> list[str]:
    """Return what migrations use that does not exist everywhere (run-anywhere.md 2.4) or opens a hole.

    Args:
        folder: with ``versions/*.py``.
    """
    found = []
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found += [f"{path.name}: {word} is not for migrations" for word in _REFUSED if word.lower() in text.lower()]
        if _BYPASS.search(text):
            found.append(f"{path.name}: BYPASSRLS is not for migrations")
        extra = sorted(set(_EXTENSION.findall(text)) - _EXTENSIONS)
        found += [f"{path.name}: extension {name} is not on the list" for name in extra]
    return found


def _declaration(table: Table, access: Access) -> Iterator[str]:
    """What a declaration may not say, whatever the database holds."""
    name, columns = table.name, set(table.columns.keys())
    for command, grants in (("INSERT", access.insert), ("UPDATE", access.update)):
        for login, granted in grants.items():
            if login not in LOGINS:
                yield f"{name}: {login} is no login"
            if login in PEOPLE and _KEYS & set(granted):
                yield f"{name}: {login} may name a level key in {command} (decision 15)"
            if unknown := sorted(set(granted) - columns):
                yield f"{name}: {command} for {login} names unknown columns {', '.join(unknown)}"
    system, moves = {*access.system, *access.system_write}, access.system_write.get("sys_move", ())
    kind, scope = access.table_class, {*_KEYS, "owner_key", "author_key", "seq"}
    rules = (
        (set(access.delete) & set(PEOPLE), "people never delete (decision 15)"),
        (system - set(SYSTEM_LOGINS), "a login of people is declared as a system login"),
        (access.keyed and not scope <= columns, "a tenant table carries ScopeColumns (decision 9)"),
        (access.keyed and "UPDATE" not in moves, "sys_move must be able to rewrite its keys (system, system_write)"),
        (access.keyed and access.system.get("sys_move") != "true", "sys_move must see every row (system)"),
        (access.draft_state and (access.granted or access.hosted), "whoever holds a grant would see drafts"),
        (kind is TableClass.PERSON and "person_id" not in columns, "a person table carries person_id"),
        (kind is TableClass.SYSTEM and access.select, "a system table is read by system logins only"),
    )
    yield from (f"{name}: {problem}" for broken, problem in rules if broken)


async def _existing(connection: Any, tables: dict[str, Table], declared: frozenset[str]) -> list[str]:
    """Tables and views of the schema, and their row security."""
    rows = await connection.fetch(
        "SELECT c.relname, c.relkind::text AS kind, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced, "
        "coalesce(c.reloptions::text, '') AS options "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        SCHEMA,
    )
    found, seen = [], set()
    for row in rows:
        name, kind = row["relname"], row["kind"]
        seen.add(name)
        if kind == "v" and "security_invoker=true" not in row["options"]:
            found.append(f"view {name}: not security_invoker")
        elif kind in ("m", "f"):
            found.append(f"{name}: materialized views and foreign tables cannot have policies")
        elif kind in ("r", "p") and name not in declared | EXCEPTED:
            found.append(f"table {name}: exists, but no model declares it")
        elif name in tables:
            wanted = access_of(tables[name]).table_class not in _OPEN
            if (row["enabled"], row["forced"]) != (wanted, wanted):
                found.append(f"{name}: row security is {'off or not forced' if wanted else 'on'}")
    return found + [f"table {name}: declared, but not in the database" for name in sorted(set(tables) - seen)]


async def _policies(connection: Any, tables: dict[str, Table], prefix: str) -> list[str]:
    """Policies as the server prints them, on the tables and on empty twins that carry what is declared."""
    query = (
        "SELECT schemaname, tablename, policyname, permissive, roles::text AS roles, cmd, "
        "coalesce(qual, '') AS qual, coalesce(with_check, '') AS with_check FROM pg_policies WHERE {}"
    )
    columns = ("permissive", "roles", "cmd", "qual", "with_check")
    actual = {
        (row["tablename"], row["policyname"]): tuple(row[column] for column in columns)
        for row in await connection.fetch(query.format("schemaname = $1"), SCHEMA)
    }
    wanted: dict[tuple[str, str], tuple[str, ...]] = {}
    transaction = connection.transaction()
    await transaction.start()
    try:
        for name, table in tables.items():
            statements = policies(table)
            if not statements or not await connection.fetchval("SELECT to_regclass($1)::text", f"{SCHEMA}.{name}"):
                continue
            await connection.execute(f'CREATE TEMP TABLE "{name}" (LIKE {SCHEMA}."{name}")')
            for statement in statements.values():
                await connection.execute(
                    _own(statement, prefix).replace(f" ON {SCHEMA}.{name} ", f' ON pg_temp."{name}" ', 1)
                )
        for row in await connection.fetch(query.format("schemaname LIKE 'pg\\_temp\\_%'")):
            wanted[row["tablename"], row["policyname"]] = tuple(row[column] for column in columns)
    finally:
        await transaction.rollback()
    found = [f"{table}: policy {name} is missing" for table, name in sorted(wanted.keys() - actual.keys())]
    found += [f"{table}: policy {name} is nobody's" for table, name in sorted(actual.keys() - wanted.keys())]
    for key in sorted(wanted.keys() & actual.keys()):
        if wanted[key] != actual[key]:
            found.append(f"{key[0]}: policy {key[1]} is {actual[key]}, declared {wanted[key]}")
    for (table, name), (*_, qual, check) in sorted(actual.items()):
        found += [f"{table}: policy {name} {problem}" for problem in _text(qual + " " + check)]
    return found


def _text(condition: str) -> Iterator[str]:
    """What no policy text contains (identity study 2.1)."""
    if match := _FORBIDDEN.search(condition):
        yield f"contains {match[0]}"
    if len(_SETTING.findall(condition)) != len(_WRAPPED.findall(condition)):
        yield "reads a setting without nullif"
    if re.search(r"current_setting\(", condition) and not re.search(r"\( ?SELECT ", condition):
        yield "reads a setting outside (select …)"


async def _grants(connection: Any, tables: dict[str, Table], prefix: str) -> list[str]:
    """Privileges on tables, columns and sequences, down to the single column."""
    rows = await connection.fetch(
        "SELECT c.relname, NULL AS column, a.privilege_type, coalesce(r.rolname, 'PUBLIC') AS who, a.is_grantable "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a "
        "LEFT JOIN pg_roles r ON r.oid = a.grantee "
        "WHERE n.nspname = $1 AND a.grantee <> c.relowner "
        "UNION ALL SELECT c.relname, t.attname, a.privilege_type, coalesce(r.rolname, 'PUBLIC'), a.is_grantable "
        "FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace, "
        "aclexplode(t.attacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE n.nspname = $1 AND NOT t.attisdropped",
        SCHEMA,
    )
    actual = {(row["relname"], row["column"], row["privilege_type"], row["who"]) for row in rows}
    found = [
        f"{row['relname']}: {row['who']} may pass on {row['privilege_type']}" for row in rows if row["is_grantable"]
    ]
    wanted = {grant for table in tables.values() for grant in _declared_grants(table, prefix)}
    people = {f"{prefix}_{login}" for login in PEOPLE} | {"PUBLIC"}
    for name, column, privilege, who in sorted(actual - wanted, key=str):
        found.append(f"{name}: {who} has {privilege}{f' ({column})' if column else ''}, which nothing declares")
    for name, column, privilege, who in sorted(wanted - actual, key=str):
        found.append(f"{name}: {who} lacks {privilege}{f' ({column})' if column else ''}")
    for name, column, privilege, who in sorted(actual, key=str):
        if who in people and (privilege in _NEVER or (column in _KEYS and privilege != "SELECT")):
            found.append(f"{name}: {who} must never have {privilege}{f' ({column})' if column else ''}")
    return found


def _declared_grants(table: Table, prefix: str) -> Iterator[tuple[str, str | None, str, str]]:
    access, name = access_of(table), table.name
    readers = LOGINS if access.table_class in _OPEN else (*access.select, *access.system)
    yield from ((name, None, "SELECT", f"{prefix}_{login}") for login in readers)
    for command, grants in (("INSERT", access.insert), ("UPDATE", access.update)):
        for login, columns in grants.items():
            yield from ((name, column, command, f"{prefix}_{login}") for column in columns)
    for login, commands in access.system_write.items():
        yield from ((name, None, command, f"{prefix}_{login}") for command in commands)
    yield from ((name, None, command, f"{prefix}_definer") for command in access.definer)
    for match in map(_SEQUENCE.match, ddl(table)):
        if match:
            yield match[2], None, match[1], _own(match[3], prefix)


async def _functions(connection: Any, tables: dict[str, Table], prefix: str) -> list[str]:
    """Functions and triggers: exactly those of the declarations, with their text, owner and callers."""
    statements = [_own(statement, prefix) for table in tables.values() for statement in ddl(table)]
    bodies = {match[1]: match[2] for match in map(_FUNCTION.match, statements) if match}
    callers = {match[1]: set(match[2].split(", ")) for match in map(_EXECUTE.match, statements) if match}
    rows = await connection.fetch(
        "SELECT n.nspname || '.' || p.proname AS name, p.prosrc, p.prosecdef, r.rolname AS owner, p.proleakproof, "
        "coalesce(p.proconfig, '{}') AS config, (SELECT array_agg(coalesce(g.rolname, 'PUBLIC')::text) "
        " FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a LEFT JOIN pg_roles g ON g.oid = a.grantee "
        " WHERE a.grantee <> p.proowner) AS callers "
        "FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner "
        "WHERE n.nspname = $1",
        SCHEMA,
    )
    found = [f"function {name}: missing" for name in sorted(set(bodies) - {row["name"] for row in rows})]
    for row in rows:
        name = row["name"]
        if name not in bodies:
            found.append(f"function {name}: nothing declares it")
            continue
        checks = (
            (row["prosrc"].strip() == bodies[name].strip(), "its text is not the declared one"),
            (row["prosecdef"] and row["owner"] == f"{prefix}_definer", f"not SECURITY DEFINER of {prefix}_definer"),
            ("search_path=pg_catalog" in row["config"], "its search_path is not pinned"),
            (not row["proleakproof"], "it is marked LEAKPROOF"),
            (set(row["callers"] or ()) == callers.get(name, set()), f"callers are {row['callers']}"),
        )
        found += [f"function {name}: {problem}" for good, problem in checks if not good]
    return found + await _triggers(connection, statements)


async def _triggers(connection: Any, statements: Iterable[str]) -> list[str]:
    wanted = {match.groups() for match in map(_TRIGGER.match, statements) if match}
    rows = await connection.fetch(
        "SELECT t.tgname, n.nspname || '.' || c.relname AS relation, m.nspname || '.' || p.proname AS function "
        "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace m ON m.oid = p.pronamespace "
        "WHERE n.nspname = $1 AND NOT t.tgisinternal AND t.tgenabled = 'O'",
        SCHEMA,
    )
    actual = {(row["tgname"], row["relation"], row["function"]) for row in rows}
    found = [f"{relation}: trigger {name} is missing or off" for name, relation, _ in sorted(wanted - actual)]
    return found + [f"{relation}: trigger {name} is nobody's" for name, relation, _ in sorted(actual - wanted)]


async def _indexes(connection: Any, tables: dict[str, Table]) -> list[str]:
    """Each keyed table has an index (level key, order) for all six levels (decision 22)."""
    rows = await connection.fetch(
        "SELECT c.relname, array_agg(a.attname::text ORDER BY k.n) AS columns FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace s ON s.oid = c.relnamespace "
        "CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(att, n) "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.att "
        "WHERE s.nspname = $1 AND i.indisvalid AND i.indpred IS NULL GROUP BY i.indexrelid, c.relname",
        SCHEMA,
    )
    actual = {(row["relname"], *row["columns"][:2]) for row in rows}
    keyed = [name for name, table in tables.items() if access_of(table).keyed]
    wanted = [(name, key) for name in keyed for key in (*sorted(_KEYS), "owner_key")]
    return [f"{name}: no index ({key}, seq)" for name, key in wanted if (name, key, "seq") not in actual]


async def _roles(connection: Any, prefix: str) -> list[str]:
    """Logins are nobody special, own nothing, and cannot become each other."""
    rows = await connection.fetch(
        "SELECT r.rolname, "
        "r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolbypassrls OR r.rolreplication AS strong, "
        "EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid) AS owns, "
        "(SELECT array_agg(g.rolname::text) FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid "
        " WHERE m.member = r.oid) AS member_of FROM pg_roles r WHERE r.rolname = ANY($1::text[])",
        [f"{prefix}_{login}" for login in LOGINS],
    )
    found = [f"role {row['rolname']}: superuser or able to make roles" for row in rows if row["strong"]]
    found += [f"role {row['rolname']}: owns relations" for row in rows if row["owns"]]
    found += [f"role {row['rolname']}: may become {', '.join(row['member_of'])}" for row in rows if row["member_of"]]
    missing = {f"{prefix}_{login}" for login in LOGINS} - {row["rolname"] for row in rows}
    found += [f"role {name}: missing" for name in sorted(missing)]
    return found + await _rooms(connection, prefix, [row["rolname"] for row in rows])


async def _rooms(connection: Any, prefix: str, roles: list[str]) -> list[str]:
    """No login makes objects anywhere; temporary tables are the bulk path's; no schema but app is for people."""
    rows = await connection.fetch(
        "SELECT r.name, has_database_privilege(r.name, current_database(), 'CREATE') AS creates, "
        "has_database_privilege(r.name, current_database(), 'TEMPORARY') AS temporary, "
        "(SELECT array_agg(n.nspname::text ORDER BY 1) FROM pg_namespace n WHERE n.nspname !~ '^pg_temp|^pg_toast' "
        " AND has_schema_privilege(r.name, n.oid, 'CREATE')) AS makes, "
        "(SELECT array_agg(n.nspname::text ORDER BY 1) FROM pg_namespace n WHERE n.nspname !~ '^pg_temp|^pg_toast' "
        " AND n.nspname NOT IN ('pg_catalog', 'information_schema', $2) "
        " AND has_schema_privilege(r.name, n.oid, 'USAGE')) AS enters FROM unnest($1::text[]) r(name)",
        roles,
        SCHEMA,
    )
    found = []
    people = {f"{prefix}_{login}" for login in PEOPLE}
    for row in rows:
        name = row["name"]
        if row["creates"] or row["makes"]:
            found.append(f"role {name}: may create objects in {', '.join(row['makes'] or ['the database'])}")
        if row["temporary"] and name != f"{prefix}_sys_seed":
            found.append(f"role {name}: may make temporary tables")
        if row["enters"] and name in people:
            found.append(f"role {name}: enters {', '.join(row['enters'])}")
    return found


def _own(statement: str, prefix: str) -> str:
    """Put the installation's prefix into a statement, as the migration environment does."""
    if prefix == PREFIX:
        return statement
    return re.sub(rf"\b{PREFIX}_({'|'.join((*LOGINS, 'owner', 'definer', 'migrator'))})\b", rf"{prefix}_\1", statement)
