"""Enterprises for tests: who acts, forms as a citizen fills them in, and the way to a working tenant."""

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid5

from app.kit.uow import WriteContext
from app.modules.enterprises.service import registrations
from app.modules.members.public import tenant_id
from infra.db.port import Database
from tenants.context import Acting, Caller, Visitor
from tenants.kinds import Kind
from tenants.roles import capabilities
from tests.factories.standards import credit_code

TODAY = date(2026, 3, 2)
"""A Monday."""
JIANGYIN, YIXING, WUXI, JIANGSU = "320281", "320282", "3202", "32"
CHENGJIANG = "320281001"
JIANGYIN_POINT = (120.28, 31.90)
"""A point inside 江阴市."""
JIANGYIN_PARK = "park:2"
_KINDS = {2: Kind.PROVINCE, 4: Kind.CITY, 6: Kind.COUNTY, 9: Kind.TOWNSHIP}
_SPACE = UUID("5d5a1f0e-0000-4000-8000-000000000000")
_numbers = itertools.count(700_000)


def new_code() -> str:
    """Return a valid credit code that no other test has."""
    return credit_code(next(_numbers))


async def office(admin: Any, ref: str, *roles: str, name: str = "") -> Acting:
    """Return a membership in a seeded tenant.

    Args:
        admin: superuser connection.
        ref: division code or ``park:2``.
        roles: names of roles.
        name: tells several people of one tenant apart.
    """
    kind = Kind.PARK if ref.startswith("park:") else _KINDS[len(ref)]
    return await member(admin, tenant_id(ref), kind, *roles, name=name)


async def member(admin: Any, tenant: UUID, kind: Kind, *roles: str, name: str = "") -> Acting:
    """Return a membership in any tenant."""
    row = await admin.fetchrow("SELECT key, name FROM app.tenant WHERE id = $1", tenant)
    return Acting(
        membership_id=uuid5(_SPACE, f"member/{tenant}/{roles}/{name}"),
        person_id=uuid5(_SPACE, f"person/{tenant}/{roles}/{name}"),
        tenant_id=tenant,
        tenant_key=row["key"],
        tenant_name=row["name"],
        kind=kind,
        roles=frozenset(roles),
        capabilities=capabilities(kind, roles),
        actor_name=f"李{name or '四'}",
        post="科员",
    )


@asynccontextmanager
async def working(db: Database, caller: Caller | None = None, today: date = TODAY) -> AsyncIterator[WriteContext]:
    """Open a unit of work as a membership, or as the public; it commits when the block ends."""
    who = caller or Visitor()
    now = datetime(today.year, today.month, today.day, 4, tzinfo=UTC)
    async with db.write(who.login, who.claims(today)) as session:
        yield WriteContext(session=session, caller=who, now=now, today=today, request_id="test")


def form(**over: Any) -> registrations.NewRegistration:
    """Return a registration as a citizen fills it in, for 江阴市."""
    made = registrations.NewRegistration(
        credit_code=new_code(),
        name="江阴试验化工有限公司",
        division_code=JIANGYIN,
        address="申港街道试验路 1 号",
        contact_name="王小安",
        contact_phone="13812345678",
        industry_code="2631",
        longitude=JIANGYIN_POINT[0],
        latitude=JIANGYIN_POINT[1],
    )
    return replace(made, **over)


@dataclass(frozen=True)
class Opened:
    """An enterprise that works: ids, the slip's code, and two of its people."""

    registration_id: UUID
    enterprise_id: UUID
    slip: str
    head: Acting
    manager: Acting
    code: str


async def open_enterprise(db: Database, admin: Any, **over: Any) -> Opened:
    """Register and approve an enterprise as citizen and county, through the use cases."""
    filled = form(**over)
    async with working(db) as ctx:
        registration_id = await registrations.submit(ctx, filled)
    county = await office(admin, filled.division_code[:6], "ACCEPTOR")
    async with working(db, county) as ctx:
        done = await registrations.approve(ctx, registration_id, 1)
    head = await member(admin, done.enterprise_id, Kind.ENTERPRISE, "HEAD", "ADMIN", name="负责人")
    manager = await member(admin, done.enterprise_id, Kind.ENTERPRISE, "SAFETY_MANAGER", name="安全员")
    return Opened(registration_id, done.enterprise_id, done.slip.code, head, manager, filled.credit_code)


async def stored(admin: Any, table: str, row_id: UUID) -> Mapping[str, Any]:
    """Return a row as a superuser reads it."""
    row = await admin.fetchrow(f"SELECT * FROM app.{table} WHERE id = $1", row_id)
    assert row is not None, f"no {table} {row_id}"
    return dict(row)
