"""Pools with planted faults: where each planted row ended, against where it had to end.

The truth is a table with the columns url, alt, noise (the kind of fault) and, for mismatched captions, of (the
picture that the row was made from, as the end of a URL of the pool).
"""

from collections import Counter, defaultdict
from typing import Any

import ada_url
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.recipe import RecipeError
from curate.report.faults import EXPECTED, Planted, judge, similarity
from curate.report.trace import ROAD, trace
from curate.store import Dataset


def truth(workdir: str, table: str, model: str | None) -> dict[str, Any] | None:
    """The account of planted faults as plain values; None until select has run. Reads the whole truth table.

    `faults`: for each kind planted, as_expected and `ends`; `mismatch_auc`: how surely mismatched captions score lower.
    """
    if not all(Dataset(workdir, name).manifest() for name in ("pairs", *ROAD[:4], "selection")):
        return None
    planted = _planted(table)
    originals = _attach(workdir, planted, model)
    middle = float(np.median(originals)) if originals else None
    kinds = defaultdict(list)
    for row in planted:
        kinds[row["noise"]].append(row)
    faults = []
    for kind, rows in sorted(kinds.items()):
        good = judge(kind, rows, middle)
        ends = Counter(_end(row) for row in rows)
        faults.append({
            "noise": kind, "planted": len(rows), "as_expected": None if good is None else sum(good),
            "expected": EXPECTED.get(kind, "nothing is expected of this kind"),
            "ends": [{"stage": s, "reason": r, "rows": n} for (s, r), n in sorted(ends.items(), key=_by_rows)],
        })  # fmt: skip
    return {"faults": faults, "mismatch_auc": _auc(kinds.get("mismatch", []), originals)}


def _by_rows(item: tuple[tuple[str, str], int]) -> tuple[int, tuple[str, str]]:
    return -item[1], item[0]


def _planted(table: str) -> list[Planted]:
    try:
        with fsspec.open(table, "rb") as source:
            rows = pq.read_table(source)
    except FileNotFoundError as error:
        raise RecipeError(
            f"report.truth: there is no table at {table}; paths count from the working directory"
        ) from error
    missing = [name for name in ("url", "alt", "noise") if name not in rows.column_names]
    if missing:
        raise RecipeError(f"report.truth: {table} has no column {missing[0]!r}; it has {rows.column_names}")
    return [row | {"url": normal(row["url"]), "alt": (row["alt"] or "").strip()} for row in rows.to_pylist()]


def normal(url: str) -> str:
    """A URL as `pairs` writes it: WHATWG form without fragment."""
    try:
        parsed = ada_url.URL(url)
    except ValueError:
        return url
    parsed.hash = ""
    return parsed.href


def _attach(workdir: str, planted: list[Planted], model: str | None) -> list[float]:
    """Sets `trace` of every planted row. Returns the similarities of the untouched originals.

    Untouched originals: pairs of the pool whose URL ends in the `of` of a planted row and whose text is that row's
    alt, and which the table does not plant: pictures and captions that belong together.
    """
    by_url, originals = _pairs_of(Dataset(workdir, "pairs"), planted)
    for row in planted:
        candidates = sorted(by_url.get(row["url"], []), key=lambda pair: (pair[1] != row["alt"], pair[0]))
        row["uid"] = candidates[0][0] if candidates else None
    found = trace(workdir, {row["uid"] for row in planted if row["uid"]} | originals, model)
    for row in planted:
        row["trace"] = found.get(row["uid"])
    scored = (found[uid].similarity for uid in sorted(originals))
    return [score for score in scored if score is not None]


def _pairs_of(pairs: Dataset, planted: list[Planted]) -> tuple[dict[str, list[tuple[str, str]]], set[str]]:
    """{planted URL: [(uid, text)]} and the uids of untouched originals, in one pass over the pairs."""
    urls = pa.array(sorted({row["url"] for row in planted}), pa.string())
    right = {(row["alt"], row["of"]) for row in planted if row.get("of") and row["alt"] and row["noise"] != "mismatch"}
    alts = pa.array(sorted({alt for alt, _ in right}), pa.string())
    by_url: dict[str, list[tuple[str, str]]] = defaultdict(list)
    originals = set()
    for table in pairs.batches(["uid", "url", "text"]):
        # Servers ignore most queries, and a page may add one to the planted URL.
        bare = pc.replace_substring_regex(table["url"], r"\?.*$", "")
        mine = pc.or_(pc.is_in(table["url"], urls), pc.is_in(bare, urls))
        for row, plain in zip(table.filter(mine).to_pylist(), bare.filter(mine).to_pylist(), strict=True):
            for url in {row["url"], plain}:
                by_url[url].append((row["uid"], row["text"]))
        same_text = pc.and_(pc.is_in(table["text"], alts), pc.invert(mine))
        for row in table.filter(same_text).to_pylist():
            if any(row["url"].endswith("/" + of) for alt, of in right if alt == row["text"]):
                originals.add(row["uid"])
    return by_url, originals


def _end(row: Planted) -> tuple[str, str]:
    if row["trace"] is not None:
        return row["trace"].end()
    return "extract", "no_pair" if row["alt"] else "empty_text"


def _auc(mismatched: list[Planted], originals: list[float]) -> dict[str, Any] | None:
    """P(a mismatched pair scores lower than a rightly matched one) + half the ties: the area under the ROC curve."""
    wrong = [score for score in map(similarity, mismatched) if score is not None]
    if not wrong or not originals:
        return None
    return {
        "value": auc(np.array(wrong), np.array(originals)), "mismatched": len(wrong), "originals": len(originals),
        "median_mismatched": float(np.median(wrong)), "median_originals": float(np.median(originals)),
    }  # fmt: skip


def auc(lower: np.ndarray, higher: np.ndarray) -> float:
    """Area under the ROC curve of telling `lower` from `higher` by value; 1.0 when every lower one is below all others."""
    difference = higher[None, :] - lower[:, None]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())
