"""What a threshold would keep: expected set sizes for several t, before anything is drawn or fetched.

One pass over `matches` gives sums by language and t. They answer what a product of entries and t does not: an entry keeps about
min(count, t) of its texts, but a text that several entries keep is one pair. So 16 thousand entries of 20 thousand texts each and
320 million matches in the tail are 640 million keeps, which fall on some 400 million pairs.

The tail here is every entry with at most t matches: its texts are all kept.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.concepts.balancing import chosen_texts, entry_probability, keep_probability, require_counts
from curate.concepts.counting import COLUMNS
from curate.concepts.merging import Pool
from curate.concepts.thresholds import Thresholds
from curate.ledger import alive
from curate.store import Dataset

CLASSES = ("tail_entry", "one_head_entry", "several_head_entries")
"""Matched pairs by their entries: some entry is in the tail; a single one, in the head; several, all in the head."""
SUMS = (
    "matches", "tail_matches", "kept_matches", "variance",
    *(f"{name}_{what}" for name in CLASSES for what in ("pairs", "kept", "keeps")),
)  # fmt: skip
"""What is added up: numbers of matches and pairs, sums of probabilities (kept, keeps), and of p (1 - p) (variance)."""
CURVE = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 1.0)
"""Shares of the entries, from the rarest on, at which the head/tail curve is given."""
Counts = Callable[[str], np.ndarray]
"""A language's counts: int64 by entry id."""


# -- a part's share of the pass


def sum_parts(
    parts: str, *, matches: Dataset, pairs: Dataset | None, pool: Pool, asked: Sequence[Thresholds], seed: int
) -> pa.Table:
    """The sums over some parts of `matches` (their names, comma-separated), read a row group at a time.

    Out: `lang`, `asked` (int32, place in `asked`) and SUMS, float64. With `pairs` only that text of an image counts which the
    stage would choose with this seed; a part's uids are then held at once. Counts are read when a language's first text comes.
    """
    counts, total = cache(pool.of), Total(asked)
    for part in parts.split(","):
        for rows in candidates(part, matches, pairs, seed):
            total.add(rows, counts)
    return total.table()


def candidates(part: str, matches: Dataset, pairs: Dataset | None, seed: int) -> Iterator[pa.Table]:
    """The rows of a part that balance draws for: `state`, `lang` and `entries`, a row group at a time."""
    chosen = None if pairs is None else _chosen(part, matches, pairs, seed)
    done = 0
    with matches.open_part(part) as file:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=list(COLUMNS))
            yield rows.filter(alive(rows["state"]) if chosen is None else chosen[done : done + len(rows)])
            done += len(rows)


def _chosen(part: str, matches: Dataset, pairs: Dataset, seed: int) -> pa.Array:
    rows = matches.read_part(part, ["uid", "state"])
    matched = alive(rows["state"]).to_numpy(zero_copy_only=False)
    return pa.array(chosen_texts(pairs.read_part(part, ["image_uid"])["image_uid"], rows["uid"], matched, seed))


class Total:
    """Sums in the making, by language: an array of shape (asked, SUMS) for each."""

    def __init__(self, asked: Sequence[Thresholds]):
        self._asked = tuple(asked)
        self._sums: dict[str, np.ndarray] = {}

    def add(self, rows: pa.Table, counts: Counts) -> None:
        """Adds rows that all matched. Raises CountError when an entry has no count."""
        for lang, ids, offsets in by_language(rows):
            known = counts(lang)
            require_counts(lang, ids, known)
            mine = [sums(known[ids], offsets, found.t[lang]) for found in self._asked]
            self._sums[lang] = self._sums.get(lang, 0) + np.array(mine)

    def table(self) -> pa.Table:
        """A row for each language and threshold, ordered."""
        langs = sorted(self._sums)
        each = len(self._asked)
        values = np.concatenate([np.zeros((0, len(SUMS))), *(self._sums[lang] for lang in langs)])
        keys = {
            "lang": pa.array([lang for lang in langs for _ in range(each)], pa.string()),
            "asked": pa.array(list(range(each)) * len(langs), pa.int32()),
        }
        return pa.table(keys | {name: pa.array(values[:, i]) for i, name in enumerate(SUMS)})


