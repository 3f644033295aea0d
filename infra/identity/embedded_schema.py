"""Tables of the embedded issuer: its own schema, for its own login and nobody else.

Plain SQL, so that a migration runs it as the owner. Codes and refresh tokens are kept as SHA-256
only; the rows outlive their use so that a second use is noticed.
"""

import re

SCHEMA = "issuer"
LOGIN = "sys_issuer"

_TABLES = (
    "CREATE SCHEMA issuer",
    """CREATE TABLE issuer.account (
  id uuid PRIMARY KEY,
  realm text NOT NULL CHECK (realm IN ('gov', 'ent')),
  username text NOT NULL CHECK (username ~ '^[a-z0-9][a-z0-9._-]{0,63}$'),
  display_name text NOT NULL,
  tenant_id uuid,
  tenant_tier text NOT NULL,
  tenant_path text,
  uscc text,
  roles text[] NOT NULL DEFAULT '{}',
  enabled boolean NOT NULL DEFAULT true,
  CONSTRAINT uq_account_realm_username UNIQUE (realm, username),
  CONSTRAINT ck_account_ceiling CHECK (tenant_tier = ANY (CASE realm
    WHEN 'gov' THEN '{national,province,city,county,township,park,rescue_team,agency}'::text[]
    WHEN 'ent' THEN '{enterprise,citizen,agency}'::text[] END)),
  CONSTRAINT ck_account_tenant CHECK (tenant_id IS NOT NULL OR tenant_tier = 'citizen'))""",
    """CREATE TABLE issuer.session (
  sid uuid PRIMARY KEY,
  account_id uuid NOT NULL REFERENCES issuer.account (id),
  client_id text NOT NULL,
  auth_time timestamptz NOT NULL,
  ended_at timestamptz)""",
    "CREATE INDEX ix_session_account_id ON issuer.session (account_id)",
    """CREATE TABLE issuer.code (
  hash bytea PRIMARY KEY,
  sid uuid NOT NULL REFERENCES issuer.session (sid) ON DELETE CASCADE,
  redirect_uri text NOT NULL,
  scope text NOT NULL,
  nonce text,
  code_challenge text NOT NULL,
  expires_at timestamptz NOT NULL,
  used_at timestamptz)""",
    "CREATE INDEX ix_code_sid ON issuer.code (sid)",
    """CREATE TABLE issuer.refresh_token (
  hash bytea PRIMARY KEY,
  sid uuid NOT NULL REFERENCES issuer.session (sid) ON DELETE CASCADE,
  scope text NOT NULL,
  expires_at timestamptz NOT NULL,
  used_at timestamptz)""",
    "CREATE INDEX ix_refresh_token_sid ON issuer.refresh_token (sid)",
    "CREATE INDEX ix_session_auth_time ON issuer.session (auth_time)",
)

_GRANTS = (
    "REVOKE ALL ON SCHEMA issuer FROM PUBLIC",
    "REVOKE ALL ON ALL TABLES IN SCHEMA issuer FROM PUBLIC",
    "GRANT USAGE ON SCHEMA issuer TO {role}",
    "GRANT SELECT, INSERT ON issuer.account, issuer.session, issuer.code, issuer.refresh_token TO {role}",
    """GRANT UPDATE (display_name, tenant_id, tenant_tier, tenant_path, uscc, roles, enabled)
  ON issuer.account TO {role}""",
    "GRANT UPDATE (ended_at) ON issuer.session TO {role}",
    "GRANT UPDATE (used_at) ON issuer.code, issuer.refresh_token TO {role}",
    "GRANT DELETE ON issuer.session, issuer.code, issuer.refresh_token TO {role}",
)


def statements(prefix: str) -> list[str]:
    """Return the statements that make the schema, in order.

    Args:
        prefix: prefix of the installation's roles; the login ``<prefix>_sys_issuer`` must exist.

    Raises:
        ValueError: the prefix is not a plain name.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", prefix):
        raise ValueError(f"{prefix!r} is not a role prefix: lower-case letters, digits and _")
    return [*_TABLES, *(grant.format(role=f"{prefix}_{LOGIN}") for grant in _GRANTS)]


DROP = "DROP SCHEMA issuer CASCADE"
"""Undoes :func:`statements`."""
