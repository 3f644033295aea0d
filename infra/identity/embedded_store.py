"""Logins, codes and refresh tokens of the embedded issuer, as rows.

Authlib's core calls these synchronously; they run inside ``AsyncSession.run_sync``, so that one
request is one transaction: a code is used, a session begun and a refresh token stored together.
Reads of codes and refresh tokens lock the row: of two requests at once the second sees it used.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.identity.embedded_directory import COLUMNS, to_account
from infra.identity.port import Account, Realm

ACCESS_SECONDS = 300
CODE_SECONDS = 60
REFRESH_SECONDS = 1800
SESSION_SECONDS = 36_000
"""A session ends after ten hours, however often it is refreshed."""
LOGOUT_SECONDS = 120
PICKER_LIMIT = 50

_SEARCH = text(
    f"SELECT {COLUMNS} FROM issuer.account WHERE realm = :realm AND enabled"
    " AND (starts_with(username, :q) OR starts_with(display_name, :q)) ORDER BY username LIMIT :n"
)
_ENABLED = text(
    f"SELECT {COLUMNS} FROM issuer.account WHERE realm = :realm AND username = :username AND enabled FOR SHARE"
)
_ACCOUNT_OF = text(
    f"SELECT {', '.join('a.' + name for name in COLUMNS.split(', '))}, s.client_id, s.auth_time, s.ended_at"
    " FROM issuer.session s JOIN issuer.account a ON a.id = s.account_id WHERE s.sid = :sid AND a.realm = :realm"
)
_PURGE = text(
    "DELETE FROM issuer.session WHERE sid IN (SELECT sid FROM issuer.session WHERE auth_time < :before"
    " ORDER BY auth_time LIMIT 100 FOR UPDATE SKIP LOCKED)"
)
_ADD_SESSION = text(
    "INSERT INTO issuer.session (sid, account_id, client_id, auth_time) VALUES (:sid, :account, :client, :at)"
)
_ADD_CODE = text(
    "INSERT INTO issuer.code (hash, sid, redirect_uri, scope, nonce, code_challenge, expires_at)"
    " VALUES (:hash, :sid, :redirect_uri, :scope, :nonce, :code_challenge, :expires_at)"
)
_CODE = text(
    "SELECT hash, sid, redirect_uri, scope, nonce, code_challenge, expires_at, used_at"
    " FROM issuer.code WHERE hash = :hash FOR UPDATE"
)
_USE_CODE = text("UPDATE issuer.code SET used_at = :now WHERE hash = :hash")
_ADD_REFRESH = text(
    "INSERT INTO issuer.refresh_token (hash, sid, scope, expires_at) VALUES (:hash, :sid, :scope, :expires_at)"
)
_REFRESH = text("SELECT hash, sid, scope, expires_at, used_at FROM issuer.refresh_token WHERE hash = :hash FOR UPDATE")
_USE_REFRESH = text("UPDATE issuer.refresh_token SET used_at = :now WHERE hash = :hash")
_END = text("UPDATE issuer.session SET ended_at = :now WHERE sid = :sid AND ended_at IS NULL")


@dataclass(frozen=True)
class Login:
    """A person logged in: the user as Authlib's core passes it around."""

    account: Account
    sid: UUID
    client_id: str
    auth_time: datetime


@dataclass(frozen=True)
class CodeRow:
    """An authorization code that may still be used."""

    hash: bytes
    login: Login
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str
    code_challenge_method: str = "S256"

    def get_redirect_uri(self) -> str:
        """Return the address that the code was sent to."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Return the granted scope."""
        return self.scope

    def get_nonce(self) -> str | None:
        """Return the nonce of the request."""
        return self.nonce

    def get_auth_time(self) -> int:
        """Return when the person logged in."""
        return int(self.login.auth_time.timestamp())

    def get_acr(self) -> str:
        """Return the class of the login: picking an account is one factor."""
        return "1"

    def get_amr(self) -> None:
        """The embedded issuer checks nothing that would have a name here."""


@dataclass(frozen=True)
class RefreshRow:
    """A refresh token that may still be used."""

    hash: bytes
    login: Login
    scope: str

    def check_client(self, client: object) -> bool:
        """Tell whether the token is this client's."""
        return self.login.client_id == getattr(client, "client_id", None)

    def get_scope(self) -> str:
        """Return the granted scope."""
        return self.scope


