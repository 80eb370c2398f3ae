"""Subset files as DataComp publishes them: only their pairs are read."""

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.pools import readers, subsets, tables
from curate.pools.inputs import Input
from curate.pools.table_columns import TableError
from curate.recipe import Source, Table
from curate.uid import pair_uid, subset
from tests.pools.reading_tables import URL, datacomp, read


@pytest.mark.parametrize("own", [True, False])
def test_only_pairs_of_the_subset_are_kept(tmp_path, own):
    pool = datacomp(40) if own else datacomp(40).drop_columns(["uid"])
    names = pool["uid"].to_pylist() if own else [pair_uid(URL.format(i), f"text {i}") for i in range(40)]
    np.save(tmp_path / "s.npy", subset([*names[::3], "0" * 32, "f" * 32]))
    rows, account = read(tmp_path / "0.parquet", pool, table=Table(subset=str(tmp_path / "s.npy")))
    assert [row["uid"] for row in rows] == names[::3]
    assert account.ledger().dropped == {"not_in_subset": 40 - len(names[::3])}


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3))),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1),
)
def test_a_uid_is_found_by_both_of_its_words(inside, asked):
    def hexes(pairs):
        return [f"{a << 62:016x}{b << 62:016x}" for a, b in pairs]

    found = subsets.Subset.__new__(subsets.Subset)
    found.path, found._words = "x", subset(hexes(inside)).view("u8").reshape(-1, 2)
    answer = found.has(subsets.words(pa.array(hexes(asked))))
    assert answer.tolist() == [pair in inside for pair in asked]


def test_a_subset_file_is_refused_where_it_is_none(tmp_path):
    good, where = subset([f"{random.getrandbits(128):032x}" for _ in range(1000)]), tmp_path / "s.npy"

    def said(array) -> str:
        np.save(where, array)
        subsets.load.cache_clear()
        source = Source(name="a", inputs=("x",), table=Table(subset=str(where)))
        with pytest.raises(TableError) as error:
            readers.check([Input("x.parquet", "x.parquet", 0, source)])
        return str(error.value)

    assert "not sorted: record 1 is less" in said(good[::-1]) and "np.sort(np.load(p))" in said(good[::-1])
    assert "dtype uint64, shape (1000,)" in said(good["f0"])
    assert "no subset file" in said(good.astype(">u8,>u8"))
    np.save(where, good)
    subsets.load.cache_clear()
    mark = tables.mark(Input("x", "x", 0, Source(name="a", inputs=("x",), table=Table(subset=str(where)))))
    assert mark is not None and mark.startswith("1000 uids, ")
