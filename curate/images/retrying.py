"""Fetching again what failed: the next generation of `images`, with new endings for the rows that are asked for again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import CurateError, schema
from curate.hints import nearest
from curate.images import generations, held
from curate.images.downloading import Group, fetch_groups
from curate.images.rows import to_fetch
from curate.ledger import FAILED, alive
from curate.parts import Rows
from curate.recipe import Download
from curate.store import Dataset, Part, Plan, StoreError

TRANSIENT = (
    "timeout", "connection_error", "dns_error", "tls_error", "http_5xx", "rate_limited", "breaker_open",
    "robots_unreachable", "lost", "unexpected",
)  # fmt: skip
"""Statuses that may pass by themselves: those that are retried when nothing else is said."""
RETRIED, RECOVERED = "retried", "recovered"
"""Notes of the ledger, in rows: of all statuses, and of each as `retried_timeout`."""
SOURCES = ("pairs", "matches", "balanced")


class RetryError(CurateError, ValueError):
    """What was asked for cannot be retried; the message says why."""


class Failures(NamedTuple):
    """Failed rows to ask for again: those with one of these statuses, and those with one of these HTTP statuses."""

    statuses: tuple[str, ...] = TRANSIENT
    http: tuple[int, ...] = ()

    @classmethod
    def parse(cls, statuses: str | None, http: str | None) -> "Failures":
        """From comma-separated words; what is transient when there are none. Raises RetryError for what no row can fail with."""
        if statuses is None and http is None:
            return cls()
        names = {_status(word) for word in _words(statuses)}
        numbers = {_number(word) for word in _words(http)}
        if not names and not numbers:
            raise RetryError(f"no status is named; {nearest('', list(schema.load('images').failed))}")
        return cls(tuple(sorted(names)), tuple(sorted(numbers)))

    def among(self, images: pa.Table) -> pa.ChunkedArray:
        """Boolean mask of the rows of `images` that are meant."""
        named = pc.is_in(images["reason"], pa.array(self.statuses, pa.string()))
        coded = pc.is_in(images["http_status"], pa.array(self.http, pa.int32()))
        return pc.and_(pc.equal(images["state"], FAILED), pc.or_(named, coded))

    def any_in(self, images: Dataset) -> bool:
        """Whether a committed generation has such rows. Its ledger knows statuses; for HTTP statuses its rows are read, up to the first."""
        if any(images.require().ledger.failed.get(name) for name in self.statuses):
            return True
        columns = ["state", "reason", "http_status"]
        return bool(self.http) and any(pc.any(self.among(table)).as_py() for table in images.batches(columns))

    def __str__(self) -> str:
        return ", ".join([*self.statuses, *(f"HTTP {number}" for number in self.http)])


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _status(word: str) -> str:
    known = schema.load("images")
    if word in known.dropped:
        raise RetryError(
            f"{word} may not be retried: such rows did not fail, they were left out on purpose ({known.dropped[word]}). Another "
            "choice is another download: change the recipe's settings and run the stage 'download' with `--redo download`"
        )
    if word not in known.failed:
        raise RetryError(f"no status {word!r}: {nearest(word, list(known.failed))}")
    return word


def _number(word: str) -> int:
    if not (word.isascii() and word.isdigit() and 100 <= int(word[:4]) <= 599):
        raise RetryError(f"{word!r} is no HTTP status: those are numbers from 100 to 599, as in --http 429,503")
    return int(word)


def check_sources(workdir: str, images: Dataset) -> None:
    """Raises StoreError when `images` was made from other datasets than those that are there now."""
    first = generations.of(images)[0].require().plan.inputs
    for name in SOURCES:
        if name in first and first[name] != Dataset(workdir, name).fingerprint:
            raise StoreError(
                f"{images.root} was made from other {name} than are in {workdir} now, so its rows are others; "
                "replace it with `--redo download`"
            )


def retry_part(
    part: str,
    *,
    images: Dataset,
    pairs: Dataset,
    matches: Dataset,
    balanced: Dataset,
    failures: Failures,
    target: Dataset,
    plan: Plan,
    settings: Download,
    shelf: held.Shelf | None = None,
) -> Part:
    """Makes one part of the generation `target` on top of `images`; the tar beside it has the newly fetched images alone.

    Rows that are not meant are copied as they are. Each image that is meant is asked for once, whatever the number of its texts.
    What is at hand is read from the `shelf` again and not fetched. A part that is there already is left as it is.
    """
    done = target.committed(part, plan.hash)
    if done is not None:
        return done
    groups = _groups(part, images, Rows(to_fetch(part, pairs, matches, balanced)), failures)
    return fetch_groups(part, groups, target=target, plan=plan, settings=settings, shelf=shelf)


def _groups(part: str, images: Dataset, rows: Rows, failures: Failures) -> Iterator[Group]:
    with images.open_part(part) as file:
        for group in range(file.num_row_groups):
            before = file.read_row_group(group)
            known = rows.take(len(before))
            if not known["uid"].equals(before["uid"]):
                raise StoreError(
                    f"{images.root}/{part} has other rows than balance kept or the baseline drew; redo download"
                )
            again = failures.among(before)
            yield Group(known.filter(again), _Patch(before, again))


class _Patch:
    """Puts new endings in the place of old ones."""

    def __init__(self, before: pa.Table, again: pa.ChunkedArray):
        self._before, self._again = before, again

    def __call__(self, answered: pa.Table) -> tuple[pa.Table, dict[str, int]]:
        places = np.flatnonzero(self._again.to_numpy())
        order = np.arange(len(self._before))
        order[places] = len(order) + np.arange(len(places))
        both = pa.concat_tables(
            [self._before, answered.select(self._before.column_names)], promote_options="permissive"
        )
        return both.take(order), self._notes(answered)

    def _notes(self, answered: pa.Table) -> dict[str, int]:
        reasons = self._before["reason"].filter(self._again)
        notes = {}
        for name, words in ((RETRIED, reasons), (RECOVERED, reasons.filter(alive(answered["state"])))):
            notes[name] = len(words)
            notes |= {f"{name}_{count['values']}": count["counts"] for count in pc.value_counts(words).to_pylist()}
        return notes


def told(notes: Mapping[str, int], statuses: Sequence[str]) -> str:
    """The notes of a ledger as a line: how many rows were retried and recovered, in all and by status."""
    ways = [
        f"{name} {notes.get(f'{RECOVERED}_{name}', 0):,} of {retried:,}"
        for name in statuses
        if (retried := notes.get(f"{RETRIED}_{name}", 0))
    ]
    return f"retried {notes.get(RETRIED, 0):,} rows, recovered {notes.get(RECOVERED, 0):,}: {', '.join(ways)}"
