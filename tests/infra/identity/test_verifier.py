"""Every forgery of the identity study 3.3 that belongs to the token is refused, and by nothing but TokenRefused."""

import hashlib
import hmac
import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey

from infra.identity.issuers import LOGOUT_EVENT
from infra.identity.jwks import KeyMissingError
from infra.identity.port import EndedSession, TokenRefused, VerifiedToken
from infra.identity.verifier import TokenVerifier
from tests.infra.identity.minting import (
    ENT,
    GOV,
    KEYS,
    MISSING,
    NOW,
    STRANGER,
    TENANT,
    b64,
    claims,
    header,
    mint,
    sign_raw,
)

PUBLIC_PEM = KEYS["gov-1"].as_pem(private=False)
JWKS = json.dumps({"keys": [KEYS["gov-1"].as_dict(private=False)]}).encode()


class Fixed:
    """Keys of one issuer, without HTTP."""

    def __init__(self, *kids: str) -> None:
        self._keys = {kid: KEYS[kid] for kid in kids}

    async def key(self, kid: str) -> RSAKey:
        try:
            return self._keys[kid]
        except KeyError:
            raise KeyMissingError from None


def verifier(**options: Any) -> TokenVerifier:
    sources = {GOV.issuer: (GOV, Fixed("gov-1")), ENT.issuer: (ENT, Fixed("ent-1"))}
    return TokenVerifier(sources, now=lambda: NOW, **options)


async def reason(token: str, **options: Any) -> str:
    with pytest.raises(TokenRefused) as refused:
        await verifier(**options).verify(token)
    return refused.value.reason


async def test_a_good_token_gives_its_facts() -> None:
    token = mint()
    found = await verifier().verify(token)
    body = claims()
    assert found == VerifiedToken(
        issuer=GOV.issuer,
        issuer_name="gov",
        realm_tier_ceiling=GOV.tiers,
        subject=body["sub"],
        client="anlan-web",
        sid=body["sid"],
        acr="1",
        auth_time=found.auth_time,
        tenant_id=UUID(TENANT),
        tenant_tier="county",
        roles=frozenset({"viewer"}),
        expires_at=found.expires_at,
        token_hash=hashlib.sha256(token.encode()).hexdigest(),
    )


@pytest.mark.parametrize(
    "token",
    [
        mint(head=header(typ="JWT")),
        mint(claims(aud=["account", "anlan-api"])),
        mint(claims(sid=MISSING, auth_time=MISSING, acr=MISSING)),
        mint(claims(roles=MISSING)),
        mint(claims(iat=NOW - 300, exp=NOW - 9)),
        mint(claims(iat=NOW + 10)),
        mint(claims(nbf=NOW + 10)),
        # The header's own keys are not even read: this one is signed by the issuer's key.
        mint(head=header(jku="https://evil.example/jwks", jwk=STRANGER.as_dict(private=False), x5u="x", x5c=["x"])),
    ],
)
async def test_what_must_pass_passes(token: str) -> None:
    assert (await verifier().verify(token)).issuer == GOV.issuer


def _unsigned(alg: Any, signature: str = "") -> str:
    return f"{b64(json.dumps(header(alg=alg)).encode())}.{b64(json.dumps(claims()).encode())}.{signature}"


def _hmac(secret: bytes) -> str:
    signed = _unsigned("HS256")[:-1]
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def _text(body: dict[str, Any], old: str, new: str) -> str:
    """Sign a body whose text was changed: JSON that json.dumps would not write."""
    plain = json.dumps(body)
    assert old in plain
    return sign_raw(json.dumps(header()).encode(), plain.replace(old, new, 1).encode())


def _other_spelling(token: str) -> str:
    """Return the token with unused bits set in the last letter of its signature: the same bytes, another text."""
    last = ALPHABET.index(token[-1])
    assert last % 16 == 0, "256 bytes end in a letter of which 2 bits count"
    return token[:-1] + ALPHABET[last + 1]


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
EC = ECKey.generate_key("P-256")
GOOD = mint()
HEAD, BODY, SIGNATURE = GOOD.split(".")
OFFICIAL_TIERS = sorted(GOV.tiers - {"agency"})

