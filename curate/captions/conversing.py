"""Drives conversations: many pairs at a time, each answer kept by its content, and what comes out in the order that came in."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from curate.backends.cache import Cache
from curate.backends.contract import Answer, Backend
from curate.backends.desk import Counts, Desk
from curate.captions.contract import COUNTED, Asking, Row

AHEAD = 4
"""Conversations that are open for each request that the backend takes at a time: some wait for a straggler before them."""
AT_ONCE = 32
"""Rows that are read together."""
MOST_BYTES = 256 << 20
"""Of images in open conversations; then no further row is read until one is done."""
MOST_COUNTED = 2**31 - 1
"""What the columns of COUNTED hold."""


async def hold(row: Row, captioner: Asking, desk: Desk) -> dict[str, Any]:
    """One conversation: its columns, and what it took."""
    talk, took = captioner.converse(row), [0, 0, 0]
    answers: Sequence[Answer] | None = None
    try:
        while True:
            requests = talk.send(answers) if answers is not None else next(talk)
            # A task for each of several requests; one alone needs none.
            if len(requests) == 1:
                answers = [await desk.ask(requests[0])]
            else:
                answers = await asyncio.gather(*map(desk.ask, requests))
            took[0] += len(answers)
            took[1] += sum(answer.prompt_tokens for answer in answers)
            took[2] += sum(answer.completion_tokens for answer in answers)
    except StopIteration as done:
        counted = (min(count, MOST_COUNTED) for count in took)
        return dict(zip(COUNTED, counted, strict=True)) | done.value


async def converse(
    rows: Iterable[Row], captioner: Asking, backend: Backend, desk: Desk
) -> AsyncGenerator[list[dict[str, Any]], None]:
    """Yields the columns of rows in order, of some rows at a time. Memory: the open conversations. Rows are read in a thread."""
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
            if flying:
                await flying[0][0]
            done = []
            while flying and flying[0][0].done():
                task, size = flying.popleft()
                done.append(task.result())
                held -= size
            if done:
                yield done
    finally:
        for task, _ in flying:
            task.cancel()
        await asyncio.gather(*(task for task, _ in flying), return_exceptions=True)


def conversed(
    rows: Iterable[Row], captioner: Asking, backend: Backend, cache: Cache, counts: Counts
) -> Iterator[dict[str, Any]]:
    """`converse` for those who do not wait: yields the columns of each row, in order; `counts` is filled in when the rows are through."""
    loop = asyncio.new_event_loop()

    async def enter() -> AsyncGenerator[list[dict[str, Any]], None]:
        entered = await backend.__aenter__()
        return converse(rows, captioner, entered, Desk(entered, cache, counts))

    try:
        columns = loop.run_until_complete(enter())
        try:
            while (some := loop.run_until_complete(anext(columns, None))) is not None:
                yield from some
        finally:
            loop.run_until_complete(columns.aclose())
            loop.run_until_complete(backend.__aexit__(None, None, None))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
