"""Identifiers: UUID version 7 made by the application, and global ids as the API shows them.

One UUID per row is its identity everywhere (decision 8): API, files, jobs, exchange. A global id is
the type's prefix, ``_`` and the UUID, opaque to clients.
"""

import secrets
import time
import uuid

_VARIANT = 0x8000_0000_0000_0000


def uuid7() -> uuid.UUID:
    """Return a UUID version 7 (RFC 9562): 48 bits of milliseconds, the rest random."""
    milliseconds = time.time_ns() // 1_000_000
    high = (milliseconds & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | secrets.randbits(12)
    return uuid.UUID(int=high << 64 | _VARIANT | secrets.randbits(62))


def uuid4() -> uuid.UUID:
    """Return a random UUID, where the time of creation must not show."""
    return uuid.uuid4()


def global_id(prefix: str, row_id: uuid.UUID) -> str:
    """Return the id that the API shows, ``hazard_0192…``."""
    return f"{prefix}_{row_id}"


def parse_global_id(value: str, prefix: str | None = None) -> tuple[str, uuid.UUID] | None:
    """Split a global id into prefix and UUID.

    Args:
        value: what a client sent.
        prefix: the only prefix that is accepted; None accepts any.

    Returns:
        None when it is not of the form or of another type; the caller treats that as not found.
    """
    head, separator, tail = value.rpartition("_")
    if not separator or (prefix is not None and head != prefix) or len(tail) != 36:  # noqa: PLR2004 - a UUID's text
        return None
    try:
        return head, uuid.UUID(tail)
    except ValueError:
        return None
