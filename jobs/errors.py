"""What a worker has to say to a user, carried to the driver as a sentence and not as a traceback of engines."""

import jobs  # noqa: F401 - before all others, see there

# isort: split
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from curate import CurateError

MARK = "\u2063curate-error\u2063"
"""Stands before and behind the JSON of a message in a worker's error, and in no message."""


class WorkerError(CurateError, RuntimeError):
    """An expected error of a worker, in its own words."""


def marked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function for a Spark worker: its expected errors can be found in what Spark makes of them."""

    @wraps(function)
    def work(*args: Any) -> Any:
        try:
            return function(*args)
        except CurateError as error:
            raise RuntimeError(f"{MARK}{json.dumps(str(error))}{MARK}") from error

    return work


def marked_tables(function: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    """The same for a function that makes an Arrow table, or yields several."""

    @wraps(function)
    def work(*args: Any) -> Iterator[Any]:
        try:
            made = function(*args)
            yield from [made] if hasattr(made, "to_batches") else made
        except CurateError as error:
            raise RuntimeError(f"{MARK}{json.dumps(str(error))}{MARK}") from error

    return work


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raises WorkerError in place of an engine's error that a worker's expected error is in; others pass as they are."""
    try:
        yield
    except Exception as error:
        cause = getattr(error, "cause", None)  # Ray's own, which prints the worker's traceback.
        if isinstance(cause, CurateError):
            raise WorkerError(str(cause)) from None
        text = str(error)
        if text.count(MARK) >= 2:
            raise WorkerError(json.loads(text.split(MARK)[1])) from None
        raise
