"""PostgreSQL adapter: one pool per login for compiled reads, one SQLAlchemy engine per login for the rest."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from infra.db.faults import saying_unavailable
from infra.db.pool import LifoPool, Slots
from infra.db.port import Claims, DbAddress
from infra.db.session import ReadSession, WriteSession

WRITE_POOL = 4
"""Connections per login and process for writes and the fallback (decision 26)."""


class PostgresDatabase:
    """The database port on PostgreSQL 15 or newer."""

    def __init__(self, address: DbAddress, passwords: Mapping[str, str], prefix: str) -> None:
        """Connect lazily.

        Args:
            address: where the database is.
            passwords: password per short login name.
            prefix: prefix of the role names.
        """
        self._address = address
        self._passwords = passwords
        self._prefix = prefix
        self._engines: dict[str, AsyncEngine] = {}
        self._pools: dict[str, LifoPool] = {}
        self._slots = Slots()

    def reader(self, login: str) -> LifoPool:
        """Return the pool of read-only connections of a login."""
        pool = self._pools.get(login)
        if pool is None:
            pool = self._pools[login] = LifoPool(lambda: self._open(login, read_only=True), self._slots)
        return pool

    @asynccontextmanager
    async def read(self, login: str, claims: Claims) -> AsyncIterator[ReadSession]:
        """Open a READ ONLY transaction with these claims."""
        with saying_unavailable():
            async with ReadSession(self._engine(login), expire_on_commit=False, info={"claims": claims}) as session:
                await session.execute(text("SET TRANSACTION READ ONLY"))
                yield session

    @asynccontextmanager
    async def write(self, login: str, claims: Claims) -> AsyncIterator[WriteSession]:
        """Open a transaction with these claims; it commits when the block ends without an exception."""
        with saying_unavailable():
            async with (
                WriteSession(self._engine(login), expire_on_commit=False, info={"claims": claims}) as session,
                session.begin(),
            ):
                yield session

    @asynccontextmanager
    async def connect(self, login: str) -> AsyncIterator[Any]:
        """Open a plain connection, for COPY and advisory locks."""
        connection = await self._open(login, read_only=False)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def listen(self, login: str, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        """Open a connection that yields the payloads notified on ``channel``; it ends when the connection does."""
        queue: asyncio.Queue[str | None] = asyncio.Queue()

        async def payloads() -> AsyncIterator[str]:
            while (item := await queue.get()) is not None:
                yield item

        async with self.connect(login) as connection:
            connection.add_termination_listener(lambda _: queue.put_nowait(None))
            await connection.add_listener(channel, lambda _c, _p, _ch, payload: queue.put_nowait(payload))
            yield payloads()

    async def close(self) -> None:
        """Close every pool."""
        for pool in self._pools.values():
            pool.close()
        for engine in self._engines.values():
            await engine.dispose()
        self._pools.clear()
        self._engines.clear()

    async def _open(self, login: str, *, read_only: bool) -> Any:
        extra = {"default_transaction_read_only": "on"} if read_only else {}
        with saying_unavailable(OSError):
            return await asyncpg.connect(
                host=self._address.host,
                port=self._address.port,
                database=self._address.database,
                user=f"{self._prefix}_{login}",
                password=self._passwords[login],
                ssl="require" if self._address.tls else False,
                statement_cache_size=1000,
                max_cached_statement_lifetime=0,
                server_settings={"application_name": f"anlan-{login}", **extra},
            )

    def _engine(self, login: str) -> AsyncEngine:
        engine = self._engines.get(login)
        if engine is None:
            engine = self._engines[login] = create_async_engine(
                URL.create("postgresql+asyncpg"),
                async_creator=lambda: self._open(login, read_only=False),
                pool_size=WRITE_POOL,
                max_overflow=0,
                pool_recycle=600,
                pool_pre_ping=True,  # else each restart of the server costs every pooled connection one request
                hide_parameters=True,  # a fault's text must not quote a row
            )
        return engine
