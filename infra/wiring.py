"""Settings to opened adapters: the only importer of concrete adapters (contract 6).

Adapters are imported inside the functions: each costs up to seconds to load, and a process opens
only those that it uses.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from infra.db.port import Database, DbAddress
from infra.secrets import Secrets
from infra.settings import Settings

if TYPE_CHECKING:
    from httpx import AsyncClient
    from starlette.types import ASGIApp

    from infra.db.embedded import Server as PostgresServer
    from infra.identity.embedded_directory import EmbeddedDirectory
    from infra.identity.port import Revocations, Verifier
    from infra.objects.embedded import FileStore
    from infra.queue.embedded import Server as QueueServer
    from infra.queue.redis import RedisQueue

DATABASE = "anlan"


class LoginPasswords(dict[str, str]):
    """Password per login, derived from one generated secret, so that all processes agree."""

    def __init__(self, seed: str) -> None:
        """Derive from ``seed``."""
        super().__init__()
        self._seed = seed

    def __missing__(self, login: str) -> str:
        """Return the password of a login."""
        return hashlib.sha256(f"{self._seed}/{login}".encode()).hexdigest()


def db_address(settings: Settings) -> DbAddress:
    """Return where the database is: the setting's server, or the embedded one's socket."""
    if settings.db_url is None:
        return DbAddress(str(settings.runtime_dir), 5432, DATABASE)
    parts = urlsplit(settings.db_url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    name = parts.path.strip("/")
    return DbAddress(
        host=query.get("host") or parts.hostname or "localhost",
        port=parts.port or int(query.get("port", "5432")),
        database=DATABASE if name in ("", "postgres") else name,
        tls=query.get("sslmode", "disable") in ("require", "verify-ca", "verify-full"),
    )


def db_passwords(settings: Settings) -> LoginPasswords:
    """Return the password of each database login."""
    return LoginPasswords(Secrets(settings.state).get("db_logins"))


def open_database(settings: Settings, database: str | None = None) -> Database:
    """Open the database port; connections are made when first used.

    Args:
        settings: where the server is.
        database: name of the database; the setting's when omitted.
    """
    from infra.db.postgres import PostgresDatabase  # noqa: PLC0415 - see the module's text

    address = db_address(settings)
    if database:
        address = DbAddress(address.host, address.port, database, tls=address.tls)
    return PostgresDatabase(address, db_passwords(settings), settings.prefix)


def open_directory(database: Database) -> "EmbeddedDirectory":
    """Open the directory of accounts: the embedded issuer's."""
    from infra.identity.embedded_directory import EmbeddedDirectory  # noqa: PLC0415 - see the module's text

    return EmbeddedDirectory(database)


def queue_url(settings: Settings) -> str:
    """Return where the queue is: the setting's server, or the embedded one's socket."""
    return settings.queue_url or f"unix://{settings.runtime_dir / 'queue.sock'}"


def open_queue(settings: Settings) -> "RedisQueue":
    """Open the queue port; connections are made when first used."""
    from infra.queue.redis import RedisQueue  # noqa: PLC0415 - see the module's text
    from infra.queue.signing import Signer  # noqa: PLC0415 - see the module's text

    return RedisQueue(
        queue_url(settings), Signer(Secrets(settings.state).get("queue_signing")), namespace=settings.prefix
    )


def open_objects(settings: Settings) -> "FileStore":
    """Open the object store: the file store in the state folder."""
    from infra.objects.embedded import FileStore  # noqa: PLC0415 - see the module's text

    return FileStore(settings.state / "objects")


def address_key(settings: Settings) -> str:
    """Return the key of signed addresses (`infra.objects.signing.AddressSigner`)."""
    return Secrets(settings.state).get("object_addresses")


def start_database(settings: Settings, inherit: Sequence[int] = ()) -> "PostgresServer":
    """Start the embedded PostgreSQL; from the main thread only. It keeps the open files ``inherit``."""
    from infra.db.embedded import start  # noqa: PLC0415 - see the module's text

    return start(settings, inherit=inherit)


def start_queue(settings: Settings, inherit: Sequence[int] = ()) -> "QueueServer":
    """Start the embedded queue; from the main thread only. It keeps the open files ``inherit``."""
    from infra.queue.embedded import start  # noqa: PLC0415 - see the module's text

    return start(settings, inherit=inherit)


def open_issuer(settings: Settings, database: Database) -> "ASGIApp":
    """Open the embedded issuer, to be mounted at ``/realms``."""
    from infra.identity.embedded import issuer_app  # noqa: PLC0415 - see the module's text

    return issuer_app(
        env=settings.env, public_url=settings.public_url, secrets=Secrets(settings.state), database=database
    )


def open_verifier(
    settings: Settings,
    http: "AsyncClient",
    *,
    revocations: "Revocations | None" = None,
    known_roles: frozenset[str] | None = None,
) -> "Verifier":
    """Open the verifier of access tokens of the trusted issuers.

    Args:
        settings: names the issuers.
        http: client for the issuers' keys.
        revocations: sessions that were ended early; None where nothing keeps them.
        known_roles: a token with another role is refused; None: any well-formed name.
    """
    from infra.identity.issuers import trusted_issuers  # noqa: PLC0415 - see the module's text
    from infra.identity.verifier import create_verifier  # noqa: PLC0415 - see the module's text

    return create_verifier(
        trusted_issuers(settings), http, settings.state, revocations=revocations, known_roles=known_roles
    )
