"""An endpoint that speaks OpenAI's chat protocol (vLLM, SGLang, llama.cpp's server, Ollama, the vendors).

A request that the endpoint does not answer usefully ends as a status. What is wrong with the endpoint itself (nobody there, a key that
is not taken, a model that it does not know) is a ModelError, because every other request would end the same.

Certificates are checked, no proxy is taken from the environment, no redirect is followed, no cookie kept.
"""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from curate.backends import pacing, protocol
from curate.backends.contract import Answer, Backend, Request
from curate.backends.health import Health
from curate.backends.settings import OpenAI
from curate.images.decoding import ImageError
from curate.weights import ModelError

GUESS = 1000
"""Tokens of a request while none has been answered: a picture and some words."""
MOST_SECONDS_TO_CONNECT = 30.0


class _Again(Exception):
    """Something that may pass; `wait`: seconds that the endpoint asks for."""

    def __init__(self, why: str, wait: float | None = None):
        super().__init__(why)
        self.wait = wait


class _Unreached(_Again):
    """No connection came about."""


class Endpoint(Backend):
    """A chat endpoint. The key is never shown."""

    sees = True

    def __init__(self, settings: OpenAI, key: str | None):
        self._settings, self._key, self.concurrency = settings, key, settings.concurrency
        self._plain = f"{settings.endpoint.rstrip('/')}/completions"
        self._url = f"{settings.endpoint.rstrip('/')}/chat/completions"
        self._health = Health(self._url, settings.give_up)
        self._guess = float(GUESS)
        self._session: Any = None

    @property
    def identity(self) -> Mapping[str, Any]:
        return identity(self._settings)

    async def __aenter__(self) -> "Endpoint":
        try:
            import aiohttp
        except ImportError as error:
            raise ModelError(
                f"aiohttp asks endpoints, and is not here ({error}): pip install 'curate-pairs[http]'"
            ) from error
        self._requests = pacing.Pace(self._settings.requests_per_minute)
        self._tokens = pacing.Pace(self._settings.tokens_per_minute)
        self._seats = asyncio.Semaphore(self.concurrency)
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        total = self._settings.timeout
        self._session = aiohttp.ClientSession(
            headers=headers | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
            timeout=aiohttp.ClientTimeout(total=total, connect=min(total, MOST_SECONDS_TO_CONNECT)),
            connector=aiohttp.TCPConnector(limit=self.concurrency),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self._session.close()

    async def ask(self, request: Request, key: bytes) -> Answer:
        try:
            body = protocol.body(self._settings.model, request, await self._image(request))
        except ImageError:
            return Answer(status="undecodable")
        async with self._seats:
            return await self._to_the_last(self._plain if request.bare else self._url, body, key)

    async def _to_the_last(self, url: str, body: bytes, key: bytes) -> Answer:
        """The answer to a body, after as many attempts as there may be."""
        retries, last = self._settings.retries, _Again("it was never asked")
        for attempt in range(retries + 1):
            try:
                return await self._paced(url, body)
            except _Again as again:
                last = again
            if attempt < retries:
                await asyncio.sleep(pacing.wait(key, attempt, self._settings.retry_wait, last.wait))
        if isinstance(last, _Unreached) and not self._health.answered:
            raise ModelError(f"nobody answers at {self._url}: {last}; start the endpoint, or mend `endpoint`")
        return self._health.bad("no_answer", str(last), alive=False)

    async def _image(self, request: Request) -> tuple[str, bytes] | None:
        if request.photo is None:
            return None
        # A thread costs more than a look at a header, and less than pixels.
        side = self._settings.side
        return request.photo.as_fetched(side) or await asyncio.to_thread(request.photo.sent, side)

    async def _paced(self, url: str, body: bytes) -> Answer:
        """One attempt within the limits. Raises _Again."""
        guess = self._guess
        await self._requests.take(1)
        await self._tokens.take(guess)
        answer = await self._once(url, body)
        taken = answer.prompt_tokens + answer.completion_tokens
        if taken:
            self._tokens.settle(taken - guess)
            self._guess += (taken - self._guess) / 16
        return answer

    async def _once(self, url: str, body: bytes) -> Answer:
        import aiohttp

        try:
            # A redirect would carry pictures and key to somebody else.
            async with self._session.post(url, data=body, allow_redirects=False) as response:
                if response.status in protocol.AGAIN:
                    asked = pacing.retry_after(response.headers.get("Retry-After"))
                    raise _Again(f"it answers {response.status}", asked)
                data = await _bounded(response)
                return self._judged(response.status, data, response.headers.get("Content-Encoding", ""))
        except aiohttp.ClientConnectorCertificateError as error:
            raise ModelError(f"{self._url}: its certificate does not hold ({error.certificate_error})") from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise _Unreached(str(error)) from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise _Again(f"the connection ends with {type(error).__name__}") from None

    def _judged(self, status: int, data: bytes | None, encoding: str) -> Answer:
        """What a whole response comes to. Raises ModelError."""
        plain = None if data is None else protocol.unpacked(data, encoding.strip().lower())
        if status in protocol.FATAL:
            raise ModelError(f"{self._url} answers {status}: {protocol.FATAL[status]} ({self._quoted(plain)})")
        if status in protocol.FATAL_AT_FIRST:
            if not self._health.answered:
                why = protocol.FATAL_AT_FIRST[status]
                raise ModelError(f"{self._url} answers {status}: {why} ({self._quoted(plain)})")
            return self._health.bad("rejected", f"it answers {status} ({self._quoted(plain)})", alive=False)
        if not 200 <= status < 300:
            return self._health.bad("rejected", f"it answers {status} ({self._quoted(plain)})", alive=True)
        answer = Answer(status="bad_answer") if plain is None else protocol.read(plain)
        if answer.status is not None:
            why = f"its answers are not of the protocol ({self._quoted(plain)})"
            return self._health.bad(answer.status, why, alive=True)
        self._health.good()
        return answer

    def _quoted(self, data: bytes | None) -> str:
        """The beginning of what an endpoint said, for people; it may quote the key back."""
        text = " ".join((data or b"").decode(errors="replace").split())
        return (text.replace(self._key, "...") if self._key else text)[:200]


async def _bounded(response: Any) -> bytes | None:
    """The body of a response; None where it is longer than an answer can be."""
    data = bytearray()
    async for piece in response.content.iter_any():
        data += piece
        if len(data) > protocol.MOST_BYTES:
            return None
    return bytes(data)


def identity(settings: OpenAI) -> dict[str, Any]:
    return settings.identity()


def key_of(settings: OpenAI) -> str | None:
    """The endpoint's key. Raises ModelError when the environment has none where one is named, or one that no header can carry."""
    name = settings.key_variable
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise ModelError(
            f"{settings.name}: the endpoint's key is looked for in the environment variable {name}, which is not set "
            "where this worker runs; export it before the engine is started"
        )
    if not key.isascii() or not key.isprintable():
        raise ModelError(
            f"{settings.name}: what the environment variable {name} holds is no key: it has characters that no header has"
        )
    return key


def load(settings: OpenAI, device: str) -> Endpoint:
    """Raises ModelError as `key_of`."""
    return Endpoint(settings, key_of(settings))
