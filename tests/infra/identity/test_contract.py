"""Contract of an issuer and its directory (run-anywhere study 6.5), here for the embedded one."""

import asyncio
import base64
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from starlette.applications import Starlette
from starlette.routing import Mount

from infra.identity.embedded import EmbeddedIssuerError, RotationError, http_logout_sender, issuer_app
from infra.identity.embedded_clients import web_secret
from infra.identity.issuers import embedded_issuers
from infra.identity.port import (
    Realm,
    TokenRefused,
)
from infra.identity.verifier import create_verifier
from tests.conftest import Clone
from tests.infra.identity.conftest import CITIZEN, COUNTY, FACTORY, MANAGER, OFFICIAL, URL, USCC, Issuer
from tests.infra.identity.flows import Flow, claims_of, verifier_of

CLAIMS = {"iss", "exp", "iat", "jti", "azp", "sid", "scope", "typ", "sub", "auth_time", "acr", "aud", "tenant", "roles"}
ACCOUNT_OF = {"gov": OFFICIAL.username, "ent": MANAGER.username}


@pytest.mark.parametrize("realm", ["gov", "ent"])
async def test_discovery_and_keys_have_what_clients_read(issuer: Issuer, realm: str) -> None:
    document = (await issuer.http.get(f"/realms/{realm}/.well-known/openid-configuration")).json()
    assert document["issuer"] == f"{URL}/realms/{realm}"
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["response_types_supported"] == ["code"]
    for name in ("authorization", "token", "userinfo", "end_session"):
        assert document[f"{name}_endpoint"].startswith(f"{URL}/realms/{realm}/protocol/openid-connect/")
    keys = (await issuer.http.get(document["jwks_uri"])).json()["keys"]
    assert keys
    for key in keys:
        assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}
        assert key["kid"]


@pytest.mark.parametrize("realm", ["gov", "ent"])
@pytest.mark.parametrize("client", ["anlan-web", "anlan-public", "anlan-cli"])
async def test_every_client_gets_the_full_claims_and_nothing_beyond(
    issuer: Issuer, realm: Realm, client: str, tmp_path: Path
) -> None:
    secret = web_secret(issuer.secrets, realm) if client == "anlan-web" else None
    tokens = await Flow(issuer.http, realm, client, secret).tokens(ACCOUNT_OF[realm])
    assert set(tokens) == {"token_type", "access_token", "expires_in", "refresh_token", "scope", "id_token"}
    claims = claims_of(tokens["access_token"])
    account = await issuer.directory.find(realm, username=ACCOUNT_OF[realm])
    assert account is not None
    assert set(claims) == CLAIMS
    assert claims["aud"] == "anlan-api"
    assert claims["typ"] == "Bearer"
    assert claims["azp"] == client
    assert claims["sub"] == str(account.subject)
    assert claims["exp"] - claims["iat"] == 300 == tokens["expires_in"]
    assert claims["roles"] == sorted(account.roles)
    tenant = {"id": str(COUNTY), "tier": "county", "path": "61/6101/610122"}
    if realm == "ent":
        tenant = {"id": str(FACTORY), "tier": "enterprise", "path": "610122/factory", "org": USCC}
    assert claims["tenant"] == tenant
    verified = await verifier_of(issuer, tmp_path).verify(tokens["access_token"])
    assert verified.issuer == f"{URL}/realms/{realm}"
    assert (verified.subject, verified.client, verified.sid) == (claims["sub"], client, claims["sid"])
    assert (verified.tenant_id, verified.tenant_tier) == (account.attributes.tenant_id, account.attributes.tenant_tier)
    assert (verified.roles, verified.acr, verified.auth_time) == (account.roles, "1", claims["auth_time"])


async def test_id_token_is_for_the_client_and_no_bearer(issuer: Issuer, tmp_path: Path) -> None:
    tokens = await Flow(issuer.http, "gov").tokens(OFFICIAL.username)
    keys = KeySet.import_key_set(issuer.keys("gov").public())  # type: ignore[arg-type]
    claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
    access = claims_of(tokens["access_token"])
    assert claims["aud"] == "anlan-cli"
    assert (claims["nonce"], claims["sid"], claims["sub"]) == ("n-1", access["sid"], access["sub"])
    assert {"at_hash", "auth_time", "acr"} <= set(claims)
    verifier = verifier_of(issuer, tmp_path)
    for name in ("id_token", "refresh_token"):
        with pytest.raises(TokenRefused):
            await verifier.verify(tokens[name])


