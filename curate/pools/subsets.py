"""Subset files as DataComp writes them: which uids are taken, a sorted `.npy` of dtype `u8,u8` (upper and lower 64 bits).

One may hold a billion uids (16 GB): it is mapped, not read, and searched.
"""

from functools import cache

import fsspec
import numpy as np
import pyarrow as pa
import xxhash

from curate.pools.table_columns import TableError
from curate.uid import U8U8

BLOCK_RECORDS = 2**20
_NIBBLES = np.zeros(256, dtype=np.uint8)
_NIBBLES[np.frombuffer(b"0123456789abcdef", dtype=np.uint8)] = np.arange(16, dtype=np.uint8)


class Subset:
    """A subset file, mapped."""

    def __init__(self, path: str):
        self.path = path
        # What is not on this machine's disk is copied there once for each process.
        local = path if "://" not in path else fsspec.open_local(f"simplecache::{path}")
        try:
            found = np.load(str(local), mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise TableError(f"{path}: no subset file: {error}. {_WANTED}") from error
        if not isinstance(found, np.ndarray) or found.dtype != U8U8 or found.ndim != 1:
            kind = f"dtype {found.dtype}, shape {found.shape}" if isinstance(found, np.ndarray) else "an archive"
            raise TableError(f"{path}: no subset file: {kind}. {_WANTED}")
        self._words = found.view("u8").reshape(-1, 2)

    def __len__(self) -> int:
        return len(self._words)

    def has(self, uids: np.ndarray) -> np.ndarray:
        """For uids as upper and lower words (uint64, shape (n, 2)) whether each is in the file: bool, shape (n,)."""
        high, low = uids[:, 0], uids[:, 1]
        first, last = np.zeros(len(uids), dtype=np.int64), np.full(len(uids), len(self), dtype=np.int64)
        # Bisection of all at once; np.searchsorted would copy the mapped column, as it is not contiguous.
        for _ in range(len(self).bit_length()):
            middle = (first + last) >> 1
            there = self._words[np.minimum(middle, len(self) - 1)]
            less = (there[:, 0] < high) | ((there[:, 0] == high) & (there[:, 1] < low))
            less &= first < last
            first, last = np.where(less, middle + 1, first), np.where(less, last, middle)
        there = self._words[np.minimum(first, len(self) - 1)] if len(self) else np.zeros_like(uids)
        return (first < len(self)) & (there == uids).all(axis=1)

    def mark(self) -> str:
        """What is in it, in words and as a hash, read once in blocks. Raises TableError when it is not sorted."""
        hashed, before = xxhash.xxh3_128(), np.empty((0, 2), dtype=np.uint64)
        for start in range(0, len(self), BLOCK_RECORDS):
            block = np.array(self._words[start : start + BLOCK_RECORDS])
            joined = np.concatenate((before, block))
            high, low = joined[:, 0], joined[:, 1]
            falls = (high[1:] < high[:-1]) | ((high[1:] == high[:-1]) & (low[1:] < low[:-1]))
            if falls.any():
                record = start - len(before) + int(np.argmax(falls)) + 1
                raise TableError(
                    f"{self.path}: not sorted: record {record:,} is less than the one before it. Sort it once: "
                    f"python -c \"import numpy as np; p = '{self.path}'; np.save(p, np.sort(np.load(p)))\""
                )
            hashed.update(block.tobytes())
            before = block[-1:]
        return f"{len(self)} uids, {hashed.hexdigest()}"


_WANTED = (
    "It has to be a .npy of sorted uids, dtype 'u8,u8', one dimension, as DataComp and `curate` (subset.npy) write them"
)


@cache
def load(path: str) -> Subset:
    """The subset at a path; once for each process. Raises TableError."""
    return Subset(path)


def words(uids: pa.Array) -> np.ndarray:
    """uids of 32 lower-case hex digits, without nulls, as upper and lower words: uint64, shape (n, 2)."""
    digits = np.frombuffer("".join(uids.to_pylist()).encode(), dtype=np.uint8).reshape(-1, 32)
    nibbles = _NIBBLES[digits]
    packed = (nibbles[:, ::2] << 4) | nibbles[:, 1::2]
    return np.ascontiguousarray(packed).view(">u8").astype(np.uint64)
