"""What must become of each kind of planted fault."""

import re
from collections.abc import Callable
from typing import Any

from curate.ledger import DROPPED, KEPT
from curate.report.trace import Traced

Planted = dict[str, Any]
"""A row of the truth, with its `trace` (Traced, or None where the crawl gave no pair)."""

FETCHED = "kept"
BROKEN = {
    "gone": {"http_4xx", "http_5xx"}, "loop": {"redirect_loop"}, "truncated": {"truncated"}, "empty": {"empty_body"},
    "soft404": {"not_an_image"}, "moved": {FETCHED}, "ok": {FETCHED}, "wrongtype": {FETCHED},
}  # fmt: skip
"""How the files of the kind `broken` are named, and what the download must say of them."""

EXPECTED = {
    "junk-alt": "not selected",
    "exact-dup": "at most one image of each group of equal bytes is left by dedup",
    "near-dup": "at most one image of each group is left by dedup",
    "mismatch": "less similar than the middle one of the planted copies with the right caption",
    "opt-out": "opted out",
    "tiny": "not selected: too small, or dropped earlier",
    "aspect": "not selected: too elongated, or dropped earlier",
    "broken": "the download's status says what is broken; whole images behind odd answers are fetched",
    "markup": "found in spite of awkward markup",
}


def judge(kind: str, rows: list[Planted], middle: float | None) -> list[bool] | None:
    """Whether each row ended as expected; None for kinds of which nothing is expected."""
    if kind in ("exact-dup", "near-dup"):
        return _one_survivor(rows, _sha256 if kind == "exact-dup" else _file_group)
    judges: dict[str, Callable[[Planted], bool]] = {
        "junk-alt": _not_selected, "tiny": _not_selected, "aspect": _not_selected,
        "opt-out": lambda row: _said(row, {"opted_out"}),
        "broken": lambda row: _said(row, BROKEN.get(_stem(row["url"]), set())),
        "markup": lambda row: row["trace"] is not None,
        "mismatch": lambda row: _below(similarity(row), middle),
    }  # fmt: skip
    return [judges[kind](row) for row in rows] if kind in judges else None


def _below(score: float | None, middle: float | None) -> bool:
    return score is not None and middle is not None and score < middle


def _not_selected(row: Planted) -> bool:
    return row["trace"] is None or row["trace"].state("selection") not in (KEPT, "absent")


def _said(row: Planted, answers: set[str]) -> bool:
    """Whether the download said one of `answers` (a status, a reason, or FETCHED), or was never asked for the row."""
    traced: Traced | None = row["trace"]
    if traced is None or traced.state("images") == "absent":
        return True
    return (traced.reason("images") or traced.state("images")) in answers


def _one_survivor(rows: list[Planted], group_of: Callable[[Planted], str | None]) -> list[bool]:
    """False for each image that dedup left although another one of its group was left before it, by image uid."""
    first: dict[str | None, str] = {}
    good = {}
    for row in sorted(rows, key=lambda row: (row["trace"].image_uid if row["trace"] else "", row["url"])):
        traced: Traced | None = row["trace"]
        left = traced is not None and traced.state("images") == KEPT and traced.state("duplicates") != DROPPED
        good[row["url"], row["alt"]] = (
            not left or traced is None or first.setdefault(group_of(row), traced.image_uid) == traced.image_uid
        )
    return [good[row["url"], row["alt"]] for row in rows]


def _sha256(row: Planted) -> str | None:
    return row["trace"].sha256


def _file_group(row: Planted) -> str:
    return row["url"].rsplit("-", 1)[0]


def _stem(url: str) -> str:
    return re.sub(r"[-.].*$", "", url.rsplit("/", 1)[-1])


def similarity(row: Planted) -> float | None:
    return row["trace"].similarity if row["trace"] else None
