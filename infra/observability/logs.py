"""Structured logs: one JSON object a line on standard error, without personal data.

A record carries what the code names in ``extra``; only the fields of :data:`FIELDS` are written, so
that a forgotten ``extra={"phone": …}`` never reaches a file. Messages are constants: values go into
fields. Tokens, claims and inputs are never logged.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

FIELDS = (
    "request_id",
    "operation",
    "document",
    "status",
    "ms",
    "code",
    "reason",
    "login",
    "tenant",
    "job",
    "message_id",
    "attempt",
    "process",
    "pid",
    "count",
    "duty",
    "statements",
    "cost",
    "method",
    "path",
)
"""What may be logged; ids and counts, no names, phones, tokens, contents."""


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object."""

    def __init__(self, process: str) -> None:
        """Name the process in every line."""
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {
            name: value for name in FIELDS if (value := getattr(record, name, None)) is not None and name not in line
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            # Frames only: the text of an exception may quote a row (PostgreSQL's DETAIL does).
            line["frames"] = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(record.exc_info[2])]
        return json.dumps(line, ensure_ascii=False, default=str)


def setup(process: str, level: str) -> None:
    """Send every log of this process to standard error as JSON.

    Args:
        process: name of the process: ``web``, ``worker``, ``relay`` …
        level: name of the lowest level that is written.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
