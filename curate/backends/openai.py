"""An endpoint that speaks OpenAI's chat protocol (vLLM, SGLang, llama.cpp's server, Ollama, the vendors).

A request that the endpoint does not answer usefully ends as a status. What is wrong with the endpoint itself (nobody there, a key that
is not taken, a model that it does not know) is a ModelError, because every other request would end the same.
"""

import asyncio
import base64
import json
import os
from collections.abc import Mapping
from typing import Any

from curate.backends.contract import Answer, Backend, Request
from curate.backends.settings import OpenAI
from curate.images.decoding import ImageError
from curate.weights import ModelError

AGAIN = frozenset({408, 425, 429, *range(500, 600)})
FATAL = {
    401: "it does not take the key",
    403: "it does not take the key",
    404: "there is no such path or model there",
    405: "it is no chat endpoint",
}
MOST_BYTES = 1 << 20
"""Of an answer; a longer one is none."""
LONGEST_WAIT = 60.0
"""Seconds, whatever Retry-After says."""


class _Again(Exception):
    """Something that may pass; `wait`: seconds that the endpoint asks for."""

    def __init__(self, wait: float | None = None):
        super().__init__()
        self.wait = wait


class Endpoint(Backend):
    """A chat endpoint. The key is never shown."""

    sees = True

    def __init__(self, settings: OpenAI, key: str | None):
        self._settings, self._key, self.concurrency = settings, key, settings.concurrency
        self._url = f"{settings.endpoint.rstrip('/')}/chat/completions"
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
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout)
        connector = aiohttp.TCPConnector(limit=self.concurrency)
        self._session = aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector)
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self._session.close()

    async def ask(self, request: Request) -> Answer:
        import aiohttp

        try:
            body = await self._body(request)
        except ImageError:
            return Answer(status="undecodable")
        wait, unreached = self._settings.retry_wait, None
        for attempt in range(self._settings.retries + 1):
            try:
                return await self._once(body)
            except _Again as again:
                unreached, asked = None, again.wait
            except aiohttp.ClientConnectorError as error:
                unreached, asked = error, None
            except (TimeoutError, aiohttp.ClientError, OSError):
                unreached, asked = None, None
            if attempt < self._settings.retries:
                await asyncio.sleep(min(wait if asked is None else asked, LONGEST_WAIT))
                wait *= 2
        if unreached is not None:
            raise ModelError(f"nobody answers at {self._url}: {unreached}; start the endpoint, or mend `endpoint`")
        return Answer(status="no_answer")

    async def _body(self, request: Request) -> bytes:
        content: Any = request.prompt
        if request.photo is not None:
            jpeg = await asyncio.to_thread(request.photo.jpeg, self._settings.side)
            url = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
            content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": request.prompt}]
        system = [{"role": "system", "content": request.system}] if request.system else []
        how = request.sampling
        body = {
            "model": self._settings.model,
            "messages": [*system, {"role": "user", "content": content}],
            "max_tokens": how.max_tokens,
            "temperature": how.temperature,
            "top_p": how.top_p,
            "seed": request.seed,
        }
        return json.dumps(body | ({"stop": list(how.stop)} if how.stop else {})).encode()

    async def _once(self, body: bytes) -> Answer:
        # A redirect would carry pictures and key to somebody else.
        headers = {"Content-Type": "application/json"}
        async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
            if response.status in AGAIN:
                raise _Again(_seconds(response.headers.get("Retry-After")))
            data = bytearray()
            async for piece in response.content.iter_chunked(1 << 16):
                data += piece
                if len(data) > MOST_BYTES:
                    return Answer(status="bad_answer")
            if response.status in FATAL:
                said = " ".join(bytes(data[:200]).decode(errors="replace").split())
                raise ModelError(f"{self._url} answers {response.status}: {FATAL[response.status]} ({said})")
            if response.status != 200:
                return Answer(status="rejected")
        return read(bytes(data))


def read(data: bytes) -> Answer:
    """The answer in the body of a response of the protocol."""
    try:
        said = json.loads(data)
        choice = said["choices"][0]
        text, finish = choice["message"]["content"], choice.get("finish_reason")
        used = said.get("usage") or {}
        counts = [used.get(name) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return Answer(status="bad_answer")
    if not isinstance(text, str):
        return Answer(status="bad_answer")
    prompt, completion = (count if type(count) is int and 0 <= count < 1 << 31 else 0 for count in counts)
    return Answer(text, finish if isinstance(finish, str) else "stop", prompt, completion)


def _seconds(said: str | None) -> float | None:
    return float(said) if said is not None and said.isascii() and said.isdigit() and len(said) < 6 else None


def identity(settings: OpenAI) -> dict[str, Any]:
    return settings.identity()


def load(settings: OpenAI, device: str) -> Endpoint:
    """Raises ModelError when the environment has no key where one is named."""
    key = None
    if settings.key_variable is not None:
        key = os.environ.get(settings.key_variable)
        if not key:
            raise ModelError(
                f"{settings.name}: the endpoint's key is looked for in the environment variable {settings.key_variable}, which is not set "
                "where this worker runs; export it before the engine is started"
            )
    return Endpoint(settings, key)
