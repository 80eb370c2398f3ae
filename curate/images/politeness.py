"""Which request may start when: per host so many at once and so far apart, later when a server asks, never when it is dead.

A pure value machine. Times are numbers that the caller passes in, tickets are whatever the caller likes, and nothing
sleeps or waits in here; `curate.images.gate` puts it on an event loop.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any

from curate.images.status import RATE_LIMITED
from curate.recipe import Download

BREAKER_OPEN = "breaker_open"
Headers = Sequence[tuple[str, str]]
MANY = 4096
"""Hosts that are remembered before idle ones are forgotten."""


@dataclass(frozen=True)
class Manners:
    """How a worker behaves. Times in seconds."""

    in_all: int = 64
    """Requests in flight."""
    per_host: int = 4
    interval: float = 0.0
    """From the end of a request to the start of the next one to the same host; above 0 they come one after another."""
    breaker_failures: int = 10
    breaker_pause: float = 30.0

    @classmethod
    def of(cls, settings: Download) -> "Manners":
        """One worker's share of what the recipe allows all of them together."""
        return cls(
            in_all=settings.concurrency,
            per_host=max(1, settings.per_host_concurrency // settings.workers),
            interval=settings.per_host_interval * settings.workers,
            breaker_failures=settings.breaker_failures,
            breaker_pause=settings.breaker_pause,
        )


class _Host:
    """What is known of a host. `broken`: its breaker is open; `trial`: the one request that tries whether it still is."""

    __slots__ = ("active", "broken", "failures", "gone", "limit", "listed", "next_at", "queue", "slow", "trial")

    def __init__(self, limit: int):
        self.queue: deque[Any] = deque()
        self.limit, self.active, self.failures, self.listed = limit, 0, 0, -1
        self.next_at = float("-inf")
        self.broken, self.slow, self.trial = False, False, None
        self.gone: str | None = None


class Scheduler:
    """Queues of tickets by host. Each ticket that `take` returned is given back by `leave`, then by `release`."""

    def __init__(self, manners: Manners):
        self._manners = manners
        self._hosts: dict[str, _Host] = {}
        self._ready: list[tuple[float, int, str]] = []
        """Heap of (earliest start, order, host); an entry counts while the host's `listed` is its order."""
        self._order = count()
        self._in_all = 0
        self._many = MANY

    def ask(self, host: str, ticket: Any, now: float, first: bool = False) -> str | None:
        """Queues a ticket (`first`: before the others), or returns why the host is asked no more."""
        of = self._hosts.get(host)
        if of is None:
            of = self._hosts[host] = _Host(1 if self._manners.interval else self._manners.per_host)
        if of.gone is not None:
            return of.gone
        (of.queue.appendleft if first else of.queue.append)(ticket)
        # A host that has a place in the line keeps it.
        if of.listed < 0:
            self._list(host, of, now)
        return None

    def take(self, now: float) -> tuple[str, Any] | None:
        """(host, ticket) of the next request that may start; None while there is none."""
        while self._ready and self._in_all < self._manners.in_all:
            at, order, host = self._ready[0]
            of = self._hosts.get(host)
            if of is None or of.listed != order:
                heapq.heappop(self._ready)
                continue
            if at > now:
                return None
            heapq.heappop(self._ready)
            ticket = of.queue.popleft()
            of.active += 1
            self._in_all += 1
            if of.broken:
                of.trial = ticket
            self._list(host, of, now)
            return host, ticket
        return None

    def next_at(self) -> float | None:
        """When `take` may succeed although nothing happens until then; None when something has to happen first."""
        while self._ready:
            at, order, host = self._ready[0]
            if host in self._hosts and self._hosts[host].listed == order:
                return at if self._in_all < self._manners.in_all else None
            heapq.heappop(self._ready)
        return None

    def leave(self, host: str, ticket: Any, now: float, reached: bool | None) -> list[Any]:
        """A request is over at its host. `reached`: whether a server answered at all (None: it was never asked).

        Returns the tickets that are asked no more, since the host failed again when it was tried once more.
        """
        of = self._hosts[host]
        of.active -= 1
        of.next_at = max(of.next_at, now + self._manners.interval)
        if reached:
            of.failures, of.broken, of.trial = 0, False, None
        elif reached is False:
            of.failures += 1
            if of.trial is ticket and of.broken:
                return self.give_up(host, BREAKER_OPEN)
            if of.failures >= self._manners.breaker_failures and not of.broken:
                of.broken, of.next_at = True, now + self._manners.breaker_pause
        elif of.trial is ticket:
            of.trial = None
        self._list(host, of, now)
        if len(self._hosts) > self._many:
            self._sweep(now)
        return []

    def release(self) -> None:
        """A request is over for the count of all: what it brought is dealt with."""
        self._in_all -= 1

    def hold(self, host: str, until: float, gently: bool = False) -> None:
        """The host is not asked before `until`; `gently`: nor by more than one request at a time from now on."""
        of = self._hosts[host]
        of.next_at = max(of.next_at, until)
        if gently:
            of.slow, of.limit = True, 1
        self._list(host, of, until)

    def give_up(self, host: str, why: str) -> list[Any]:
        """The host is asked no more; returns the tickets that waited."""
        of = self._hosts[host]
        of.gone, of.listed = why, -1
        waiting = list(of.queue)
        of.queue.clear()
        return waiting

    def waiting(self, host: str) -> bool:
        """Whether something is queued for the host, so that its connection is worth keeping."""
        of = self._hosts.get(host)
        return of is not None and bool(of.queue)

    def _list(self, host: str, of: _Host, now: float) -> None:
        """Gives a host its place among those that may be asked, or none."""
        of.listed = -1
        if of.queue and of.active < of.limit and of.gone is None and of.trial is None:
            of.listed = next(self._order)
            heapq.heappush(self._ready, (max(of.next_at, now), of.listed, host))

    def _sweep(self, now: float) -> None:
        """Forgets hosts with nothing to do that there is nothing to remember of."""
        idle = [
            name
            for name, of in self._hosts.items()
            if not (of.queue or of.active or of.failures or of.gone or of.slow) and of.next_at <= now
        ]
        for name in idle:
            del self._hosts[name]
        self._many = max(MANY, 2 * len(self._hosts))


def retry_after(headers: Iterable[tuple[str, str]], now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After field asks for (a number or a date, RFC 9110, 10.2.3); None without one that can be read."""
    text = next((value.strip() for name, value in headers if name.lower() == "retry-after"), "")
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


__all__ = ["BREAKER_OPEN", "RATE_LIMITED", "Headers", "Manners", "Scheduler", "retry_after"]
