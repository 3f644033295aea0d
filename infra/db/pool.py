"""Pools of read-only connections: one per login, last used first, and a limit for the whole process.

No reset between uses: each statement is its own transaction and sets its claim itself, so nothing
stays on the connection. asyncpg's own pool costs a second round trip for its reset query.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from infra.db.faults import saying_unavailable

PER_LOGIN = 8
PER_PROCESS = 30
"""Connections for compiled reads per process, over all logins (decision 26)."""
IDLE_SECONDS = 60.0


class Slots:
    """The process's places for connections; a pool that needs one may take an idle one of another pool."""

    def __init__(self, size: int = PER_PROCESS) -> None:
        """Start with ``size`` free places."""
        self._free = size
        self._waiting: list[asyncio.Future[None]] = []
        self.pools: list[LifoPool] = []

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for a place."""
        return bool(self._waiting)

    async def acquire(self) -> None:
        """Take a place; close an idle connection elsewhere, or wait, when none is free."""
        if self._free == 0:
            for pool in self.pools:
                if pool.drop_idle():
                    break
        if self._free > 0:
            self._free -= 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
            elif not place.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Give a place back, to the first who waits."""
        while self._waiting:
            place = self._waiting.pop(0)
            if not place.done():
                place.set_result(None)
                return
        self._free += 1


class LifoPool:
    """Read-only connections of one login."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], slots: Slots) -> None:
        """Open connections by ``connect`` within ``slots``."""
        self._connect = connect
        self._slots = slots
        self._own = asyncio.Semaphore(PER_LOGIN)
        self._idle: list[tuple[Any, float]] = []
        slots.pools.append(self)

    async def fetchval(self, sql: str, *args: object) -> Any:
        """Run one statement and return its single value."""
        async with self._own:
            connection = await self._take()
            try:
                with saying_unavailable():
                    return await connection.fetchval(sql, *args)
            finally:
                self._give(connection)

    async def _take(self) -> Any:
        limit = asyncio.get_running_loop().time() - IDLE_SECONDS
        while self._idle and (self._idle[0][1] < limit or self._idle[0][0].is_closed()):
            self.drop_idle()
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._slots.release()
        await self._slots.acquire()
        try:
            return await self._connect()
        except BaseException:
            self._slots.release()
            raise

    def _give(self, connection: Any) -> None:
        if connection.is_closed() or self._slots.wanted:
            connection.terminate()
            self._slots.release()
        else:
            self._idle.append((connection, asyncio.get_running_loop().time()))

    def drop_idle(self) -> bool:
        """Close the connection that has been idle longest; say whether there was one."""
        if not self._idle:
            return False
        self._idle.pop(0)[0].terminate()
        self._slots.release()
        return True

    def close(self) -> None:
        """Close every idle connection."""
        while self.drop_idle():
            pass
