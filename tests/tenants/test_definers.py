"""Functions that run as the owner of definer functions, and who may call each: typed by hand, with the reason.

Whoever may call one does with its rights what the login itself may not; so the list is as short as the product
lets it be, and a new function or a new caller turns this red until it stands here.
"""

import asyncpg
import pytest

from tenants.kinds import LOGINS, PEOPLE_LOGINS
from tests.conftest import Clone

MEMBERS = frozenset({"province", "city", "county", "township", "park", "enterprise", "assigned"})
CALLERS = {
    # Whoever acts may queue a job: the import and export of his own, and what follows from his change; a job, too.
    "outbox_put": MEMBERS | {"sys_jobs"},
    # A personal job marks its message in its own transaction; the worker's ledger all others.
    "job_done": MEMBERS | {"sys_jobs"},
    # Uploads of people, results of jobs, copies and delete markers of retention.
    "object_add": MEMBERS | {"sys_jobs", "sys_retention"},
    # Anybody may ask for an enterprise or redeem a slip, signed in or not, with a membership elsewhere or without.
    "registration_receive": MEMBERS | {"public"},
    "redeem_slip": MEMBERS | {"public"},
    # The county that approved an enterprise gets the other counties' open requests for it.
    "registration_gather": frozenset({"county"}),
    # Those who write scope_grant, incident_call or hosting name the grantee.
    "grantee_of": frozenset({"province", "city", "county", "enterprise"}),
}
_ANY = {
    "outbox_put": "app.outbox_put(NULL, NULL, NULL, NULL, NULL)",
    "job_done": "app.job_done(NULL, NULL)",
    "object_add": "app.object_add(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    "registration_receive": "app.registration_receive(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,"
    " NULL, NULL, NULL)",
    "redeem_slip": "app.redeem_slip(NULL, NULL)",
    "registration_gather": "app.registration_gather(NULL)",
    "grantee_of": "app.grantee_of(NULL)",
}


async def test_each_definer_function_has_exactly_its_callers(world_db: Clone) -> None:
    rows = await world_db.admin.fetch(
        "SELECT p.proname, p.prorettype = 'trigger'::regtype AS trigger, coalesce((SELECT array_agg("
        "coalesce(g.rolname, 'PUBLIC')::text) FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a"
        " LEFT JOIN pg_roles g ON g.oid = a.grantee WHERE a.grantee <> p.proowner), '{}') AS callers"
        " FROM pg_proc p WHERE p.pronamespace = 'app'::regnamespace"
    )
    found = {row["proname"]: {name.removeprefix(f"{world_db.prefix}_") for name in row["callers"]} for row in rows}
    triggers = {row["proname"] for row in rows if row["trigger"]}
    assert {name: callers for name, callers in found.items() if name not in triggers} == CALLERS
    assert {name: callers for name, callers in found.items() if name in triggers and callers} == {}
    assert set(PEOPLE_LOGINS) == MEMBERS


@pytest.mark.parametrize("function", sorted(CALLERS))
async def test_others_are_denied(world_db: Clone, function: str) -> None:
    for login in sorted(set(LOGINS) - CALLERS[function]):
        async with world_db.db.connect(login) as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for function"):
                await connection.execute(f"SELECT {_ANY[function]}")
