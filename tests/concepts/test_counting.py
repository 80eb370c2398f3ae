"""Counts merge: however a pool is cut, the sum is that of the whole."""

from collections import Counter
from functools import reduce
from itertools import pairwise

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from curate import schema
from curate.concepts.counting import count, dense, merge

ROW = st.fixed_dictionaries(
    {
        "state": st.sampled_from(["kept", "kept", "dropped", "failed"]),
        "lang": st.sampled_from(["en", "de"]),
        "entries": st.lists(st.integers(0, 6), unique=True).map(sorted),
    }
)


def table(rows: list[dict]) -> pa.Table:
    kinds = {"state": pa.string(), "lang": pa.string(), "entries": pa.list_(pa.int32())}
    return pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()})


@given(st.lists(ROW, max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_counts_of_parts_add_up_to_those_of_the_whole(rows, cuts):
    whole = Counter((row["lang"], entry) for row in rows if row["state"] == "kept" for entry in row["entries"])
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    pieces = [count(table(rows).slice(a, b - a)) for a, b in pairwise(edges)]
    merged = reduce(merge, pieces)
    got = [(r["lang"], r["entry"], r["count"]) for r in merged.to_pylist()]
    assert got == sorted((lang, entry, n) for (lang, entry), n in whole.items())
    assert schema.load("counts").hold(merged)["count"].to_pylist() == [n for _, _, n in got]
    arrays = dense(merged)
    assert all(arrays[lang][entry] == n for (lang, entry), n in whole.items())
    assert sum(int(array.sum()) for array in arrays.values()) == whole.total()
