"""Unknown ids and foreign ids: same answer, same number of statements, nothing changed (decisions 8 and 35, US-12)."""

import re
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from app.asgi import load_api
from tenants.kinds import Kind
from tenants.roles import ROLES
from tests.api.stack import Stack, counting
from tests.conftest import Clone, Server, copy
from tests.matrix.collect import expected
from tests.matrix.foreign import Probe, Probes
from tests.matrix.plan import Catalogue
from tests.matrix.truth import Truth
from tests.world import ACTORS, Actor, World

KINDS = sorted({actor.name for actor in ACTORS})
CHANGING = (
    "citizen",
    "enterprise_officer_1",
    "township",
    "county_1",
    "city_1",
    "province_1",
    "park_1",
    "rescue",
    "agency",
    "host",
    "national",
    "expired",
)
"""Actors who try mutations: every kind of tenant, and some without."""
AUDIT = "audit_entry"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.of(load_api().schema)


@pytest.fixture(scope="module")
async def stack(pg: Server, world_template: str) -> AsyncIterator[Stack]:
    """A world of this module: denied queries are audited."""
    async with copy(pg, world_template, "fi") as clone:
        made = Stack(load_api(), clone.db)
        yield made
        await made.close()


@pytest.fixture
async def powerful(fresh_world: Clone) -> AsyncIterator[tuple[Stack, Clone, World]]:
    """A world of one's own in which every member has every role of his kind, so that only rows are in the way."""
    for kind in Kind:
        await fresh_world.admin.execute(
            "UPDATE app.membership m SET roles = $1 FROM app.tenant t"
            " WHERE t.key = m.owner_key AND t.kind = $2 AND m.person_id IS NOT NULL",
            sorted(ROLES[kind]),
            str(kind),
        )
    made = Stack(load_api(), fresh_world.db)
    yield made, fresh_world, await World.read(fresh_world.admin)
    await made.close()


async def answer(stack: Stack, actor: Actor, query: str, variables: dict[str, Any]) -> tuple[int, Any, int]:
    """Return status, content without the request's id, and number of statements."""
    with counting(stack) as counted:
        response = await stack.post(actor, query, variables)
    text = re.sub(r'"requestId":"[^"]*"', '"requestId":""', response.text)
    return response.status_code, text, counted[0]


def told_apart(probe: Probe, unknown: tuple[int, Any, int], foreign: tuple[int, Any, int]) -> str | None:
    """Return how an actor can tell a foreign id from an unknown one."""
    unknown_id, foreign_id = _ids(probe)
    if unknown == (foreign[0], foreign[1].replace(foreign_id, unknown_id), foreign[2]):
        return None
    return f"{probe.argument.name}: unknown {unknown}, foreign {foreign}"


def _fields(text: str) -> list[str]:
    """Return the input fields that the errors of a payload name."""
    payloads = orjson.loads(text).get("data") or {}
    return [
        error["field"][-1] for one in payloads.values() for error in (one or {}).get("errors", ()) if error["field"]
    ]


def _ids(probe: Probe) -> tuple[str, str]:
    left, right = orjson.dumps(probe.unknown).decode(), orjson.dumps(probe.foreign).decode()
    pattern = re.compile(r"[a-z_]+_[0-9a-f-]{36}")
    return next(
        (one, other) for one, other in zip(pattern.findall(left), pattern.findall(right), strict=True) if one != other
    )


@pytest.mark.parametrize("name", KINDS)
async def test_queries_do_not_tell_foreign_from_unknown(
    stack: Stack, catalogue: Catalogue, world: World, name: str
) -> None:
    actor = world.actors[name]
    probes = [
        probe
        for probe in Probes(catalogue, Truth(world, expected())).of(actor)
        if probe.argument.root not in catalogue.mutations
    ]
    assert len(probes) > 10
    found = []
    for probe in probes:
        unknown = await answer(stack, actor, probe.query, probe.unknown)
        foreign = await answer(stack, actor, probe.query, probe.foreign)
        found.append(told_apart(probe, unknown, foreign))
        assert '"code":"INTERNAL"' not in unknown[1] + foreign[1], (probe, unknown, foreign)
    assert [one for one in found if one] == []


async def checksums(clone: Clone, tables: list[str]) -> dict[str, str]:
    """Return a checksum of every table but the audit log, as a superuser reads them."""
    return {
        table: await clone.admin.fetchval(
            f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM app.\"{table}\" t"
        )
        for table in tables
        if table != AUDIT
    }


async def denials(clone: Clone) -> tuple[int, int]:
    """Return how many denials and how many successes the audit log holds."""
    row = await clone.admin.fetchrow(
        "SELECT count(*) FILTER (WHERE outcome = 'DENIED') AS d, count(*) FILTER (WHERE outcome = 'ALLOWED') AS a"
        " FROM app.audit_entry"
    )
    return row["d"], row["a"]


async def test_mutations_do_not_tell_foreign_from_unknown_and_change_nothing(
    powerful: tuple[Stack, Clone, World], catalogue: Catalogue
) -> None:
    stack, clone, world = powerful
    probes = Probes(catalogue, Truth(world, expected()))
    tables = sorted(world.tables)
    before, audited = await checksums(clone, tables), await denials(clone)
    found: list[str] = []
    reached: set[str] = set()  # arguments whose id was looked up: an error names them
    for name in CHANGING:
        actor = world.actors[name]
        for probe in probes.of(actor):
            if probe.argument.root not in catalogue.mutations:
                continue
            unknown = await answer(stack, actor, probe.query, probe.unknown)
            middle = await denials(clone)
            foreign = await answer(stack, actor, probe.query, probe.foreign)
            after = await denials(clone)
            reached |= {probe.argument.name for field in _fields(foreign[1]) if field == probe.argument.path[-1]}
            if difference := told_apart(probe, unknown, foreign):
                found.append(f"{name} {difference}")
            if '"errors":[{' not in foreign[1] or '"code":"INTERNAL"' in foreign[1]:
                found.append(f"{name} {probe.argument.name}: {probe.foreign} gives {foreign}")
            if (middle[0] - audited[0], middle[1]) != (after[0] - middle[0], audited[1]):
                found.append(f"{name} {probe.argument.name}: audited {audited} {middle} {after}")
            audited = after
        now = await checksums(clone, tables)
        found += [f"{name}: {table} has changed" for table in tables if table != AUDIT and now[table] != before[table]]
        before = now
    assert found == []
    named = {one.name for one in catalogue.id_arguments() if one.root in catalogue.mutations}
    shared = {name for name in named if expected().ids[name] == "Agency"}
    kept = {name for name in named if expected().ids[name] == "*"}  # stored as written, never looked up
    assert named - reached == shared | kept
