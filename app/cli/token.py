"""``./anlan token ACCOUNT``: print an access token of a demo account.

It walks the code flow with PKCE against the running instance, as any client would; there is no
other way in, and none in production, where the embedded issuer does not run.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from infra.identity.embedded_clients import CLI_REDIRECT
from infra.identity.issuers import REALMS
from infra.settings import Settings

CLIENT = "anlan-cli"
_TIMEOUT = 15.0


class TokenError(Exception):
    """No token was had; the message says why and what to do."""


class _NotHereError(Exception):
    """The realm has no such account."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("account", help="user name of a demo account, as the start page lists them")
    parser.add_argument("--realm", choices=REALMS, help="gov 政务 or ent 企业; default: the one that has the account")
    parser.add_argument("--url", help="address of the running instance; default: the one of --data or ANLAN_STATE")
    parser.add_argument("--data", type=Path, help="state folder of the running instance")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print a token and return 0, or print to stderr why not and return 1."""
    try:
        url = args.url or find_instance(args.data or settings.state)
        token = asyncio.run(_with_client(url, args.account, [args.realm] if args.realm else REALMS))
    except TokenError as fault:
        print(f"anlan token: {fault}", file=sys.stderr)
        return 1
    print(token)
    return 0


def find_instance(state: Path) -> str:
    """Return the address that a running instance wrote into its state folder.

    Raises:
        TokenError: none did.
    """
    hint = "start one with `./anlan up`, or name it with --url or --data"
    try:
        url = json.loads((state / "run.json").read_text(encoding="utf-8"))["url"]
    except FileNotFoundError:
        raise TokenError(f"no instance runs on {state}: {hint}") from None
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise TokenError(f"{state / 'run.json'} cannot be read ({type(fault).__name__}): {hint}") from None
    return str(url)


async def _with_client(url: str, account: str, realms: Sequence[str]) -> str:
    # Proxies of the environment are for the Internet; the instance is on this machine.
    async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False) as http:
        return await fetch_token(http, url.rstrip("/"), account, realms)


async def fetch_token(http: httpx.AsyncClient, url: str, account: str, realms: Sequence[str] = REALMS) -> str:
    """Return an access token of an account.

    Args:
        http: client to use.
        url: address of the instance, without a trailing slash.
        account: user name.
        realms: realms to look in, in this order.

    Raises:
        TokenError: no realm has the account, or the instance does not answer as it should.
    """
    for realm in realms:
        try:
            return await _login(http, url, realm, account)
        except _NotHereError:
            continue
        except httpx.HTTPError as fault:
            raise TokenError(f"{url} does not answer ({type(fault).__name__}): is it running?") from None
        except (ValueError, KeyError) as fault:
            raise TokenError(f"{url} does not answer as the embedded issuer does ({type(fault).__name__})") from None
    raise TokenError(f"there is no demo account {account!r} in {' or '.join(realms)}: the start page lists them")


async def _login(http: httpx.AsyncClient, url: str, realm: str, account: str) -> str:
    discovered = await http.get(f"{url}/realms/{realm}/.well-known/openid-configuration")
    discovery = discovered.raise_for_status().json()
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    state = secrets.token_urlsafe(16)
    request = {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": CLI_REDIRECT,
        "scope": "openid",
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    answer = await http.post(discovery["authorization_endpoint"], data={**request, "account": account})
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise _NotHereError
    if not answer.is_redirect:
        raise TokenError(f"the issuer refused the login with status {answer.status_code}")
    returned = parse_qs(urlsplit(answer.headers["location"]).query)
    if returned.get("state") != [state]:
        raise TokenError("the answer belongs to another login (state): try again")
    exchange = {
        "grant_type": "authorization_code",
        "client_id": CLIENT,
        "redirect_uri": CLI_REDIRECT,
        "code": returned["code"][0],
        "code_verifier": verifier,
    }
    issued = await http.post(discovery["token_endpoint"], data=exchange)
    return str(issued.raise_for_status().json()["access_token"])
