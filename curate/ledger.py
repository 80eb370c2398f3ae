"""The account of rows: rows in = kept + dropped (by reason) + failed (by status), for every part of every stage."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import CurateError

KEPT, DROPPED, FAILED, GONE = "kept", "dropped", "failed", "gone"
STATES = (KEPT, DROPPED, FAILED, GONE)
"""What a stage says of a row of the dataset that it annotates. `gone`: an earlier stage dropped or failed it."""


class LedgerError(CurateError, RuntimeError):
    """Rows were lost, doubled, or left for a reason outside the stage's closed list."""


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of rows that entered a stage (or one part of it) and how they left it.

    `notes` are other counts that people want (files, pages, repaired texts); they are not part of the balance.
    """

    rows_in: int = 0
    kept: int = 0
    dropped: dict[str, int] = msgspec.field(default_factory=dict)
    failed: dict[str, int] = msgspec.field(default_factory=dict)
    notes: dict[str, int] = msgspec.field(default_factory=dict)

    def __add__(self, other: "Ledger") -> "Ledger":
        return Ledger(
            rows_in=self.rows_in + other.rows_in,
            kept=self.kept + other.kept,
            dropped=_merged(self.dropped, other.dropped),
            failed=_merged(self.failed, other.failed),
            notes=_merged(self.notes, other.notes),
        )

    def check(self, where: str, dropped: Iterable[str], failed: Iterable[str]) -> "Ledger":
        """This ledger, if it balances and its words are in the closed lists; LedgerError naming `where` otherwise."""
        for given, known, kind in ((self.dropped, set(dropped), "reason"), (self.failed, set(failed), "status")):
            strangers = sorted(set(given) - known)
            if strangers:
                raise LedgerError(f"{where}: unknown {kind} {strangers[0]!r}; the schema lists {sorted(known)}")
        left = self.kept + sum(self.dropped.values()) + sum(self.failed.values())
        if left != self.rows_in:
            raise LedgerError(f"{where}: {self.rows_in} rows in, but {left} = kept + dropped + failed: {self}")
        return self


def total(ledgers: Iterable[Ledger]) -> Ledger:
    """The sum of ledgers, with reasons in alphabetical order so that equal sums are equal bytes."""
    return sum(ledgers, Ledger())


def of_states(state: pa.ChunkedArray | pa.Array, reason: pa.ChunkedArray | pa.Array) -> Ledger:
    """The ledger of an annotated batch, from its `state` and `reason` columns. `gone` rows did not enter the stage.

    Raises LedgerError for an unknown state, a kept row with a reason, or a dropped or failed row without one.
    """
    counts: dict[str, Counter[str]] = {name: Counter() for name in STATES}
    (states, words), (reasons, why) = _encoded(state), _encoded(reason)
    pairs = np.bincount(states * (len(why) + 1) + reasons, minlength=(len(words) + 1) * (len(why) + 1))
    for pair in np.flatnonzero(pairs):
        word, reason_word = [*words, None][pair // (len(why) + 1)], [*why, None][pair % (len(why) + 1)]
        if word not in counts:
            raise LedgerError(f"unknown state {word!r}; states are {STATES}")
        if (word in (DROPPED, FAILED)) != (reason_word is not None):
            raise LedgerError(f"a row with state {word!r} has reason {reason_word!r}")
        counts[word][reason_word or ""] += int(pairs[pair])
    return Ledger(
        rows_in=len(state) - counts[GONE].total(),
        kept=counts[KEPT].total(),
        dropped=_merged(counts[DROPPED], {}),
        failed=_merged(counts[FAILED], {}),
    )


def _encoded(words: pa.ChunkedArray | pa.Array) -> tuple[np.ndarray, list[str | None]]:
    """A column as numbers (int64, the number of words for null) and the words that they stand for."""
    whole = words.combine_chunks() if isinstance(words, pa.ChunkedArray) else words
    whole = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    numbers = whole.indices.fill_null(len(whole.dictionary)).to_numpy().astype(np.int64)
    return numbers, whole.dictionary.to_pylist()


def alive(state: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Boolean mask of the rows that an earlier stage kept."""
    return pc.equal(state, KEPT)


def _merged(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in sorted({*one, *other})}
