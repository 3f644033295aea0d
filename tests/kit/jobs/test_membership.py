"""A job's membership is looked up again: what the database recorded must still fit, and rights never grow."""

import uuid
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from app.kit.job_runner import membership_again
from app.kit.outbox import enqueue
from app.relay import LOGIN, Relay
from infra.queue.port import Json
from tenants.context import Acting
from tests.kit.jobs.conftest import World
from tests.kit.jobs.test_outbox import Broker

DAY = date(2026, 3, 1)


async def member(world: World, roles: list[str], valid_to: date | None = None) -> Acting:
    """A person with a membership in the county."""
    acting = world.acting("county")
    await world.admin.execute("SET SESSION AUTHORIZATION anlan_sys_seed")
    await world.admin.execute(
        "INSERT INTO app.person (person_id, issuer, subject, display_name) VALUES ($1, 'gov', $2, '李')",
        acting.person_id,
        str(acting.person_id),
    )
    await world.admin.execute(
        "INSERT INTO app.membership (id, owner_key, province_key, county_key, person_id, name, roles, state,"
        " valid_from, valid_to, is_primary) VALUES ($1, $2, $3, $2, $4, '李', $5, 'ACTIVE', $6, $7, true)",
        acting.membership_id,
        world.keys["county"],
        world.keys["province"],
        acting.person_id,
        roles,
        date(2026, 1, 1),
        valid_to,
    )
    await world.admin.execute("RESET SESSION AUTHORIZATION")
    return replace(acting, roles=frozenset(roles))


async def queued(world: World, acting: Acting) -> Json:
    """The context under which this membership's job reaches the broker."""
    broker = Broker()
    async with world.db.write("county", world.claims_of(acting)) as session:
        await enqueue(session, "some.job", {}, acting)
    async with world.db.connect(LOGIN) as connection:
        await Relay(world.db, broker, world.settings, duties=[]).send(connection)
    return broker.sent[0].context


async def test_a_valid_membership_acts_with_the_roles_of_both_moments(world: World) -> None:
    acting = await member(world, ["OFFICER", "LEADER"])
    context = await queued(world, replace(acting, roles=frozenset({"OFFICER", "ADMIN"})))
    again = await membership_again(world.db, context, DAY)
    assert again is not None
    assert (again.membership_id, again.tenant_key) == (acting.membership_id, world.keys["county"])
    assert again.roles == {"OFFICER"}
    assert "enterprise.lock" not in again.capabilities, "a right of a role that the job was not queued with"


async def test_it_ends_with_its_last_day(world: World) -> None:
    context = await queued(world, await member(world, ["OFFICER"], valid_to=DAY))
    assert await membership_again(world.db, context, DAY) is not None
    assert await membership_again(world.db, context, date(2026, 3, 2)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"tid": 1},
        {"level": "province"},
        {"person": str(uuid.uuid4())},
        {"membership": str(uuid.uuid4())},
        {"membership": "no uuid"},
        {"person": None},
    ],
)
async def test_what_does_not_fit_together_acts_as_nobody(world: World, change: dict[str, Any]) -> None:
    context = await queued(world, await member(world, ["OFFICER"]))
    assert await membership_again(world.db, {**context, **change}, DAY) is None


async def test_an_ended_membership_acts_as_nobody(world: World) -> None:
    acting = await member(world, ["OFFICER"])
    context = await queued(world, acting)
    await world.admin.execute("UPDATE app.membership SET state = 'ENDED' WHERE id = $1", acting.membership_id)
    assert isinstance(acting.membership_id, UUID)
    assert await membership_again(world.db, context, DAY) is None