FORGERIES: dict[str, tuple[str, str]] = {
    # the algorithm
    "alg none, empty signature": (_unsigned("none"), "form"),
    "alg none, some signature": (_unsigned("none", SIGNATURE), "algorithm"),
    "alg NoNe": (_unsigned("NoNe", SIGNATURE), "algorithm"),
    "alg missing": (mint(head=header(alg=MISSING)), "algorithm"),
    "alg list": (mint(head=header(alg=["RS256"])), "algorithm"),
    "alg null": (mint(head=header(alg=None)), "algorithm"),
    "alg lower case": (mint(head=header(alg="rs256")), "algorithm"),
    "HS256 with the public PEM": (_hmac(PUBLIC_PEM), "algorithm"),
    "HS256 with the JWKS": (_hmac(JWKS), "algorithm"),
    "HS256 with an empty key": (_hmac(b""), "algorithm"),
    "HS256 body called RS256": (f"{HEAD}.{BODY}.{_hmac(PUBLIC_PEM).split('.')[2]}", "signature"),
    "RS512 by the right key": (mint(head=header(alg="RS512"), alg="RS512"), "algorithm"),
    "PS256 by the right key": (mint(head=header(alg="PS256"), alg="PS256"), "algorithm"),
    "PS256 called RS256": (mint(alg="PS256"), "signature"),
    "ES256": (mint(head=header(alg="ES256"), key=EC, alg="ES256"), "algorithm"),
    # the key
    "other realm's key with the right kid": (mint(key=KEYS["ent-1"]), "signature"),
    "other realm's kid": (mint(head=header(kid="ent-1"), key=KEYS["ent-1"]), "key"),
    "a stranger's key": (mint(key=STRANGER), "signature"),
    "kid unknown": (mint(head=header(kid="gov-2")), "key"),
    "kid missing": (mint(head=header(kid=MISSING)), "kid"),
    "kid empty": (mint(head=header(kid="")), "kid"),
    "kid number": (mint(head=header(kid=1)), "kid"),
    "kid list": (mint(head=header(kid=["gov-1"])), "kid"),
    "kid path": (mint(head=header(kid="../../keys/issuer-gov")), "key"),
    "kid SQL": (mint(head=header(kid="'OR'1'='1")), "key"),
    "kid with NUL": (mint(head=header(kid="gov-1\0")), "kid"),
    "kid twice": (
        sign_raw(b'{"alg":"RS256","typ":"JWT","kid":"gov-1","kid":"gov-1"}', json.dumps(claims()).encode()),
        "json",
    ),
    "jwk in the header": (mint(head=header(jwk=STRANGER.as_dict(private=False)), key=STRANGER), "signature"),
    "jku in the header": (mint(head=header(jku="https://evil.example/jwks"), key=STRANGER), "signature"),
    "x5u in the header": (mint(head=header(x5u="https://evil.example/cert"), key=STRANGER), "signature"),
    "x5c in the header": (mint(head=header(x5c=["MIIB"]), key=STRANGER), "signature"),
    "unknown crit": (mint(head=header(crit=["exp2"], exp2=1)), "critical"),
    "crit b64": (mint(head=header(crit=["b64"], b64=False)), "critical"),
    "crit empty": (mint(head=header(crit=[])), "critical"),
    # the audience
    "aud wrong": (mint(claims(aud="account")), "audience"),
    "aud missing": (mint(claims(aud=MISSING)), "audience"),
    "aud array of another": (mint(claims(aud=["account"])), "audience"),
    "aud array of arrays": (mint(claims(aud=[["anlan-api"]])), "audience"),
    "aud object": (mint(claims(aud={"anlan-api": 1})), "audience"),
    "aud part": (mint(claims(aud="anlan-api-x")), "audience"),
    # the issuer
    "iss other realm": (mint(claims(iss=ENT.issuer)), "key"),
    "iss other realm, its kid": (mint(claims(iss=ENT.issuer), header(kid="ent-1")), "signature"),
    "iss with a slash": (mint(claims(iss=f"{GOV.issuer}/")), "issuer"),
    "iss https": (mint(claims(iss=GOV.issuer.replace("http", "https"))), "issuer"),
    "iss upper case": (mint(claims(iss=GOV.issuer.upper())), "issuer"),
    "iss unknown": (mint(claims(iss="https://evil.example/realms/gov")), "issuer"),
    "iss missing": (mint(claims(iss=MISSING)), "iss"),
    "iss list": (mint(claims(iss=[GOV.issuer])), "iss"),
    # times
    "exp past": (mint(claims(iat=NOW - 600, exp=NOW - 300)), "expired"),
    "exp at the leeway": (mint(claims(iat=NOW - 300, exp=NOW - 10)), "expired"),
    "exp string": (mint(claims(exp=str(NOW + 300))), "exp"),
    "exp 1e308": (_text(claims(exp="EXP"), '"EXP"', "1e308"), "exp"),
    "exp float": (mint(claims(exp=NOW + 300.0)), "exp"),
    "exp Infinity": (_text(claims(exp="EXP"), '"EXP"', "Infinity"), "json"),
    "exp NaN": (_text(claims(exp="EXP"), '"EXP"', "NaN"), "json"),
    "exp of 5,000 digits": (_text(claims(exp="EXP"), '"EXP"', "9" * 5000), "json"),
    "exp of 30 digits": (mint(claims(exp=10**30)), "exp"),
    "exp negative": (mint(claims(exp=-1)), "exp"),
    "exp true": (mint(claims(exp=True)), "exp"),
    "exp missing": (mint(claims(exp=MISSING)), "exp"),
    "exp null": (mint(claims(exp=None)), "exp"),
    "iat missing": (mint(claims(iat=MISSING)), "iat"),
    "iat string": (mint(claims(iat=str(NOW))), "iat"),
    "iat future": (mint(claims(iat=NOW + 11, exp=NOW + 300)), "not yet valid"),
    "iat future, nbf past": (mint(claims(iat=NOW + 11, exp=NOW + 300, nbf=NOW - 60)), "not yet valid"),
    "nbf future": (mint(claims(nbf=NOW + 11)), "not yet valid"),
    "nbf string": (mint(claims(nbf=str(NOW))), "nbf"),
    "exp before iat": (mint(claims(iat=NOW + 5, exp=NOW + 5)), "lifetime"),
    "too long a life": (mint(claims(iat=NOW, exp=NOW + 3601)), "lifetime"),
    "auth_time string": (mint(claims(auth_time=str(NOW))), "auth_time"),
    # the kind of token
    "ID token": (mint(claims(typ="ID", aud="anlan-web")), "type"),
    "ID token for the API": (mint(claims(typ="ID")), "type"),
    "refresh token": (mint(claims(typ="Refresh")), "type"),
    "logout token": (mint(claims(typ="Logout"), header(typ="logout+jwt")), "type"),
    "logout token in a bearer's header": (mint(claims(typ="Logout")), "type"),
    "typ missing": (mint(claims(typ=MISSING)), "type"),
    "typ lower case": (mint(claims(typ="bearer")), "type"),
    "typ list": (mint(claims(typ=["Bearer"])), "type"),
    "header typ missing": (mint(head=header(typ=MISSING)), "typ"),
    "header typ other": (mint(head=header(typ="dpop+jwt")), "type"),
    # who
    "client unknown": (mint(claims(azp="anlan-old")), "client"),
    "client missing": (mint(claims(azp=MISSING)), "azp"),
    "sub missing": (mint(claims(sub=MISSING)), "sub"),
    "sub empty": (mint(claims(sub="")), "sub"),
    "sub number": (mint(claims(sub=1)), "sub"),
    "sub of 256": (mint(claims(sub="s" * 256)), "sub"),
    "sub with NUL": (mint(claims(sub="a\0b")), "sub"),
    "sid number": (mint(claims(sid=7)), "sid"),
    # the tenant
    "tenant missing": (mint(claims(tenant=MISSING)), "tenant"),
    "tenant text": (mint(claims(tenant=TENANT)), "tenant"),
    "tenant id missing": (mint(claims(tenant={"tier": "county"})), "tenant"),
    "tenant id no uuid": (mint(claims(tenant={"id": "1", "tier": "county"})), "tenant"),
    "tenant id upper case": (mint(claims(tenant={"id": TENANT.replace("0", "A"), "tier": "county"})), "tenant"),
    "tier missing": (mint(claims(tenant={"id": TENANT})), "tier"),
    "tier list": (mint(claims(tenant={"id": TENANT, "tier": ["county"]})), "tier"),
    "tier unknown": (mint(claims(tenant={"id": TENANT, "tier": "emperor"})), "tier"),
    "gov as enterprise": (mint(claims(tenant={"id": TENANT, "tier": "enterprise"})), "tier"),
    "tenant twice": (_text(claims(), '"tenant":', '"tenant": {}, "tenant":'), "json"),
    "tier twice": (_text(claims(), '"tier":', '"tier": "city", "tier":'), "json"),
    # roles
    "roles text": (mint(claims(roles="viewer")), "roles"),
    "roles numbers": (mint(claims(roles=[1])), "roles"),
    "roles object": (mint(claims(roles={"viewer": 1})), "roles"),
    "roles homoglyph": (mint(claims(roles=["vi\u0435wer"])), "roles"),
    "roles with a zero width space": (mint(claims(roles=["viewer\u200b"])), "roles"),
    # the form
    "empty": ("", "form"),
    "one segment": (HEAD, "form"),
    "two segments": (f"{HEAD}.{BODY}", "form"),
    "four segments": (f"{GOOD}.{SIGNATURE}", "form"),
    "five segments (JWE)": (f"{GOOD}.{SIGNATURE}.{SIGNATURE}", "form"),
    "padding": (f"{GOOD}==", "form"),
    "line end": (f"{GOOD}\n", "form"),
    "space before": (f" {GOOD}", "form"),
    "with the word Bearer": (f"Bearer {GOOD}", "form"),
    "not ASCII": (f"{GOOD}é", "size"),
    "surrogate": (f"{GOOD}\ud800", "size"),
    "another spelling of the signature": (_other_spelling(GOOD), "form"),
    "signature too short": (f"{HEAD}.{BODY}.{b64(bytes(255))}", "signature"),
    "signature of zeros": (f"{HEAD}.{BODY}.{b64(bytes(256))}", "signature"),
    "other body": (f"{HEAD}.{mint(claims(roles=['admin'])).split('.')[1]}.{SIGNATURE}", "signature"),
    "64 KB": (mint(claims(scope="s" * 65_536)), "size"),
    "one byte over 8 KB": (GOOD + "A" * (8193 - len(GOOD)), "size"),
    "header no JSON": (sign_raw(b"{", json.dumps(claims()).encode()), "json"),
    "header array": (sign_raw(b"[]", json.dumps(claims()).encode()), "json"),
    "body no UTF-8": (sign_raw(json.dumps(header()).encode(), b'{"iss":"\xff"}'), "json"),
    "body number": (sign_raw(json.dumps(header()).encode(), b"1"), "json"),
    "body 5,000 deep": (sign_raw(json.dumps(header()).encode(), b"[" * 5000), "json"),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forgery_is_refused_for_its_own_reason(name: str) -> None:
    token, expected = FORGERIES[name]
    assert await reason(token) == expected


@pytest.mark.parametrize("tier", OFFICIAL_TIERS)
async def test_a_token_of_the_enterprise_realm_never_carries_an_official_tier(tier: str) -> None:
    body = claims(ENT, tenant={"id": TENANT, "tier": tier})
    assert await reason(mint(body, header(kid="ent-1"), KEYS["ent-1"])) == "tier"


@pytest.mark.parametrize("tier", sorted(ENT.tiers))
async def test_the_enterprise_realm_carries_its_own_tiers(tier: str) -> None:
    body = claims(ENT, tenant={"id": TENANT, "tier": tier})
    found = await verifier().verify(mint(body, header(kid="ent-1"), KEYS["ent-1"]))
    assert (found.tenant_tier, found.realm_tier_ceiling) == (tier, ENT.tiers)


async def test_roles_that_do_not_exist_are_refused_when_the_roles_are_known() -> None:
    assert await reason(GOOD, known_roles=frozenset({"officer"})) == "roles"
    assert (await verifier(known_roles=frozenset({"viewer"})).verify(GOOD)).roles == {"viewer"}


async def test_an_ended_session_is_refused_and_only_that() -> None:
    asked: list[tuple[str, str]] = []

    class Ended:
        async def revoked(self, issuer: str, sid: str) -> bool:
            asked.append((issuer, sid))
            return sid == "ended"

    assert await reason(mint(claims(sid="ended")), revocations=Ended()) == "session"
    await verifier(revocations=Ended()).verify(mint(claims(sid="other")))
    await verifier(revocations=Ended()).verify(mint(claims(sid=MISSING)))
    assert asked == [(GOV.issuer, "ended"), (GOV.issuer, "other")]


def logout(head: dict[str, Any] | None = None, **changes: Any) -> str:
    body = {
        "iss": GOV.issuer,
        "aud": "anlan-web",
        "iat": NOW,
        "exp": NOW + 120,
        "jti": "j",
        "typ": "Logout",
        "sub": "s",
        "sid": "session",
        "events": {LOGOUT_EVENT: {}},
        **changes,
    }
    kept = {name: value for name, value in body.items() if value is not MISSING}
    return mint(kept, head or header(typ="logout+jwt"))


async def test_a_logout_token_names_its_session() -> None:
    for token in (logout(), logout(header(typ="JWT")), logout(aud=["anlan-web"]), logout(sub=MISSING)):
        assert await verifier().verify_logout(token) == EndedSession(GOV.issuer, "session")


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (GOOD, "type"),
        (mint(head=header(typ="JWT")), "type"),
        (logout(typ="Bearer"), "type"),
        (logout(nonce="n"), "type"),
        (logout(aud="anlan-old"), "audience"),
        (logout(aud=MISSING), "audience"),
        (logout(aud=[{}]), "audience"),
        (logout(events=MISSING), "event"),
        (logout(events=[LOGOUT_EVENT]), "event"),
        (logout(events={LOGOUT_EVENT: 1}), "event"),
        (logout(events={}), "event"),
        (logout(sid=MISSING), "sid"),
        (logout(iat=NOW - 300, exp=NOW - 10), "expired"),
        (logout(exp=MISSING), "exp"),
        (logout(iss=ENT.issuer), "key"),
        (logout(header(typ="logout+jwt", kid="gov-9")), "key"),
        ("x", "form"),
    ],
)
async def test_a_wrong_logout_token_ends_nothing(token: str, expected: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        await verifier().verify_logout(token)
    assert refused.value.reason == expected


async def test_a_refusal_tells_nothing_of_the_token() -> None:
    secret = "13912345678"
    for body in (claims(sub=f"{secret} "), claims(azp=secret), claims(iss=secret), claims(roles=[f"{secret}!"])):
        with pytest.raises(TokenRefused) as refused:
            await verifier().verify(mint(body))
        assert secret not in str(refused.value)
        assert refused.value.__cause__ is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
SLOW = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


async def _never_anything_else(token: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        await verifier().verify(token)
    assert refused.value.reason


@SLOW
@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]*){0,4}", fullmatch=True))
async def test_any_text_is_refused(token: str) -> None:
    await _never_anything_else(token)