async def test_a_citizen_without_a_tenant_gets_a_token(issuer: Issuer, tmp_path: Path) -> None:
    tokens = await Flow(issuer.http, "ent").tokens(CITIZEN.username)
    assert claims_of(tokens["access_token"])["tenant"] == {"tier": "citizen"}
    verified = await verifier_of(issuer, tmp_path).verify(tokens["access_token"])
    assert (verified.tenant_id, verified.tenant_tier) == (None, "citizen")


async def test_page_offers_accounts_of_its_realm_without_script(issuer: Issuer) -> None:
    flow = Flow(issuer.http, "ent")
    page = await issuer.http.get(f"{flow.base}/auth", params=flow.request(state='"><script>'))
    assert page.status_code == 200
    assert "development" in page.text
    assert MANAGER.username in page.text
    assert OFFICIAL.username not in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    found = await issuer.http.get(f"{flow.base}/auth", params={**flow.request(), "q": "市民"})
    assert CITIZEN.username in found.text
    assert MANAGER.username not in found.text


async def test_an_account_of_the_other_realm_cannot_log_in(issuer: Issuer) -> None:
    for realm, account in (("ent", OFFICIAL.username), ("gov", MANAGER.username), ("gov", "nobody"), ("gov", "")):
        assert (await Flow(issuer.http, realm).choose(account)).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": "short"},
        {"response_type": "token"},
        {"response_type": None},
        {"prompt": "none"},
    ],
)
async def test_a_bad_authorization_request_gets_no_code(issuer: Issuer, changes: dict[str, str | None]) -> None:
    flow = Flow(issuer.http, "gov")
    for answer in (
        await flow.choose(OFFICIAL.username, **changes),
        await issuer.http.get(f"{flow.base}/auth", params=flow.request(**changes)),
    ):
        assert answer.status_code == 302, answer.text
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        assert "code" not in query
        assert query["error"]
        assert query["state"] == ["s-1"]


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1.evil.example:5173/callback"},
        {"redirect_uri": "http://user@127.0.0.1:5173/callback"},
        {"redirect_uri": "http://127.0.0.1:5173/callback/"},
        {"redirect_uri": "http://127.0.0.1:5173/callback?x=1"},
        {"redirect_uri": "http://127.0.0.1:5173/callback#x"},
        {"redirect_uri": "http://127.0.0.1:99999/callback"},
        {"redirect_uri": "https://127.0.0.1:5173/callback"},
        {"redirect_uri": None},
        {"client_id": "anlan-unknown"},
        {"client_id": None},
        {"response_type": '"'},
    ],
)
async def test_foreign_redirects_and_clients_are_never_redirected_to(
    issuer: Issuer, changes: dict[str, str | None]
) -> None:
    flow = Flow(issuer.http, "gov", "anlan-public")
    for answer in (
        await flow.choose(OFFICIAL.username, **changes),
        await issuer.http.get(f"{flow.base}/auth", params=flow.request(**changes)),
    ):
        assert answer.status_code == 400
        assert "location" not in answer.headers


async def test_a_parameter_twice_or_a_huge_body_is_refused(issuer: Issuer) -> None:
    flow = Flow(issuer.http, "gov")
    twice = await issuer.http.get(f"{flow.base}/auth", params=[*flow.request().items(), ("state", "2")])
    huge = await flow.choose(OFFICIAL.username, nonce="n" * 20_000)
    foreign = await issuer.http.post(
        f"{flow.base}/auth", data=flow.request(), headers={"origin": "http://evil.example"}
    )
    assert [twice.status_code, huge.status_code, foreign.status_code] == [400, 400, 400]