def by_language(rows: pa.Table) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(language, ids of its rows end to end, offsets int64) for each language of some matched rows."""
    langs = rows["lang"].combine_chunks().dictionary_encode()
    codes = langs.indices.to_numpy()
    for code, lang in enumerate(langs.dictionary.to_pylist()):
        lists = rows["entries"].take(pa.array(np.flatnonzero(codes == code))).combine_chunks()
        offsets = np.concatenate([[0], np.cumsum(pc.list_value_length(lists).to_numpy())])
        yield lang, pc.list_flatten(lists).to_numpy(), offsets


def sums(counts: np.ndarray, offsets: np.ndarray, t: int) -> list[float]:
    """SUMS over rows of one language; `counts` are those of the rows' entries end to end, `offsets` cut them."""
    starts, sizes = offsets[:-1], np.diff(offsets)
    odds = entry_probability(counts, t)
    keep, keeps = keep_probability(np.arange(len(odds)), offsets, odds), np.add.reduceat(odds, starts)
    tail_entries = np.add.reduceat((counts <= t).astype(np.int64), starts)
    tail = tail_entries > 0
    classes = (tail, ~tail & (sizes == 1), ~tail & (sizes > 1))
    found = [len(counts), tail_entries.sum(), (keep * sizes).sum(), (keep * (1 - keep)).sum()]
    for rows in classes:
        found += [rows.sum(), keep[rows].sum(), keeps[rows].sum()]
    return [float(value) for value in found]


# -- what the counts alone say


def head_and_tail(counts: np.ndarray, t: int) -> dict[str, int]:
    """Entries in tail and head, and the keeps that counts promise: the sum of min(count, t)."""
    tail = (counts > 0) & (counts <= t)
    keeps = int(np.minimum(counts, t).sum())
    return {"tail_entries": int(tail.sum()), "head_entries": int((counts > t).sum()), "keeps": keeps}


def curve(counts: np.ndarray) -> list[dict[str, float]]:
    """The head/tail curve: the share of the matches that the rarest entries have, at each share of CURVE.

    `counts`: int64, at least one above 0; entries that nothing matches are left out.
    """
    ordered = np.sort(counts[counts > 0])
    reached = np.cumsum(ordered) / ordered.sum()
    last = np.ceil(np.array(CURVE) * len(ordered)).astype(int) - 1
    return [
        {"entries": share, "count": int(ordered[at]), "matches": round(float(reached[at]), 6)}
        for share, at in zip(CURVE, last, strict=True)
    ]


# -- the account


def account(pool: Pool, asked: Sequence[Thresholds], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The account for all thresholds, plain values: `{thresholds: [...], curves: {lang: [...]}}`.

    `rows` are those of `sum_parts`, added up by `lang` and `asked`. Counts are read a language at a time.
    """
    found = {(row["lang"], row["asked"]): row for row in rows}
    languages: list[dict[str, Any]] = [{} for _ in asked]
    heads: list[list[dict[str, int]]] = [[] for _ in asked]
    curves = {}
    for lang in pool.languages():
        counts = pool.of(lang)
        if counts.any():
            curves[lang] = curve(counts)
        for i, thresholds in enumerate(asked):
            t, summed = thresholds.t[lang], found.get((lang, i))
            heads[i].append(head_and_tail(counts, t))
            languages[i][lang] = {"t": t} | figures([summed] if summed else [], heads[i][-1:])
    whole = [figures([row for row in rows if row["asked"] == i], heads[i]) for i in range(len(asked))]
    shares = [{"tail_share": thresholds.tail_share} for thresholds in asked]
    return {
        "thresholds": [
            one | {"languages": langs} | share for one, langs, share in zip(whole, languages, shares, strict=True)
        ],
        "curves": curves,
    }


def figures(summed: Sequence[dict[str, Any]], entries: Sequence[dict[str, int]]) -> dict[str, Any]:
    """The account of some languages together, from their sums and their heads and tails."""
    total = {name: round(sum(row[name] for row in summed), 3) for name in SUMS}
    kept = {name: total[f"{name}_kept"] for name in CLASSES}
    keeps = sum(total[f"{name}_keeps"] for name in CLASSES)
    everything, pairs = sum(kept.values()), sum(total[f"{name}_pairs"] for name in CLASSES)
    return {
        "pairs": int(pairs),
        "expected": round(everything, 3),
        "sigma": round(float(np.sqrt(total["variance"])), 3),
        "share": _share(everything, pairs),
        "classes": {
            name: {"pairs": int(total[f"{name}_pairs"]), "expected": kept[name], "keeps": total[f"{name}_keeps"]}
            for name in CLASSES
        },
        "keeps": round(keeps, 3),
        "keeps_of_counts": sum(one["keeps"] for one in entries),
        "keeps_a_pair": _share(keeps, everything),
        "matches": int(total["matches"]),
        "tail_matches": int(total["tail_matches"]),
        "tail_share_of_matches": _share(total["tail_matches"], total["matches"]),
        "expected_matches": total["kept_matches"],
        "expected_tail_share": _share(total["tail_matches"], total["kept_matches"]),
        "matches_a_pair": _share(total["kept_matches"], everything),
        "tail_entries": sum(one["tail_entries"] for one in entries),
        "head_entries": sum(one["head_entries"] for one in entries),
    }


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 6) if whole else None
