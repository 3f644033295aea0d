"""When a worker process of Dramatiq lives and ends."""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time

import dramatiq
from dramatiq.asyncio import EventLoopThread, set_event_loop_thread
from dramatiq.middleware import AsyncIO, Middleware

log = logging.getLogger("anlan.queue")

PR_SET_PDEATHSIG = 1
LOOK_S = 1.0
HEED_S = 3.0
"""A worker that is up heeds SIGTERM within a second."""
LOOP_START_S = 60.0


class EventLoop(AsyncIO):
    """Dramatiq's event loop for async actors, with two differences.

    It waits longer for the loop, because without one a worker would fail every message; and its thread does not keep
    a process alive that is told to end.
    """

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:  # noqa: ARG002
        thread = EventLoopThread(self.logger)
        thread.daemon = True
        thread.start(timeout=LOOP_START_S)
        set_event_loop_thread(thread)


class EndsWithMaster(Middleware):
    """Ends a worker process when its master ends, however it ends; else kill -9 leaves workers consuming."""

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def after_process_boot(self, broker: dramatiq.Broker) -> None:  # noqa: ARG002 - Dramatiq's signature
        parent = multiprocessing.parent_process()
        if parent is None or parent.pid is None:
            return
        if sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        threading.Thread(target=self._watch, args=(parent.pid,), name="ends-with-master", daemon=True).start()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:  # noqa: ARG002
        self._stopping.set()

    def _watch(self, master: int) -> None:
        """See what the signal alone does not do.

        The master may have died before the signal was asked for, and a worker whose master dies while both start
        waits for ever to tell it that it has started, and works all the while.
        """
        while _alive(master):
            time.sleep(LOOK_S)
        if not self._stopping.is_set():
            os.kill(os.getpid(), signal.SIGTERM)
        if not self._stopping.wait(HEED_S):
            log.error("queue.worker-without-master")
            os._exit(1)


def _alive(master: int) -> bool:
    if multiprocessing.get_start_method(allow_none=True) in (None, "fork", "spawn"):
        return os.getppid() == master
    try:
        os.kill(master, 0)
    except ProcessLookupError:
        return False
    return True
