"""Names of rows: 128 bits as 32 lower-case hex digits, as DataComp writes them."""

from collections.abc import Sequence

import numpy as np
import xxhash

U8U8 = np.dtype("u8,u8")


def pair_uid(url: str, text: str) -> str:
    """The uid of an image-text pair: xxh3-128 of its absolute URL, a zero byte and its text (UTF-8)."""
    return xxhash.xxh3_128_hexdigest(url.encode() + b"\0" + text.encode("utf-8", "surrogatepass"))


def image_uid(url: str) -> str:
    """The uid of an image: xxh3-128 of its absolute URL."""
    return xxhash.xxh3_128_hexdigest(url.encode())


def part_of(image: str, parts: int) -> int:
    """The part, in [0, parts), that an image and all its texts live in: by the upper 64 bits of the image's uid."""
    return (int(image[:16], 16) * parts) >> 64


def subset(uids: Sequence[str]) -> np.ndarray:
    """Sorted, distinct uids as DataComp's subset files hold them: dtype `u8,u8`, upper and lower 64 bits, shape (n,)."""
    pairs = [(int(uid[:16], 16), int(uid[16:], 16)) for uid in sorted(set(uids))]
    return np.array(pairs, dtype=U8U8)


def from_subset(array: np.ndarray) -> list[str]:
    """The uids of a subset array (dtype `u8,u8`, shape (n,)), as hex digits."""
    return [f"{int(high):016x}{int(low):016x}" for high, low in array]
