"""Renders the declarations of tables (``Access``) to SQL: policies, grants, key-filling triggers.

The text goes into migrations with the default prefix ``anlan``; the migration environment puts the
installation's own prefix in its place. Nothing here decides: :mod:`tenants.access` declares,
PostgreSQL enforces, :mod:`tenants.gate` compares.
"""

from collections.abc import Iterator
from typing import Protocol

from sqlalchemy import Table

from tenants.access import Access, TableClass, access_of
from tenants.kinds import LEVELS, LOGINS, key_column
from tenants.roles import ROLES

PREFIX = "anlan"
CLAIM = "(select nullif(current_setting('app.key', true), '')::int)"
PERSON = "(select nullif(current_setting('app.person', true), '')::uuid)"
TODAY = "nullif(current_setting('app.today', true), '')::date"
ACTING = (
    "am.id = nullif(current_setting('app.membership', true), '')::uuid"
    " AND am.person_id = nullif(current_setting('app.person', true), '')::uuid"
    " AND am.owner_key = nullif(current_setting('app.key', true), '')::int"
    f" AND am.state = 'ACTIVE' AND am.valid_from <= {TODAY} AND (am.valid_to IS NULL OR am.valid_to >= {TODAY})"
)
BULK = "('anlan_sys_seed', 'anlan_sys_move')"
_KEYS = tuple(key_column(level) for level in LEVELS)


class _Add(Protocol):
    def __call__(self, name: str, login: str, condition: str, command: str = "ALL") -> None: ...


def role(login: str) -> str:
    """Return the role of a login with the default prefix."""
    return f"{PREFIX}_{login}"


def ddl(table: Table) -> list[str]:
    """Return every statement that secures a freshly created table.

    Args:
        table: a mapped table whose ``info`` holds its ``Access``.

    Raises:
        UndeclaredTableError: the table declares nothing.
    """
    access = access_of(table)
    statements: list[str] = []
    if access.table_class not in (TableClass.REFERENCE, TableClass.PUBLIC):
        statements += [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        ]
        statements += [policy for _, policy in sorted(policies(table).items())]
    statements += list(_grants(table, access))
    if access.keyed:
        statements += _key_triggers(table, access)
    return statements + list(table.info.get("extra_ddl", ()))


def policies(table: Table) -> dict[str, str]:
    """Return the policies of a table: name to CREATE POLICY statement."""
    access = access_of(table)
    found: dict[str, str] = {}
    if access.table_class in (TableClass.REFERENCE, TableClass.PUBLIC):
        return found

    def add(name: str, login: str, condition: str, command: str = "ALL") -> None:
        check = f" WITH CHECK ({condition})" if command in ("ALL", "INSERT", "UPDATE") else ""
        using = "" if command == "INSERT" else f" USING ({condition})"
        found[name] = f"CREATE POLICY {name} ON {table} FOR {command} TO {role(login)}{using}{check}"

    if access.table_class is TableClass.PERSON:
        for login in access.select:
            add(f"own_{login}", login, f"person_id = {PERSON}")
    if access.keyed:
        for level in (level for level in LEVELS if level in access.select):
            add(f"lv_{level}", level, f"{key_column(level)} = {CLAIM}")
        _assigned(access, add)
    for login, condition in access.system.items():
        add(login, login, condition)
    for command in access.definer:
        add(f"definer_{command.lower()}", "definer", "true", command)
    for login, condition in access.insert_only.items():
        name = f"only_{login}"
        found[name] = (
            f"CREATE POLICY {name} ON {table} AS RESTRICTIVE FOR INSERT TO {role(login)} WITH CHECK ({condition})"
        )
    return found


def _assigned(access: Access, add: _Add) -> None:
    """Policies of kinds without a level: own rows, and rows named by dated grants (decision 16)."""
    if "assigned" not in access.select:
        return
    add("lv_assigned", "assigned", f"owner_key = {CLAIM}")
    if access.grantee:
        add("grantee", "assigned", f"grantee_key = {CLAIM}", "SELECT")
    for table, column, wanted in (
        ("scope_grant", "enterprise_key", access.granted),
        ("incident_call", "enterprise_key", access.granted),
        ("hosting", "owner_key", access.hosted),
    ):
        if wanted:
            source = "owner_key" if table == "hosting" else "enterprise_key"
            ids = f"select array_agg(g.{source}) from app.{table} g where {TODAY} between g.valid_from and g.valid_to"
            add(f"by_{table}", "assigned", f"{column} = ANY (({ids})::int[])", "SELECT")


