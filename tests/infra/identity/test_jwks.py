"""The key cache: one request for all, a cool-down, and the last good set while the issuer is away."""

import asyncio
import base64
import json
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey, RSAKey

from infra.identity.jwks import COOL_DOWN, LAST_GOOD, TTL, JwksCache, KeyMissingError, parse_key_set
from infra.identity.port import TokenRefused
from infra.identity.verifier import create_verifier
from tests.infra.identity.minting import GOV, KEYS, NOW, header, mint

KEY = {**KEYS["gov-1"].as_dict(private=False), "use": "sig", "alg": "RS256"}
NEXT = {**KEYS["ent-1"].as_dict(private=False), "kid": "gov-2"}


class Away:
    """An issuer that counts requests, and can go away, hang or answer nonsense."""

    def __init__(self) -> None:
        self.now = float(NOW)
        self.requests = 0
        self.keys: list[dict[str, Any]] = [KEY]
        self.answer: Callable[[], httpx.Response] = self._keys
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._handle))

    def _keys(self) -> httpx.Response:
        return httpx.Response(200, json={"keys": self.keys})

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == GOV.jwks_url
        self.requests += 1
        self.asked.set()
        await self.gate.wait()
        return self.answer()

    def gone(self) -> httpx.Response:
        raise httpx.ConnectError("gone")

    def cache(self, folder: Path) -> JwksCache:
        return JwksCache(GOV, self.http, folder, lambda: self.now)


@pytest.fixture
def issuer() -> Away:
    return Away()


def kept(folder: Path) -> list[tuple[Path, bytes]]:
    return [(path, path.read_bytes()) for path in sorted(folder.iterdir())]


async def missing(cache: JwksCache, kid: str) -> None:
    with pytest.raises(KeyMissingError):
        await cache.key(kid)


async def test_many_callers_at_once_make_one_request(issuer: Away, tmp_path: Path) -> None:
    cache = issuer.cache(tmp_path)
    issuer.gate.clear()
    callers = [asyncio.create_task(cache.key("gov-1")) for _ in range(500)]
    await issuer.asked.wait()
    callers[0].cancel()
    issuer.gate.set()
    found = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert all(isinstance(key, RSAKey) for key in found[1:])
    assert issuer.requests == 1


async def test_a_set_serves_for_its_time_and_is_asked_for_again(issuer: Away, tmp_path: Path) -> None:
    cache = issuer.cache(tmp_path)
    for _ in range(3):
        await cache.key("gov-1")
    issuer.now += TTL - 1
    await cache.key("gov-1")
    assert issuer.requests == 1
    issuer.now += 1
    await cache.key("gov-1")
    assert issuer.requests == 2


async def test_ten_thousand_random_kids_make_one_request_per_cool_down(issuer: Away, tmp_path: Path) -> None:
    cache = issuer.cache(tmp_path)
    await cache.key("gov-1")
    start, seen = issuer.now, [0]
    for _ in range(10_000):
        await missing(cache, secrets.token_hex(8))
        issuer.now += 0.01
        if issuer.requests > seen[-1]:
            seen.append(issuer.requests)
    assert issuer.now - start == pytest.approx(100, abs=0.01)
    assert issuer.requests <= 1 + 100 / COOL_DOWN
    assert issuer.requests == 4
    await cache.key("gov-1")
    assert issuer.requests == 4


async def test_random_kids_in_tokens_are_refused_at_the_same_price(issuer: Away, tmp_path: Path) -> None:
    verifier = create_verifier([GOV], issuer.http, tmp_path, now=lambda: issuer.now)
    for _ in range(50):
        with pytest.raises(TokenRefused):
            await verifier.verify(mint(head=header(kid=secrets.token_hex(8))))
    assert issuer.requests == 1
    await verifier.verify(mint())
    assert issuer.requests == 1


async def test_an_unknown_kid_finds_the_new_key_by_one_request(issuer: Away, tmp_path: Path) -> None:
    cache = issuer.cache(tmp_path)
    await cache.key("gov-1")
    issuer.now += COOL_DOWN
    issuer.keys = [KEY, NEXT]
    await asyncio.gather(*(cache.key("gov-2") for _ in range(100)))
    assert issuer.requests == 2


async def test_a_key_that_the_issuer_dropped_is_dropped(issuer: Away, tmp_path: Path) -> None:
    cache = issuer.cache(tmp_path)
    await cache.key("gov-1")
    issuer.keys = [NEXT]
    issuer.now += TTL
    await missing(cache, "gov-1")
    await cache.key("gov-2")