async def test_a_code_works_once_and_its_replay_ends_the_session(issuer: Issuer) -> None:
    flow = Flow(issuer.http, "gov")
    code = await flow.code(OFFICIAL.username)
    first = await flow.exchange(code)
    assert first.status_code == 200
    again = await flow.exchange(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    refreshed = await flow.refresh(first.json()["refresh_token"])
    assert (refreshed.status_code, refreshed.json()["error"]) == (400, "invalid_grant")


async def test_of_many_exchanges_of_one_code_at_once_one_works(issuer: Issuer) -> None:
    flow = Flow(issuer.http, "gov")
    code = await flow.code(OFFICIAL.username)
    answers = await asyncio.gather(*(flow.exchange(code) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"code_verifier": "wrong" * 12}, 400),
        ({"code_verifier": None}, 400),
        ({"redirect_uri": "http://127.0.0.1:9/callback"}, 400),
        ({"redirect_uri": None}, 400),
        ({"code": "unknown"}, 400),
        ({"code": None}, 400),
        ({"client_id": "anlan-public"}, 400),
        ({"client_id": "anlan-web"}, 401),
        ({"client_id": "anlan-unknown"}, 400),
        ({"grant_type": "password"}, 400),
        ({"grant_type": "client_credentials"}, 400),
        ({"grant_type": '"'}, 400),
    ],
)
async def test_a_wrong_exchange_gets_no_token(issuer: Issuer, changes: dict[str, str | None], status: int) -> None:
    flow = Flow(issuer.http, "gov")
    code = await flow.code(OFFICIAL.username)
    answer = await flow.exchange(code, **changes)
    assert answer.status_code == status, answer.text
    assert "access_token" not in answer.text
    assert (await flow.exchange(code)).status_code == 200


@pytest.mark.parametrize("secret", ["wrong", None])
async def test_the_confidential_client_must_authenticate(issuer: Issuer, secret: str | None) -> None:
    code = await Flow(issuer.http, "gov", "anlan-web").code(OFFICIAL.username)
    flow = Flow(issuer.http, "gov", "anlan-web", secret)
    answer = await flow.exchange(code)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    ent = await Flow(issuer.http, "gov", "anlan-web", web_secret(issuer.secrets, "ent")).exchange(code)
    assert ent.status_code == 401


async def test_an_expired_code_is_refused(issuer: Issuer, issuer_db: Clone) -> None:
    flow = Flow(issuer.http, "gov")
    code = await flow.code(OFFICIAL.username)
    await issuer_db.admin.fetchval("UPDATE issuer.code SET expires_at = now()")
    assert (await flow.exchange(code)).json()["error"] == "invalid_grant"


async def test_codes_and_refresh_tokens_are_kept_as_hashes_with_their_lifetimes(
    issuer: Issuer, issuer_db: Clone
) -> None:
    flow = Flow(issuer.http, "gov")
    code = await flow.code(OFFICIAL.username)
    refresh = (await flow.exchange(code)).json()["refresh_token"]
    seconds = "round(extract(epoch FROM expires_at - now()))::int"
    dump = "SELECT c::text || r::text FROM issuer.code c, issuer.refresh_token r"
    text = await issuer_db.admin.fetchval(dump)
    assert code not in text
    assert refresh not in text
    assert 55 <= await issuer_db.admin.fetchval(f"SELECT {seconds} FROM issuer.code") <= 60
    assert 1790 <= await issuer_db.admin.fetchval(f"SELECT {seconds} FROM issuer.refresh_token") <= 1800