def _grants(table: Table, access: Access) -> Iterator[str]:
    everyone = access.table_class in (TableClass.REFERENCE, TableClass.PUBLIC)
    readers = LOGINS if everyone else tuple(dict.fromkeys((*access.select, *access.system)))
    if readers:
        yield f"GRANT SELECT ON {table} TO {', '.join(role(login) for login in readers)}"
    for command, grants in (("INSERT", access.insert), ("UPDATE", access.update)):
        for login, columns in grants.items():
            yield f"GRANT {command} ({', '.join(columns)}) ON {table} TO {role(login)}"
    for login, commands in access.system_write.items():
        yield f"GRANT {', '.join(commands)} ON {table} TO {role(login)}"
    if access.definer:
        yield f"GRANT {', '.join(access.definer)} ON {table} TO {role('definer')}"


def _key_triggers(table: Table, access: Access) -> list[str]:
    """The trigger that fills level keys for people, and the one that verifies the bulk path's."""
    name = table.name
    moves = ["INSERT"]
    columns = [c for c in ("state" if access.draft_state else None, access.site) if c]
    columns += ["place_id", "park_id"] if access.is_site else []
    if columns:
        moves.append(f"UPDATE OF {', '.join(columns)}")
    return [
        *definer_trigger(
            f"app.fill_keys_{name}",
            _fill_body(access, table),
            f"CREATE TRIGGER fill_keys BEFORE {' OR '.join(moves)} ON {table} "
            f"FOR EACH ROW WHEN (session_user NOT IN {BULK})",
        ),
        *definer_trigger(
            f"app.verify_keys_{name}",
            _verify_body(access),
            f"CREATE TRIGGER verify_keys AFTER INSERT ON {table} REFERENCING NEW TABLE AS added FOR EACH STATEMENT",
        ),
    ]


def acting_may(capability: str) -> str:
    """Return SQL that is true when the acting membership, and no other of the same person, has a capability.

    For a type that not everybody of a tenant may read; the planner asks it once per statement.
    """
    holders = {kind: sorted(role for role, may in table.items() if capability in may) for kind, table in ROLES.items()}
    cases = " ".join(
        f"WHEN '{kind}' THEN ARRAY[{', '.join(repr(str(role)) for role in roles)}]"
        for kind, roles in sorted(holders.items())
        if roles
    )
    return (
        "EXISTS (SELECT FROM app.membership am JOIN app.tenant ak ON ak.key = am.owner_key"
        f" WHERE {ACTING} AND am.roles::text[] && CASE ak.kind {cases} END)"
    )


def definer_trigger(function: str, body: str, trigger: str) -> list[str]:
    """Return the statements of a trigger whose function runs as the owner of definer functions.

    Args:
        function: schema-qualified name without parentheses.
        body: plpgsql from DECLARE or BEGIN to END.
        trigger: CREATE TRIGGER up to, not including, EXECUTE FUNCTION.
    """
    return [
        (
            f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
            f"SET search_path = pg_catalog AS $$\n{body}\n$$"
        ),
        f"{trigger} EXECUTE FUNCTION {function}()",
        f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC",
        f"ALTER FUNCTION {function}() OWNER TO {role('definer')}",
    ]


