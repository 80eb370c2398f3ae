"""Threads that look at bytes while an event loop goes on: Pillow lets others run while it decodes."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Work = tuple["asyncio.Future[Any]", Callable[..., Any], tuple[Any, ...]]


class Inspectors:
    """As an executor of the loop, but the loop is woken once for all that is done by then: waking it for each image took a tenth
    of an image's time. Close it when nothing is under way."""

    def __init__(self, threads: int):
        self._loop = asyncio.get_running_loop()
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._woken = False
        self._threads = [threading.Thread(target=self._run, name="inspect", daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def call(self, function: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        """What the function answers or raises, as a future of the loop."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._work.put((future, function, args))
        return future

    def close(self) -> None:
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            future, function, args = work
            try:
                self._done.append((future, function(*args), None))
            except BaseException as error:
                self._done.append((future, None, error))
            # A loop that is woken looks at all that is there, and says so before it looks.
            if not self._woken:
                self._woken = True
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False
        while self._done:
            future, answer, error = self._done.popleft()
            if future.done():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(answer)
