"""Clients of the embedded issuer: our own web, third-party front ends, and the command line."""

import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from infra.identity.port import Realm
from infra.secrets import Secrets

CLI_REDIRECT = "http://127.0.0.1/anlan-cli"
"""The command line reads the code from the redirect's address and never opens it."""
SCOPES = ("openid",)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class IssuerClient:
    """A registered client, in the form that Authlib's core asks for."""

    client_id: str
    redirect_uris: tuple[str, ...]
    secret: str | None = None
    """None: a public client."""
    any_loopback_port: bool = False
    """Redirects to a loopback address may name any port (RFC 8252, 7.3)."""
    post_logout_uris: tuple[str, ...] = ()
    backchannel_logout_uri: str | None = None

    def get_client_id(self) -> str:
        """Return the id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """There is none: a request names its address."""

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return the part of the scope that exists; what does not is dropped, as Keycloak does."""
        return " ".join(name for name in SCOPES if name in (scope or "").split())

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Compare exactly, except a loopback port where that is allowed."""
        if redirect_uri in self.redirect_uris:
            return True
        return self.any_loopback_port and _without_port(redirect_uri) in self.redirect_uris

    def check_client_secret(self, secret: str) -> bool:
        """Compare in constant time."""
        return self.secret is not None and hmac.compare_digest(self.secret.encode(), secret.encode())

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """Public clients do not authenticate; confidential ones must."""
        return (method == "none") == (self.secret is None)

    def check_response_type(self, response_type: str) -> bool:
        """Code flow only."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Code and refresh."""
        return grant_type in {"authorization_code", "refresh_token"}


def _without_port(uri: str) -> str | None:
    """Return a plain loopback address without its port, else None."""
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return None
    if parts.hostname not in LOOPBACK:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    plain = f"http://{host}{parts.path}"
    # Written again and compared: a user, query, fragment, other scheme or spelling does not pass.
    return plain if uri == (plain if port is None else f"http://{host}:{port}{parts.path}") else None


def web_secret(secrets: Secrets, realm: Realm) -> str:
    """Return the secret of ``anlan-web`` in a realm, made on first use."""
    return secrets.get(f"client-anlan-web-{realm}")


def registered_clients(public_url: str, secrets: Secrets, realm: Realm) -> dict[str, IssuerClient]:
    """Return the clients of a realm by id."""
    clients = (
        IssuerClient(
            "anlan-web",
            (f"{public_url}/auth/callback",),
            secret=web_secret(secrets, realm),
            post_logout_uris=(f"{public_url}/",),
            backchannel_logout_uri=f"{public_url}/auth/backchannel-logout",
        ),
        IssuerClient(
            "anlan-public",
            ("http://127.0.0.1/callback", "http://localhost/callback", "http://[::1]/callback"),
            any_loopback_port=True,
        ),
        IssuerClient("anlan-cli", (CLI_REDIRECT,)),
    )
    return {client.client_id: client for client in clients}
