"""Revoked sessions: found at once after a notice, within seconds without one, and forgotten when they may be."""

import asyncio
from typing import Any

import pytest

from tenants import revocations
from tenants.revocations import RevokedSessions, forget_expired, revoke
from tests.conftest import Clone

ISS = "https://issuer.test/realms/gov"
NAMES = {ISS: "gov", "https://issuer.test/realms/ent": "ent"}


class Held:
    """A database whose answers can be held back, and counted."""

    def __init__(self, db: Any) -> None:
        self.db, self.asked = db, 0
        self.answered, self.go = asyncio.Event(), asyncio.Event()
        self.go.set()

    def reader(self, login: str) -> "Held":
        self.pool = self.db.reader(login)
        return self

    async def fetchval(self, sql: str, *values: object) -> Any:
        self.asked += 1
        found = await self.pool.fetchval(sql, *values)
        self.answered.set()
        await self.go.wait()
        return found


async def _revoke(clone: Clone, *sids: str, issuer: str = "gov") -> None:
    async with clone.db.write("sys_jobs", {}) as session:
        await revoke(session, issuer, sids)


async def test_a_revoked_session_is_that_session_of_that_issuer(fresh_db: Clone) -> None:
    await _revoke(fresh_db, "one", "two")
    await _revoke(fresh_db, "two", "three")
    await _revoke(fresh_db)
    sessions = RevokedSessions(fresh_db.db, NAMES)
    assert [await sessions.revoked(ISS, sid) for sid in ("one", "two", "three", "four")] == [True, True, True, False]
    assert not await sessions.revoked("https://issuer.test/realms/ent", "one")
    rows = await fresh_db.admin.fetch("SELECT expires_at - revoked_at AS life FROM app.revoked_session")
    assert [row["life"] for row in rows] == [revocations.TOKEN_LIFE] * 3


async def test_answers_are_kept_no_longer_than_they_hold(fresh_db: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("tenants.revocations.time.monotonic", lambda: now)
    held = Held(fresh_db.db)
    sessions = RevokedSessions(held, NAMES)  # type: ignore[arg-type]
    assert not await sessions.revoked(ISS, "one")
    await _revoke(fresh_db, "one")
    now += revocations.NEGATIVE_SECONDS - 0.01
    assert not await sessions.revoked(ISS, "one")
    assert held.asked == 1
    now += 0.01
    assert await sessions.revoked(ISS, "one")
    now += revocations.TOKEN_LIFE.total_seconds() - 30
    sessions.evict()
    assert await sessions.revoked(ISS, "one"), "what ended never begins again"
    assert held.asked == 2
    await fresh_db.admin.execute("UPDATE app.revoked_session SET expires_at = now()")
    now += 60
    assert not await sessions.revoked(ISS, "one")
    assert held.asked == 3


async def test_a_notice_makes_it_known_at_once(fresh_db: Clone) -> None:
    sessions = RevokedSessions(fresh_db.db, NAMES)
    assert not await sessions.revoked(ISS, "one")
    async with fresh_db.db.listen("sys_identity", "membership") as notices:
        await _revoke(fresh_db, "one")
        await asyncio.wait_for(anext(notices), 20)
    sessions.evict()
    assert await sessions.revoked(ISS, "one")


async def test_an_answer_that_was_on_its_way_when_the_session_ended_is_not_kept(fresh_db: Clone) -> None:
    held = Held(fresh_db.db)
    held.go.clear()
    sessions = RevokedSessions(held, NAMES)  # type: ignore[arg-type]
    early = asyncio.create_task(sessions.revoked(ISS, "one"))
    await held.answered.wait()
    await _revoke(fresh_db, "one")
    sessions.evict()
    held.go.set()
    assert not await early
    assert await sessions.revoked(ISS, "one")


async def test_the_cache_is_bounded(fresh_db: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "CACHE_SIZE", 2)
    held = Held(fresh_db.db)
    sessions = RevokedSessions(held, NAMES)  # type: ignore[arg-type]
    for sid in ("one", "two", "three", "three", "two", "one"):
        await sessions.revoked(ISS, sid)
    assert held.asked == 4


async def test_sessions_without_living_tokens_are_removed(fresh_db: Clone) -> None:
    await _revoke(fresh_db, "old", "new")
    await fresh_db.admin.execute(
        "UPDATE app.revoked_session SET expires_at = now() - '1 s'::interval WHERE sid = 'old'"
    )
    assert not await RevokedSessions(fresh_db.db, NAMES).revoked(ISS, "old")
    assert await forget_expired(fresh_db.db) == 1
    assert await fresh_db.admin.fetchval("SELECT string_agg(sid, ' ') FROM app.revoked_session") == "new"
