"""The queue's contract: what every broker behind the port must do, proven with real processes.

The database's share (attempts, dead letters in our table, outbox) is in tests/kit/test_jobs.py.
"""

import os
import signal
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import dramatiq
import pytest

from infra.queue.port import Outgoing, QueueUnavailableError
from infra.queue.redis import ENVELOPE, RedisQueue
from infra.queue.signing import Signer
from tests.infra.queue import workers
from tests.infra.queue.conftest import Group, Server, wait_for

CONTEXT = {"level": "county", "tid": 7, "actor": "p", "roles": ["x"], "req": "r1", "purpose": "test"}


def out(actor: str, delay_ms: int = 0, **args: Any) -> Outgoing:
    return Outgoing(str(uuid.uuid4()), actor, args, CONTEXT, delay_ms)


def alive_in_group(group: int) -> list[str]:
    """Process ids of a process group that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] not in "ZX":
                found.append(stat.parent.name)
    return found


def test_each_of_two_thousand_messages_runs_once_with_its_chinese_arguments(group: Group) -> None:
    sent = [out("echo", number=i, text=f"安全生产 第{i}条 “隐患” 🔥") for i in range(2000)]
    group.queue.send(sent)
    assert group.queue.depth() == 2000
    group.start()
    wait_for(lambda: len(group.of("done")) >= 2000)
    wait_for(lambda: group.queue.depth() == 0)
    starts = group.of("start")
    assert len(starts) == 2000
    assert {s["id"]: s["args"] for s in starts} == {m.message_id: dict(m.args) for m in sent}
    assert all(CONTEXT.items() <= s["context"].items() for s in starts)


def test_three_attempts_then_a_dead_letter_with_its_traceback(group: Group) -> None:
    message = out("flaky")
    group.queue.send([message])
    group.start()
    letter = wait_for(lambda: group.of("dead"))[0]
    assert (letter["id"], letter["code"], letter["actor"]) == (message.message_id, "EXHAUSTED", "flaky")
    assert "attempt 3 found nothing 没有找到" in letter["traceback"]
    assert "ValueError" in letter["traceback"]
    assert len(group.of("start")) == 3
    kept = wait_for(group.queue.dead_letters)
    assert [k.message_id for k in kept] == [message.message_id]


def test_an_error_of_the_handler_itself_is_tried_again(group: Group) -> None:
    group.queue.send([out("broken")])
    group.start()
    wait_for(lambda: len(group.of("start")) >= 2)
    assert not group.of("dead")


def test_a_delayed_message_runs_not_early(group: Group) -> None:
    group.start()
    sent_at = time.time()
    group.queue.send([out("echo", delay_ms=2000)])
    start = wait_for(lambda: group.of("start"))[0]
    assert start["at"] - sent_at >= 2.0


def test_a_killed_worker_loses_nothing(group: Group) -> None:
    held = out("hold")
    group.queue.send([held])
    group.start()
    victim = wait_for(lambda: group.of("start"))[0]["pid"]
    others = [out("echo", n=i) for i in range(50)]
    group.queue.send(others)
    os.kill(victim, signal.SIGKILL)
    (group.folder / "release").touch()

    def all_done() -> bool:
        group.supervise()
        return group.ids("done") >= {held.message_id, *(m.message_id for m in others)}

    def started_again() -> bool:
        """The master ends some seconds after its worker; others may have done all by then."""
        group.supervise()
        return group.starts >= 2

    wait_for(all_done)
    wait_for(started_again)


def test_a_killed_group_loses_nothing(group: Group) -> None:
    held = [out("hold", n=i) for i in range(200)]
    group.queue.send(held)
    group.start()
    wait_for(lambda: len(group.of("start")) >= 16)
    group.kill_all()
    (group.folder / "release").touch()
    group.start()
    wait_for(lambda: group.ids("done") == {m.message_id for m in held})


@pytest.mark.parametrize("moment", ["first worker boots", "all are ready"])
def test_kill_minus_nine_of_the_master_leaves_no_worker(group: Group, moment: str) -> None:
    group.spawn()
    assert group.process is not None
    if moment == "all are ready":
        wait_for(lambda: (group.folder / "stderr").read_bytes().count(b"ready for action") == 2)
    else:
        wait_for(group.pids)
    group.process.kill()
    group.process.wait()
    wait_for(lambda: not alive_in_group(group.process.pid if group.process else 0))


def test_a_killed_broker_keeps_what_was_queued(group: Group, server: Server) -> None:
    if server.binary is None:
        pytest.skip("a server that is not ours is not killed")
    group.queue.send([out("echo", n=i) for i in range(500)])
    server.kill()
    with pytest.raises(QueueUnavailableError):
        group.queue.send([out("echo", n=500)])
    with pytest.raises(QueueUnavailableError):
        group.queue.ping()
    server.start()
    group.queue.ping()
    assert group.queue.depth() == 500


def test_workers_survive_a_restart_of_the_broker(group: Group, server: Server) -> None:
    if server.binary is None:
        pytest.skip("a server that is not ours is not killed")
    group.start()
    server.kill()
    server.start()
    message = out("echo")
    group.queue.send([message])

    def done() -> bool:
        group.supervise()
        return message.message_id in group.ids("done")

    wait_for(done)


def test_sigterm_lets_running_jobs_end_and_keeps_new_ones(group: Group) -> None:
    running = [out("hold", n=i) for i in range(16)]
    group.queue.send(running)
    group.start()
    wait_for(lambda: len(group.of("start")) >= 8)
    later = [out("echo", n=i) for i in range(30)]
    group.queue.send(later)
    assert group.process is not None
    group.process.terminate()
    wait_for(lambda: b"Stopping worker process" in (group.folder / "stderr").read_bytes())
    (group.folder / "release").touch()
    assert group.process.wait(60) == 0
    assert group.ids("done") == group.ids("start")
    assert len(group.ids("done")) >= 8
    assert len(group.of("closed")) == 2
    assert group.queue.depth() + len(group.ids("done")) == 46
    group.start()
    wait_for(lambda: group.ids("done") == {m.message_id for m in [*running, *later]})


def _raw(queue: RedisQueue, actor: str, envelope: Any, args: dict[str, Any], positional: tuple[Any, ...] = ()) -> str:
    message_id = str(uuid.uuid4())
    options = {} if envelope is None else {ENVELOPE: envelope(message_id)}
    queue.broker.enqueue(dramatiq.Message("default", actor, positional, args, options, message_id=message_id))
    return message_id


def test_forged_messages_are_dead_letters_without_any_effect(group: Group) -> None:
    right, stranger, old = (
        Signer(workers.KEY),
        Signer("a key that nobody here knows"),
        Signer(workers.KEY, lifetime_s=-1),
    )
    args = {"n": 1}

    def tampered(change: dict[str, Any]) -> Any:
        def envelope(message_id: str) -> dict[str, Any]:
            signed = right.sign(CONTEXT, "echo", message_id, args)
            return {**signed, "context": {**signed["context"], **change}}

        return envelope

    def signed_for(actor: str, signed_args: dict[str, Any], other_id: str | None = None) -> Any:
        return lambda message_id: right.sign(CONTEXT, actor, other_id or message_id, signed_args)

    queue = group.queue
    expected = {
        _raw(queue, "echo", None, args): "UNSIGNED",
        _raw(queue, "echo", lambda _: "text", args): "UNSIGNED",
        _raw(queue, "echo", lambda _: {"context": {}, "mac": ""}, args): "UNSIGNED",
        _raw(queue, "echo", lambda i: stranger.sign(CONTEXT, "echo", i, args), args): "UNSIGNED",
        _raw(queue, "echo", lambda i: old.sign(CONTEXT, "echo", i, args), args): "EXPIRED",
        _raw(queue, "echo", tampered({"level": "province"}), args): "ALTERED",
        _raw(queue, "echo", tampered({"tid": 8}), args): "ALTERED",
        _raw(queue, "echo", tampered({"exp": 9_999_999_999}), args): "ALTERED",
        _raw(queue, "echo", signed_for("hold", args), args): "ALTERED",
        _raw(queue, "echo", signed_for("echo", {"n": 2}), args): "ALTERED",
        _raw(queue, "echo", signed_for("echo", args, str(uuid.uuid4())), args): "ALTERED",
        _raw(queue, "echo", signed_for("echo", args), args, (1,)): "ALTERED",
        _raw(queue, "no-such-job", signed_for("no-such-job", args), args): "ActorNotFound",
    }
    good = out("echo", n=1)
    queue.send([good])
    group.start()
    wait_for(lambda: group.ids("dead") == set(expected) and group.ids("done"))
    assert {d["id"]: d["code"] for d in group.of("dead")} == expected
    assert group.ids("start") == {good.message_id}
    refused = len(expected) - 1
    wait_for(lambda: (group.folder / "stderr").read_text(encoding="utf-8").count("queue.alarm") == refused)


@pytest.mark.parametrize("url", ["", "http://x", "postgresql://x"])
def test_another_url_is_refused_with_the_name_of_the_setting(url: str) -> None:
    with pytest.raises(ValueError, match="ANLAN_QUEUE_URL"):
        RedisQueue(url, Signer(workers.KEY))
