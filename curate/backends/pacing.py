"""When to ask: within the limits of an endpoint, and again after a while where something may pass."""

import asyncio
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import xxhash

LONGEST_WAIT = 60.0
"""Seconds between two attempts, whatever Retry-After says."""


class Pace:
    """So many units a minute, of one event loop: whoever takes some waits until those who came before have used up their time.

    Even, without bursts: a worker that begins late has nothing saved up.
    """

    def __init__(self, per_minute: float | None):
        self._seconds, self._free, self._turn = 60 / per_minute if per_minute else 0.0, 0.0, asyncio.Lock()

    async def take(self, units: float) -> None:
        """Waits for its turn, which lasts as long as the units take."""
        if not self._seconds:
            return
        # One waits for the time and the others for it, so that what is settled meanwhile counts for them.
        async with self._turn:
            await asyncio.sleep(max(self._free - time.monotonic(), 0))
            self._free = max(self._free, time.monotonic()) + units * self._seconds

    def settle(self, units: float) -> None:
        """More units were taken than was thought, or fewer (negative)."""
        self._free += units * self._seconds


def wait(key: bytes, attempt: int, first: float, asked: float | None) -> float:
    """Seconds before an attempt is made again: `first`, doubled each time, of which a hash of the request takes up to half, so that those
    who failed together do not come back together; or what the endpoint asks for and up to a tenth more. At most LONGEST_WAIT."""
    share = xxhash.xxh3_64_intdigest(key, seed=attempt) / 2**64
    seconds = first * 2 ** min(attempt, 32) * (1 - share / 2) if asked is None else asked * (1 + share / 10)
    return min(seconds, LONGEST_WAIT)


def retry_after(said: str | None) -> float | None:
    """Seconds from now of a Retry-After header: a number, or a date of HTTP. None where it is neither."""
    if said is None or len(said) > 40 or not said.isascii():
        return None
    if said.strip().isdigit():
        return min(float(said), LONGEST_WAIT)
    try:
        date = parsedate_to_datetime(said)
        then = date if date.tzinfo else date.replace(tzinfo=UTC)
        return min(max((then - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_WAIT)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