def definer_function(signature: str, returns: str, body: str, callers: tuple[str, ...], *, stable: bool) -> list[str]:
    """Return the statements of a SECURITY DEFINER function that these logins may call.

    Args:
        signature: schema-qualified name with parameters, ``app.find(q text)``.
        returns: what stands after RETURNS.
        body: plpgsql from DECLARE or BEGIN to END.
        callers: short login names that get EXECUTE.
        stable: STABLE (reads) or VOLATILE (writes).
    """
    name, _, parameters = signature.partition("(")
    types = ", ".join(part.strip().split(" ", 1)[1] for part in parameters.rstrip(")").split(",") if part.strip())
    plain = f"{name}({types})"
    return [
        (
            f"CREATE FUNCTION {signature} RETURNS {returns} LANGUAGE plpgsql {'STABLE' if stable else 'VOLATILE'} "
            f"SECURITY DEFINER SET search_path = pg_catalog SET plan_cache_mode = force_custom_plan AS $$\n{body}\n$$"
        ),
        f"REVOKE ALL ON FUNCTION {plain} FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION {plain} TO {', '.join(role(login) for login in callers)}",
        f"ALTER FUNCTION {plain} OWNER TO {role('definer')}",
    ]


def _placer(access: Access) -> str:
    """SQL that selects into ``o`` the row whose keys place NEW."""
    if access.self_keyed:
        return "SELECT t.* INTO o FROM app.tenant t WHERE t.id = NEW.parent_id;"
    if access.is_site:
        return "SELECT t.* INTO o FROM app.tenant t WHERE t.id = NEW.place_id AND t.kind IN ('COUNTY', 'TOWNSHIP');"
    by_owner = "SELECT t.* INTO o FROM app.tenant t WHERE t.key = NEW.owner_key;"
    if access.site is None:
        return by_owner
    return (
        f"IF NEW.{access.site} IS NULL THEN\n    {by_owner}\n  ELSE\n"
        f"    SELECT s.* INTO o FROM app.site s WHERE s.id = NEW.{access.site} AND s.owner_key = NEW.owner_key;\n"
        "  END IF;"
    )


def _fill_body(access: Access, table: Table) -> str:
    copy = "\n".join(f"  NEW.{key} := o.{key};" for key in _KEYS)
    if access.agencies_only:
        copy += "\n  NEW.enterprise_key := NULL;"
    if access.self_keyed:
        copy += _OWN_LEVEL
    if access.is_site:
        copy += _SITE_LEVELS
    lines = [
        "DECLARE",
        "  o record;",
        "  claim int := nullif(current_setting('app.key', true), '')::int;",
        "BEGIN",
        "  IF TG_OP = 'INSERT' THEN",
        "    NEW.author_key := claim;",
        "    NEW.owner_key := NEW.key;"
        if access.self_keyed
        else "    NEW.owner_key := coalesce(NEW.owner_key, claim);",
        "  END IF;",
        "  " + _placer(access),
        (
            f"  IF NOT FOUND THEN RAISE foreign_key_violation USING MESSAGE = 'no such owner', TABLE = '{table.name}';"
            " END IF;"
        ),
        copy,
    ]
    if access.draft_state:
        lines += [
            f"  IF NEW.state = '{access.draft_state}' THEN",
            "    SELECT t.* INTO o FROM app.tenant t WHERE t.key = NEW.author_key;",
            *(f"    NEW.{key_column(lv)} := CASE WHEN o.kind = '{lv.upper()}' THEN o.key END;" for lv in LEVELS),
            "  END IF;",
        ]
    return "\n".join([*lines, "  RETURN NEW;", "END"])


_OWN_LEVEL = """
  CASE NEW.kind
    WHEN 'PROVINCE' THEN NEW.province_key := NEW.key;
    WHEN 'CITY' THEN NEW.city_key := NEW.key;
    WHEN 'COUNTY' THEN NEW.county_key := NEW.key;
    WHEN 'TOWNSHIP' THEN NEW.township_key := NEW.key;
    WHEN 'PARK' THEN NEW.park_key := NEW.key;
    WHEN 'ENTERPRISE' THEN NEW.enterprise_key := NEW.key;
    ELSE NULL;
  END CASE;
  IF NEW.home_park_id IS NOT NULL THEN
    SELECT p.key INTO NEW.park_key FROM app.tenant p
     WHERE p.id = NEW.home_park_id AND p.kind = 'PARK' AND p.province_key = NEW.province_key;
    IF NOT FOUND THEN RAISE foreign_key_violation USING MESSAGE = 'no such park'; END IF;
  END IF;"""

