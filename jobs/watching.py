"""What people see while a dataset is being made: how many of its parts are there, whoever makes them and wherever."""

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from curate import storage
from curate.store import Dataset

LINES_EVERY = 30.0
"""Seconds between two lines, where nobody sits at a terminal; said only when there is something new."""
LOOKS_EVERY = 1.0
REMOTE_EVERY = 10.0
"""Seconds between two looks: a listing of an object store costs a request for each thousand parts."""
PATIENCE = 2.0
"""Seconds that a stage may take without anything being shown."""
_SHOWN = threading.Lock()


@contextmanager
def watched(target: Dataset, missing: Sequence[str]) -> Iterator[None]:
    """Shows on the driver how many of the missing parts are there, until the block ends: a bar at a terminal, else a line now and then.

    Of blocks inside each other the outermost is shown.
    """
    if not missing or not _SHOWN.acquire(blocking=False):
        yield
        return
    over = threading.Event()
    tell = _bar if sys.stdout.isatty() else _lines
    thread = threading.Thread(target=tell, args=(target, frozenset(missing), over), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        _SHOWN.release()


def there(target: Dataset, parts: frozenset[str]) -> int:
    """How many of the parts have their file. 0 where the folder cannot be listed: it is no reason to stop."""
    with suppress(OSError):
        target.fs.invalidate_cache(target.root)
        names = {os.path.basename(path) for path in target.fs.ls(target.root, detail=False)}
        return sum(f"{part}.parquet" in names for part in parts)
    return 0


def _lines(target: Dataset, parts: frozenset[str], over: threading.Event) -> None:
    start, said = time.monotonic(), 0
    while not over.wait(LINES_EVERY):
        done = there(target, parts)
        if said < done < len(parts):
            said, took = done, time.monotonic() - start
            left = took / done * (len(parts) - done)
            told = f"{done:,} of {len(parts):,} parts after {span(took)}, about {span(left)} to go"
            print(f"{target.name:<20}{told}", flush=True)


def _bar(target: Dataset, parts: frozenset[str], over: threading.Event) -> None:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    if over.wait(PATIENCE):
        return
    every = LOOKS_EVERY if storage.is_local(target.fs) else REMOTE_EVERY
    columns = (TextColumn(f"{target.name:<20}"), BarColumn(), MofNCompleteColumn(), TextColumn("parts"), TimeElapsedColumn(), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("", total=len(parts), completed=there(target, parts))
        while not over.wait(every):
            progress.update(task, completed=there(target, parts))


def span(seconds: float) -> str:
    """A length of time in the two units that say most: `40 s`, `12 min 5 s`, `3 h 20 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
