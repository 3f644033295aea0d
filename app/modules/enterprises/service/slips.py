"""Activation slips 激活单: first login without mail or SMS (decision 47)."""

import hashlib
import io
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

VALID = timedelta(days=7)
_BYTES = 24
"""Give 32 characters of the URL-safe alphabet."""


@dataclass(frozen=True)
class Slip:
    """A slip's code: shown once, kept only as its digest.

    Args:
        code: 32 URL-safe characters, 192 bits.
        expires_at: moment after which it no longer activates.
    """

    code: str = field(repr=False)
    expires_at: datetime

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal digits, as it is stored."""
        return hashlib.sha256(self.code.encode()).hexdigest()

    def qr_svg(self) -> str:
        """Return the code as a QR picture, an SVG document to print."""
        import segno  # noqa: PLC0415 - only a county's decision needs it

        out = io.BytesIO()
        segno.make(self.code, error="m", micro=False).save(out, kind="svg", scale=4, xmldecl=False, svgns=True)
        return out.getvalue().decode()


def new_slip(now: datetime) -> Slip:
    """Return a fresh slip."""
    return Slip(secrets.token_urlsafe(_BYTES), now + VALID)
