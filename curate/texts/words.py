"""Words, letters and repetition of texts, counted over their code points."""

from typing import NamedTuple

import numpy as np

from curate.kernels import compiled
from curate.texts.points import Points

SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""2**64 by the golden ratio, odd: the usual multiplier to spread the bits of a hash."""


class Words(NamedTuple):
    """What is counted of each text: arrays with a value a text."""

    words: np.ndarray
    """int32, as `str.split` splits."""
    letters: np.ndarray
    """float32: share of letters and their marks among the characters that are not blank; 0 where there are none."""
    repetition: np.ndarray
    """float32, see `count`."""


def count(texts: Points) -> Words:
    """Counts the words and characters of texts.

    Repetition is the share of the characters of words that lie in a pair of neighbouring words which stands in the text more than
    once, each character counted once: the measure of the Gopher rules (Rae et al. 2021, table A1: characters in duplicate n-grams)
    with n = 2, because texts of images are seldom long enough for theirs of 5 to 10. Words are told apart by a hash of 64 bits.
    """
    return Words(*_count(texts.points, texts.ends, texts.kinds))


@compiled
def _count(points, ends, kinds):
    rows, longest = len(ends) - 1, 0
    for row in range(rows):
        longest = max(longest, ends[row + 1] - ends[row])
    most = longest // 2 + 1
    size = 1
    while size < 4 * most:
        size *= 2
    words, letters, repetition = np.empty(rows, np.int32), np.empty(rows, np.float32), np.empty(rows, np.float32)
    hashes, lengths, repeated = np.empty(most, np.uint64), np.empty(most, np.int64), np.empty(most, np.bool_)
    # A slot of the table of pairs counts only where its stamp is this row's: so it need not be emptied.
    pairs, first, stamps = np.empty(size, np.uint64), np.empty(size, np.int64), np.full(size, -1, np.int64)
    for row in range(rows):
        n, inside, letter, solid = 0, False, 0, 0
        for at in range(ends[row], ends[row + 1]):
            kind = kinds[points[at]]
            if kind & 1:
                inside = False
                continue
            if not inside:
                hashes[n], lengths[n], repeated[n] = 14695981039346656037, 0, False
                n, inside = n + 1, True
            hashes[n - 1] = (hashes[n - 1] ^ np.uint64(points[at])) * np.uint64(1099511628211)  # FNV-1a by characters
            lengths[n - 1] += 1
            solid += 1
            letter += kind >> 1
        for i in range(n - 1):
            pair = (hashes[i] * SPREAD) ^ (hashes[i + 1] >> np.uint64(29)) ^ hashes[i + 1]
            slot = np.int64((pair * SPREAD) >> np.uint64(32)) & (size - 1)
            while stamps[slot] == row and pairs[slot] != pair:
                slot = (slot + 1) & (size - 1)
            if stamps[slot] == row:
                repeated[i] = repeated[first[slot]] = True
            else:
                stamps[slot], pairs[slot], first[slot] = row, pair, i
        covered = 0
        for i in range(n):
            if repeated[i] or (i > 0 and repeated[i - 1]):
                covered += lengths[i]
        words[row] = n
        letters[row] = letter / solid if solid else 0.0
        repetition[row] = covered / solid if solid else 0.0
    return words, letters, repetition
