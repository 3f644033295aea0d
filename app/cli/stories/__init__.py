"""What every story needs: people with tokens, requests with latency, checks that stop the story."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx

from app.cli.token import TokenError, fetch_token

DEADLINE_SECONDS = 30.0
_POLL_SECONDS = 0.05


class StoryError(Exception):
    """A step did not hold; the message says what was expected and what came."""


class Story:
    """One run of a story."""

    def __init__(self, name: str, url: str, *, seed: int | None = None, quiet: bool = False) -> None:
        """Prepare a run against ``url``."""
        self.name = name
        self.url = url
        self.dice = random.Random(seed)  # noqa: S311 - names and counties of a demo
        self.steps: list[dict[str, Any]] = []
        self.last = ""
        self.ok = True
        self.error: str | None = None
        self._quiet = quiet
        # Proxies of the environment are for the Internet; the instance is named by its own address.
        self._http = httpx.AsyncClient(base_url=url, timeout=DEADLINE_SECONDS, trust_env=False)
        self._tokens: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        """Open the connection."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        await self._http.aclose()

    @asynccontextmanager
    async def step(self, text: str) -> AsyncIterator[None]:
        """Time a step and print it; a :class:`StoryError` inside marks it as failed and ends the story."""
        begin = time.perf_counter()
        ok = False
        try:
            yield
            ok = True
        finally:
            took = round((time.perf_counter() - begin) * 1000, 1)
            self.steps.append({"name": text, "ok": ok, "ms": took})
            if not self._quiet:
                print(f"{'✓' if ok else '✗'} {took:>9.1f} ms  {text}", flush=True)

    def fail(self, why: str) -> None:
        """Note that the story ended early."""
        self.ok = False
        self.error = why
        if self.steps:
            self.steps[-1]["error"] = why
        if not self._quiet:
            print(f"  {why}", flush=True)

    def report(self) -> dict[str, Any]:
        """Return the result in the shape of decision 5."""
        found = {"story": self.name, "ok": self.ok, "steps": self.steps}
        return found if self.error is None else {**found, "error": self.error}

    async def person(self, account: str, realm: str) -> "Person":
        """Log somebody in by the code flow.

        Raises:
            StoryError: there is no such account, or the issuer refuses.
        """
        try:
            token = await fetch_token(self._http, self.url, account, (realm,))
        except TokenError as fault:
            raise StoryError(str(fault)) from None
        return Person(self._http, account, token)

    def anonymous(self) -> "Person":
        """Return somebody who is not signed in."""
        return Person(self._http, "anonymous", None)

    async def until(self, text: str, probe: Callable[[], Awaitable[Any]]) -> Any:
        """Ask again until the answer is true; at most 30 s.

        Raises:
            StoryError: it never was.
        """
        end = time.monotonic() + DEADLINE_SECONDS
        while True:
            if found := await probe():
                return found
            if time.monotonic() > end:
                raise StoryError(f"{text}: not within {DEADLINE_SECONDS:.0f} s; last: {self.last or 'nothing'}")
            await asyncio.sleep(_POLL_SECONDS)


class Person:
    """Somebody who sends requests."""

    def __init__(self, http: httpx.AsyncClient, account: str, token: str | None) -> None:
        """Send as ``account`` with ``token``; None is anonymous."""
        self._http = http
        self.account = account
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        """Send an operation and return its data.

        Raises:
            StoryError: the server reports a top-level error.
        """
        body = {"query": document, "variables": variables}
        answer = await self._http.post("/graphql", json=body, headers=self._headers)
        try:
            content = answer.json()
        except ValueError:
            raise StoryError(f"{self.account}: status {answer.status_code}, no JSON") from None
        if content.get("errors"):
            raise StoryError(f"{self.account}: {content['errors']}")
        data: dict[str, Any] = content["data"]
        return data

    async def do(self, document: str, **variables: Any) -> dict[str, Any]:
        """Send a mutation with one root field; return its payload when it has no errors.

        Raises:
            StoryError: the payload has errors.
        """
        payload = await self.attempt(document, **variables)
        if payload["errors"]:
            raise StoryError(f"{self.account}: {payload['errors']}")
        return payload

    async def attempt(self, document: str, **variables: Any) -> dict[str, Any]:
        """Send a mutation with one root field; return its payload, with or without errors."""
        data = await self.ask(document, **variables)
        payload: dict[str, Any] = next(iter(data.values()))
        return payload


def check(condition: object, text: str) -> None:
    """Stop the story unless the condition holds.

    Raises:
        StoryError: it does not.
    """
    if not condition:
        raise StoryError(f"expected: {text}")
