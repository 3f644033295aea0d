"""The object store 对象存储 as the product sees it: durable bytes behind rows that a transaction commits.

The rows are the truth. A file without a row is harmless and is swept; a row without a file is an alarm.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID


class ObjectError(Exception):
    """Base of what an object store may raise."""


class StoreUnavailableError(ObjectError):
    """The store cannot take or give bytes now (disk full, not writable); nothing is half-written."""


class TooLargeError(ObjectError):
    """The content is longer than the caller allowed; nothing was kept."""


class ObjectExistsError(ObjectError):
    """A conditional put found a current version."""


class ObjectMissingError(ObjectError):
    """There is no such object or version, or its newest version is a delete marker."""


class ObjectHeldError(ObjectError):
    """A retention period or a legal hold forbids the removal."""


class AddressRefusedError(ObjectError):
    """A signed address is altered, expired or of another use; one answer for all of them."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Durable content.

    Args:
        sha256: hash of the content, hexadecimal.
        size: its length in bytes.
    """

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object.

    Args:
        id: the version's id.
        bucket: class of content; one tree of files each.
        key: name of the object, `TENANT/...`; never a path of the server.
        sha256: hash of the content; None for a delete marker.
        size: length in bytes.
        content_type: media type.
        metadata: further facts, text to text.
        retain_until: not removed before this time (UTC).
        legal_hold: not removed while it holds, whatever the time.
        expires_at: a temporary object is removed after this time (UTC).
        created_at: when it was put; set by the rows.
    """

    id: UUID
    bucket: str
    key: str
    sha256: str | None
    size: int = 0
    content_type: str = "application/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)
    retain_until: datetime | None = None
    legal_hold: bool = False
    expires_at: datetime | None = None
    created_at: datetime | None = None

    @property
    def delete_marker(self) -> bool:
        """Whether this version says that the object is deleted."""
        return self.sha256 is None


class VersionRows(Protocol):
    """The rows behind the store, in the caller's transaction."""

    async def add(self, version: ObjectVersion, *, if_none_match: bool = False) -> None:
        """Make this the current version.

        Raises:
            ObjectExistsError: `if_none_match` and a current version exists that is no delete marker.
        """

    async def current(self, bucket: str, key: str) -> ObjectVersion | None:
        """The newest version, which may be a delete marker."""

    async def get(self, version_id: UUID) -> ObjectVersion | None:
        """One version."""

    async def versions(self, bucket: str, key: str) -> Sequence[ObjectVersion]:
        """Every version, newest first."""

    async def listing(self, bucket: str, prefix: str, after: str, limit: int) -> Sequence[ObjectVersion]:
        """Current versions in the order of their keys, without deleted ones; for the service only."""

    async def protect(self, version_id: UUID, *, retain_until: datetime | None, legal_hold: bool | None) -> None:
        """Change retention (only later) and legal hold; None leaves it."""

    async def remove(self, version_id: UUID, now: datetime) -> bool:
        """Remove a row for good, unless retention or a legal hold forbids it at this moment.

        Returns:
            False when nothing was removed.
        """

    async def known(self, bucket: str, hashes: Sequence[str]) -> set[str]:
        """Those of the hashes that some row of the bucket names."""

    async def contents(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """Distinct (bucket, hash) pairs that rows name, in order, those after `after`."""

    async def expired(self, now: datetime, limit: int) -> Sequence[ObjectVersion]:
        """Temporary versions whose time is over and that nothing holds."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did.

    Args:
        removed: files without a row, removed.
        missing: (bucket, hash) pairs that a row names and no file holds: an alarm.
    """

    removed: int
    missing: tuple[tuple[str, str], ...] = ()


class ObjectStore(Protocol):
    """Bytes and their versions."""

    async def write(self, bucket: str, data: AsyncIterator[bytes] | bytes, *, limit: int | None = None) -> Blob:
        """Make content durable; no row yet.

        Raises:
            TooLargeError: longer than `limit` bytes.
            StoreUnavailableError: the disk is full or not writable.
        """

    async def put(
        self,
        rows: VersionRows,
        bucket: str,
        key: str,
        data: AsyncIterator[bytes] | bytes,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        if_none_match: bool = False,
        retain_until: datetime | None = None,
        expires_at: datetime | None = None,
        limit: int | None = None,
    ) -> ObjectVersion:
        """Make content durable, then write its row in the caller's transaction.

        Raises:
            ObjectExistsError: a conditional put found a current version.
            TooLargeError: longer than `limit` bytes.
            StoreUnavailableError: the disk is full or not writable.
        """

    def read(self, version: ObjectVersion, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Stream a range of a version's content.

        Raises:
            ObjectMissingError: a delete marker, or its file is gone.
        """

    async def delete(self, rows: VersionRows, bucket: str, key: str) -> ObjectVersion:
        """Hide an object behind a delete marker; its versions stay.

        Raises:
            ObjectMissingError: nothing to delete.
        """

    async def restore(self, rows: VersionRows, version_id: UUID) -> ObjectVersion:
        """Make an older version current again.

        Raises:
            ObjectMissingError: no such version, or a delete marker.
        """

    async def remove_version(self, rows: VersionRows, version_id: UUID, now: datetime) -> None:
        """Remove a version for good; its file goes with the next sweep.

        Raises:
            ObjectMissingError: no such version.
            ObjectHeldError: retention or a legal hold forbids it.
        """

    async def sweep(self, rows: VersionRows, *, grace_s: float) -> Swept:
        """Remove files without a row that are older than `grace_s` seconds, and report rows without a file."""

    async def expire(self, rows: VersionRows, now: datetime) -> int:
        """Remove temporary versions whose time is over and that nothing holds.

        Returns:
            How many rows went; their files go with the next sweep.
        """
