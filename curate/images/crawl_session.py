"""The crawler at work: an event loop in a thread of its own, and batches that are begun without waiting for those before."""

import asyncio
import gc
import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from curate.images.crawling import Crawler
from curate.images.fetched import Fetched, Spool, Wanted
from curate.recipe import Download

_GARBAGE = (50_000, 20, 50)
"""When Python looks for cycles: with thousands of images under way the usual (700, 10, 10) took a seventh of all time."""


class CrawlSession:
    """The crawler's event loop in a thread. See `curate.images.fetched.Session`."""

    def __init__(self, settings: Download):
        self._garbage = gc.get_threshold()
        gc.set_threshold(*_GARBAGE)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="crawl", daemon=True)
        self._thread.start()
        self._crawler: Crawler = self._call(self._made(settings)).result()

    async def _made(self, settings: Download) -> Crawler:
        return Crawler(settings)

    def _call(self, work: Any) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def start(self, images: Sequence[Wanted]) -> "CrawlBatch":
        spool = Spool()
        return CrawlBatch(self._call(self._all(images, spool)), [wanted.image for wanted in images], spool)

    async def _all(self, images: Sequence[Wanted], spool: Spool) -> dict[str, Fetched]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {w.image: group.create_task(self._crawler.fetch(w, spool)) for w in images}
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return {image: task.result() for image, task in tasks.items()}

    def close(self) -> None:
        self._call(self._ended()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        gc.set_threshold(*self._garbage)

    async def _ended(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._crawler.close()


class CrawlBatch:
    """See `curate.images.fetched.Batch`."""

    def __init__(self, future: "Future[dict[str, Fetched]]", order: list[str], spool: Spool):
        self._future, self._order, self._spool = future, order, spool

    def result(self) -> dict[str, Fetched]:
        return self._future.result()

    def bodies(self, images: Collection[str]) -> Iterator[tuple[str, bytes]]:
        fetched = self.result()
        for image in self._order:
            if image in images and fetched[image].facts is not None:
                yield image, self._spool.get(image)

    def close(self) -> None:
        self._future.cancel()
        self._spool.close()
