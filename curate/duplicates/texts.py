"""Texts that are nearly the same: MinHash signatures (by rensa) cut into bands, and the Jaccard similarity of who meets in one.

A text is the set of its character 5-grams, after NFKC, case folding and running blanks together: alt texts are too short for
n-grams of words, and many languages set no blanks. Two texts of Jaccard similarity s share one of b bands of r rows with the
probability 1 - (1 - s^r)^b (Broder 1997; Leskovec, Rajaraman and Ullman, ch. 3); who meets is compared in full.
"""

import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from curate.duplicates.edges import EDGE
from curate.duplicates.nodes import Source, living_rows

ROW = "part string, uid string, image_uid string, curated boolean, similarity double, grams binary, keys array<bigint>"
GRAM = 5
PERMUTATIONS = 128
MEET = 0.99
"""Probability at least with which two texts that are just similar enough meet in a band."""
LARGEST = 1 << 16
"""Texts of a band that are compared at most."""
_SEED = 1
_PAD = "\0"


def bands_for(similarity: float) -> tuple[int, int]:
    """(bands, rows): the longest bands, which hold the fewest strangers, that let similar texts meet as MEET says."""
    for rows in range(PERMUTATIONS, 0, -1):
        bands = PERMUTATIONS // rows
        if 1 - (1 - similarity**rows) ** bands >= MEET:
            return bands, rows
    return PERMUTATIONS, 1


def rows(part: str, source: Source, similarity: float) -> Iterator[pa.Table]:
    """The living pairs of a part, columns of ROW: their 5-grams (sorted uint32 hashes as bytes) and a key for each band."""
    for found in living_rows(
        part, source, ("uid", "image_uid", "state", "curated", "text"), ("state", "similarity_score")
    ):
        hashes, starts = grams(found["text"].to_pylist())
        packed = [
            np.unique((mine >> np.uint64(32)).astype(np.uint32)).tobytes() for mine in np.split(hashes, starts[1:-1])
        ]
        scores = found["similarity_score"].cast(pa.float64()) if source.scores else pa.nulls(len(found), pa.float64())
        yield pa.table(
            {
                "part": pa.array([part] * len(found)), "uid": found["uid"], "image_uid": found["image_uid"],
                "curated": found["curated"], "similarity": scores, "grams": pa.array(packed, pa.binary()),
                "keys": pa.array(list(keys(hashes, starts, similarity)), pa.list_(pa.int64())),
            }
        )  # fmt: skip


def grams(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(hashes, starts): uint64 hashes of all 5-grams of the texts, one after the other, and where each text's begin and end.

    A text of fewer characters is one gram, filled up.
    """
    plain = [" ".join(unicodedata.normalize("NFKC", text).casefold().split()).ljust(GRAM, _PAD) for text in texts]
    codes = np.frombuffer("".join(plain).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    lengths = np.fromiter(map(len, plain), np.int64, len(plain))
    window = np.zeros(max(len(codes) - GRAM + 1, 0), np.uint64)
    for place in range(GRAM):
        window = window * np.uint64(0x100000001B3) + codes[place : place + len(window)]
    # Its text's last four characters begin no gram.
    left = np.repeat(np.cumsum(lengths), lengths)[: len(window)] - np.arange(len(window))
    starts = np.concatenate([[0], np.cumsum(lengths - GRAM + 1)]).astype(np.int64)
    return _mixed(window[left >= GRAM]), starts


def keys(hashes: np.ndarray, starts: np.ndarray, similarity: float) -> np.ndarray:
    """A key for each text and band, int64, shape (n, bands)."""
    from rensa import RMinHash

    bands, wide = bands_for(similarity)
    if len(starts) < 2:
        return np.zeros((0, bands), np.int64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, starts.tolist(), PERMUTATIONS, _SEED)
    signature = np.array(matrix.to_rows(), np.uint64)[:, : bands * wide].reshape(-1, bands, wide)
    key = np.zeros(signature.shape[:2], np.uint64)
    for place in range(wide):
        key = _mixed(key ^ signature[:, :, place])
    return key.view(np.int64)


def near(bucket: pa.Table, similarity: float) -> pa.Table:
    """Edges of a band's texts that share a key (columns uid, ascending; grams): each is tied to the first of those before it
    that are tied to nobody and have at least this Jaccard similarity with it."""
    firsts: list[tuple[str, frozenset[int]]] = []
    seen: dict[bytes, str] = {}
    ties = []
    for uid, packed in zip(bucket["uid"].to_pylist(), bucket["grams"].to_pylist(), strict=True):
        if packed in seen:
            ties.append((uid, seen[packed]))
            continue
        mine = frozenset(np.frombuffer(packed, np.uint32).tolist())
        tied = next((name for name, other in firsts if jaccard(mine, other) >= similarity), None)
        seen[packed] = tied or uid
        if tied is None:
            firsts.append((uid, mine))
        else:
            ties.append((uid, tied))
    return pa.Table.from_pylist([{"a": a, "b": b} for a, b in ties], schema=EDGE)


def jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def _mixed(values: np.ndarray) -> np.ndarray:
    """splitmix64's finalizer (Steele, Lea and Flood 2014): every bit of a value moves every bit of its hash."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
