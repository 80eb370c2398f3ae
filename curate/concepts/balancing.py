"""MetaCLIP's balancing: entries with few matches keep all their texts, those with many about t."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.concepts.counting import CountError
from curate.draw import draw
from curate.ledger import DROPPED, GONE, KEPT, alive
from curate.recipe import Balance

MATCHES = ("state", "lang", "entries")
"""What balancing reads of `matches`."""
Odds = Callable[[str], np.ndarray]
"""A language's entry probabilities: float64 by entry id, 0 where the pool has no count."""


def entry_probability(counts: np.ndarray, t: int) -> np.ndarray:
    """The probability that an entry keeps a text that matches it: t / max(t, count); float64, same shape."""
    return t / np.maximum(t, counts)


def odds(counts: np.ndarray, t: int) -> np.ndarray:
    """`entry_probability` where there is a count, 0 where there is none: no row may be decided by such an entry."""
    return np.where(counts > 0, entry_probability(counts, t), 0.0)


def keep_probability(entries: np.ndarray, offsets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """1 - product over a row's entries of (1 - p(entry)); float64, one per row.

    `entries` are the ids of all rows end to end, row i has those in [offsets[i], offsets[i + 1]), at least one;
    `probabilities` is indexed by id. The product runs in the order of the ids, so equal rows get equal bits.
    """
    if len(offsets) == 1:
        return np.empty(0)
    return 1 - np.multiply.reduceat(1 - probabilities[entries], offsets[:-1])


def chosen_texts(image_uids: pa.ChunkedArray, uids: pa.ChunkedArray, matched: np.ndarray, seed: int) -> np.ndarray:
    """Which rows are the one text of their image: of its matched texts that with the smallest draw; bool.

    Rows of one image stand together, as in `pairs`, and all of them are here: a whole part.
    """
    if not len(uids):
        return np.zeros(0, bool)
    whole = image_uids.combine_chunks()
    begins = np.concatenate([[True], pc.not_equal(whole[1:], whole[:-1]).to_numpy(zero_copy_only=False)])
    draws = np.full(len(uids), np.inf)
    draws[matched] = draw(seed, "text", uids.filter(pa.array(matched)).to_pylist())
    least = np.minimum.reduceat(draws, np.flatnonzero(begins))
    return matched & (draws == least[np.cumsum(begins) - 1])


def balance(matches: pa.Table, odds: Odds, settings: Balance, seed: int, chosen: np.ndarray | None = None) -> pa.Table:
    """Keep probability of each matched pair, the decision by hash, and who serves as the raw baseline.

    In: `uid`, `state`, `lang`, `entries` of `matches`; `chosen` (bool, one per row) where only one text of an image may stay.
    Out: the columns of `schemas/balanced.yaml`, row for row. The baseline is drawn from all rows, whatever they matched.
    Raises CountError when an entry has no count: matches and counts are then not of one pool.
    """
    uids = matches["uid"].to_pylist()
    matched = alive(matches["state"]).to_numpy(zero_copy_only=False)
    draws = np.full(len(uids), np.nan)
    draws[matched] = draw(seed, "balance", [uid for uid, is_in in zip(uids, matched, strict=True) if is_in])
    keep = _probabilities(matches, matched, odds)
    passes = matched if settings.online else draws < keep
    other = np.zeros(len(uids), bool) if chosen is None else matched & ~chosen
    # 0 kept, 1 balanced out, 2 another text of the image was chosen, 3 not matched
    code = np.select([~matched, other, passes], [3, 2, 0], 1).astype(np.int32)
    state = pa.DictionaryArray.from_arrays(np.array([0, 1, 1, 2], np.int32)[code], pa.array([KEPT, DROPPED, GONE]))
    reason = pa.DictionaryArray.from_arrays(
        pa.array(np.array([0, 0, 1, 0], np.int32)[code], mask=(code == 0) | (code == 3)),
        pa.array(["balanced_out", "other_text"]),
    )
    return pa.table(
        {
            "uid": matches["uid"],
            "state": state,
            "reason": reason,
            "keep_probability": pa.array(keep, pa.float64(), mask=~matched),
            "draw": pa.array(draws, pa.float64(), mask=~matched),
            "baseline": pa.array(draw(seed, "baseline", uids) < settings.baseline_fraction),
        }
    )


def require_counts(lang: str, ids: np.ndarray, known: np.ndarray) -> None:
    """Raises CountError when some of a language's matched ids has 0, or nothing, in `known`, an array by entry id."""
    if ids.max(initial=-1) >= len(known) or not known[ids].all():
        first = next(int(id_) for id_ in ids if id_ >= len(known) or not known[id_])
        raise CountError(
            f"entry {first} of {lang!r} matches a text but has no count: the counts are of other matches (run the stage match again), "
            "or balance.remove_counts takes off this very pool"
        )


def _probabilities(matches: pa.Table, matched: np.ndarray, odds: Odds) -> np.ndarray:
    keep = np.full(len(matches), np.nan)
    langs = matches["lang"].combine_chunks().dictionary_encode()
    codes = langs.indices.fill_null(-1).to_numpy()
    for code in np.unique(codes[matched]):
        lang = langs.dictionary[int(code)].as_py()
        rows = np.flatnonzero(matched & (codes == code))
        lists = matches["entries"].take(rows).combine_chunks()
        ids, known = pc.list_flatten(lists).to_numpy(), odds(lang)
        require_counts(lang, ids, known)
        offsets = np.concatenate([[0], np.cumsum(pc.list_value_length(lists).to_numpy())])
        keep[rows] = keep_probability(ids, offsets, known)
    return keep
