"""The role step: an idempotent script that makes the database logins, outside alembic (decision 18).

It needs a login that may create roles (the embedded server's bootstrap superuser, a DBA in
production). Everything a level needs is fixed on its login by ALTER ROLE, so that no session has
to set it and none can change its level: no SET ROLE, no start-up role (decision 12).
"""

from collections.abc import Mapping

from tenants.kinds import LOGINS

MIGRATOR = "migrator"
_SETTINGS = {
    "people": {
        "plan_cache_mode": "force_generic_plan",
        "statement_timeout": "5s",
        "idle_in_transaction_session_timeout": "30s",
        "lock_timeout": "4s",
    },
    "system": {"statement_timeout": "0", "idle_in_transaction_session_timeout": "120s"},
}


def all_logins() -> tuple[str, ...]:
    """Return the short names of every login that this step makes."""
    return (*LOGINS, MIGRATOR)


def cluster_statements(prefix: str, passwords: Mapping[str, str]) -> list[str]:
    """Return the statements that make the roles of an installation; running them twice changes nothing.

    Args:
        prefix: the installation's prefix.
        passwords: password per short login name; secrets, never logged.
    """
    statements = [_ensure(f"{prefix}_owner", "NOLOGIN NOINHERIT"), _ensure(f"{prefix}_definer", "NOLOGIN")]
    for login in all_logins():
        name = f"{prefix}_{login}"
        statements.append(_ensure(name, "LOGIN"))
        statements.append(
            f"ALTER ROLE {name} LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION "
            f"CONNECTION LIMIT -1 PASSWORD {_literal(passwords[login])}"
        )
        kind = "system" if login.startswith("sys_") or login == MIGRATOR else "people"
        statements += [f"ALTER ROLE {name} SET {key} = '{value}'" for key, value in _SETTINGS[kind].items()]
        statements.append(f"ALTER ROLE {name} SET search_path = pg_catalog")
        statements.append(f"ALTER ROLE {name} SET timezone = 'UTC'")
    statements.append(f"GRANT {prefix}_definer TO {prefix}_owner")
    statements.append(f"GRANT {prefix}_owner TO {prefix}_{MIGRATOR}")
    return statements


def database_statements(prefix: str, database: str) -> list[str]:
    """Return the statements that prepare one database for the installation; idempotent."""
    logins = ", ".join(f"{prefix}_{login}" for login in all_logins())
    owner, definer = f"{prefix}_owner", f"{prefix}_definer"
    return [
        f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC',
        f'GRANT CONNECT ON DATABASE "{database}" TO {logins}',
        f"CREATE SCHEMA IF NOT EXISTS app AUTHORIZATION {owner}",
        f'GRANT CREATE ON DATABASE "{database}" TO {owner}',
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA app TO {logins}, {definer}",
        f"GRANT CREATE ON SCHEMA app TO {definer}",
        f'GRANT TEMPORARY ON DATABASE "{database}" TO {prefix}_sys_seed',
    ]


def _ensure(name: str, options: str) -> str:
    return (
        f"DO $$ BEGIN CREATE ROLE {name} {options}; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
