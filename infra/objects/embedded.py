"""The file store: content-addressed files on a local disk, rows in the database.

A file system is no WORM storage: retention and legal hold are refused by this service only. Where evidence needs
more, production's object lock stands behind the same port.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

from infra.objects.port import (
    Blob,
    ObjectHeldError,
    ObjectMissingError,
    ObjectVersion,
    StoreUnavailableError,
    Swept,
    TooLargeError,
    VersionRows,
)

CHUNK = 256 * 1024
PAGE = 500
GRACE_S = 24 * 3600.0
"""Longer than any transaction that puts a file before its row."""
_BUCKET = re.compile(r"[a-z][a-z0-9-]{0,31}")
_HASH = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = ".put-"


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Keep a sweep from removing a file that is being put again at this moment."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailableError(
            f"the object store cannot be written ({error.strerror}): free disk space or make its folder writable"
        ) from error


class _Writing:
    """One file on its way into the store; without `finish` nothing of it remains."""

    def __init__(self, bucket: Path) -> None:
        with _clear_errors():
            if not bucket.exists():
                bucket.mkdir(exist_ok=True)
                _fsync_folder(bucket.parent)
            self._bucket = bucket
            self._path = bucket / f"{_TEMPORARY}{secrets.token_hex(12)}"
            self._file: BinaryIO = self._path.open("xb")
        self._hash = hashlib.sha256()
        self.size = 0

    def add(self, data: bytes) -> None:
        with _clear_errors():
            self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def finish(self) -> Blob:
        digest = self._hash.hexdigest()
        folder = self._bucket / digest[:2]
        with _clear_errors():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                _fsync_folder(self._bucket)
            with _locked(folder, fcntl.LOCK_SH):
                # Also when the file is there: a short cut would tell by its time that somebody has these bytes.
                self._path.replace(folder / digest)
                _fsync_folder(folder)
        return Blob(digest, self.size)

    def abandon(self) -> None:
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


class FileStore:
    """The object store on a local disk.

    Args:
        root: the folder of the store; made on first use, mode 0700.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def _bucket(self, bucket: str) -> Path:
        if not _BUCKET.fullmatch(bucket):
            raise ValueError(f"{bucket!r} is not the name of a bucket")
        return self._root / bucket

    def _file(self, bucket: str, sha256: str) -> Path:
        if not _HASH.fullmatch(sha256):
            raise ObjectMissingError("there is no such content")
        return self._bucket(bucket) / sha256[:2] / sha256

    async def write(self, bucket: str, data: AsyncIterator[bytes] | bytes, *, limit: int | None = None) -> Blob:
        """Make content durable; see `infra.objects.port.ObjectStore.write`."""
        folder = self._bucket(bucket)
        with _clear_errors():
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        writing = await asyncio.to_thread(_Writing, folder)
        try:
            if isinstance(data, bytes):
                data = _once(data)
            async for chunk in data:
                _check_limit(writing.size + len(chunk), limit)
                await asyncio.to_thread(writing.add, chunk)
            return await asyncio.to_thread(writing.finish)
        except BaseException:
            writing.abandon()
            raise

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
        """Make content durable, then write its row; see `infra.objects.port.ObjectStore.put`."""
        blob = await self.write(bucket, data, limit=limit)
        version = ObjectVersion(
            id=uuid4(),
            bucket=bucket,
            key=key,
            sha256=blob.sha256,
            size=blob.size,
            content_type=content_type,
            metadata=dict(metadata or {}),
            retain_until=retain_until,
            expires_at=expires_at,
        )
        await rows.add(version, if_none_match=if_none_match)
        return version

    async def read(self, version: ObjectVersion, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Stream a range; see `infra.objects.port.ObjectStore.read`."""
        if version.sha256 is None:
            raise ObjectMissingError("the object is deleted")
        path = self._file(version.bucket, version.sha256)
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except FileNotFoundError as error:
            raise ObjectMissingError("the content is gone") from error
        left = max(version.size - offset, 0) if length is None else length
        try:
            await asyncio.to_thread(file.seek, offset)
            while left > 0 and (chunk := await asyncio.to_thread(file.read, min(CHUNK, left))):
                left -= len(chunk)
                yield chunk
        finally:
            file.close()

    async def delete(self, rows: VersionRows, bucket: str, key: str) -> ObjectVersion:
        """Put a delete marker; see `infra.objects.port.ObjectStore.delete`."""
        current = await rows.current(bucket, key)
        if current is None or current.delete_marker:
            raise ObjectMissingError("there is no such object")
        marker = ObjectVersion(id=uuid4(), bucket=bucket, key=key, sha256=None)
        await rows.add(marker)
        return marker

    async def restore(self, rows: VersionRows, version_id: UUID) -> ObjectVersion:
        """Make an older version current again; see `infra.objects.port.ObjectStore.restore`."""
        old = await rows.get(version_id)
        if old is None or old.sha256 is None:
            raise ObjectMissingError("there is no such version")
        again = ObjectVersion(
            id=uuid4(),
            bucket=old.bucket,
            key=old.key,
            sha256=old.sha256,
            size=old.size,
            content_type=old.content_type,
            metadata=old.metadata,
            retain_until=old.retain_until,
        )
        await rows.add(again)
        return again

    async def remove_version(self, rows: VersionRows, version_id: UUID, now: datetime) -> None:
        """Remove a version for good; see `infra.objects.port.ObjectStore.remove_version`."""
        version = await rows.get(version_id)
        if version is None:
            raise ObjectMissingError("there is no such version")
        if version.legal_hold:
            raise ObjectHeldError("a legal hold forbids the removal")
        if version.retain_until is not None and version.retain_until > now:
            raise ObjectHeldError(f"retained until {version.retain_until:%Y-%m-%d}")
        if not await rows.remove(version_id, now):
            raise ObjectHeldError("a retention or a legal hold was set a moment ago")

    async def sweep(self, rows: VersionRows, *, grace_s: float = GRACE_S) -> Swept:
        """Remove files without a row; see `infra.objects.port.ObjectStore.sweep`."""
        cutoff = time.time() - grace_s
        removed = 0
        buckets = await asyncio.to_thread(_folders, self._root)
        for bucket in buckets:
            removed += await asyncio.to_thread(_remove_temporary, bucket, cutoff)
            for folder in await asyncio.to_thread(_folders, bucket):
                old = await asyncio.to_thread(_older, folder, cutoff)
                known = await rows.known(bucket.name, [path.name for path in old]) if old else set()
                orphans = [path for path in old if path.name not in known]
                removed += await asyncio.to_thread(_remove, folder, orphans, cutoff)
        return Swept(removed, tuple([pair async for pair in self._without_file(rows)]))

    async def _without_file(self, rows: VersionRows) -> AsyncIterator[tuple[str, str]]:
        page: Sequence[tuple[str, str]] = [("", "")]
        while page := await rows.contents(page[-1], PAGE):
            for bucket, sha256 in page:
                if not await asyncio.to_thread(self._file(bucket, sha256).is_file):
                    yield bucket, sha256

    async def expire(self, rows: VersionRows, now: datetime) -> int:
        """Remove temporary versions whose time is over; see `infra.objects.port.ObjectStore.expire`."""
        count = 0
        while page := await rows.expired(now, PAGE):
            gone = [await rows.remove(version.id, now) for version in page]
            count += sum(gone)
            if not any(gone):
                break
        return count


def _check_limit(size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise TooLargeError(f"longer than {limit} bytes")


async def _once(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.exists() else []


def _older(folder: Path, cutoff: float) -> list[Path]:
    return [path for path in folder.iterdir() if _HASH.fullmatch(path.name) and path.stat().st_mtime < cutoff]


def _remove_temporary(bucket: Path, cutoff: float) -> int:
    found = [path for path in bucket.iterdir() if path.name.startswith(_TEMPORARY)]
    old = []
    for path in found:
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < cutoff:
                old.append(path)
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _remove(folder: Path, orphans: Sequence[Path], cutoff: float) -> int:
    if not orphans:
        return 0
    count = 0
    with _locked(folder, fcntl.LOCK_EX):
        for path in orphans:
            # Looked at again under the lock: the same content may have been put a moment ago.
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < cutoff:
                    path.unlink()
                    count += 1
    return count
