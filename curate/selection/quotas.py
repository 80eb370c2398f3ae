"""At most so many rows of one value: of a cluster, a host, a source. What is too many is known only of the whole pool.

A quota counts the rows that the rules before it have kept. Which of them stay is decided by the greatest values of `best_by`, then by
the smallest draws, a hash of (seed, uid), then by uid: so a smaller quota's rows are among a larger one's.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.draw import draw
from curate.recipe import Rule
from curate.selection.columns import Facts
from curate.selection.judging import Over, first
from curate.selection.rules import applies
from curate.selection.selecting import competing
from curate.selection.thresholds import ordered

OVER = pa.schema({"place": pa.int32(), "row": pa.int64()})
"""Rows of a part, by number, that are too many for the quota at a place among the rules."""


def places(rules: Sequence[Rule]) -> list[int]:
    """Where the quotas stand among the rules."""
    return [place for place, limits in enumerate(rules) if limits.rule == "quota"]


def candidates(place: int, rules: Sequence[Rule], tables: Mapping[str, pa.Table], seed: int) -> pa.Table:
    """Rows of a row group that the quota at `place` chooses among, if no quota before it has dropped them.

    row: int64 within the row group; key: the value that they have; best and chance: int64 and float64, the least of which stay first;
    uid.
    """
    limits, facts = rules[place], Facts(tables)
    kept = competing(tables, rules) & (first(rules[:place], facts).codes == 0) & applies(limits, facts)
    values = facts.column(limits.column or "")
    rows = np.flatnonzero(kept & values.is_valid().to_numpy(zero_copy_only=False))
    some, uids = pa.array(rows, pa.int64()), tables["images"]["uid"].take(pa.array(rows))
    return pa.table(
        {
            "row": some,
            "key": pc.cast(values.take(some), pa.string()),
            "best": _best(limits, facts, rows),
            "chance": draw(seed, "quota", uids.to_pylist()),
            "uid": uids,
        }
    )


def _best(limits: Rule, facts: Facts, rows: np.ndarray) -> np.ndarray:
    """The values of `best_by`, the greatest first, as int64 of that order; rows without one come last."""
    if limits.best_by is None:
        return np.zeros(len(rows), dtype=np.int64)
    values, missing = facts.numbers(limits.best_by)
    numbers = ordered(values[rows]).astype(np.uint64)
    falling = (~numbers ^ np.uint64(1 << 63)).view(np.int64)
    return np.where(missing[rows], np.iinfo(np.int64).max, falling)


def over_of(over: pa.Table | None, begin: int, rows: int) -> Over:
    """Of what is too many in a part (OVER), that of the row group that begins at row `begin`, by the quota's place."""
    if over is None:
        return {}
    place, row = over["place"].to_numpy(), over["row"].to_numpy() - begin
    inside = (row >= 0) & (row < rows)
    found = {int(one): np.zeros(rows, dtype=bool) for one in np.unique(place)}
    for one, flags in found.items():
        flags[row[inside & (place == one)]] = True
    return found
