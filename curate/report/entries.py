"""Head and tail of the metadata entries before and after balancing.

Matches are not pairs: a pair that matches three entries counts once in the pool and three times here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.concepts import counting, merging
from curate.concepts.entries import fingerprint, load
from curate.concepts.merging import Pool
from curate.recipe import Recipe, RecipeError
from curate.store import Dataset

POINTS = 200
"""Points of a curve; ranks between them are left out, evenly on a logarithmic scale."""
TOP = 20


def entries(workdir: str, recipe: Recipe) -> list[dict[str, Any]] | None:
    """One account per language with an entry list, most matches first; None until balance has run.

    Before: the counts of the workdir. After: matches of the pairs that balance kept. The tail, in both, are the entries with
    at most t matches in the counts that balance decided by, other pools' included (`counts_of`: "all pools"; "this pool" where
    those are not to be found any more, as they were). Memory: two int64 arrays a language, as long as its entry list.
    """
    if not all(Dataset(workdir, name).manifest() for name in ("counts", "matches", "balanced")):
        return None
    counts, balanced = Dataset(workdir, "counts"), Dataset(workdir, "balanced")
    pool = _decided_by(workdir, recipe, balanced)
    before = {lang: counting.of_language(counts, lang) for lang in counts.require().extra["languages"]}
    after, pairs = _after(Dataset(workdir, "matches"), balanced, before)
    decided, online = balanced.require().extra, bool(balanced.require().plan.settings.get("online"))
    how = {
        "online": online,
        "counts_of": "all pools" if pool else "this pool",
        "tail_share_of_t": decided["tail_share"],
    }
    accounts = [
        _account(lang, before[lang], after[lang], pool.of(lang) if pool else before[lang], decided["t"][lang])
        | pairs[lang]
        | how
        for lang in before
    ]
    for account in accounts:
        texts = _texts(workdir, recipe.match.metadata, account["lang"], [row["entry"] for row in account["top"]])
        for row in account["top"]:
            row["text"] = texts.get(row["entry"])
    return sorted(accounts, key=lambda account: (-account["matches_before"], account["lang"]))


def _decided_by(workdir: str, recipe: Recipe, balanced: Dataset) -> Pool | None:
    """The counts that balance decided by; None when another pool's have changed since, or are gone."""
    pool, inputs = merging.sources(workdir, recipe.balance), balanced.require().plan.inputs
    named = {name for name in inputs if name.startswith(("add_counts ", "remove_counts "))}
    others = [counts for counts in (*pool.added[1:], *pool.removed) if counts.manifest() is not None]
    known = merging.marks(pool) if len(others) == len(pool.added) - 1 + len(pool.removed) else {}
    return pool if {name: inputs[name] for name in named} == known else None


def _after(
    matches: Dataset, balanced: Dataset, before: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, float]]]:
    """Matches of the kept pairs per entry; and for each language the pairs that matched, that were kept, and that were to be
    expected: the sum of the keep probabilities p of those on which the draw decided, and sigma, the root of that of p (1 - p)."""
    after = {lang: np.zeros_like(counts) for lang, counts in before.items()}
    pairs = {lang: {"pairs_matched": 0, "pairs_kept": 0, "pairs_expected": 0.0, "pairs_sigma": 0.0} for lang in before}
    columns = ["state", "reason", "keep_probability"]
    sides = zip(matches.batches(["lang", "entries", "state"]), balanced.batches(columns), strict=True)
    for table, decision in sides:
        kept, alive = (pc.equal(column, "kept").to_numpy() for column in (decision["state"], table["state"]))
        odds = pc.fill_null(decision["keep_probability"], 0).to_numpy()
        odds = np.where(pc.fill_null(pc.equal(decision["reason"], "other_text"), False).to_numpy(), 0, odds)
        langs = table["lang"].combine_chunks().dictionary_encode()
        codes, lists = langs.indices.fill_null(-1).to_numpy(), table["entries"].combine_chunks()
        for code, lang in enumerate(langs.dictionary.to_pylist()):
            if lang in before:
                rows = np.flatnonzero(kept & (codes == code))
                counting.tally(lists.offsets.to_numpy(), lists.values.to_numpy(), rows, after[lang])
                pairs[lang]["pairs_matched"] += int((alive & (codes == code)).sum())
                pairs[lang]["pairs_kept"] += len(rows)
                p = odds[alive & (codes == code)]
                pairs[lang]["pairs_expected"] += float(p.sum())
                pairs[lang]["pairs_sigma"] += float((p * (1 - p)).sum())
    for found in pairs.values():
        found["pairs_sigma"] = found["pairs_sigma"] ** 0.5
    return after, pairs


def _account(lang: str, before: np.ndarray, after: np.ndarray, decided_by: np.ndarray, t: int) -> dict[str, Any]:
    # As in `curate plan balance`: all texts of an entry with exactly t are kept. What another pool alone matches is longer.
    tail = decided_by[: len(before)] <= t
    sums = {"before": int(before.sum()), "after": int(after.sum())}
    tails = {"before": int(before[tail].sum()), "after": int(after[tail].sum())}
    order = np.lexsort((np.arange(len(before)), -before))[:TOP]
    top = [{"entry": int(i), "before": int(before[i]), "after": int(after[i])} for i in order if before[i]]
    return {
        "lang": lang, "t": t, "entries_matched": int((before > 0).sum()), "entries_in_head": int(((before > 0) & ~tail).sum()),
        "entries_lost": int(((before > 0) & (after == 0)).sum()),
        "matches_before": sums["before"], "matches_after": sums["after"],
        "tail_share_before": _share(tails["before"], sums["before"]),
        "tail_share_after": _share(tails["after"], sums["after"]),
        "curve_before": _curve(before), "curve_after": _curve(after), "top": top,
    }  # fmt: skip


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _curve(counts: np.ndarray) -> list[list[int]]:
    """[rank, count] of the matched entries, largest count first, at most POINTS of them, first and last included."""
    ordered = np.sort(counts[counts > 0])[::-1]
    if not len(ordered):
        return []
    ranks = np.unique(np.geomspace(1, len(ordered), min(POINTS, len(ordered))).round().astype(np.int64))
    return [[int(rank), int(ordered[rank - 1])] for rank in ranks]


def _texts(workdir: str, metadata: str, lang: str, wanted: list[int]) -> dict[int, str]:
    """Texts of entries by id, from the list that match used; empty where that one is not at hand any more."""
    matched = Dataset(workdir, "matches").require().plan.inputs.get(f"metadata/{lang}")
    try:
        # Another list has other entries under the same ids.
        if matched and fingerprint(metadata, lang) != matched:
            return {}
        table = load(metadata, lang)
    except RecipeError:
        return {}
    rows = table.filter(pc.is_in(table["id"], pa.array(wanted, table.schema.field("id").type)))
    return dict(zip(rows["id"].to_pylist(), rows["text"].to_pylist(), strict=True))
