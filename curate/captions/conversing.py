"""Drives conversations: many pairs at a time, each answer kept by its content, and what comes out in the order that came in."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from curate.backends.cache import Cache
from curate.backends.contract import Answer, Backend, Batched, Request
from curate.backends.gathering import Gathered
from curate.captions.contract import COUNTED, Asking, Row

AHEAD = 4
"""Conversations that are open for each request that the backend takes at a time: some wait for a straggler before them."""
AT_ONCE = 32
"""Rows that are read together."""
MOST_BYTES = 256 << 20
"""Of images in open conversations; then no further row is read until one is done."""


@dataclass
class Counts:
    """What was asked for, and what was known: for people to read, no part of any table."""

    asked: int = 0
    known: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Tokens of what was asked, without what was known."""


class Desk:
    """Where requests go: to the cache, to one who has just asked the same, or to the backend."""

    def __init__(self, backend: Backend, cache: Cache):
        self._backend: Any = Gathered(backend) if isinstance(backend, Batched) else backend
        self._mark, self._cache, self.counts = backend.mark, cache, Counts()
        self._open: dict[bytes, asyncio.Task[Answer]] = {}
        self._seats = asyncio.Semaphore(backend.concurrency)

    async def ask(self, request: Request) -> Answer:
        key = request.key(self._mark)
        if key in self._open:
            self.counts.known += 1
            return await self._open[key]
        if (known := self._cache.get(key)) is not None:
            self.counts.known += 1
            return known
        task = self._open[key] = asyncio.create_task(self._new(key, request))
        try:
            return await task
        finally:
            self._open.pop(key, None)

    async def _new(self, key: bytes, request: Request) -> Answer:
        async with self._seats:
            answer = await self._backend.ask(request)
        self.counts.asked += 1
        self.counts.prompt_tokens += answer.prompt_tokens
        self.counts.completion_tokens += answer.completion_tokens
        if answer.status is None:
            self._cache.put(key, answer)
        return answer


async def hold(row: Row, captioner: Asking, desk: Desk) -> dict[str, Any]:
    """One conversation: its columns, and what it took."""
    talk, took = captioner.converse(row), [0, 0, 0]
    answers: Sequence[Answer] | None = None
    try:
        while True:
            requests = talk.send(answers) if answers is not None else next(talk)
            answers = await asyncio.gather(*map(desk.ask, requests))
            took[0] += len(answers)
            took[1] += sum(answer.prompt_tokens for answer in answers)
            took[2] += sum(answer.completion_tokens for answer in answers)
    except StopIteration as done:
        return dict(zip(COUNTED, took, strict=True)) | done.value


async def converse(
    rows: Iterable[Row], captioner: Asking, backend: Backend, desk: Desk
) -> AsyncGenerator[dict[str, Any], None]:
    """Yields the columns of each row, in order. Memory: the open conversations. Rows are read in a thread."""
    source, most = iter(rows), AHEAD * backend.concurrency + AT_ONCE
    flying: deque[tuple[asyncio.Task[dict[str, Any]], int]] = deque()
    held, more = 0, True
    try:
        while more or flying:
            while more and len(flying) < most and held < MOST_BYTES:
                block = await asyncio.to_thread(lambda: list(islice(source, AT_ONCE)))
                more = len(block) == AT_ONCE
                for row in block:
                    size = len(row.photo.data) if row.photo else 0
                    flying.append((asyncio.create_task(hold(row, captioner, desk)), size))
                    held += size
            while flying and (len(flying) >= most or held >= MOST_BYTES or not more or flying[0][0].done()):
                task, size = flying.popleft()
                yield await task
                held -= size
    finally:
        for task, _ in flying:
            task.cancel()
        await asyncio.gather(*(task for task, _ in flying), return_exceptions=True)


def conversed(
    rows: Iterable[Row], captioner: Asking, backend: Backend, cache: Cache, counts: Counts
) -> Iterator[dict[str, Any]]:
    """`converse` for those who do not wait: yields the columns of each row, in order; `counts` is filled in when the rows are through."""
    loop = asyncio.new_event_loop()

    async def enter() -> tuple[Desk, Backend]:
        entered = await backend.__aenter__()
        return Desk(backend, cache), entered

    try:
        desk, _ = loop.run_until_complete(enter())
        desk.counts = counts
        columns = converse(rows, captioner, backend, desk)
        try:
            while True:
                try:
                    yield loop.run_until_complete(anext(columns))
                except StopAsyncIteration:
                    return
        finally:
            loop.run_until_complete(columns.aclose())
            loop.run_until_complete(backend.__aexit__(None, None, None))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
