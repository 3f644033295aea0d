"""Rows of the object store in PostgreSQL: `infra.objects.port.VersionRows` in the caller's transaction.

Adding works under the logins of members (a definer function checks the key); the rest needs `sys_jobs` or
`sys_retention`: who may read an object is decided by the business row that names its version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text

from infra.db.session import ReadSession, WriteSession
from infra.objects.port import ObjectExistsError, ObjectMissingError, ObjectVersion

_COLUMNS = "id, bucket, key, sha256, size, content_type, metadata, retain_until, legal_hold, expires_at, created_at"
_NEWEST = f"SELECT DISTINCT ON (bucket, key) {_COLUMNS} FROM app.object_version"


def _version(row: RowMapping) -> ObjectVersion:
    return ObjectVersion(**row)


class PgVersionRows:
    """The rows as one session sees them.

    Args:
        session: of the business transaction to add, of a `sys_` login for everything else.
    """

    def __init__(self, session: WriteSession | ReadSession) -> None:
        self._session = session

    async def _rows(self, sql: str, values: Mapping[str, Any]) -> Sequence[RowMapping]:
        return (await self._session.execute(text(sql), dict(values))).mappings().all()

    async def add(self, version: ObjectVersion, *, if_none_match: bool = False) -> None:
        """See `infra.objects.port.VersionRows.add`."""
        row = await self._session.execute(
            text(
                "SELECT app.object_add(:id, :bucket, :key, :sha256, :size, :content_type, cast(:metadata AS jsonb),"
                " :retain_until, :expires_at, :if_none_match)"
            ),
            {
                "id": version.id,
                "bucket": version.bucket,
                "key": version.key,
                "sha256": version.sha256,
                "size": version.size,
                "content_type": version.content_type,
                "metadata": json.dumps(dict(version.metadata), ensure_ascii=False),
                "retain_until": version.retain_until,
                "expires_at": version.expires_at,
                "if_none_match": if_none_match,
            },
        )
        if not row.scalar_one():
            raise ObjectExistsError(f"{version.bucket}/{version.key} exists already")

    async def current(self, bucket: str, key: str) -> ObjectVersion | None:
        """See `infra.objects.port.VersionRows.current`."""
        versions = await self._rows(
            f"SELECT {_COLUMNS} FROM app.object_version WHERE bucket = :bucket AND key = :key"
            " ORDER BY seq DESC LIMIT 1",
            {"bucket": bucket, "key": key},
        )
        return _version(versions[0]) if versions else None

    async def get(self, version_id: UUID) -> ObjectVersion | None:
        """See `infra.objects.port.VersionRows.get`."""
        rows = await self._rows(f"SELECT {_COLUMNS} FROM app.object_version WHERE id = :id", {"id": version_id})
        return _version(rows[0]) if rows else None

    async def versions(self, bucket: str, key: str) -> Sequence[ObjectVersion]:
        """See `infra.objects.port.VersionRows.versions`."""
        rows = await self._rows(
            f"SELECT {_COLUMNS} FROM app.object_version WHERE bucket = :bucket AND key = :key ORDER BY seq DESC",
            {"bucket": bucket, "key": key},
        )
        return [_version(row) for row in rows]

    async def listing(self, bucket: str, prefix: str, after: str, limit: int) -> Sequence[ObjectVersion]:
        """See `infra.objects.port.VersionRows.listing`."""
        rows = await self._rows(
            f"SELECT {_COLUMNS} FROM ({_NEWEST} WHERE bucket = :bucket AND starts_with(key, :prefix)"
            " AND key > :after ORDER BY bucket, key, seq DESC) AS newest"
            " WHERE sha256 IS NOT NULL ORDER BY key LIMIT :limit",
            {"bucket": bucket, "prefix": prefix, "after": after, "limit": limit},
        )
        return [_version(row) for row in rows]

    async def protect(self, version_id: UUID, *, retain_until: datetime | None, legal_hold: bool | None) -> None:
        """See `infra.objects.port.VersionRows.protect`; a retention is never shortened."""
        rows = await self._rows(
            "UPDATE app.object_version SET retain_until = greatest(retain_until, :until),"
            " legal_hold = coalesce(:hold, legal_hold) WHERE id = :id RETURNING id",
            {"until": retain_until, "hold": legal_hold, "id": version_id},
        )
        if not rows:
            raise ObjectMissingError("there is no such version")

    async def remove(self, version_id: UUID, now: datetime) -> bool:
        """See `infra.objects.port.VersionRows.remove`."""
        rows = await self._rows(
            "DELETE FROM app.object_version WHERE id = :id AND NOT legal_hold"
            " AND (retain_until IS NULL OR retain_until <= :now) RETURNING id",
            {"id": version_id, "now": now},
        )
        return bool(rows)

    async def known(self, bucket: str, hashes: Sequence[str]) -> set[str]:
        """See `infra.objects.port.VersionRows.known`."""
        rows = await self._rows(
            "SELECT DISTINCT sha256 FROM app.object_version WHERE bucket = :bucket AND sha256 = ANY(:hashes)",
            {"bucket": bucket, "hashes": list(hashes)},
        )
        return {row["sha256"] for row in rows}

    async def contents(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """See `infra.objects.port.VersionRows.contents`."""
        rows = await self._rows(
            "SELECT DISTINCT bucket, sha256 FROM app.object_version WHERE sha256 IS NOT NULL"
            " AND (bucket, sha256) > (:bucket, :sha256) ORDER BY bucket, sha256 LIMIT :limit",
            {"bucket": after[0], "sha256": after[1], "limit": limit},
        )
        return [(row["bucket"], row["sha256"]) for row in rows]

    async def expired(self, now: datetime, limit: int) -> Sequence[ObjectVersion]:
        """See `infra.objects.port.VersionRows.expired`."""
        rows = await self._rows(
            f"SELECT {_COLUMNS} FROM app.object_version WHERE expires_at <= :now AND NOT legal_hold"
            " AND (retain_until IS NULL OR retain_until <= :now) ORDER BY expires_at LIMIT :limit",
            {"now": now, "limit": limit},
        )
        return [_version(row) for row in rows]
