"""Policies and grants broken one by one (identity study 3.2, M5): the probes must notice every single one.

One transaction each: the DDL, the probes under ``SET LOCAL SESSION AUTHORIZATION``, ROLLBACK. A policy
that nobody notices means that the fixture world is too poor: extend it.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tenants.access import access_of
from tenants.kinds import LOGINS, SYSTEM_LOGINS
from tests.conftest import Clone
from tests.expectations import TABLES
from tests.oracle import Oracle
from tests.tenants.probes import (
    DENIED,
    REFUSED,
    added,
    changed,
    expected_insert,
    insertable,
    key_of,
    seen,
)
from tests.tenants.probes import TABLES as MAPPED
from tests.world import ACTORS, TREE, Actor, World

pytestmark = pytest.mark.full
FOREIGN = ("D111", "D112", "C11", "C12", "P1", "P2", "K1", "K2", "T111", "T211", "E1111", "E2111", "R1", "A1", "N0")
"""Owners in whose name a probe tries to write."""
Claims = dict[str, str]


@dataclass(frozen=True)
class Mutant:
    """One change of the database, and where to look."""

    statement: str
    table: str
    login: str
    sort: str
    """policy, check, grant."""
    detail: str = ""


@dataclass(frozen=True)
class Probes:
    """What each login finds on a table, against what it should find."""

    clone: Clone
    world: World
    oracle: Oracle

    async def notice(self, mutant: Mutant) -> bool:
        """Whether anything is not as it should be."""
        if mutant.sort == "grant":
            return await self._grants(mutant.table, mutant.login)
        if mutant.login == "definer":
            return await self._definer(mutant.table)
        return await self._reads(mutant.table, mutant.login) or await self._writes(mutant.table, mutant.login)

    def _callers(self, login: str) -> Iterator[tuple[Actor, Claims]]:
        for actor in ACTORS:
            if self.world.login(actor) == login:
                yield actor, self.world.claims(actor)

    async def _reads(self, table: str, login: str) -> bool:
        if login in SYSTEM_LOGINS:
            return await seen(self.clone, login, {}, table) != self.oracle.system(table, login)
        for actor, claims in self._callers(login):
            if await seen(self.clone, login, claims, table) != self.oracle.visible(table, actor):
                return True
        return False

    async def _writes(self, table: str, login: str) -> bool:
        if login in SYSTEM_LOGINS:
            return await self._system_writes(table, login)
        if TABLES[table].scope == "own person":
            return await self._anothers(table, login)
        for actor, claims in self._callers(login):
            if table == "tenant":
                if await self._foreign_tenant(login, claims):
                    return True
                continue
            for owner in FOREIGN:
                row = insertable(self.world, actor, table, owner)
                if row is None or expected_insert(self.oracle, table, actor, row):
                    continue
                if await added(self.clone, login, claims, table, row) != REFUSED:
                    return True
        return False

    async def _foreign_tenant(self, login: str, claims: Claims) -> bool:
        """Whether a tenant below somebody else, of another kind, or below an enterprise comes in."""
        tenants = self.world.tables["tenant"]
        own = next(row["id"] for row in tenants if str(row["key"]) == claims["app.key"])
        foreign = [row["id"] for row in tenants if row["kind"] == "COUNTY" and row["id"] != own]
        firms = [row["id"] for row in tenants if row["kind"] == "ENTERPRISE" and row["parent_id"] == own]
        tries = [("ENTERPRISE", foreign[-1]), ("AGENCY", own), *(("ENTERPRISE", firm) for firm in firms[:1])]
        for kind, parent in tries:
            row = {"id": uuid.uuid4(), "kind": kind, "name": "x", "parent_id": parent}
            if await added(self.clone, login, claims, "tenant", row) not in (REFUSED, DENIED):
                return True
        return False

    async def _anothers(self, table: str, login: str) -> bool:
        columns = access_of(MAPPED[table]).insert.get(login, ())
        for actor, claims in self._callers(login):
            like = next((row for row in self.world.tables[table] if row["person_id"] != actor.person), None)
            if like is None or "person_id" not in columns:
                continue
            row = {name: value for name, value in like.items() if name in columns and not _is_json(value)}
            if await added(self.clone, login, claims, table, {**row, key_of(table): uuid.uuid4()}) != REFUSED:
                return True
        return False

    async def _system_writes(self, table: str, login: str) -> bool:
        access = access_of(MAPPED[table])
        if access.system.get(login) in (None, "true") or login not in access.insert:
            return False
        like = self.world.tables[table][0]
        row = {name: like[name] for name in access.insert[login] if like[name] is not None and not _is_json(like[name])}
        claims = {"app.key": str(self.world.keys["D111"]), "app.person": str(ACTORS[8].person)}
        return await added(self.clone, login, claims, table, {**row, "id": uuid.uuid4()}) != REFUSED

    async def _definer(self, table: str) -> bool:
        rows = self.world.tables[table]
        every = {str(row[key_of(table)]) for row in rows}
        commands = access_of(MAPPED[table]).definer
        if "SELECT" in commands and await seen(self.clone, "definer", {}, table) != every:
            return True
        if "INSERT" in commands:
            given = [c.name for c in MAPPED[table].columns if not (c.identity is not None and c.identity.always)]
            row = {name: rows[0][name] for name in given if rows[0][name] is not None and not _is_json(rows[0][name])}
            if await added(self.clone, "definer", {}, table, row) == REFUSED:
                return True
        if "UPDATE" in commands:
            answer = await changed(self.clone, "definer", {}, table, "name")
            return answer != every
        return False

    async def _grants(self, table: str, login: str) -> bool:
        access = access_of(MAPPED[table])
        for command, grants in (("INSERT", access.insert), ("UPDATE", access.update)):
            wide = command in access.system_write.get(login, ())
            wanted = set(MAPPED[table].columns.keys()) if wide else set(grants.get(login, ()))
            rows = await self.clone.admin.fetch(
                "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 "
                "AND NOT attisdropped AND has_column_privilege($2, attrelid, attnum, $3)",
                f"app.{table}",
                f"{self.clone.prefix}_{login}",
                command,
            )
            if {row["attname"] for row in rows} != wanted:
                return True
        readers = LOGINS if TABLES[table].scope == "all" else (*access.select, *access.system)
        answer = await seen(self.clone, login, {}, table)
        return (answer == DENIED) == (login in readers)


def _is_json(value: Any) -> bool:
    return isinstance(value, str) and value[:1] in "{["


async def _policy_mutants(clone: Clone) -> list[Mutant]:
    rows = await clone.admin.fetch("SELECT * FROM pg_policies WHERE schemaname = 'app' ORDER BY tablename, policyname")
    found = []
    for row in rows:
        table, name = row["tablename"], row["policyname"]
        login = row["roles"][0].removeprefix(f"{clone.prefix}_")
        on = f"{name} ON app.{table}"
        found.append(Mutant(f"DROP POLICY {on}", table, login, "policy"))
        if row["qual"] not in (None, "true"):
            found.append(Mutant(f"ALTER POLICY {on} USING (true)", table, login, "policy"))
        if row["with_check"] not in (None, "true") and _can_misplace(table, login):
            found.append(Mutant(f"ALTER POLICY {on} WITH CHECK (true)", table, login, "check"))
    return found


def _can_misplace(table: str, login: str) -> bool:
    """Whether the login names anything on INSERT that decides where a row goes; else the check has nothing to do."""
    columns = set(access_of(MAPPED[table]).insert.get(login, ()))
    return bool(columns & {"owner_key", "person_id", "parent_id"})


def _grant_mutants(prefix: str) -> list[Mutant]:
    found = []
    for name, table in MAPPED.items():
        access = access_of(table)
        for login in LOGINS:
            role = f"{prefix}_{login}"
            for command, grants in (("INSERT", access.insert), ("UPDATE", access.update)):
                if command in access.system_write.get(login, ()):
                    continue
                found += [
                    Mutant(f"GRANT {command} ({column}) ON app.{name} TO {role}", name, login, "grant", column)
                    for column in table.columns.keys()  # noqa: SIM118 - columns are no mapping
                    if column not in grants.get(login, ())
                ]
            if TABLES[name].scope != "all" and login not in (*access.select, *access.system):
                found.append(Mutant(f"GRANT SELECT ON app.{name} TO {role}", name, login, "grant"))
    return found


async def _survivors(clone: Clone, probes: Probes, mutants: list[Mutant]) -> list[str]:
    alive = []
    for mutant in mutants:
        transaction = clone.admin.transaction()
        await transaction.start()
        try:
            await clone.admin.execute(mutant.statement)
            if not await probes.notice(mutant):
                alive.append(mutant.statement)
        finally:
            await transaction.rollback()
    return alive


@pytest.fixture(scope="module")
def probes(world_db: Clone, world: World) -> Probes:
    return Probes(world_db, world, Oracle(world))


async def test_unbroken_nothing_is_noticed(world_db: Clone, probes: Probes) -> None:
    """Else the probes would notice everything for free."""
    for mutant in await _policy_mutants(world_db):
        assert not await probes.notice(mutant), mutant
    for table in MAPPED:
        for login in LOGINS:
            assert not await probes.notice(Mutant("", table, login, "grant")), (table, login)


async def test_every_broken_policy_is_noticed(
    world_db: Clone, probes: Probes, capsys: pytest.CaptureFixture[str]
) -> None:
    mutants = await _policy_mutants(world_db)
    alive = await _survivors(world_db, probes, mutants)
    with capsys.disabled():
        print(f"\npolicy mutants caught: {len(mutants) - len(alive)}/{len(mutants)}")  # noqa: T201 - the figure
    assert len(mutants) > 2 * len(TREE)
    assert not alive, "\n".join(alive)


async def test_every_widened_grant_is_noticed(
    world_db: Clone, probes: Probes, capsys: pytest.CaptureFixture[str]
) -> None:
    mutants = _grant_mutants(world_db.prefix)
    alive = await _survivors(world_db, probes, mutants)
    with capsys.disabled():
        print(f"\ngrant mutants caught: {len(mutants) - len(alive)}/{len(mutants)}")  # noqa: T201 - the figure
    assert not alive, "\n".join(alive)
