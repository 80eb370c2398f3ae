"""How many texts match each entry: counted part by part, merged by addition."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import schema
from curate.ledger import alive
from curate.store import Dataset

COLUMNS = ("state", "lang", "entries")
"""What counting reads of `matches`."""


def count(matches: pa.Table) -> pa.Table:
    """Counts of one batch of `matches`: lang, entry, count (`schemas/counts.yaml`), ordered by lang and entry."""
    kept = matches.filter(alive(matches["state"])).select(["lang", "entries"]).combine_chunks()
    # A row's list holds an entry once, so values are texts.
    lists = pc.list_parent_indices(kept["entries"])
    flat = pa.table({"lang": kept["lang"].take(lists), "entry": pc.list_flatten(kept["entries"])})
    return _ordered(flat.group_by(["lang", "entry"]).aggregate([([], "count_all")]).rename_columns(_NAMES))


def merge(one: pa.Table, other: pa.Table) -> pa.Table:
    """The counts of two pools, or of two parts of one, together."""
    both = pa.concat_tables([one, other])
    return _ordered(both.group_by(["lang", "entry"]).aggregate([("count", "sum")]).rename_columns(_NAMES))


def count_part(part: str, matches: Dataset) -> pa.Table:
    """Counts of one part of `matches`, a row group at a time."""
    total = _NOTHING
    with matches.open_part(part) as file:
        for group in range(file.num_row_groups):
            total = merge(total, count(file.read_row_group(group, columns=list(COLUMNS))))
    return total


def read(counts: Dataset) -> Mapping[str, np.ndarray]:
    """The dataset `counts` as `dense` gives it."""
    nothing = schema.load("counts").arrow().empty_table()
    return dense(pa.concat_tables([nothing, *counts.batches()]))


def dense(counts: pa.Table) -> Mapping[str, np.ndarray]:
    """For each language the counts as an array by entry id, int64, 0 where no text matches."""
    arrays = {}
    for lang in counts["lang"].unique().to_pylist():
        rows = counts.filter(pc.equal(counts["lang"], lang))
        ids = rows["entry"].to_numpy()
        arrays[lang] = np.zeros(int(ids.max()) + 1, dtype=np.int64)
        arrays[lang][ids] = rows["count"].to_numpy()
    return arrays


def _ordered(counts: pa.Table) -> pa.Table:
    return counts.sort_by([("lang", "ascending"), ("entry", "ascending")])


_NAMES = ["lang", "entry", "count"]
_NOTHING = pa.table(
    {"lang": pa.array([], pa.string()), "entry": pa.array([], pa.int32()), "count": pa.array([], pa.int64())}
)
