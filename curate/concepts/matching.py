"""The stage's work: the language of each text, and which entries of that language's list stand in it.

The rules are defined in `rules`; what finds their matches is an `index`, made of `words` and `characters`.
"""

import numpy as np
import pyarrow as pa

from curate.concepts import index
from curate.kernels import compiled
from curate.ledger import DROPPED, FAILED, KEPT
from curate.recipe import Match
from curate.texts import language
from curate.texts.buffers import laid_out

STATES = (KEPT, DROPPED, FAILED)
REASONS = ("no_metadata", "no_entry", "no_language")
MATCHED, NO_METADATA, NO_ENTRY, NO_LANGUAGE = range(4)
"""What may become of a text."""
STATE_OF, REASON_OF = np.array([0, 1, 1, 2], np.int32), np.array([-1, 0, 1, 2], np.int32)
"""Places in STATES and REASONS for each of these."""


def match(pairs: pa.Table, settings: Match) -> pa.Table:
    """Language and matched entries of each pair.

    In: `uid`, `text`. Out: the columns of `schemas/matches.yaml`, row for row. A text whose language has no list in
    this run is dropped as `no_metadata`, one in which no entry stands as `no_entry`.
    """
    texts = one_array(pairs["text"])
    identified = language.identify(texts, settings.language_model)
    wanted = np.array([label in settings.languages for label in (*identified.labels, None)])
    has_list = wanted[identified.codes]
    ids, counts = find(texts, identified, has_list, settings)
    without = np.where(has_list, NO_ENTRY, np.where(identified.codes < 0, NO_LANGUAGE, NO_METADATA))
    outcomes = np.where(counts > 0, MATCHED, without)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    columns = {
        "uid": pairs["uid"],
        "state": _words(STATE_OF[outcomes], STATES),
        "reason": _words(REASON_OF[outcomes], REASONS),
        "lang": _words(identified.codes, identified.labels),
        "lang_score": pa.array(identified.scores, pa.float32()),
        "entries": pa.ListArray.from_arrays(offsets, pa.array(ids, pa.int32())),
    }
    return pa.table(columns)


def find(
    texts: pa.Array, identified: language.Identified, has_list: np.ndarray, settings: Match
) -> tuple[np.ndarray, np.ndarray]:
    """Entry ids (int32) of all texts end to end, ascending within each, and their number for each text (int64)."""
    counts = np.zeros(len(texts), np.int64)
    answers = []
    for code in np.unique(identified.codes[has_list]):
        rows = np.flatnonzero(identified.codes == code)
        found = index.opened(settings.metadata, identified.labels[code], settings.rule).match(texts, rows)
        counts[rows] = found[1]
        answers.append((rows, *found))
    if len(answers) == 1:
        return answers[0][1], counts
    ids, ends = np.empty(counts.sum(), np.int32), np.cumsum(counts)
    for rows, values, numbers in answers:
        _spread(values, numbers, ends[rows] - numbers, ids)
    return ids, counts


@compiled
def _spread(values, numbers, starts, out):
    """Copies runs of values, of these lengths, to where they belong."""
    n = 0
    for i in range(len(numbers)):
        for j in range(numbers[i]):
            out[starts[i] + j] = values[n]
            n += 1


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array of texts `laid_out`; copied only where it is in several pieces, or laid out otherwise."""
    return laid_out(column.chunk(0) if column.num_chunks == 1 else column.combine_chunks())


def _words(codes: np.ndarray, words: tuple[str, ...]) -> pa.DictionaryArray:
    """Strings by their numbers; null for -1."""
    numbers = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(numbers, pa.array(words, pa.string()))
