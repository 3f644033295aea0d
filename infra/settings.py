"""Settings: the only place that reads the environment.

One frozen dataclass, read once per process by :func:`load`. Each field's comment says what
"unset" means. Embedded parts serve development and tests only: with ``ANLAN_ENV=production``
:func:`Settings.require_production_parts` names each setting that is missing.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.config import Config, Environ

_CHECKOUT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ("development", "test", "production")


class SettingsError(ValueError):
    """A setting is wrong; the message names it and says what is expected."""


@dataclass(frozen=True)
class Settings:
    """Everything that a process of Anlan takes from its environment."""

    env: str
    """``development``, ``test`` or ``production`` (``ANLAN_ENV``)."""
    state: Path
    """Folder of the embedded parts (``ANLAN_STATE``; unset: ``.anlan`` in the checkout)."""
    prefix: str
    """Prefix of the database roles (``ANLAN_PREFIX``); one per installation of a cluster."""
    db_url: str | None
    """``ANLAN_DB_URL``: login that may create roles and the database; unset: embedded PostgreSQL."""
    pg_bin: Path | None
    """``ANLAN_PG_BIN``: folder of PostgreSQL's binaries for the embedded server."""
    queue_url: str | None
    """``ANLAN_QUEUE_URL``: ``redis://`` or ``unix://``; unset: embedded valkey."""
    issuers: tuple[Mapping[str, object], ...] | None
    """``ANLAN_ISSUERS``: JSON list of trusted issuers; unset: the embedded issuer."""
    host: str
    """``ANLAN_HOST``: address that the web server binds."""
    port: int
    """``ANLAN_PORT``: port of the web server."""
    public_url: str
    """``ANLAN_PUBLIC_URL``: how people reach the web server; unset: ``http://HOST:PORT``."""
    log_level: str
    """``ANLAN_LOG``: level of the structured log."""
    ci: bool
    """``CI``: set by build servers."""

    @property
    def embedded(self) -> bool:
        """Whether the embedded parts may start: never in production."""
        return self.env != "production"

    @property
    def runtime_dir(self) -> Path:
        """Short folder for sockets; its name is a hash of the state path (107 bytes limit of sockets)."""
        name = "anlan-" + hashlib.sha256(str(self.state).encode()).hexdigest()[:12]
        if os.geteuid() == 0:
            return Path("/run") / name
        base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()  # noqa: TID251 - the one reader
        return Path(base) / name

    def require_production_parts(self) -> None:
        """Refuse to run production on embedded parts.

        Raises:
            SettingsError: names every setting that is missing.
        """
        if self.env != "production":
            return
        needed = {"ANLAN_DB_URL": self.db_url, "ANLAN_QUEUE_URL": self.queue_url, "ANLAN_ISSUERS": self.issuers}
        missing = sorted(name for name, value in needed.items() if not value)
        if missing:
            raise SettingsError(f"ANLAN_ENV=production needs {', '.join(missing)}: embedded parts never serve it")


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of this process.

    Args:
        environ: the environment; the process's own when omitted.

    Raises:
        SettingsError: a value is not of its form.
    """
    source = os.environ if environ is None else environ  # noqa: TID251 - the one reader
    config = Config(environ=Environ(dict(source)))
    env = config("ANLAN_ENV", default="development")
    if env not in ENVIRONMENTS:
        raise SettingsError(f"ANLAN_ENV is {env!r}; expected one of {', '.join(ENVIRONMENTS)}")
    try:
        port = int(config("ANLAN_PORT", default="8017"))
        issuers = json.loads(config("ANLAN_ISSUERS", default="null"))
    except ValueError as fault:
        raise SettingsError(f"ANLAN_PORT must be a number and ANLAN_ISSUERS a JSON list: {fault}") from fault
    host = config("ANLAN_HOST", default="127.0.0.1")
    pg_bin = config("ANLAN_PG_BIN", default="")
    return Settings(
        env=env,
        state=Path(config("ANLAN_STATE", default=str(_CHECKOUT / ".anlan"))).absolute(),
        prefix=config("ANLAN_PREFIX", default="anlan"),
        db_url=config("ANLAN_DB_URL", default="") or None,
        pg_bin=Path(pg_bin) if pg_bin else None,
        queue_url=config("ANLAN_QUEUE_URL", default="") or None,
        issuers=tuple(issuers) if issuers else None,
        host=host,
        port=port,
        public_url=config("ANLAN_PUBLIC_URL", default=web_address(host, port)).rstrip("/"),
        log_level=config("ANLAN_LOG", default="INFO").upper(),
        ci=config("CI", default="") not in ("", "false", "0"),
    )


def web_address(host: str, port: int) -> str:
    """Return the address of a web server without TLS; an IPv6 host stands in brackets (RFC 3986, 3.2.2).

    Args:
        host: name or address that the server binds.
        port: its port.
    """
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def child_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a child process: this one's, with these settings named.

    Args:
        settings: what the child shall read by :func:`load`.
    """
    own = {
        "ANLAN_ENV": settings.env,
        "ANLAN_STATE": str(settings.state),
        "ANLAN_PREFIX": settings.prefix,
        "ANLAN_HOST": settings.host,
        "ANLAN_PORT": str(settings.port),
        "ANLAN_PUBLIC_URL": settings.public_url,
        "PYTHONPATH": str(_CHECKOUT),
        "PYTHONUNBUFFERED": "1",
    }
    return {**os.environ, **own}  # noqa: TID251 - the one reader
