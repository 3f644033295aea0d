"""What the slice adds to the tables of :mod:`tenants.models`: activation, naming of grantees, notice of changes."""

from sqlalchemy import Table

from tenants.isolation import TODAY, definer_function, definer_trigger
from tenants.kinds import PEOPLE_LOGINS
from tenants.models import Membership, ScopeGrant
from tenants.roles import EXCLUSIVE

_EXCLUSIVE = ", ".join(f"'{role}'" for role in sorted(EXCLUSIVE))


def excluded(roles: str, person: str) -> str:
    """Return SQL that is true when these roles and those that the person holds anywhere exclude each other (三员分立).

    Args:
        roles: SQL of the roles wanted, ``text[]``.
        person: SQL of the person, ``uuid``.
    """
    held = (
        f"SELECT unnest(o.roles) FROM app.membership o WHERE o.person_id = {person}"
        " AND o.state IN ('ACTIVE', 'SUSPENDED')"
    )
    return (
        f"({roles} && ARRAY[{_EXCLUSIVE}] AND 1 < (SELECT count(DISTINCT x.r) FROM"
        f" (SELECT unnest({roles}) UNION ALL {held}) AS x(r) WHERE x.r IN ({_EXCLUSIVE})))"
    )


REDEEM = definer_function(
    "app.redeem_slip(p_hash text, p_login text)",
    "text",
    # One answer for wrong, used, expired and foreign codes. The message's id comes from code and login
    # name, so a repetition finds its own message. FOR UPDATE: of two redeemers one gets the slip.
    f"""DECLARE
  m app.membership%ROWTYPE;
  message uuid := md5(p_hash || ' ' || p_login)::uuid;
  person uuid := nullif(current_setting('app.person', true), '')::uuid;
  sent boolean;
BEGIN
  SELECT * INTO m FROM app.membership WHERE slip_hash = p_hash FOR UPDATE;
  IF NOT FOUND THEN RETURN 'INVALID'; END IF;
  sent := EXISTS (SELECT FROM app.outbox WHERE id = message);
  IF m.state = 'ACTIVE' AND sent THEN RETURN 'ACTIVE'; END IF;
  IF m.state <> 'PENDING' THEN RETURN 'INVALID'; END IF;
  IF m.slip_expires_at IS NULL THEN RETURN CASE WHEN sent THEN 'RECEIVED' ELSE 'INVALID' END; END IF;
  IF m.slip_expires_at <= now() OR person IN (m.proposed_by, m.approved_by) THEN RETURN 'INVALID'; END IF;
  IF sent THEN RETURN 'TAKEN'; END IF;
  IF {excluded("m.roles::text[]", "person")} THEN RETURN 'EXCLUSIVE'; END IF;
  UPDATE app.membership SET slip_expires_at = NULL, version = version + 1, updated_at = now() WHERE id = m.id;
  PERFORM app.outbox_put(message, 'members.provision', jsonb_build_object('membership_id', m.id,
    'login_name', p_login, 'person_id', person, 'slip_expires_at', m.slip_expires_at),
    jsonb_build_object('req', '', 'purpose', 'members.provision', 'actor', 'system:members.provision',
    'roles', '[]'::jsonb), NULL);
  RETURN 'RECEIVED';
END""",
    (*PEOPLE_LOGINS, "public"),
    stable=False,
)
"""Marks an activation slip used and queues the job that makes the account, in one statement (decision 47)."""

GRANTEE = definer_function(
    "app.grantee_of(p_id uuid)",
    "TABLE (tenant_key int, tenant_kind text, tenant_name text, open_grants bigint)",
    f"""BEGIN
  RETURN QUERY SELECT t.key, t.kind::text, t.name,
    greatest((SELECT count(*) FROM app.scope_grant g WHERE g.grantee_key = t.key AND g.valid_to >= {TODAY}),
             (SELECT count(*) FROM app.incident_call g WHERE g.grantee_key = t.key AND g.valid_to >= {TODAY}),
             (SELECT count(*) FROM app.hosting g WHERE g.grantee_key = t.key AND g.valid_to >= {TODAY}))
    FROM app.tenant t WHERE t.id = p_id AND t.status = 'ACTIVE' AND t.kind IN ('AGENCY', 'RESCUE_TEAM');
END""",
    ("province", "city", "county", "enterprise"),
    stable=True,
)
"""Names a service agency or rescue team by its id: the one who grants does not see its tenant row otherwise."""

_NOTIFY = "BEGIN\n  PERFORM pg_notify('membership', '');\n  RETURN NULL;\nEND"
EVICT = [
    # Web servers forget whom they know: a token at hand stops working at once (decision 30).
    *definer_trigger(
        "app.membership_changed",
        _NOTIFY,
        "CREATE TRIGGER evict AFTER INSERT OR UPDATE ON app.membership FOR EACH STATEMENT",
    ),
    *definer_trigger(
        "app.tenant_status_changed",
        _NOTIFY,
        "CREATE TRIGGER evict AFTER UPDATE OF status ON app.tenant FOR EACH STATEMENT",
    ),
]


def _attach(table: Table, statements: list[str]) -> None:
    table.info["extra_ddl"] = [*table.info.get("extra_ddl", ()), *statements]


_attach(Membership.__table__, [*REDEEM, *EVICT])  # type: ignore[arg-type]
_attach(ScopeGrant.__table__, GRANTEE)  # type: ignore[arg-type]
