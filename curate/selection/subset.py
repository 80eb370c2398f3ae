"""The selected uids as DataComp's tools read them: one sorted `.npy` of dtype `u8,u8` (upper and lower 64 bits).

Parts are cut by image, so their uids interleave: each part leaves a sorted file, and those are merged as streams, a
block of each in memory at a time.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from curate.store import Dataset
from curate.uid import U8U8, subset

FILE = "subset.npy"
BLOCK_RECORDS = 2**22
"""Records in memory at once, over all parts; 64 MiB."""


def write_sorted(target: Dataset, part: str, uids: Sequence[str] | pa.StringArray) -> None:
    """A part's uids, sorted, beside it as `<part>.npy`."""
    with target.sidecar(f"{part}.npy") as file:
        _write_header(file, len(found := subset(uids)))
        file.write(found.tobytes())


def merge(target: Dataset, parts: Sequence[str]) -> int:
    """Merges the sorted files of the parts into `subset.npy`; returns the number of uids."""
    with ExitStack() as stack:
        runs = [_Run(stack.enter_context(target.fs.open(target.path(f"{part}.npy"), "rb"))) for part in parts]
        total = sum(run.left for run in runs)
        with target.sidecar(FILE) as file:
            _write_header(file, total)
            for block in _merged(runs, max(1024, BLOCK_RECORDS // max(1, len(runs)))):
                file.write(block.tobytes())
    return total


class _Run:
    """A sorted file, read a block at a time."""

    def __init__(self, file: BinaryIO):
        np.lib.format.read_magic(file)
        (self.left,), _, _ = np.lib.format.read_array_header_1_0(file)
        self._file, self.block = file, np.empty(0, dtype=U8U8)

    def fill(self, records: int) -> None:
        if not len(self.block) and self.left:
            take = min(self.left, records)
            self.block = np.frombuffer(self._file.read(take * U8U8.itemsize), dtype=U8U8)
            self.left -= take

    def take_up_to(self, high: np.uint64, low: np.uint64) -> np.ndarray:
        """Removes and returns what is at most (high, low)."""
        within = (self.block["f0"] < high) | ((self.block["f0"] == high) & (self.block["f1"] <= low))
        taken, self.block = self.block[: (count := int(within.sum()))], self.block[count:]
        return taken


def _merged(runs: Sequence[_Run], records: int) -> Iterator[np.ndarray]:
    """Sorted blocks. Up to the smallest last record of the blocks in memory, nothing can still come from any file."""
    while True:
        for run in runs:
            run.fill(records)
        full = [run for run in runs if len(run.block)]
        if not full:
            return
        high, low = min((run.block[-1]["f0"], run.block[-1]["f1"]) for run in full)
        block = np.concatenate([run.take_up_to(high, low) for run in full])
        yield block[np.lexsort((block["f1"], block["f0"]))]


def _write_header(file: BinaryIO, records: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(U8U8), "fortran_order": False, "shape": (records,)}
    np.lib.format.write_array_header_1_0(file, header)
