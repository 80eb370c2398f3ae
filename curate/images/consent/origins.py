"""What each origin said: its robots.txt and its tdmrep.json, asked for once, kept for a day at most and within a bound.

How a file is asked for is the fetcher's; what its answer means is decided here, as a generator that yields URLs and is
sent answers, so that a fetcher of threads and one of coroutines go the same way.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from curate.images.consent.robots import Robots
from curate.images.consent.statements import Reservations
from curate.images.status import Ending, FetchError

Headers = Sequence[tuple[str, str]]
Response = tuple[int | None, Headers, bytes]
"""(status, or None where no answer came; headers; body). A body may be cut once it has `robots.MAX_BYTES` and one."""

MAX_REDIRECTS = 5
"""Hops that RFC 9309 (2.3.1.2) makes a crawler follow; a file behind more of them counts as not there."""
MAX_AGE = 24 * 3600
"""Seconds that a file may be kept (2.4)."""
RETRY_AGE = 600
"""Seconds after which an origin that was not reached is asked again. The RFC's remark that it may be taken for one without
a file once that has lasted (30 days, 2.3.1.4) is for crawlers that remember; no run lasts as long."""
CACHE_BYTES = 64 * 2**20
"""About what all kept files may take together in one process: those of some 50,000 origins, most of which have none."""

_TOO_MANY = 429
"""Among 400 to 499 the one that says nothing of the file: taken as not reached, which is stricter than the RFC."""


@dataclass(frozen=True)
class Absent:
    """An origin without the file, or whose file cannot be read: it says nothing."""

    weight: int = 500


@dataclass(frozen=True)
class Unreachable:
    """An origin that did not answer for its file: nothing may be asked of it (2.3.1.4)."""

    ending: Ending
    weight: int = 700


Said = Robots | Reservations | Absent | Unreachable
Made = TypeVar("Made")
Steps = Generator[str | Future[None], Any, Made]
"""Yields URLs to get and futures to wait for, is sent what came of them, and returns what was found out."""


def origin_of(url: str) -> str:
    """Scheme, host and port, as far as robots.txt tells them apart (`https://a.example:8443`)."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme}://{host.removesuffix({'http': ':80', 'https': ':443'}.get(parts.scheme, ':'))}"


def path_of(url: str) -> str:
    """Path and query, which rules are matched with."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query or "?" in url.partition("#")[0] else "")


def asking(url: str, make: Callable[[bytes], Said]) -> Steps[Said]:
    """Follows the redirects of a file at a fixed place, and judges the last answer as RFC 9309 (2.3.1) does."""
    for hop in range(MAX_REDIRECTS + 1):
        try:
            status, headers, body = yield url
        except FetchError as error:
            # At the first hop the image would end so too; further on only the file is out of reach.
            return Unreachable(Ending("robots_unreachable", None, error.ending.words) if hop else error.ending)
        if status is None:
            return Unreachable(Ending("robots_unreachable", None, "no answer"))
        if 200 <= status < 300:
            return make(body)
        if 400 <= status < 500 and status != _TOO_MANY:
            return Absent()
        if not 300 <= status < 400:
            return Unreachable(Ending("robots_unreachable", status, f"HTTP {status}"))
        target = next((value for name, value in headers if name.lower() == "location"), None)
        following = _joined(url, target)
        if following is None:
            return Absent()
        url = following
    return Absent()


def _joined(url: str, target: str | None) -> str | None:
    try:
        joined = urljoin(url, target or "")
        parts = urlsplit(joined)
        return joined if target and parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:
        return None


class Shelf:
    """Files by URL, least recently used first to go. One asker at a time fetches a file; others wait for it.

    Safe among threads; coroutines wait through `asyncio.wrap_future`.
    """

    def __init__(self, limit: int = CACHE_BYTES, clock: Callable[[], float] = time.monotonic):
        self._limit, self._clock = limit, clock
        self._kept: OrderedDict[str, tuple[float, Said]] = OrderedDict()
        self._under_way: dict[str, Future[None]] = {}
        self._lock = threading.Lock()
        self.weight = 0

    def __len__(self) -> int:
        return len(self._kept)

    def read(self, url: str, make: Callable[[bytes], Said]) -> Steps[Said]:
        """What the file at `url` says: kept, or found out by who asks first. `make` reads its bytes."""
        while True:
            seen = self._look(url)
            if isinstance(seen, Future):
                yield seen
            elif seen is not None:
                return seen
            else:
                try:
                    said = yield from asking(url, make)
                    self._put(url, said)
                    return said
                finally:  # also when the asker is cancelled: whoever waits looks again
                    self._leave(url)

    def _look(self, url: str) -> Said | Future[None] | None:
        """What is kept, or a future that ends when another asker is done, or None: the caller is to ask."""
        with self._lock:
            entry = self._kept.get(url)
            if entry is not None and self._clock() < entry[0]:
                self._kept.move_to_end(url)
                return entry[1]
            if url in self._under_way:
                return self._under_way[url]
            self._under_way[url] = Future()
            return None

    def _put(self, url: str, said: Said) -> None:
        age = RETRY_AGE if isinstance(said, Unreachable) else MAX_AGE
        with self._lock:
            self._drop(url)
            self._kept[url] = (self._clock() + age, said)
            self.weight += said.weight + len(url)
            while self.weight > self._limit and len(self._kept) > 1:
                self._drop(next(iter(self._kept)))

    def _leave(self, url: str) -> None:
        with self._lock:
            waiting = self._under_way.pop(url)
        waiting.set_result(None)

    def _drop(self, url: str) -> None:
        entry = self._kept.pop(url, None)
        if entry is not None:
            self.weight -= entry[1].weight + len(url)
