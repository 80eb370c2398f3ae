"""Gathers requests that come one by one into the batches that a model in this process wants."""

import asyncio
from typing import Any

from curate.backends.contract import Answer, Batched, Request


class Gathered:
    """A `Batched` backend that is asked like any other. A batch goes when it is full, or when nothing else is being made ready."""

    def __init__(self, backend: Batched):
        self._backend = backend
        self._waiting: list[tuple[Request, asyncio.Future[Answer]]] = []
        self._at_work: asyncio.Task[None] | None = None

    async def ask(self, request: Request, key: bytes) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, answer))
        if self._at_work is None:
            self._at_work = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        try:
            # One turn of the loop: requests that are being made ready now are to be in the first batch.
            await asyncio.sleep(0)
            while self._waiting:
                size = self._backend.batch_size
                batch, self._waiting = self._waiting[:size], self._waiting[size:]
                await self._answer(batch)
        finally:
            self._at_work = None

    async def _answer(self, batch: list[tuple[Request, Any]]) -> None:
        try:
            said = await asyncio.to_thread(self._backend.answers, [request for request, _ in batch])
        except Exception as error:
            for _, answer in [*batch, *self._waiting]:
                if not answer.done():
                    answer.set_exception(error)
            self._waiting = []
            return
        for (_, answer), words in zip(batch, said, strict=True):
            if not answer.done():
                answer.set_result(words)
