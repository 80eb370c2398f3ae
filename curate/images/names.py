"""Host names resolved off the event loop, asked for once and remembered, each answer checked before anybody sees it."""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from curate.images.addresses import Addresses, Place
from curate.images.status import FetchError

RESOLVERS = 16
"""Threads that wait for the system's resolver."""
MOST = 65_536
"""Names that are remembered."""
Lookup = Callable[[str, int], Awaitable[list[Place]]]


class Names:
    """A cache of checked addresses for one event loop. What is connected to is what was checked, never asked for anew."""

    def __init__(
        self,
        addresses: Addresses,
        ttl: float,
        timeout: float,
        lookup: Lookup | None = None,
        clock: Callable[[], float] | None = None,
    ):
        """`ttl`: seconds that an answer, good or bad, is remembered. `timeout`: seconds to wait for one."""
        self._addresses, self._ttl, self._timeout = addresses, ttl, timeout
        self._loop = asyncio.get_running_loop()
        self._clock = clock or self._loop.time
        self._threads = ThreadPoolExecutor(RESOLVERS, "names")
        self._lookup = lookup or self._ask
        self._known: OrderedDict[tuple[str, int], tuple[float, asyncio.Task[list[Place]]]] = OrderedDict()

    async def resolve(self, host: str, port: int) -> list[Place]:
        """Addresses that may be connected to for a host and port. Raises FetchError as `Addresses.resolve` does."""
        key = self._addresses.route(host, port)
        until, task = self._known.get(key, (0.0, None))
        if task is None or (task.done() and until <= self._clock()):
            task = self._loop.create_task(self._found(*key))
            self._known[key] = self._clock() + self._ttl, task
            self._known.move_to_end(key)
            if len(self._known) > MOST:
                self._known.popitem(last=False)
        # One asker that gives up must not take the answer from the others.
        found = await asyncio.shield(task)
        if isinstance(found, FetchError):
            raise FetchError(found.ending.status or "dns_error", f"the host name {host} does not resolve")
        return self._addresses.checked(host, found)

    async def _found(self, host: str, port: int) -> Any:
        """What the resolver says, or the error as a value: a task's exception that nobody awaits would be complained about."""
        try:
            return await asyncio.wait_for(self._lookup(host, port), self._timeout)
        except (OSError, UnicodeError, TimeoutError):
            return FetchError("dns_error", "")

    async def _ask(self, host: str, port: int) -> list[Place]:
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await self._loop.run_in_executor(self._threads, ask)
        return [(family, place) for family, _, _, _, place in found]

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
