"""Where uploaded sheets and results lie, and how a browser reaches them: the seam to the object store.

Rows of ``import_run`` and ``export_run`` name object versions; who may read one is decided by its row. Addresses are
signed for one object and a quarter of an hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from sqlalchemy import text

from app.kit.ids import uuid4
from app.kit.objects import PgVersionRows
from app.kit.sheets.reading import MAX_BYTES
from app.kit.sheets.writing import CONTENT_TYPE
from infra.db.port import Database
from infra.db.session import WriteSession
from infra.objects.port import ObjectMissingError, ObjectStore, ObjectVersion
from infra.objects.signing import AddressSigner
from infra.settings import Settings, load
from infra.wiring import address_key, open_objects
from tenants.context import Acting

BUCKET = "sheets"
LIFETIME_S = 900
ROUTE = "/sheets"
LOGIN = "sys_jobs"
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Files:
    """The store and the signer of a process."""

    store: ObjectStore
    signer: AddressSigner


_of_process: list[Files] = []


def use(settings: Settings) -> Files:
    """Take the store and key of these settings for this process."""
    _of_process[:] = [Files(open_objects(settings), AddressSigner(address_key(settings)))]
    return _of_process[0]


def current() -> Files:
    """Return this process's store and signer; those of its environment when nobody has said."""
    return _of_process[0] if _of_process else use(load())


def upload_key(tenant_key: int, run_id: UUID) -> str:
    """Return the object's key of an uploaded sheet."""
    return f"{tenant_key}/imports/{run_id}"


def upload_address(tenant_key: int, run_id: UUID) -> str:
    """Return the path, with its signature, to which the sheet is sent by PUT."""
    key = upload_key(tenant_key, run_id)
    given = {"run": str(run_id), "most": str(MAX_BYTES)}
    return f"{ROUTE}/{key}?{urlencode(current().signer.sign('PUT', f'{BUCKET}/{key}', given, LIFETIME_S))}"


def download_address(version_id: UUID, name: str) -> str:
    """Return the path, with its signature, from which a result is fetched by GET under this file name."""
    given = current().signer.sign("GET", f"{BUCKET}/{version_id}", {"name": name}, LIFETIME_S)
    return f"{ROUTE}/{version_id}?{urlencode(given)}"


async def received(db: Database, run_id: UUID, key: str, content: Any, most: int) -> bool:
    """Keep an uploaded sheet and note its arrival, once.

    Args:
        db: the database.
        run_id: the import.
        key: the object's key.
        content: the body, in chunks.
        most: longest body, in bytes.

    Returns:
        False when the import does not wait for a file (any more); then nothing was kept.

    Raises:
        TooLargeError: longer than ``most``.
        StoreUnavailableError: the store cannot take it now.
    """
    store = current().store
    blob = await store.write(BUCKET, content, limit=most)
    async with db.write(LOGIN, {}) as session:
        waits = await session.execute(
            text("SELECT expires_at FROM app.import_run WHERE id = :id AND state = 'WAITING' FOR UPDATE"),
            {"id": run_id},
        )
        expires = waits.scalar_one_or_none()
        if expires is None:
            return False
        version = await _kept(session, key, blob.sha256, blob.size, expires)
        await session.execute(
            text(
                "UPDATE app.import_run SET state = 'RECEIVED', file_version_id = :file, size = :size, sha256 = :sha,"
                " version = version + 1 WHERE id = :id"
            ),
            {"id": run_id, "file": version.id, "size": blob.size, "sha": blob.sha256},
        )
    return True


async def keep(session: WriteSession, acting: Acting, key: str, path: Path, expires_at: datetime) -> ObjectVersion:
    """Keep a result below the acting tenant's key, in the caller's transaction."""

    async def chunks() -> Any:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    return await current().store.put(
        PgVersionRows(session),
        BUCKET,
        f"{acting.tenant_key}/{key}",
        chunks(),
        content_type=CONTENT_TYPE,
        expires_at=expires_at,
    )


async def find(db: Database, version_id: UUID) -> ObjectVersion:
    """Return a version of our bucket.

    Raises:
        ObjectMissingError: there is none, or it has expired.
    """
    async with db.read(LOGIN, {}) as session:
        version = await PgVersionRows(session).get(version_id)
    if version is None or version.bucket != BUCKET or version.delete_marker:
        raise ObjectMissingError("there is no such file")
    return version


async def _kept(session: WriteSession, key: str, sha256: str, size: int, expires_at: datetime) -> ObjectVersion:
    version = ObjectVersion(uuid4(), BUCKET, key, sha256, size, CONTENT_TYPE, expires_at=expires_at)
    await PgVersionRows(session).add(version)
    return version
