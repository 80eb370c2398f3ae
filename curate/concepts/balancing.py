"""MetaCLIP's balancing: entries with few matches keep all their texts, those with many about t."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.draw import draw
from curate.ledger import DROPPED, GONE, KEPT, alive
from curate.recipe import Balance

MATCHES = ("state", "lang", "entries")
"""What balancing reads of `matches`."""


def entry_probability(counts: np.ndarray, t: int) -> np.ndarray:
    """The probability that an entry keeps a text that matches it: t / max(t, count); float64, same shape."""
    return t / np.maximum(t, counts)


def keep_probability(entries: np.ndarray, offsets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """1 - product over a row's entries of (1 - p(entry)); float64, one per row.

    `entries` are the ids of all rows end to end, row i has those in [offsets[i], offsets[i + 1]), at least one;
    `probabilities` is indexed by id. The product runs in the order of the ids, so equal rows get equal bits.
    """
    if len(offsets) == 1:
        return np.empty(0)
    return 1 - np.multiply.reduceat(1 - probabilities[entries], offsets[:-1])


def balance(matches: pa.Table, counts: Mapping[str, np.ndarray], settings: Balance, seed: int) -> pa.Table:
    """Keep probability of each matched pair, the decision by hash, and who serves as the raw baseline.

    In: `uid`, `state`, `lang`, `entries` of `matches`; `counts` by language, dense by entry id. Out: the columns of
    `schemas/balanced.yaml`, row for row. The baseline is drawn from all rows, whatever they matched.
    Raises ValueError when an entry has no count: matches and counts are then not of one pool.
    """
    uids = matches["uid"].to_pylist()
    matched = alive(matches["state"]).to_numpy(zero_copy_only=False)
    draws = np.full(len(uids), np.nan)
    draws[matched] = draw(seed, "balance", [uid for uid, is_in in zip(uids, matched, strict=True) if is_in])
    keep = _probabilities(matches, matched, counts, settings.t)
    kept = draws < keep
    state = np.where(matched, np.where(kept, KEPT, DROPPED), GONE).tolist()
    return pa.table(
        {
            "uid": matches["uid"],
            "state": pa.array(state, pa.string()),
            "reason": pa.array(["balanced_out" if word == DROPPED else None for word in state], pa.string()),
            "keep_probability": pa.array(keep, pa.float64(), mask=~matched),
            "draw": pa.array(draws, pa.float64(), mask=~matched),
            "baseline": pa.array(draw(seed, "baseline", uids) < settings.baseline_fraction),
        }
    )


def _probabilities(matches: pa.Table, matched: np.ndarray, counts: Mapping[str, np.ndarray], t: int) -> np.ndarray:
    keep = np.full(len(matches), np.nan)
    langs = np.array(matches["lang"].to_pylist(), dtype=object)
    for lang in sorted(set(langs[matched])):
        rows = np.flatnonzero(matched & (langs == lang))
        lists = matches["entries"].take(rows).combine_chunks()
        ids = pc.list_flatten(lists).to_numpy()
        known = counts.get(lang, np.empty(0, dtype=np.int64))
        if ids.max(initial=-1) >= len(known) or not known[ids].all():
            raise ValueError(f"an entry of {lang!r} matches a text but has no count; redo the stage match")
        offsets = np.concatenate([[0], np.cumsum(pc.list_value_length(lists).to_numpy())])
        keep[rows] = keep_probability(ids, offsets, entry_probability(known, t))
    return keep
