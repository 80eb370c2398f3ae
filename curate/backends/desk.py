"""Where requests go: to what is known, to one who has just asked the same, or to the backend."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from curate.backends.cache import Cache
from curate.backends.contract import Answer, Backend, Batched, Request
from curate.backends.gathering import Gathered
from curate.weights import ModelError


@dataclass
class Counts:
    """What was asked for, and what was known: for people to read, no part of any table."""

    asked: int = 0
    known: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Tokens of what was asked, without what was known."""

    def add(self, answer: Answer) -> None:
        """One more that was asked."""
        self.asked += 1
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens


class Desk:
    """Asks a backend for what the cache does not know."""

    def __init__(self, backend: Backend, cache: Cache, counts: Counts | None = None):
        self._backend: Any = Gathered(backend) if isinstance(backend, Batched) else backend
        self._mark, self._cache, self.counts = backend.mark, cache, counts or Counts()
        self._open: dict[bytes, asyncio.Future[Answer]] = {}
        self._at_a_time = backend.concurrency

    async def ask(self, request: Request) -> Answer:
        """The answer. Raises what the backend raises, to all who wait for it."""
        key = request.key(self._mark)
        if (same := self._open.get(key)) is not None:
            self.counts.known += 1
            return await asyncio.shield(same)
        if (known := self._cache.get(key)) is not None:
            self.counts.known += 1
            return known
        coming = self._open[key] = asyncio.get_running_loop().create_future()
        try:
            answer = await self._new(key, request)
        except BaseException as error:
            # A future whose error nobody fetches is reported when it goes.
            coming.cancel() if isinstance(error, asyncio.CancelledError) else coming.set_exception(error)
            coming.cancelled() or coming.exception()
            raise
        else:
            coming.set_result(answer)
            return answer
        finally:
            del self._open[key]

    async def ask_all(self, count: int, request: Callable[[int], Request]) -> list[Answer]:
        """The answers to `count` requests, in order; `request` makes each when it is its turn, so that few are held at a time."""
        answers, waiting = [Answer(status="no_answer")] * count, iter(range(count))

        async def work() -> None:
            # One iterator for all: each takes the next request when it is done with its own.
            for index in waiting:
                answers[index] = await self.ask(request(index))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._at_a_time, count)):
                    group.create_task(work())
        except* ModelError as errors:
            raise errors.exceptions[0] from None
        return answers

    async def _new(self, key: bytes, request: Request) -> Answer:
        answer: Answer = await self._backend.ask(request, key)
        if answer.status != "undecodable":  # that needs nobody else to say so
            self.counts.add(answer)
        self._cache.put(key, answer)
        return answer
