"""MetaCLIP 1's rule: which entries of a list stand in a text, by substring after spacing.

A text is padded with a blank at both ends; each of , . ; : ? ! and the backtick becomes " X "; tab, newline and
carriage return become a blank. Blanks are not collapsed, and case matters. An entry is " entry ". So an entry in which
one of the seven marks touches a letter can never match (Xu et al., Demystifying CLIP Data, 2023).
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.concepts import entries, language
from curate.ledger import DROPPED, FAILED, KEPT
from curate.recipe import Match

MARKS, BLANKS = ",.;:?!`", "\t\n\r"
IMPOSSIBLE = re.compile(f"[{BLANKS}]|[^ ][{MARKS}]|[{MARKS}][^ ]|[{MARKS}] [{MARKS}]")
"""What no spaced text holds: every mark has blanks of its own on both sides, so two of them have two between."""
CHUNK_BYTES = 2**20
"""Spaced text searched at once. It bounds the matches held at once, even of a text made of one-letter entries."""


def matchable(entry: str) -> bool:
    """Whether the rule can find the entry in any text."""
    return bool(entry) and not IMPOSSIBLE.search(f" {entry} ")


def spaced(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Texts as the rule reads them, each closed by a newline, which no spaced text or entry holds."""
    flat = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    flat = pc.replace_substring_regex(flat, f"[{BLANKS}]", " ")
    flat = pc.replace_substring_regex(flat, f"([{MARKS}])", r" \1 ")
    return pc.binary_join_element_wise(" ", flat, " \n", "")


class Matcher:
    """An Aho-Corasick automaton over one entry list: bytes in UTF-8, overlapping matches."""

    def __init__(self, texts: Sequence[str], ids: Sequence[int]):
        from ahocorasick_rs import BytesAhoCorasick

        column = pa.array(texts, pa.string())
        padded = pc.binary_join_element_wise(" ", column, " ", "")
        impossible = pc.match_substring_regex(padded, IMPOSSIBLE.pattern)
        usable = pc.and_not(pc.not_equal(column, ""), impossible)
        self._ids = pa.array(ids, pa.int32()).filter(usable).to_numpy()
        self._automaton = BytesAhoCorasick(padded.filter(usable).cast(pa.binary()).to_pylist())

    def match(self, texts: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
        """All matches as (row, entry id), int64 and int32, ordered by both, each pair once. `texts` holds no nulls."""
        found = [self._search(first, buffer, ends) for first, buffer, ends in _chunks(spaced(texts))]
        keys = np.concatenate(found) if found else np.empty(0, dtype=np.int64)
        return keys >> 32, (keys & 0xFFFFFFFF).astype(np.int32)

    def _search(self, first: int, buffer: memoryview, ends: np.ndarray) -> np.ndarray:
        matches = self._automaton.find_matches_as_indexes(buffer, overlapping=True)
        flat = np.fromiter(chain.from_iterable(matches), dtype=np.int64, count=3 * len(matches)).reshape(-1, 3)
        rows = first + np.searchsorted(ends, flat[:, 1], side="right")
        return np.unique(rows << 32 | self._ids[flat[:, 0]])


def _chunks(texts: pa.Array) -> Iterator[tuple[int, memoryview, np.ndarray]]:
    """Runs of rows: the first row, their bytes end to end, and where each row ends in them."""
    if not len(texts):
        return
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data, row = memoryview(texts.buffers()[2]).cast("B"), 0
    while row < len(texts):
        last = int(np.searchsorted(offsets, offsets[row] + CHUNK_BYTES, side="right")) - 1
        last = max(last, row + 1)
        yield row, data[offsets[row] : offsets[last]], offsets[row + 1 : last + 1] - offsets[row]
        row = last


@lru_cache(maxsize=64)
def matcher(metadata: str, lang: str) -> Matcher:
    """The matcher of a language's list, built once in a process."""
    table = entries.load(metadata, lang)
    return Matcher(table["text"].to_pylist(), table["id"].to_pylist())


def match(pairs: pa.Table, settings: Match) -> pa.Table:
    """Language and matched entries of each pair.

    In: `uid`, `text`. Out: the columns of `schemas/matches.yaml`, row for row. A text whose language has no list in
    this run is dropped as `no_metadata`, one in which no entry stands as `no_entry`.
    """
    langs, scores = language.identify(pairs["text"].to_pylist(), settings.language_model)
    state, reason = np.full(len(pairs), KEPT, dtype=object), np.full(len(pairs), None, dtype=object)
    rows, ids = _entries_of(pairs["text"], langs, settings)
    counts = np.bincount(rows, minlength=len(pairs))
    for row, lang in enumerate(langs):
        if lang is None:
            state[row], reason[row] = FAILED, "no_language"
        elif lang not in settings.languages:
            state[row], reason[row] = DROPPED, "no_metadata"
        elif not counts[row]:
            state[row], reason[row] = DROPPED, "no_entry"
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    columns = {
        "uid": pairs["uid"],
        "state": pa.array(state, pa.string()),
        "reason": pa.array(reason, pa.string()),
        "lang": pa.array(langs, pa.string()),
        "lang_score": pa.array(scores, pa.float32()),
        "entries": pa.ListArray.from_arrays(pa.array(offsets), pa.array(ids, pa.int32())),
    }
    return pa.table(columns)


def _entries_of(texts: pa.ChunkedArray, langs: list[str | None], settings: Match) -> tuple[np.ndarray, np.ndarray]:
    """Matches of every language's rows together, ordered by row and entry id."""
    names = np.array(langs, dtype=object)
    rows, ids = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int32)]
    for lang in settings.languages:
        of_language = np.flatnonzero(names == lang)
        if len(of_language):
            local, found = matcher(settings.metadata, lang).match(texts.take(of_language))
            rows.append(of_language[local])
            ids.append(found)
    every_row, every_id = np.concatenate(rows), np.concatenate(ids)
    order = np.argsort(every_row, kind="stable")
    return every_row[order], every_id[order]
