"""The index of an entry list: built once on a machine, a file of flat arrays that all its workers share.

It is kept in the `cache` under the fingerprint of its list, the rule, and LAYOUT. A list is read, and an index opened, when the
first text of its language comes.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import xxhash

from curate.concepts import cache, characters, entries, words
from curate.concepts.characters import CharacterIndex
from curate.concepts.native import PADDING
from curate.concepts.rules import impossible, padded_all, stands_apart
from curate.concepts.words import WordIndex
from curate.kernels import compiled
from curate.texts.buffers import buffers

LAYOUT = 2
"""Changes with the arrays or the hashes in them: an index of another layout is built anew."""
FEW = 50
"""A list with one entry by words to so many by characters is matched by characters alone."""


class Index(NamedTuple):
    """What finds the entries of one list by one rule. Either part is None where no entry asks for it."""

    ids: np.ndarray | None
    """int32, one for each entry of the list, ascending; None where they are 0, 1, 2, ... and so the places themselves."""
    words: WordIndex | None
    characters: CharacterIndex | None

    def match(self, texts: pa.Array, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Entries of some texts: their ids (int32), ascending and each once for a text, and how many each row has (int64).

        `texts` are `laid_out`, `rows` (int64) says which of them; none of those is null.
        """
        offsets, data = buffers(texts)
        found = []
        if self.words is not None:
            found.append(words.match(self.words, data.ctypes.data, offsets, rows))
        if self.characters is not None:
            found.append(characters.match(self.characters, data, offsets, rows, characters.KIND))
        if not found:
            return np.empty(0, np.int32), np.zeros(len(rows), np.int64)
        places, counts = found[0] if len(found) == 1 else _merged(*found[0], *found[1])
        return (places if self.ids is None else self.ids[places]), counts


@compiled
def _merged(one, one_counts, other, other_counts):
    """Two answers for the same rows as one; no entry is in both."""
    out, counts = np.empty(len(one) + len(other), one.dtype), one_counts + other_counts
    i = j = n = 0
    for row in range(len(counts)):
        i_end, j_end = i + one_counts[row], j + other_counts[row]
        while i < i_end or j < j_end:
            take = j == j_end or (i < i_end and one[i] < other[j])
            out[n] = one[i] if take else other[j]
            i += take
            j += not take
            n += 1
    return out, counts


def build(table: pa.Table, rule: str) -> Index:
    """The index of an entry list (`schemas/entries.yaml`) by a rule; entries that can never match are left out."""
    table = table.sort_by("id")
    texts = table["text"].combine_chunks().cast(pa.large_string())
    usable = ~impossible(texts, rule)
    apart = stands_apart(texts, rule)
    by_words, by_characters = usable & apart, usable & ~apart
    if FEW * by_words.sum() < by_characters.sum():
        # Not worth a second pass over every text: to characters a blank is a character.
        by_words, by_characters = by_words & False, usable
    ids = table["id"].to_numpy().astype(np.int32)
    return _sealed(
        Index(
            None if np.array_equal(ids, np.arange(len(ids))) else ids,
            words.build(*_bytes(texts), by_words) if by_words.any() else None,
            characters.build(*_bytes(padded_all(texts, rule)), by_characters) if by_characters.any() else None,
        )
    )


def _sealed(index: Index) -> Index:
    """The same, to be read only, as what comes from a file is: to the compiler such arrays are a type of their own."""
    for _, array in cache.flat("", index):
        array.flags.writeable = False
    return index


def _bytes(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """An array's bytes, with spare ones behind the last, and offsets from their beginning."""
    offsets, data = buffers(texts)
    spare = np.zeros(PADDING, np.uint8)
    return np.concatenate([data[offsets[0] : offsets[-1]], spare]), (offsets - offsets[0]).astype(np.int64)


# -- kept on this machine


def opened(metadata: str, language: str, rule: str) -> Index:
    """The index of a language's list, from the machine's cache; built and put there by the first that asks for it.

    A list on this machine that has changed since is opened anew; one elsewhere is looked at once in a process.
    Raises RecipeError when there is no list for the language, CacheError when the cache cannot be written or is not safe.
    """
    return _opened(metadata, language, rule, entries.state(metadata, language))


@lru_cache(maxsize=1024)  # More than there are languages: what is mapped costs a worker next to nothing.
def _opened(metadata: str, language: str, rule: str, state: tuple[int, ...]) -> Index:
    # Read once: a list that changes meanwhile must not be kept under the fingerprint of the one before.
    data = entries.read(metadata, language)
    mark = f"{language}-{xxhash.xxh3_128_hexdigest(data)}-{rule}-{LAYOUT}"
    file = cache.folder() / f"{mark}.index"
    return cache.kept(file, Index, lambda: build(entries.parse(data, metadata, language), rule))
