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

from curate.images.memory import Memory, Past
from curate.images.status import RATE_LIMITED
from curate.recipe import Download

BREAKER_OPEN = "breaker_open"
Headers = Sequence[tuple[str, str]]
MANY = 4096
"""Hosts that are at hand before idle ones are put away."""
REST = 600.0
"""Seconds that a host is not asked after it failed when it was tried again."""


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
        """One worker's share of what the recipe allows all of them together.

        A crawler that does nothing else gives each host to one worker. Here a part holds what the hash of the URL puts there, so
        that hosts are spread over all parts: tables are joined by zipping parts, an image is found by its uid alone, and the order
        is random enough for training. So a host has as many askers as there are workers, each with its share: K of n workers ask for
        K // n images at once, one at least, and n intervals apart. More workers than K are more than K at once.
        """
        return cls(
            in_all=settings.concurrency,
            per_host=max(1, settings.per_host_concurrency // settings.workers),
            interval=settings.per_host_interval * settings.workers,
            breaker_failures=settings.breaker_failures,
            breaker_pause=settings.breaker_pause,
        )


class _Host:
    """What is known of a host. `broken`: its breaker is open; `trial`: the one request that tries whether it still is."""

    __slots__ = (
        "active", "broken", "failures", "gone", "gone_until", "limit", "listed", "next_at", "queue", "slow", "trial",
    )  # fmt: skip

    def __init__(self, limit: int, past: Past | None):
        self.queue: deque[Any] = deque()
        self.active, self.listed, self.trial = 0, -1, None
        self.next_at, self.failures, self.broken, self.slow, self.gone, self.gone_until = past or _NO_PAST
        self.limit = 1 if self.slow else limit

    def past(self) -> Past:
        return Past(self.next_at, self.failures, self.broken, self.slow, self.gone, self.gone_until)


_NO_PAST = Past(float("-inf"))


class Scheduler:
    """Queues of tickets by host. Each ticket that `take` returned is given back by `leave`, then by `release`."""

    def __init__(self, manners: Manners, memory: Memory | None = None):
        """`memory` has what schedulers before this one knew of hosts, and gets what this one knows at its `end`."""
        self._manners = manners
        self._memory = Memory() if memory is None else memory
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
            limit = 1 if self._manners.interval else self._manners.per_host
            of = self._hosts[host] = _Host(limit, self._memory.take(host, now))
        if of.gone is not None and now < of.gone_until:
            return of.gone
        of.gone = None
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
                of.trial = None
                return self.give_up(host, BREAKER_OPEN, now + REST)
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

    def give_up(self, host: str, why: str, until: float) -> list[Any]:
        """The host is not asked before `until`, nor waited for; returns the tickets that waited."""
        of = self._hosts[host]
        of.gone, of.gone_until, of.listed = why, until, -1
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

    def end(self, now: float) -> None:
        """Nothing more is asked: what is known of hosts goes to the memory."""
        for name, of in self._hosts.items():
            self._memory.keep(name, of.past(), now)
        self._hosts.clear()

    def _sweep(self, now: float) -> None:
        """Puts hosts with nothing to do away into the memory, which forgets those that there is nothing to remember of."""
        for name in [name for name, of in self._hosts.items() if not (of.queue or of.active)]:
            self._memory.keep(name, self._hosts.pop(name).past(), now)
        self._many = max(MANY, 2 * len(self._hosts))


def retry_after(headers: Iterable[tuple[str, str]], now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After field asks for (a number or a date, RFC 9110, 10.2.3); None without one that can be read.

    A date counts from the server's own Date, where there is one: its clock may be wrong.
    """
    said = {name.lower(): value.strip() for name, value in headers if name.lower() in ("retry-after", "date")}
    text = said.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text[:12])
    moment = _moment(text)
    if moment is None:
        return None
    return max(0.0, (moment - (_moment(said.get("date", "")) or now or datetime.now(UTC))).total_seconds())


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


__all__ = ["BREAKER_OPEN", "RATE_LIMITED", "Headers", "Manners", "Scheduler", "retry_after"]
