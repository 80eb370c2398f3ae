"""How many texts match each entry: counted part by part, added up by language. `merging` adds up pools.

The dataset `counts` has a row group for each language, and its manifest says in which part it stands; so a language's counts are
read without the others', and nobody holds those of all languages unless all are in use.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import CurateError, schema
from curate.kernels import compiled
from curate.ledger import Ledger, alive
from curate.store import Dataset, Part, Plan, part_name

COLUMNS = ("state", "lang", "entries")
"""What counting reads of `matches`."""
PARTS = 64
"""Most parts of a `counts`: by language, so small ones share a part."""


class CountError(CurateError, ValueError):
    """Counts that do not go together; the message says which, and what to do."""


# -- counting


class Tally:
    """Counts in the making: for each language an int64 array by entry id, as long as the greatest id asks for."""

    def __init__(self) -> None:
        self._counts: dict[str, np.ndarray] = {}

    def add(self, matches: pa.Table) -> None:
        """Counts the kept rows of a batch of `matches`."""
        kept = matches.filter(alive(matches["state"]))
        lists, langs = kept["entries"].combine_chunks(), kept["lang"].combine_chunks().dictionary_encode()
        offsets, ids = lists.offsets.to_numpy(), lists.values.to_numpy()
        codes = langs.indices.to_numpy()
        for code, lang in enumerate(langs.dictionary.to_pylist()):
            rows = np.flatnonzero(codes == code)
            counts = self._counts.get(lang, np.zeros(0, np.int64))
            needed = greatest(offsets, ids, rows) + 1
            if needed > len(counts):
                counts = np.concatenate([counts, np.zeros(needed - len(counts), np.int64)])
            # A row's list holds an entry once, so what is counted is texts.
            tally(offsets, ids, rows, counts)
            self._counts[lang] = counts

    def table(self) -> pa.Table:
        """The counts above 0 as rows of `counts`, ordered by lang and entry."""
        tables = [rows_of(lang, counts) for lang, counts in sorted(self._counts.items())]
        return pa.concat_tables([schema.load("counts").arrow().empty_table(), *tables])


@compiled
def greatest(offsets, ids, rows):
    """The greatest id in some rows' lists, -1 when there is none."""
    found = -1
    for row in rows:
        if offsets[row + 1] > offsets[row]:
            found = max(found, int(ids[offsets[row + 1] - 1]))  # Lists are ascending.
    return found


@compiled
def tally(offsets, ids, rows, counts):
    """Adds 1 to the count of each id in some rows' lists."""
    for row in rows:
        for at in range(offsets[row], offsets[row + 1]):
            counts[ids[at]] += 1


def rows_of(lang: str, counts: np.ndarray) -> pa.Table:
    """A language's counts above 0 as rows of `counts`."""
    ids = np.flatnonzero(counts)
    columns = {
        "lang": pa.array([lang]).take(pa.array(np.zeros(len(ids), np.int64))),
        "entry": ids,
        "count": counts[ids],
    }
    return schema.load("counts").hold(pa.table(columns))


def count_parts(parts: str, matches: Dataset) -> pa.Table:
    """Counts of some parts of `matches` (their names, comma-separated) together, read a row group at a time."""
    total = Tally()
    for part in parts.split(","):
        with matches.open_part(part) as file:
            for group in range(file.num_row_groups):
                total.add(file.read_row_group(group, columns=list(COLUMNS)))
    return total.table()


# -- the dataset


def parts_of(languages: Sequence[str]) -> dict[str, str]:
    """In which part of `counts` each language stands."""
    number = min(len(languages), PARTS)
    return {lang: part_name(i % number) for i, lang in enumerate(sorted(languages))}


def write(rows: pa.Table, target: Dataset, plan: Plan, part: str) -> Part:
    """Writes a part: lang, entry and count in any order, each pair once, of that part's languages alone."""
    rows = rows.sort_by([("lang", "ascending"), ("entry", "ascending")])
    matches = int(pc.sum(rows["count"]).as_py() or 0)
    account = Ledger(rows_in=len(rows), kept=len(rows), notes={"matches": matches})
    with target.write_part(part, plan.hash, account) as out:
        for lang in rows["lang"].unique().to_pylist():
            out.write(rows.filter(pc.equal(rows["lang"], lang)))
    record = target.committed(part, plan.hash)
    assert record is not None
    return record


def placed(target: Dataset, parts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Where each language's counts stand, for the manifest: {lang: {part, group, entries, matches}}."""
    found = {}
    for part in parts:
        with target.open_part(part) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=["lang", "count"])
                place = {"part": part, "group": group, "entries": len(table), "matches": pc.sum(table["count"]).as_py()}
                found[table["lang"][0].as_py()] = place
    return found


# -- reading


def of_language(counts: Dataset, lang: str) -> np.ndarray:
    """A language's counts in one dataset: int64 by entry id; empty when it has none."""
    place = counts.require().extra["languages"].get(lang)
    if place is None:
        return np.zeros(0, np.int64)
    with counts.open_part(place["part"]) as file:
        return dense(file.read_row_group(place["group"], columns=["entry", "count"]))


def dense(rows: pa.Table) -> np.ndarray:
    """Counts by entry id, int64, 0 where there is no row."""
    ids = rows["entry"].to_numpy()
    counts = np.zeros(int(ids.max(initial=-1)) + 1, np.int64)
    counts[ids] = rows["count"].to_numpy()
    return counts
