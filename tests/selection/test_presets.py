"""Each preset against the published rule written out in plain Python, row for row, on a table that hits each border."""

from itertools import product

import numpy as np
import pyarrow as pa
import pytest

from curate.recipe import Branch, Rule
from curate.selection.columns import Facts
from curate.selection.presets import PRESETS
from curate.selection.selecting import competing, select
from curate.selection.thresholds import counted, settle
from tests.selection.pool import rules, tables

TEXTS = [
    "",
    "a",
    "abcd",
    "abcde",
    "abcdef",
    "ab cd",
    "ab cde",
    "a b c",
    "a b cd",
    "abc de f",
    "ñandú ñ",
    "a\u00a0b\tc d",
    "a b\u200bcd e",
    " red  house \n",
    "IMG_1.jpg",
    "photo 3",
]
SIDES = [
    (199, 200),
    (200, 199),
    (200, 200),
    (200, 600),
    (200, 601),
    (601, 200),
    (600, 200),
    (400, 401),
    (401, 401),
    (401, 802),
    (401, 803),
]
SIMILARITIES = [0.27999, 0.28, 0.29999, 0.3, 0.30001, -0.1, 0.5]
FACTS = [("text.imagenet21k", (None, "n02084071")), ("clusters.near_target", (True, False)), ("nbytes", (4999, 5000)),
         ("format", ("jpeg", "png")), ("text.repetition", (0.5, 0.51))]  # fmt: skip


def border_rows() -> list[dict]:
    """Every text with every language, every pair of sides, every score, and each fact in turn: all others as they mostly are."""
    rows = [{"text": text, "lang": lang} for text, lang in product(TEXTS, ("en", "de", None))]
    rows += [{"width": width, "height": height} for width, height in SIDES]
    rows += [{"clip.similarity_score": score, "lang": lang} for score, lang in product(SIMILARITIES, ("en", "de"))]
    rows += [{name: value, "lang": lang, "text": text} for name, values in FACTS for value, lang, text in
             product(values, ("en", "de"), ("a red house", "red house", "house"))]  # fmt: skip
    return [
        *rows,
        {"clip.similarity_score": 0.9, "curated": False},
        {"clip.similarity_score": 0.9, "duplicate": "dropped"},
    ]


ROWS = [{"text": "a red house", "lang": "en", "width": 640, "height": 480, "nbytes": 9000, "format": "jpeg", "curated": True,
         "duplicate": "kept", "clip.similarity_score": 0.31, "text.imagenet21k": "n1", "text.repetition": 0.0,
         "clusters.near_target": True} | row for row in border_rows()]  # fmt: skip


def score(row) -> np.float32:
    return np.float32(row["clip.similarity_score"])


def basic(row) -> bool:
    short, long = sorted((row["width"], row["height"]))
    return (row["lang"] == "en" and len(row["text"].split()) > 2 and len(row["text"]) > 5 and short >= 200 and long / short <= 3.0)  # fmt: skip


def in_top(row, share=0.3) -> bool:
    """DataComp: sort descending, threshold at index int(n * 0.3), keep >=; of the pool, whatever other filters say."""
    pool = sorted((score(one) for one in ROWS if one["curated"] and one["duplicate"] == "kept"), reverse=True)
    return score(row) >= pool[int(len(pool) * share)]


def image_based(row) -> bool:
    return row["lang"] == "en" and len(row["text"].split()) > 1 and len(row["text"]) > 5 and row["clusters.near_target"]


PUBLISHED = {
    "basic": basic,
    "clip_score": in_top,
    "dfn": lambda row: in_top(row, 0.15),
    "laion2b": lambda row: score(row) >= np.float32(0.28) and row["lang"] == "en",
    "text_based": lambda row: row["lang"] == "en" and row["text.imagenet21k"] is not None,
    "image_based": image_based,
    "image_based_clip_score": lambda row: image_based(row) and in_top(row),
    "metaclip": lambda row: True,
    "laion400m": lambda row: len(row["text"]) >= 5 and row["nbytes"] >= 5000 and score(row) >= np.float32(0.3),
    "conceptual_captions": lambda row: (
        row["lang"] == "en" and row["format"] == "jpeg" and min(row["width"], row["height"]) > 400
        and max(row["width"], row["height"]) <= 2 * min(row["width"], row["height"]) and len(row["text"].split()) > 2
        and row["text.repetition"] <= np.float32(0.5) and row["text"] not in ("IMG_1.jpg", "photo 3")
    ),
}  # fmt: skip


def resolved(preset: str | None, *own: Rule) -> tuple[Rule, ...]:
    """The preset's rules, settled over ROWS."""
    found = rules(*own, preset=preset)
    given = tables(ROWS)
    facts, kinds = Facts(given), dict.fromkeys(range(len(found)), np.dtype(np.float32))
    return settle(found, kinds, lambda step, known: counted(found, facts, competing(given, found), step, known))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_keeps_what_the_published_rule_keeps_row_for_row(name):
    out = select(tables(ROWS), resolved(name))["state"].to_pylist()
    enters = [row["duplicate"] == "kept" for row in ROWS]
    assert [state != "gone" for state in out] == enters
    expected = [
        bool(row["curated"] and inside and PUBLISHED[name](row)) for row, inside in zip(ROWS, enters, strict=True)
    ]
    assert [state == "kept" for state in out] == expected
    # The table tells them apart: some rows stay and, but where all do, some go.
    assert any(expected) and (name == "metaclip" or not all(expected))


def test_the_intersection_is_that_of_the_two_presets():
    both = Rule(rule="all", branches=(Branch(preset="basic"), Branch(preset="clip_score")))
    kept = [
        select(tables(ROWS), resolved(*how))["state"].to_pylist() for how in (("basic",), ("clip_score",), (None, both))
    ]
    assert [state == "kept" for state in kept[2]] == [a == b == "kept" for a, b in zip(*kept[:2], strict=True)]


def test_the_language_of_a_preset_may_come_from_another_column():
    own = Rule(rule="language", languages=("en",), column="images.format")
    given = tables([{"lang": "de", "format": "en"}, {"lang": "en", "format": "png"}])
    assert select(given, rules(own, preset="laion2b"))["state"].to_pylist() == ["kept", "dropped"]


def test_presets_say_what_they_are():
    assert set(PUBLISHED) == set(PRESETS)
    for about, _ in PRESETS.values():
        assert about.endswith(".") and len(about) > 60
    assert isinstance(tables(ROWS)["images"], pa.Table)