@SLOW
@given(st.binary(max_size=60), st.binary(max_size=60))
async def test_any_signed_bytes_are_refused(head: bytes, body: bytes) -> None:
    await _never_anything_else(sign_raw(head, body))
    await _never_anything_else(sign_raw(json.dumps(header()).encode(), body))


@SLOW
@given(st.sampled_from(["alg", "typ", "kid", "crit"]), JSON)
async def test_any_header_value_is_refused(name: str, value: Any) -> None:
    assume(value not in ("RS256", "JWT", "at+jwt", "gov-1"))
    await _never_anything_else(mint(head=header(**{name: value})))


@SLOW
@given(st.sampled_from(["iss", "exp", "iat", "aud", "sub", "typ", "azp", "tenant"]), JSON)
async def test_any_claim_value_is_refused_or_well_formed(name: str, value: Any) -> None:
    token = mint(claims(**{name: value}))
    try:
        found = await verifier().verify(token)
    except TokenRefused:
        return
    # Only free text can be right by chance: a subject of plain letters.
    assert name == "sub"
    assert found.subject == value
    assert value.isascii()


@SLOW
@given(st.integers(0, len(GOOD) - 1), st.sampled_from(ALPHABET + ".=\0 "))
async def test_one_changed_letter_is_refused(place: int, letter: str) -> None:
    assume(GOOD[place] != letter)
    await _never_anything_else(GOOD[:place] + letter + GOOD[place + 1 :])
