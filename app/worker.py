"""The process verb `worker`: Dramatiq's master with worker processes that run the declared jobs.

Supervised from outside and started again on any exit, also exit code 0: Dramatiq's master ends when one of its
workers is killed.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import NoReturn

import dramatiq

from app.kit.job_runner import JobRunner, actor_specs
from app.kit.sheets import files
from app.registry import load_ledgers, load_models, slice_parts
from infra.observability.logs import setup
from infra.settings import load
from infra.wiring import open_database, open_queue

PROCESSES = 2
THREADS = 8
STOP_TIMEOUT_MS = 30_000


def _declare() -> None:
    load_models()
    load_ledgers()
    slice_parts("jobs")


def boot() -> None:
    """Set up a worker process: the broker with every declared job; Dramatiq calls it after its fork."""
    settings = load()
    setup("worker", settings.log_level)
    _declare()
    files.use(settings)
    queue = open_queue(settings)
    queue.serve(actor_specs(), JobRunner(lambda: open_database(settings)))
    dramatiq.set_broker(queue.broker)


def main(processes: int = PROCESSES, threads: int = THREADS) -> NoReturn:
    """Become Dramatiq's master; ends the process with its exit code.

    Args:
        processes: worker processes.
        threads: deliveries at a time in each.
    """
    _declare()  # before the fork, so that the workers share what is loaded
    sys.argv = ["dramatiq", "app.worker:boot", "-p", str(processes), "-t", str(threads)]
    sys.argv += ["--worker-shutdown-timeout", str(STOP_TIMEOUT_MS), "--skip-logging"]
    sys.argv += ["--path", str(Path(__file__).resolve().parent.parent)]
    runpy.run_module("dramatiq", run_name="__main__", alter_sys=True)
    sys.exit(0)  # not reached: Dramatiq's own module ends with its exit code
