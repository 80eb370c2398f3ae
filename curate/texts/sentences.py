"""Texts to learn from: streamed from a file or a dataset, and of those that serve as many as are asked for, drawn by hash."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate import CurateError, storage
from curate.draw import draw
from curate.hints import nearest
from curate.ledger import KEPT
from curate.store import Dataset
from curate.texts.corrupting import folded

LINES, PARQUET = (".txt", ".txt.gz"), ".parquet"
LONGEST = 1000
"""Characters of a text; no CLIP reads that far, and a line without an end would fill the memory."""
BATCH = 8192
TOO_LONG = "too_long"


class TextsError(CurateError, ValueError):
    """Texts that are not there or not as described; the message says what was found."""


@dataclass
class Sample:
    """Texts drawn by hash, and what became of the others. The same texts in any order make the same sample."""

    texts: dict[str, str]
    """The text, by itself folded; in the order of their draws."""
    account: dict[str, int] = field(default_factory=dict)
    """read = used + too_few_words + too_long + others (said before, or not drawn)."""


def sample(batches: Iterable[list[str | None]], *, seed: int, most: int, min_words: int) -> Sample:
    """At most `most` distinct texts of at least `min_words` words, by the smallest draws. Holds about twice as many."""
    read, left_out = 0, {"too_few_words": 0, TOO_LONG: 0}
    held: dict[str, str] = {}
    for batch in batches:
        read += len(batch)
        for text in batch:
            words = [] if text is None else text[: LONGEST + 1].split()
            if text is not None and len(text) > LONGEST:
                left_out[TOO_LONG] += 1
            elif len(words) < min_words:
                left_out["too_few_words"] += 1
            else:
                clean = " ".join(words)
                name = folded(clean)
                # Of spellings that differ in case alone the first in order stands: reading order is to decide nothing.
                held[name] = min(clean, held.get(name, clean))
        if len(held) > 2 * most + BATCH:
            held = _smallest(held, seed, most)
    held = _smallest(held, seed, most)
    others = read - len(held) - sum(left_out.values())
    return Sample(held, {"read": read, "used": len(held), **left_out, "said_before_or_not_drawn": others})


def _smallest(held: dict[str, str], seed: int, most: int) -> dict[str, str]:
    names = sorted(held)
    order = np.argsort(draw(seed, "sentences", names), kind="stable")[:most]
    return {names[place]: held[names[place]] for place in order.tolist()}


def is_file(place: str) -> bool:
    """Whether a setting names a file; else it names a dataset of the workdir."""
    return place.endswith((*LINES, PARQUET))


def of_file(path: str, column: str, where: Mapping[str, Any]) -> Iterator[list[str | None]]:
    """The texts of a file: one a line (.txt, .txt.gz), or a column of strings or lists of them (.parquet), a batch at a time.

    Raises TextsError for a file that is not there, is none, or lacks a column.
    """
    fs, place = storage.located(path)
    if not fs.exists(place):
        raise TextsError(f"no texts at {path}")
    if not path.endswith(PARQUET):
        with fs.open(place, "rb", compression="gzip" if path.endswith(".gz") else None) as file:
            yield from _lines(file)
        return
    with fs.open(place, "rb") as file:
        try:
            table = pq.ParquetFile(file)
        except (pa.ArrowInvalid, OSError) as error:
            raise TextsError(f"{path} is no Parquet file: {error}") from error
        wanted = _columns(table.schema_arrow.names, column, where, path)
        for batch in table.iter_batches(BATCH, columns=wanted):
            yield _texts(pa.Table.from_batches([batch]), column, where, path)


def of_dataset(dataset: Dataset, column: str, where: Mapping[str, Any]) -> Iterator[list[str | None]]:
    """The same of a dataset of a workdir: of rows that it kept."""
    known = dataset.schema.columns
    wanted = _columns(list(known), column, where, dataset.root)
    state = ["state"] if "state" in known else []
    for table in dataset.batches(list(dict.fromkeys([*wanted, *state]))):
        kept = table.filter(pc.equal(table["state"], KEPT)) if state else table
        yield _texts(kept, column, where, dataset.root)


def _columns(there: list[str], column: str, where: Mapping[str, Any], place: str) -> list[str]:
    for name in (column, *where):
        if name not in there:
            raise TextsError(f"{place} has no column {name!r}: {nearest(name, there)}")
    return list(dict.fromkeys([column, *where]))


def _texts(table: pa.Table, column: str, where: Mapping[str, Any], place: str) -> list[str | None]:
    for name, values in where.items():
        wanted = [values] if isinstance(values, str) else list(values)
        table = table.filter(pc.is_in(table[name].cast(pa.string()), value_set=pa.array(wanted, pa.string())))
    found = table[column]
    if pa.types.is_list(found.type) or pa.types.is_large_list(found.type):
        found = pc.list_flatten(found)
    if not (pa.types.is_string(found.type) or pa.types.is_large_string(found.type)):
        raise TextsError(f"{place}: column {column!r} holds {found.type}, not texts")
    return found.to_pylist()


def _lines(file: Any) -> Iterator[list[str | None]]:
    """Lines without their ends. Of one that is longer than any text its first piece is given, too long, and the rest skipped."""
    batch: list[str | None] = []
    inside = False
    # A character has at most four bytes.
    while piece := file.readline(4 * (LONGEST + 2)):
        if not inside:
            batch.append(piece.decode("utf-8", "replace").rstrip("\r\n"))
        inside = not piece.endswith(b"\n")
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch
