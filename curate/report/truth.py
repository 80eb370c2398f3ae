"""Pools with planted faults: where each planted row ended, against where it had to end.

The truth is a table with the columns url, alt, noise (the kind of fault) and, to judge captions, of (the picture that
the row was made from, as the end of a URL of the pool).
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
    right = _attach(workdir, planted, model)
    middle = float(np.median(right)) if right else None
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
    return {"faults": faults, "mismatch_auc": _auc(kinds.get("mismatch", []), right)}


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
    """Sets `trace` of every planted row. Returns the similarities of planted rows with the right caption.

    A planted row's caption is right when the pool itself gives it to the picture that the row was made from: when an
    untouched pair has the row's alt as its text and a URL that ends in the row's `of`. Such rows went through the same
    copying as the mismatched ones, so a scorer tells them apart by the caption alone.
    """
    by_url, right = _pairs_of(Dataset(workdir, "pairs"), planted)
    for row in planted:
        candidates = sorted(by_url.get(row["url"], []), key=lambda pair: (pair[1] != row["alt"], pair[0]))
        row["uid"] = candidates[0][0] if candidates else None
    found = trace(workdir, {row["uid"] for row in planted if row["uid"]}, model)
    for row in planted:
        row["trace"] = found.get(row["uid"])
    scored = (similarity(row) for row in planted if row["noise"] != "mismatch" and (row["alt"], row.get("of")) in right)
    return [score for score in scored if score is not None]


def _pairs_of(pairs: Dataset, planted: list[Planted]) -> tuple[dict[str, list[tuple[str, str]]], set[tuple[str, str]]]:
    """{planted URL: [(uid, text)]}, and the (alt, of) of planted rows that untouched pairs bear out; in one pass."""
    urls = pa.array(sorted({row["url"] for row in planted}), pa.string())
    claims = {(row["alt"], row["of"]) for row in planted if row.get("of") and row["alt"]}
    alts = pa.array(sorted({alt for alt, _ in claims}), pa.string())
    by_url: dict[str, list[tuple[str, str]]] = defaultdict(list)
    right = set()
    for table in pairs.batches(["uid", "url", "text"]):
        # Servers ignore most queries, and a page may add one to the planted URL.
        bare = pc.replace_substring_regex(table["url"], r"\?.*$", "")
        mine = pc.or_(pc.is_in(table["url"], urls), pc.is_in(bare, urls))
        for row, plain in zip(table.filter(mine).to_pylist(), bare.filter(mine).to_pylist(), strict=True):
            for url in {row["url"], plain}:
                by_url[url].append((row["uid"], row["text"]))
        same_text = pc.and_(pc.is_in(table["text"], alts), pc.invert(mine))
        for row in table.filter(same_text).to_pylist():
            right |= {(alt, of) for alt, of in claims if alt == row["text"] and row["url"].endswith("/" + of)}
    return by_url, right


def _end(row: Planted) -> tuple[str, str]:
    if row["trace"] is not None:
        return row["trace"].end()
    return "extract", "no_pair" if row["alt"] else "empty_text"


def _auc(mismatched: list[Planted], right: list[float]) -> dict[str, Any] | None:
    """How surely a mismatched caption scores lower than a right one, both on planted copies of the pool's pictures."""
    wrong = [score for score in map(similarity, mismatched) if score is not None]
    if not wrong or not right:
        return None
    return {
        "value": auc(np.array(wrong), np.array(right)), "mismatched": len(wrong), "right": len(right),
        "median_mismatched": float(np.median(wrong)), "median_right": float(np.median(right)),
    }  # fmt: skip


def auc(lower: np.ndarray, higher: np.ndarray) -> float:
    """P(lower < higher) + P(equal) / 2 over all pairs: the area under the ROC curve; 1.0 when every lower is below all."""
    difference = higher[None, :] - lower[:, None]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())
