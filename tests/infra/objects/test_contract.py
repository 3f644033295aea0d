"""The object store's contract, on the file store."""

import asyncio
import hashlib
import multiprocessing
import multiprocessing.connection
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from app.kit.objects import PgVersionRows
from infra.clock import real_now
from infra.db.port import DbAddress
from infra.objects.embedded import FileStore
from infra.objects.port import (
    ObjectExistsError,
    ObjectHeldError,
    ObjectMissingError,
    ObjectVersion,
    StoreUnavailableError,
    TooLargeError,
)
from tests.infra.objects import crasher
from tests.infra.objects.conftest import Store
from tests.kit.jobs.conftest import PASSWORDS

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.infra.objects.crasher"])  # else each child imports everything again
NOW = real_now()
LONG_KEY = "1/" + "很长的名字" * 60
AWAY = timedelta(days=1)


async def content(files: FileStore, version: ObjectVersion, offset: int = 0, length: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in files.read(version, offset, length)])


@pytest.mark.parametrize("size", [0, 1, 262_144, 262_145])
async def test_what_was_put_is_what_is_read_with_type_and_metadata(store: Store, size: int) -> None:
    data = random.Random(size).randbytes(size)
    async with store.rows() as rows:
        put = await store.files.put(
            rows, "evidence", LONG_KEY, data, content_type="image/jpeg", metadata={"拍摄者": "李"}
        )
    async with store.rows() as rows:
        got = await rows.current("evidence", LONG_KEY)
    assert got is not None
    assert (got.id, got.size, got.content_type, got.metadata) == (put.id, size, "image/jpeg", {"拍摄者": "李"})
    assert got.sha256 == hashlib.sha256(data).hexdigest()
    assert await content(store.files, got) == data


@pytest.mark.parametrize(("offset", "length"), [(0, 0), (0, 5), (5, 10), (999_990, 100), (1_000_000, 5), (262_140, 9)])
async def test_a_range_is_exactly_that_part(store: Store, offset: int, length: int) -> None:
    data = random.Random(1).randbytes(1_000_000)
    async with store.rows() as rows:
        version = await store.files.put(rows, "evidence", "1/a", data)
    assert await content(store.files, version, offset, length) == data[offset : offset + length]


async def test_a_hundred_megabytes_of_unknown_length_stream_through(store: Store) -> None:
    digest = hashlib.sha256()

    async def parts() -> AsyncIterator[bytes]:
        for n in range(100):
            part = bytes([n]) * 1_048_576
            digest.update(part)
            yield part

    async with store.rows() as rows:
        version = await store.files.put(rows, "upload", "1/big", parts())
    read = hashlib.sha256()
    async for chunk in store.files.read(version):
        read.update(chunk)
    assert version.size == 104_857_600
    assert version.sha256 == digest.hexdigest() == read.hexdigest()


async def test_too_long_content_is_refused_and_leaves_nothing(store: Store) -> None:
    async with store.rows() as rows:
        with pytest.raises(TooLargeError):
            await store.files.put(rows, "upload", "1/a", b"x" * 1001, limit=1000)
        await store.files.put(rows, "upload", "1/a", b"x" * 1000, limit=1000)
    assert store.on_disk() == [hashlib.sha256(b"x" * 1000).hexdigest()]


async def test_an_upload_that_breaks_off_leaves_nothing(store: Store) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    async with store.rows() as rows:
        with pytest.raises(ConnectionResetError):
            await store.files.put(rows, "upload", "1/a", breaks())
        assert await rows.current("upload", "1/a") is None
    assert store.on_disk() == []


async def test_equal_content_of_two_tenants_is_written_twice_and_kept_once(store: Store) -> None:
    inodes = []
    async with store.rows() as rows:
        for key in ("1/a", "2/b"):
            version = await store.files.put(rows, "evidence", key, b"same")
            assert version.sha256 is not None
            inodes.append((store.root / "evidence" / version.sha256[:2] / version.sha256).stat().st_ino)
    assert inodes[0] != inodes[1], "the second put took a short cut, whose time would tell"
    assert len(store.on_disk()) == 1


async def test_versions_delete_marker_and_restore(store: Store) -> None:
    async with store.rows() as rows:
        first = await store.files.put(rows, "evidence", "1/a", b"one")
        second = await store.files.put(rows, "evidence", "1/a", b"two")
        marker = await store.files.delete(rows, "evidence", "1/a")
        assert [v.id for v in await rows.versions("evidence", "1/a")] == [marker.id, second.id, first.id]
        assert await rows.listing("evidence", "1/", "", 10) == []
        with pytest.raises(ObjectMissingError):
            await content(store.files, marker)
        with pytest.raises(ObjectMissingError):
            await store.files.delete(rows, "evidence", "1/a")
        with pytest.raises(ObjectMissingError):
            await store.files.restore(rows, marker.id)
        again = await store.files.restore(rows, first.id)
        current = await rows.current("evidence", "1/a")
        assert current is not None
        assert current.id == again.id
        assert await content(store.files, current) == b"one"
        assert await content(store.files, second) == b"two"


