"""Asks an endpoint that speaks OpenAI's chat protocol: a bounded number of requests at a time, again where something may pass.

A request that the endpoint does not answer usefully ends as a status of its row. What is wrong with the endpoint itself (nobody
there, a key that is not taken, a model that it does not know) stops the run, because every other row would end the same.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from curate.scores.settings import Vlm
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
MOST_TOKENS = 16
LONGEST_WAIT = 60.0
"""Seconds, whatever Retry-After says."""


@dataclass(frozen=True)
class Asked:
    """What came of a request: the model's words, or a status."""

    text: str = ""
    status: str | None = None


@dataclass(frozen=True)
class Endpoint:
    """Where and how to ask. The key is never shown."""

    settings: Vlm
    key: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"{self.settings.endpoint.rstrip('/')}/chat/completions"


class _Again(Exception):
    """Something that may pass; `wait`: seconds that the endpoint asks for."""

    def __init__(self, wait: float | None = None):
        super().__init__()
        self.wait = wait


async def ask_all(endpoint: Endpoint, count: int, messages: Callable[[int], list[dict[str, Any]]]) -> list[Asked]:
    """The answers to `count` requests, in order; `messages` makes each one's when it is its turn.

    Raises ModelError for an endpoint that is not there or refuses all requests.
    """
    try:
        import aiohttp
    except ImportError as error:
        raise ModelError(
            f"vlm: aiohttp asks the endpoint, and is not here ({error}): pip install 'curate-pairs[http]'"
        ) from error
    settings, answers = endpoint.settings, [Asked(status="no_answer")] * count
    waiting = iter(range(count))
    headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}

    async def work(session: aiohttp.ClientSession) -> None:
        # One iterator for all: each takes the next request when it is done with its own.
        for index in waiting:
            answers[index] = await _ask(session, endpoint, messages(index))

    timeout = aiohttp.ClientTimeout(total=settings.timeout)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(settings.concurrency, count)):
                    group.create_task(work(session))
        except* ModelError as errors:
            raise errors.exceptions[0] from None
    return answers


async def _ask(session: Any, endpoint: Endpoint, messages: list[dict[str, Any]]) -> Asked:
    import aiohttp

    settings, wait = endpoint.settings, endpoint.settings.retry_wait
    unreached: Exception | None = None
    for attempt in range(settings.retries + 1):
        try:
            return await _once(session, endpoint, messages)
        except _Again as again:
            unreached, asked = None, again.wait
        except aiohttp.ClientConnectorError as error:
            unreached, asked = error, None
        except (TimeoutError, aiohttp.ClientError, OSError):
            unreached, asked = None, None
        if attempt < settings.retries:
            await asyncio.sleep(min(wait if asked is None else asked, LONGEST_WAIT))
            wait *= 2
    if unreached is not None:
        raise ModelError(f"vlm: nobody answers at {endpoint.url}: {unreached}; start the endpoint, or mend `endpoint`")
    return Asked(status="no_answer")


async def _once(session: Any, endpoint: Endpoint, messages: list[dict[str, Any]]) -> Asked:
    body = {"model": endpoint.settings.model, "messages": messages, "max_tokens": MOST_TOKENS, "temperature": 0}
    # A redirect would carry pictures and key to somebody else.
    async with session.post(endpoint.url, json=body, allow_redirects=False) as response:
        if response.status in AGAIN:
            raise _Again(_seconds(response.headers.get("Retry-After")))
        data = bytearray()
        async for piece in response.content.iter_chunked(1 << 16):
            data += piece
            if len(data) > MOST_BYTES:
                return Asked(status="bad_answer")
        if response.status in FATAL:
            said = " ".join(bytes(data[:200]).decode(errors="replace").split())
            raise ModelError(f"vlm: {endpoint.url} answers {response.status}: {FATAL[response.status]} ({said})")
        if response.status != 200:
            return Asked(status="rejected")
    try:
        text = json.loads(data)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return Asked(status="bad_answer")
    return Asked(text=text) if isinstance(text, str) else Asked(status="bad_answer")


def _seconds(said: str | None) -> float | None:
    return float(said) if said is not None and said.isascii() and said.isdigit() and len(said) < 6 else None