async def test_refresh_rotates_and_reuse_revokes_the_family(issuer: Issuer, tmp_path: Path) -> None:
    flow = Flow(issuer.http, "gov")
    first = await flow.tokens(OFFICIAL.username)
    second = (await flow.refresh(first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    one, two = claims_of(first["access_token"]), claims_of(second["access_token"])
    assert (one["sid"], one["auth_time"], one["azp"]) == (two["sid"], two["auth_time"], two["azp"])
    assert set(two) == CLAIMS
    await verifier_of(issuer, tmp_path).verify(second["access_token"])
    reused = await flow.refresh(first["refresh_token"])
    assert (reused.status_code, reused.json()["error"]) == (400, "invalid_grant")
    family = await flow.refresh(second["refresh_token"])
    assert (family.status_code, family.json()["error"]) == (400, "invalid_grant")


async def test_of_many_refreshes_at_once_one_works_and_the_family_ends(issuer: Issuer) -> None:
    flow = Flow(issuer.http, "gov")
    token = (await flow.tokens(OFFICIAL.username))["refresh_token"]
    answers = await asyncio.gather(*(flow.refresh(token) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    [winner] = [answer.json() for answer in answers if answer.status_code == 200]
    assert (await flow.refresh(winner["refresh_token"])).status_code == 400


async def test_a_refresh_token_is_its_clients_only(issuer: Issuer) -> None:
    tokens = await Flow(issuer.http, "gov").tokens(OFFICIAL.username)
    stranger = await Flow(issuer.http, "gov", "anlan-public").refresh(tokens["refresh_token"])
    other_realm = await Flow(issuer.http, "ent").refresh(tokens["refresh_token"])
    assert [stranger.status_code, other_realm.status_code] == [400, 400]
    assert (await Flow(issuer.http, "gov").refresh(tokens["refresh_token"])).status_code == 200


async def test_an_expired_refresh_token_and_an_old_session_are_refused(issuer: Issuer, issuer_db: Clone) -> None:
    flow = Flow(issuer.http, "gov")
    tokens = await flow.tokens(OFFICIAL.username)
    await issuer_db.admin.fetchval("UPDATE issuer.refresh_token SET expires_at = now()")
    assert (await flow.refresh(tokens["refresh_token"])).status_code == 400
    tokens = await flow.tokens(OFFICIAL.username)
    await issuer_db.admin.fetchval("UPDATE issuer.session SET auth_time = now() - interval '10 hours'")
    assert (await flow.refresh(tokens["refresh_token"])).status_code == 400


async def test_tokens_survive_a_restart_of_the_issuer(issuer: Issuer, tmp_path: Path) -> None:
    flow = Flow(issuer.http, "gov")
    tokens = await flow.tokens(OFFICIAL.username)
    code = await flow.code(OFFICIAL.username)
    again = issuer_app(env="test", public_url=URL, secrets=issuer.secrets, database=issuer.database)
    mounted = httpx.ASGITransport(_at_realms(again))
    async with httpx.AsyncClient(transport=mounted, base_url=URL) as http:
        flow.http = http
        assert (await flow.exchange(code)).status_code == 200
        assert (await flow.refresh(tokens["refresh_token"])).status_code == 200
        await create_verifier(embedded_issuers(URL), http, tmp_path).verify(tokens["access_token"])


async def test_userinfo_answers_the_session_that_lives(issuer: Issuer) -> None:
    flow = Flow(issuer.http, "gov")
    tokens = await flow.tokens(OFFICIAL.username)
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    answer = await issuer.http.get(f"{flow.base}/userinfo", headers=bearer)
    assert answer.json() == {
        "sub": claims_of(tokens["access_token"])["sub"],
        "preferred_username": OFFICIAL.username,
        "name": OFFICIAL.display_name,
    }
    foreign = await issuer.http.get("/realms/ent/protocol/openid-connect/userinfo", headers=bearer)
    nothing = await issuer.http.get(f"{flow.base}/userinfo")
    account = await issuer.directory.find("gov", username=OFFICIAL.username)
    assert account is not None
    assert await issuer.directory.end_sessions("gov", account.subject)
    ended = await issuer.http.get(f"{flow.base}/userinfo", headers=bearer)
    assert [foreign.status_code, nothing.status_code, ended.status_code] == [401, 401, 401]


async def test_logout_ends_the_session_and_goes_only_to_registered_addresses(issuer: Issuer, tmp_path: Path) -> None:
    flow = Flow(issuer.http, "gov", "anlan-web", web_secret(issuer.secrets, "gov"))
    tokens = await flow.tokens(OFFICIAL.username)
    hint = {"id_token_hint": tokens["id_token"]}
    for bad in (
        {**hint, "post_logout_redirect_uri": "https://evil.example/"},
        {"post_logout_redirect_uri": f"{URL}/"},
        {"id_token_hint": tokens["access_token"]},
        {"id_token_hint": "x"},
    ):
        assert (await issuer.http.get(f"{flow.base}/logout", params=bad)).status_code == 400
    assert issuer.logouts == []
    good = {**hint, "post_logout_redirect_uri": f"{URL}/", "state": "after"}
    answer = await issuer.http.get(f"{flow.base}/logout", params=good)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{URL}/?state=after")
    assert (await flow.refresh(tokens["refresh_token"])).status_code == 400
    [(address, token)] = issuer.logouts
    claims = claims_of(token)
    assert address == f"{URL}/auth/backchannel-logout"
    assert (claims["sid"], claims["aud"]) == (claims_of(tokens["access_token"])["sid"], "anlan-web")
    ended = await verifier_of(issuer, tmp_path).verify_logout(token)
    assert (ended.issuer, ended.sid) == (f"{URL}/realms/gov", claims["sid"])
    assert (await issuer.http.post(f"{flow.base}/logout", data=hint)).status_code == 200
    assert len(issuer.logouts) == 1


async def test_key_rotation_refuses_no_valid_token(issuer: Issuer, tmp_path: Path) -> None:
    """Add, wait for the caches, promote, wait for the tokens, retire: nobody with a valid token notices."""
    ahead = [0.0]
    keys = issuer.keys("gov")
    flow = Flow(issuer.http, "gov")
    verifier = verifier_of(issuer, tmp_path, now=lambda: time.time() + ahead[0])
    before = (await flow.tokens(OFFICIAL.username))["access_token"]
    await verifier.verify(before)
    with pytest.raises(RotationError):
        keys.promote()
    added = keys.add()
    with pytest.raises(RotationError):
        keys.add()
    assert added in {key["kid"] for key in (await issuer.http.get(f"{flow.base}/certs")).json()["keys"]}
    waiting = (await flow.tokens(OFFICIAL.username))["access_token"]
    assert _kid(waiting) == _kid(before) != added
    ahead[0] = 301.0  # the cache is due and learns the next key, before that signs
    await verifier.verify(waiting)
    assert keys.promote() == added
    after = (await flow.tokens(OFFICIAL.username))["access_token"]
    assert _kid(after) == added
    ahead[0] = 0.0
    fresh = verifier_of(issuer, tmp_path / "other")
    for token in (before, waiting, after):
        await verifier.verify(token)
        await fresh.verify(token)
    assert keys.retire() == 1
    assert [key["kid"] for key in keys.public()["keys"]] == [added]
    await fresh.verify((await flow.tokens(OFFICIAL.username))["access_token"])


async def test_a_logout_that_cannot_be_delivered_is_logged_without_the_token(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[bytes] = []

    def client(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(200 if request.url.host == "good.example" else 500)

    async with httpx.AsyncClient(transport=httpx.MockTransport(client)) as http:
        send = http_logout_sender(http)
        await send("http://good.example/", "t0ken")
        assert caplog.records == []
        await send("http://bad.example/", "t0ken")
    assert seen == [b"logout_token=t0ken"] * 2
    assert "bad.example" in caplog.text
    assert "t0ken" not in caplog.text


async def test_it_refuses_production_and_foreign_addresses(issuer: Issuer) -> None:
    parts: dict[str, Any] = {"secrets": issuer.secrets, "database": issuer.database}
    with pytest.raises(EmbeddedIssuerError, match="production"):
        issuer_app(env="production", public_url=URL, **parts)
    with pytest.raises(EmbeddedIssuerError, match="loopback"):
        issuer_app(env="development", public_url="http://anlan.example", **parts)
    path = "/realms/gov/.well-known/openid-configuration"
    far = httpx.ASGITransport(issuer.app, client=("203.0.113.9", 4711))
    async with httpx.AsyncClient(transport=far, base_url=URL) as http:
        assert (await http.get(path)).status_code == 403
    rebound = await issuer.http.get(path, headers={"host": "rebound.example:8017"})
    assert rebound.status_code == 403
    assert (await issuer.http.get(path, headers={"host": "localhost:8017"})).status_code == 200


async def test_third_party_pages_on_loopback_may_call_the_token_endpoint(issuer: Issuer) -> None:
    flow = Flow(issuer.http, "gov", "anlan-public")
    code = await flow.code(OFFICIAL.username)
    issuer.http.headers["origin"] = "http://127.0.0.1:5173"
    answer = await flow.exchange(code)
    assert answer.headers["access-control-allow-origin"] == "http://127.0.0.1:5173"
    issuer.http.headers["origin"] = "http://evil.example"
    answer = await issuer.http.get(f"{flow.base}/certs")
    assert "access-control-allow-origin" not in answer.headers


def _kid(token: str) -> str:
    head = token.split(".", maxsplit=1)[0]
    return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])


def _at_realms(app: Any) -> Starlette:
    return Starlette(routes=[Mount("/realms", app)])