async def test_retention_and_legal_hold_refuse_removal(store: Store) -> None:
    async with store.rows() as rows:
        kept = await store.files.put(rows, "evidence", "1/a", b"kept", retain_until=NOW + AWAY)
        with pytest.raises(ObjectHeldError):
            await store.files.remove_version(rows, kept.id, NOW)
        await rows.protect(kept.id, retain_until=NOW - AWAY, legal_hold=True)
        shorter = await rows.get(kept.id)
        assert shorter is not None
        assert shorter.retain_until == NOW + AWAY, "a retention was shortened"
        with pytest.raises(ObjectHeldError):
            await store.files.remove_version(rows, kept.id, NOW + 2 * AWAY)
        assert not await rows.remove(kept.id, NOW + 2 * AWAY)
        await rows.protect(kept.id, retain_until=None, legal_hold=False)
        await store.files.remove_version(rows, kept.id, NOW + 2 * AWAY)
        with pytest.raises(ObjectMissingError):
            await store.files.remove_version(rows, kept.id, NOW + 2 * AWAY)
        with pytest.raises(ObjectMissingError):
            await rows.protect(kept.id, retain_until=None, legal_hold=True)


async def test_temporary_objects_end_unless_held(store: Store) -> None:
    async with store.rows() as rows:
        gone = await store.files.put(rows, "upload", "1/a", b"gone", expires_at=NOW)
        held = await store.files.put(rows, "upload", "1/b", b"held", expires_at=NOW)
        later = await store.files.put(rows, "upload", "1/c", b"later", expires_at=NOW + AWAY)
        await rows.protect(held.id, retain_until=None, legal_hold=True)
        assert await store.files.expire(rows, NOW + timedelta(seconds=1)) == 1
        assert [await rows.get(v.id) is not None for v in (gone, held, later)] == [False, True, True]
        assert (await store.files.sweep(rows, grace_s=-1)).removed == 1
    assert await content(store.files, held) == b"held"


async def test_a_conditional_put_conflicts_also_at_the_same_moment(store: Store) -> None:
    async def put(data: bytes) -> str:
        try:
            async with store.rows() as rows:
                await store.files.put(rows, "evidence", "1/a", data, if_none_match=True)
        except ObjectExistsError:
            return "conflict"
        return "put"

    results = await asyncio.gather(*(put(bytes([n])) for n in range(4)))
    assert sorted(results) == ["conflict", "conflict", "conflict", "put"]
    async with store.rows() as rows:
        await store.files.delete(rows, "evidence", "1/a")
    assert await put(b"after the delete marker") == "put"


async def test_a_listing_pages_through_the_keys_of_a_prefix(store: Store) -> None:
    async with store.rows() as rows:
        for key in ("1/丙", "1/a", "1/b", "2/a"):
            await store.files.put(rows, "evidence", key, key.encode())
        await store.files.put(rows, "evidence", "1/b", b"newer")
        first = await rows.listing("evidence", "1/", "", 2)
        second = await rows.listing("evidence", "1/", first[-1].key, 2)
    assert [v.key for v in [*first, *second]] == ["1/a", "1/b", "1/丙"]
    assert await content(store.files, first[1]) == b"newer"


async def test_people_put_below_their_own_tenants_key_and_read_no_rows(store: Store) -> None:
    claims = store.world.claims("county")
    mine = store.world.keys["county"]
    async with store.rows_of("county", claims) as rows:
        version = await store.files.put(rows, "evidence", f"{mine}/photo", b"x")
    async with store.rows() as rows:
        assert await rows.get(version.id) is not None

    async def put(key: str, login: str, who: dict[str, str]) -> None:
        async with store.rows_of(login, who) as rows:
            await store.files.put(rows, "evidence", key, b"y")

    for key, login, who in (
        (f"{mine}0/photo", "county", claims),
        ("photo", "county", claims),
        (f"{mine}/photo", "county", {}),
        (f"{mine}/photo", "enterprise", store.world.claims("enterprise")),
    ):
        with pytest.raises(DBAPIError, match="key begins with"):
            await put(key, login, who)
    with pytest.raises(DBAPIError, match="permission denied"):
        await put(f"{mine}/photo", "public", claims)
    async with store.world.db.read("county", claims) as session:
        with pytest.raises(DBAPIError, match="permission denied"):
            await PgVersionRows(session).get(version.id)


