"""Chance: every random choice is a hash of (seed, purpose, uid), so it never depends on workers, parts or order.

A smaller probability's set lies inside a larger one's, because the draw of a row does not change with the threshold.
"""

from collections.abc import Iterable

import numpy as np
import xxhash


def draw(seed: int, purpose: str, uids: Iterable[str]) -> np.ndarray:
    """One number in [0, 1) per uid, float64, uniform over uids; independent between purposes and seeds.

    xxh3-64 of "seed:purpose:uid", its upper 53 bits as the mantissa.
    """
    prefix = f"{seed}:{purpose}:"
    hashes = np.fromiter((xxhash.xxh3_64_intdigest((prefix + uid).encode()) for uid in uids), dtype=np.uint64)
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