def digest(secret: str) -> bytes:
    """Return what is kept of a code or refresh token."""
    return hashlib.sha256(secret.encode()).digest()


def _now() -> datetime:
    return datetime.now(UTC)


def search(session: Session, realm: Realm, words: str) -> list[Account]:
    """Return accounts whose user name or name begins with the words, for the page."""
    rows = session.execute(_SEARCH, {"realm": realm, "q": words, "n": PICKER_LIMIT})
    return [to_account(row) for row in rows]


def begin(session: Session, realm: Realm, username: str, client_id: str) -> Login | None:
    """Begin a session for an account that is open; None when there is none."""
    row = session.execute(_ENABLED, {"realm": realm, "username": username}).one_or_none()
    if row is None:
        return None
    now = _now()
    session.execute(_PURGE, {"before": now - timedelta(seconds=SESSION_SECONDS + ACCESS_SECONDS)})
    login = Login(to_account(row), uuid4(), client_id, now)
    values = {"sid": login.sid, "account": login.account.subject, "client": client_id, "at": now}
    session.execute(_ADD_SESSION, values)
    return login


def session_login(session: Session, realm: Realm, sid: UUID) -> Login | None:
    """Return the login of a session that has not ended, of an account that is open."""
    row = session.execute(_ACCOUNT_OF, {"sid": sid, "realm": realm}).one_or_none()
    if row is None or row.ended_at is not None or not row.enabled:
        return None
    if row.auth_time + timedelta(seconds=SESSION_SECONDS) <= _now():
        return None
    return Login(to_account(row), sid, row.client_id, row.auth_time)


def end(session: Session, sid: UUID) -> bool:
    """End a session; False when it had ended or never was."""
    return bool(session.execute(_END, {"sid": sid, "now": _now()}).rowcount)  # type: ignore[attr-defined]


def add_code(
    session: Session, login: Login, code: str, *, redirect_uri: str, scope: str, nonce: str | None, challenge: str
) -> None:
    """Keep a new code."""
    values = {
        "hash": digest(code),
        "sid": login.sid,
        "redirect_uri": redirect_uri,
        "scope": scope,
        "nonce": nonce,
        "code_challenge": challenge,
        "expires_at": _now() + timedelta(seconds=CODE_SECONDS),
    }
    session.execute(_ADD_CODE, values)


def take_code(session: Session, realm: Realm, code: str, client_id: str) -> CodeRow | None:
    """Return a code of this client that may be used; a second use ends the session that it began."""
    row = session.execute(_CODE, {"hash": digest(code)}).one_or_none()
    if row is None:
        return None
    login = session_login(session, realm, row.sid)
    if login is None or login.client_id != client_id:
        return None
    if row.used_at is not None:
        end(session, row.sid)
        return None
    if row.expires_at <= _now():
        return None
    return CodeRow(row.hash, login, row.redirect_uri, row.scope, row.nonce, row.code_challenge)


def use_code(session: Session, code: CodeRow) -> None:
    """Mark a code used."""
    session.execute(_USE_CODE, {"hash": code.hash, "now": _now()})


def add_refresh(session: Session, login: Login, token: str, scope: str) -> None:
    """Keep a new refresh token of a session."""
    last = login.auth_time + timedelta(seconds=SESSION_SECONDS)
    expires_at = min(_now() + timedelta(seconds=REFRESH_SECONDS), last)
    session.execute(_ADD_REFRESH, {"hash": digest(token), "sid": login.sid, "scope": scope, "expires_at": expires_at})


def take_refresh(session: Session, realm: Realm, token: str, client_id: str) -> RefreshRow | None:
    """Return a refresh token of this client that may be used; a second use ends its whole session."""
    row = session.execute(_REFRESH, {"hash": digest(token)}).one_or_none()
    if row is None:
        return None
    login = session_login(session, realm, row.sid)
    if login is None or login.client_id != client_id:
        return None
    if row.used_at is not None:
        end(session, row.sid)
        return None
    return None if row.expires_at <= _now() else RefreshRow(row.hash, login, row.scope)


def use_refresh(session: Session, token: RefreshRow) -> None:
    """Mark a refresh token used."""
    session.execute(_USE_REFRESH, {"hash": token.hash, "now": _now()})