_SITE_LEVELS = """
  SELECT t.enterprise_key INTO NEW.enterprise_key FROM app.tenant t WHERE t.key = NEW.owner_key;
  IF NEW.park_id IS NOT NULL THEN
    SELECT p.key INTO NEW.park_key FROM app.tenant p
     WHERE p.id = NEW.park_id AND p.kind = 'PARK' AND p.province_key = NEW.province_key;
    IF NOT FOUND THEN RAISE foreign_key_violation USING MESSAGE = 'no such park'; END IF;
  ELSE
    NEW.park_key := NULL;
  END IF;"""


def _verify_body(access: Access) -> str:
    """The bulk path names level keys; each must equal what the owner or the site says, or a draft's author."""
    if access.self_keyed:
        wrong = (
            "SELECT count(*) INTO wrong FROM added a LEFT JOIN app.tenant p ON p.id = a.parent_id\n"
            "   LEFT JOIN app.tenant h ON h.id = a.home_park_id\n"
            "   WHERE a.owner_key IS DISTINCT FROM a.key\n"
            "      OR a.province_key IS DISTINCT FROM CASE a.kind WHEN 'PROVINCE' THEN a.key ELSE p.province_key END\n"
            "      OR a.city_key IS DISTINCT FROM CASE a.kind WHEN 'CITY' THEN a.key ELSE p.city_key END\n"
            "      OR a.county_key IS DISTINCT FROM CASE a.kind WHEN 'COUNTY' THEN a.key ELSE p.county_key END\n"
            "      OR a.township_key IS DISTINCT FROM CASE a.kind WHEN 'TOWNSHIP' THEN a.key ELSE p.township_key END\n"
            "      OR a.park_key IS DISTINCT FROM\n"
            "         CASE a.kind WHEN 'PARK' THEN a.key ELSE coalesce(h.key, p.park_key) END\n"
            "      OR a.enterprise_key IS DISTINCT FROM CASE a.kind WHEN 'ENTERPRISE' THEN a.key END;"
        )
    elif access.is_site:
        wrong = (
            "SELECT count(*) INTO wrong FROM added a LEFT JOIN app.tenant p ON p.id = a.place_id\n"
            "   LEFT JOIN app.tenant h ON h.id = a.park_id LEFT JOIN app.tenant o ON o.key = a.owner_key\n"
            "   WHERE (a.province_key, a.city_key, a.county_key, a.township_key, a.park_key, a.enterprise_key)\n"
            "      IS DISTINCT FROM\n"
            "      (p.province_key, p.city_key, p.county_key, p.township_key, h.key, o.enterprise_key);"
        )
    else:
        levels = [lv for lv in LEVELS if not (access.agencies_only and lv == "enterprise")]
        given = ", ".join(f"a.{key_column(lv)}" for lv in levels)
        right = {lv: f"o.{key_column(lv)}" for lv in levels}
        join = "LEFT JOIN app.tenant o ON o.key = a.owner_key"
        if access.site:
            join += f" LEFT JOIN app.site s ON s.id = a.{access.site} AND s.owner_key = a.owner_key"
            at_site = f"CASE WHEN a.{access.site} IS NULL THEN {{}} ELSE s.{{}} END"
            right = {lv: at_site.format(right[lv], key_column(lv)) for lv in levels}
        if access.draft_state:
            join += " LEFT JOIN app.tenant w ON w.key = a.author_key"
            of_draft = f"CASE WHEN a.state <> '{access.draft_state}' THEN {{}} WHEN w.kind = '{{}}' THEN w.key END"
            right = {lv: of_draft.format(right[lv], lv.upper()) for lv in levels}
        wrong = (
            f"SELECT count(*) INTO wrong FROM added a {join}\n"
            f"   WHERE ({given}) IS DISTINCT FROM ({', '.join(right.values())});"
        )
    return (
        "DECLARE\n  wrong bigint;\nBEGIN\n"
        f"  IF session_user NOT IN {BULK} THEN RETURN NULL; END IF;\n  {wrong}\n"
        "  IF wrong > 0 THEN RAISE check_violation USING MESSAGE = wrong || ' rows with wrong level keys'; END IF;\n"
        "  RETURN NULL;\nEND"
    )
