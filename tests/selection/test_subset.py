"""The subset file: sorted as a whole, whatever stood in which part, with a few records in memory at a time."""

from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.selection import subset
from curate.store import Dataset
from curate.uid import U8U8, from_subset

UID = st.one_of(
    st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    # Equal upper halves, whose order is in the lower ones.
    st.integers(0, 40).map(lambda n: f"{n // 9:016x}{n % 9:016x}"),
    st.integers(0, 40).map(lambda n: f"{2**64 - 1 - n // 9:016x}{2**64 - 1 - n % 9:016x}"),
)


@given(st.lists(st.sets(UID, max_size=30), max_size=5), st.integers(1, 8))
@settings(max_examples=150, deadline=None)
def test_the_merge_is_the_sorted_whole(tmp_path_factory, parts, block):
    target = Dataset(str(tmp_path_factory.mktemp("subset")), "selection")
    names = [f"part-{i:05d}" for i in range(len(parts))]
    for name, uids in zip(names, parts, strict=True):
        subset.write_sorted(target, name, sorted(uids, reverse=True))
    with ExitStack() as stack:
        runs = [subset._Run(stack.enter_context(open(target.path(f"{name}.npy"), "rb"))) for name in names]
        streamed = [record for piece in subset._merged(runs, block) for record in from_subset(piece)]
    everything = sorted(uid for uids in parts for uid in uids)
    assert streamed == everything
    assert subset.merge(target, names) == len(everything)
    array = np.load(target.path("subset.npy"))
    assert array.dtype == np.dtype("u8,u8")
    assert from_subset(array) == everything


def test_the_file_is_the_one_that_numpy_writes(tmp_path):
    target = Dataset(str(tmp_path), "selection")
    subset.write_sorted(target, "part-00000", ["ff" * 16, "0" * 32])
    np.save(tmp_path / "numpy.npy", np.array([(0, 0), (2**64 - 1, 2**64 - 1)], dtype=U8U8))
    assert (tmp_path / "selection" / "part-00000.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()


def test_a_part_without_its_file_is_not_passed_over(tmp_path):
    with pytest.raises(FileNotFoundError):
        subset.merge(Dataset(str(tmp_path), "selection"), ["part-00000"])
