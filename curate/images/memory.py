"""What a process remembers of hosts from one part to the next: who is not to be asked before when, and who is down.

A part is asked for by a session of its own, and a host has images in many parts. Without a memory each part would find out anew,
at the host's cost, what the last one was told.
"""

from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from curate.recipe import Download

MOST = 65_536
"""Hosts that are remembered, some 20 MB of them; the one that was longest not heard of goes first."""
MAX_AGE = 24 * 3600.0
"""Seconds that anything is remembered: a host that was down yesterday is asked today."""


class Past(NamedTuple):
    """What is known of a host. Times are those of the process's monotonic clock."""

    next_at: float
    """When it may be asked again."""
    failures: int = 0
    """Requests in a row without an answer."""
    broken: bool = False
    """Its breaker is open: the next request is a trial."""
    slow: bool = False
    """It asked for patience: one request at a time."""
    gone: str | None = None
    """The status of images that are not asked for before `gone_until`."""
    gone_until: float = 0.0

    def matters(self, now: float) -> bool:
        """Whether it differs from that of a host which nothing is known of."""
        return bool(self.failures or self.broken or self.slow or self.gone) or self.next_at > now


class Memory:
    """Pasts by host, of no more than `most` of them."""

    def __init__(self, most: int = MOST):
        self._most = most
        self._pasts: OrderedDict[str, tuple[float, Past]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pasts)

    @classmethod
    def of(cls, settings: "Download") -> "Memory":
        """The one of this process for a recipe's settings."""
        return of_process(msgspec.json.encode(settings))

    def keep(self, host: str, past: Past, now: float) -> None:
        self._pasts.pop(host, None)
        if past.matters(now):
            self._pasts[host] = now, past
            if len(self._pasts) > self._most:
                self._pasts.popitem(last=False)

    def take(self, host: str, now: float) -> Past | None:
        """What is remembered, which whoever takes it is to keep again; None where there is nothing."""
        kept, past = self._pasts.pop(host, (0.0, None))
        return past if past is not None and now - kept < MAX_AGE else None


@lru_cache(maxsize=4)
def of_process(_encoded: bytes) -> Memory:
    """The one of this process for encoded settings."""
    return Memory()