async def test_a_rolled_back_transaction_leaves_a_file_that_is_swept_after_its_grace(store: Store) -> None:
    async def fails() -> None:
        async with store.rows() as rows:
            await store.files.put(rows, "evidence", "1/a", b"orphan")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    async with store.rows() as rows:
        await store.files.put(rows, "evidence", "1/b", b"kept")
        assert (await store.files.sweep(rows, grace_s=3600)).removed == 0
        assert len(store.on_disk()) == 2
        assert (await store.files.sweep(rows, grace_s=-1)).removed == 1
    assert store.on_disk() == [hashlib.sha256(b"kept").hexdigest()]


async def test_a_row_without_its_file_is_reported(store: Store) -> None:
    async with store.rows() as rows:
        version = await store.files.put(rows, "evidence", "1/a", b"lost")
        assert version.sha256 is not None
        (store.root / "evidence" / version.sha256[:2] / version.sha256).unlink()
        assert (await store.files.sweep(rows, grace_s=3600)).missing == (("evidence", version.sha256),)
        with pytest.raises(ObjectMissingError):
            await content(store.files, version)


@pytest.mark.parametrize("bucket", ["", "..", "a/b", "A", "x" * 33])
async def test_a_bucket_is_a_plain_word(store: Store, bucket: str) -> None:
    with pytest.raises(ValueError, match="bucket"):
        await store.files.write(bucket, b"x")


def _in_child(work: str, root: Path) -> str:
    """Run a coroutine's name of this module in a process that may be limited, and return what it says."""
    parent, child = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_child, args=(work, str(root), child))
    process.start()
    child.close()
    answer = str(parent.recv())
    process.join()
    return answer


def _child(work: str, root: str, pipe: multiprocessing.connection.Connection) -> None:
    import resource  # noqa: PLC0415 - the child's limits

    if work == "full":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    elif os.geteuid() == 0:
        asyncio.run(asyncio.to_thread(int))  # loads what nobody may not be able to read
        os.setuid(65534)
    try:
        asyncio.run(FileStore(Path(root)).write("evidence", b"x" * 1_000_000))
        pipe.send("written")
    except StoreUnavailableError as error:
        pipe.send(str(error))


def test_a_full_disk_is_a_clear_error_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    answer = _in_child("full", tmp_path / "objects")
    assert "free disk space" in answer
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_read_only_folder_is_a_clear_error(tmp_path: Path) -> None:
    root = tmp_path / "objects"
    (root / "evidence").mkdir(parents=True)
    (root / "evidence").chmod(0o555)
    for folder in (root, *root.parents):
        if folder.is_relative_to(tmp_path.parents[1]) and folder.owner() != "nobody":
            folder.chmod(0o755)
    assert "writable" in _in_child("read-only", root)
    assert [path for path in root.rglob("*") if path.is_file()] == []


def _kill_at_a_random_moment(store: Store, seed: int, dice: random.Random) -> set[tuple[str, str]]:
    """Run the crasher for a random moment, kill it, and return what it reported."""
    parent, child = CONTEXT.Pipe(duplex=False)
    address = DbAddress(str(store.world.folder), 5432, store.world.name)
    args = (address, PASSWORDS["sys_retention"], str(store.root), seed, child)
    process = CONTEXT.Process(target=crasher.run, args=args)
    process.start()
    child.close()
    reports = {parent.recv()}
    end = time.monotonic() + dice.random() / 10
    while (left := end - time.monotonic()) > 0:
        if parent.poll(left):
            reports.add(parent.recv())
    process.kill()
    process.join()
    with suppress(EOFError):
        while True:
            reports.add(parent.recv())
    parent.close()
    return reports


async def _check(store: Store, acknowledged: set[str]) -> None:
    rows = await store.world.admin.fetch("SELECT id::text, sha256 FROM app.object_version")
    assert acknowledged <= {row["id"] for row in rows}, "an acknowledged put is gone"
    hashes = {row["sha256"] for row in rows if row["sha256"]}
    for sha256 in hashes:
        data = (store.root / "evidence" / sha256[:2] / sha256).read_bytes()
        assert hashlib.sha256(data).hexdigest() == sha256
    async with store.rows() as versions:
        swept = await store.files.sweep(versions, grace_s=-1)
    assert swept.missing == ()
    assert store.on_disk() == sorted(hashes)


@pytest.mark.parametrize("points", [20, pytest.param(200, marks=pytest.mark.full)])
async def test_kill_minus_nine_leaves_no_row_without_its_file_and_no_orphan(store: Store, points: int) -> None:
    dice = random.Random(points)
    put: set[str] = set()
    removing: set[str] = set()
    for seed in range(points):
        reports = await asyncio.to_thread(_kill_at_a_random_moment, store, seed, dice)
        put |= {version_id for kind, version_id in reports if kind == "put"}
        removing |= {version_id for kind, version_id in reports if kind == "removing"}
        await _check(store, put - removing)
    assert len(put) > points
