"""Names of rows: 128 bits as 32 lower-case hex digits, as DataComp writes them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

U8U8 = np.dtype("u8,u8")

_DIGITS = np.full(256, 255, dtype=np.uint8)
_DIGITS[list(b"0123456789abcdef")] = np.arange(16)


def pair_uid(url: str, text: str) -> str:
    """The uid of an image-text pair: xxh3-128 of its absolute URL, a zero byte and its text (UTF-8)."""
    return xxhash.xxh3_128_hexdigest(url.encode() + b"\0" + text.encode("utf-8", "surrogatepass"))


def image_uid(url: str) -> str:
    """The uid of an image: xxh3-128 of its absolute URL."""
    return xxhash.xxh3_128_hexdigest(url.encode())


def part_of(image: str, parts: int) -> int:
    """The part, in [0, parts), that an image and all its texts live in: by the upper 64 bits of the image's uid."""
    return (int(image[:16], 16) * parts) >> 64


def subset(uids: Sequence[str] | pa.StringArray) -> np.ndarray:
    """Sorted, distinct uids as DataComp's subset files hold them: dtype `u8,u8`, upper and lower 64 bits, shape (n,).

    Raises ValueError for one that is not 32 lower-case hex digits.
    """
    column = uids if isinstance(uids, pa.StringArray) else pa.array(uids, pa.string())
    if not pc.all(pc.equal(pc.binary_length(column), 32), min_count=0).as_py():
        raise ValueError("a uid has 32 hex digits")
    _, offsets, held = column.buffers()
    first = int(np.frombuffer(offsets, dtype=np.int32)[column.offset]) if len(column) else 0
    data = np.frombuffer(held or b"", dtype=np.uint8)[first : first + 32 * len(column)]
    digits = _DIGITS[data].reshape(-1, 32)
    if (digits > 15).any():
        raise ValueError("a uid has 32 hex digits")
    high, low = (digits[:, ::2] << 4 | digits[:, 1::2]).view(">u8").astype(np.uint64).T
    order = np.lexsort((low, high))
    pairs = np.empty(len(order), dtype=U8U8)
    pairs["f0"], pairs["f1"] = high[order], low[order]
    again = np.zeros(len(pairs), dtype=bool)
    again[1:] = pairs[1:] == pairs[:-1]
    return pairs[~again]


def from_subset(array: np.ndarray) -> list[str]:
    """The uids of a subset array (dtype `u8,u8`, shape (n,)), as hex digits."""
    return [f"{int(high):016x}{int(low):016x}" for high, low in array]
