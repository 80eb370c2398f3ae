"""Servers of crawls that ask for fewer requests: waited for, ever longer, and in the end an error of its own.

Common Crawl answers whoever asks too often with 503 ("Please reduce your request rate"), and whoever goes on with 403, which
another server means for good. Taken for a missing file, that would quietly cost the pool what is in it.
"""

import re
from collections.abc import Callable
from time import sleep
from typing import Any, BinaryIO, TypeVar

import fsspec
import xxhash

from curate import CurateError

TRIES = 9
FIRST, MOST = 1.0, 60.0
"""Seconds before the second try, doubled each time up to the other: 3 to 6 minutes in all."""
MAX_RETRY_AFTER = 600.0
"""Seconds that a server may ask for (Retry-After); for more the run is rather ended and begun again."""
PASSING = (429, 500, 502, 503, 504)
REFUSED = (401, 403)
"""Answers whose words say whether they are about the file or about whoever asks for it."""
_WORDS = re.compile(
    r"reduce your request rate|slow ?down|too many requests|request ?limit|rate ?limit|too much traffic|request blocked",
    re.IGNORECASE,
)
_BODY = 4096
Answer = TypeVar("Answer")


class ThrottledError(CurateError, ConnectionError):
    """A server that has no time for us, and had none the last time either; the message says what to do."""


def cause(error: BaseException) -> BaseException:
    """fsspec says of every URL that it cannot ask about that there is none; the answer, or that there was none, stands behind."""
    while isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def patiently(path: str, ask: Callable[[], Answer]) -> Answer:
    """What `ask` answers, which is called again after a while where the server of `path` wants fewer requests.

    Raises ThrottledError when that lasts, and at once whatever else `ask` raises.
    """
    for attempt in range(TRIES):
        try:
            return ask()
        except Exception as error:
            said = _throttled(path, cause(error))
            if said is None:
                raise
            seconds = _wait(path, attempt, cause(error))
            if attempt + 1 == TRIES or seconds > MAX_RETRY_AFTER:
                raise ThrottledError(
                    f"{path}: the server has no time for more requests: {said}, {attempt + 1} times in a row. Run the same command "
                    "again in an hour, which goes on where this one stopped, with fewer workers; within AWS, read crawls with "
                    "`base: s3://commoncrawl/`"
                ) from error
        sleep(seconds)
    raise AssertionError


class Patient:
    """A file that is read patiently, otherwise as it is."""

    def __init__(self, file: BinaryIO, path: str):
        self._file, self._path = file, path

    def read(self, size: int = -1) -> bytes:
        return patiently(self._path, lambda: self._file.read(size))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _wait(path: str, attempt: int, error: BaseException) -> float:
    """Seconds; workers that were sent away together do not come back together."""
    headers = getattr(error, "headers", None) or {}
    asked_for = str(headers.get("Retry-After", "")).strip()
    apart = 1 + xxhash.xxh32_intdigest(f"{path} {attempt}".encode()) / 2**32
    return max(min(FIRST * 2**attempt, MOST) * apart, float(asked_for[:9]) if asked_for.isdecimal() else 0.0)


def _throttled(path: str, error: BaseException) -> str | None:
    """What the server said, where that means fewer requests; None for any other error."""
    status = getattr(error, "status", None)
    if status in PASSING:
        return f"HTTP {status}"
    if status in REFUSED and path.startswith(("http://", "https://")):
        words = _words(path)
        return None if words is None else f"HTTP {status}: {words}"
    # s3fs has tried again by itself when it says so.
    return str(error)[:100] if status is None and isinstance(error, OSError) and _WORDS.search(str(error)) else None


def _words(path: str) -> str | None:
    """The words of an answer about too many requests, or that it is over; None for an answer about the file."""
    fs: Any = fsspec.core.url_to_fs(path)[0]

    async def ask() -> tuple[int, bytes]:
        session = await fs.set_session()
        asked = fs.kwargs | {"headers": {**fs.kwargs.get("headers", {}), "Range": f"bytes=0-{_BODY - 1}"}}
        async with session.get(fs.encode_url(path), **asked) as answer:
            return answer.status, await answer.content.read(_BODY)

    try:
        status, body = fsspec.asyn.sync(fs.loop, ask, timeout=60)
    except Exception as error:  # no answer says nothing about the file
        return f"then {type(error).__name__}"
    if status not in REFUSED:
        return f"then HTTP {status}"
    found = _WORDS.search(body.decode("utf-8", "replace"))
    return found[0] if found else None