async def test_the_last_good_set_serves_a_day_also_in_a_new_process(issuer: Away, tmp_path: Path) -> None:
    cache = issuer.cache(tmp_path / "identity")
    await cache.key("gov-1")
    issuer.answer = issuer.gone
    issuer.now += 1800
    await cache.key("gov-1")
    again = issuer.cache(tmp_path / "identity")
    await again.key("gov-1")
    assert issuer.requests == 3
    issuer.now = NOW + LAST_GOOD
    await again.key("gov-1")
    issuer.now += 1
    await missing(again, "gov-1")
    await missing(issuer.cache(tmp_path / "identity"), "gov-1")
    issuer.answer = issuer._keys
    issuer.now += COOL_DOWN
    await again.key("gov-1")


async def test_a_verifier_started_while_the_issuer_is_away_verifies(issuer: Away, tmp_path: Path) -> None:
    token = mint()
    await create_verifier([GOV], issuer.http, tmp_path, now=lambda: NOW).verify(token)
    issuer.answer = issuer.gone
    fresh = create_verifier([GOV], issuer.http, tmp_path, now=lambda: NOW + TTL)
    assert (await fresh.verify(token)).issuer == GOV.issuer
    assert issuer.requests == 2
    stranger = create_verifier([GOV], issuer.http, tmp_path / "none", now=lambda: NOW)
    with pytest.raises(TokenRefused) as refused:
        await stranger.verify(token)
    assert refused.value.reason == "key"


async def test_at_a_cold_start_the_issuer_may_come_up_a_moment_later(issuer: Away, tmp_path: Path) -> None:
    issuer.answer = issuer.gone
    cache = issuer.cache(tmp_path)
    for _ in range(10):
        await missing(cache, "gov-1")
    assert issuer.requests == 1
    issuer.answer = issuer._keys
    issuer.now += 1
    await cache.key("gov-1")


NONSENSE: dict[str, Callable[[], httpx.Response]] = {
    "error": lambda: httpx.Response(500),
    "redirect": lambda: httpx.Response(302, headers={"location": "https://evil.example/"}),
    "no JSON": lambda: httpx.Response(200, text="<html>"),
    "a list": lambda: httpx.Response(200, json=[]),
    "no keys": lambda: httpx.Response(200, json={"keys": []}),
    "deep": lambda: httpx.Response(200, text="[" * 100_000),
    "huge": lambda: httpx.Response(200, text=json.dumps({"keys": [KEY], "x": "x" * 300_000})),
    "twice": lambda: httpx.Response(200, json={"keys": [KEY, KEY]}),
    "broken": lambda: httpx.Response(200, json={"keys": [NEXT, {**KEY, "n": "!"}]}),
    "gone": lambda: (_ for _ in ()).throw(httpx.ReadTimeout("slow")),
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_nonsense_leaves_the_last_good_set(issuer: Away, tmp_path: Path, name: str) -> None:
    cache = issuer.cache(tmp_path)
    await cache.key("gov-1")
    before = kept(tmp_path)
    assert before
    issuer.answer = NONSENSE[name]
    issuer.now += TTL
    await cache.key("gov-1")
    assert issuer.requests == 2
    assert kept(tmp_path) == before


async def test_the_kept_file_is_private_public_keys_only_and_bound_to_its_issuer(issuer: Away, tmp_path: Path) -> None:
    issuer.keys = [{**KEYS["gov-1"].as_dict(private=True), "x5c": ["MIIB"], "use": "sig"}]
    await issuer.cache(tmp_path).key("gov-1")
    [(path, raw)] = kept(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = json.loads(raw)
    assert {name for key in document["keys"] for name in key} == {"kty", "n", "e", "kid"}
    issuer.answer = issuer.gone
    await issuer.cache(tmp_path).key("gov-1")
    for damage in ({"issuer": "https://other.example"}, {"fetched_at": "soon"}, {"fetched_at": NOW + 1e9}, {"keys": 1}):
        path.write_text(json.dumps({**document, **damage}))
        await missing(issuer.cache(tmp_path), "gov-1")
    path.write_text("{")
    await missing(issuer.cache(tmp_path), "gov-1")


async def test_a_full_disk_does_not_refuse_anybody(issuer: Away, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    cache = issuer.cache(blocked / "identity")
    await cache.key("gov-1")
    assert issuer.requests == 1


def test_only_signing_rsa_keys_of_size_are_taken() -> None:
    small = {**KEY, "kid": "small", "n": base64.urlsafe_b64encode(bytes([255] * 128)).rstrip(b"=").decode()}
    others = [
        {**KEY, "kid": "enc", "use": "enc"},
        {**KEY, "kid": "ps", "alg": "PS256"},
        {**KEY, "kid": 5},
        {key: value for key, value in KEY.items() if key != "kid"},
        ECKey.generate_key("P-256", {"kid": "ec"}).as_dict(private=False),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "oct"},
        small,
        "text",
    ]
    assert list(parse_key_set({"keys": [*others, KEY]})) == ["gov-1"]
    with pytest.raises(ValueError, match="no usable key"):
        parse_key_set({"keys": others})
