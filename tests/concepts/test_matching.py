"""The rule against a reference of three lines, on texts made of everything that could part the two."""

import re

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate import schema
from curate.concepts import matching
from curate.concepts.matching import Matcher, match, matchable
from curate.recipe import Match

PIECES = [
    *" \t\n\r\0,.;:?!`'-_\u00a0\u200b\u3000", "  ", "\r\n", "cat", "cat house", "house", "Cat", "a", "a a", "re-", "re", "implementation",
    "é", "e\u0301", "кот", "猫", "猫の写真", "قطة", "बिल्ली", "แมว", "🐈", "🐈\u200d⬛", "Ph.D.", ", ,", "99",
]  # fmt: skip
PHRASE = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
TEXT = st.one_of(PHRASE, st.text(st.characters(exclude_categories=["Cs"])))
ENTRIES = st.lists(st.one_of(st.sampled_from(PIECES), PHRASE, TEXT), max_size=12, unique=True)


def reference(text: str, entries: list[str]) -> list[int]:
    """MetaCLIP 1's rule, as it reads."""
    text = re.sub(r"([,.;:?!`])", r" \1 ", f" {text} ")
    text = text.replace("\t", " ").replace("\n", " ").replace("\r", " ")
    return [number for number, entry in enumerate(entries) if entry and f" {entry} " in text]


def found(texts: list[str], entries: list[str]) -> list[list[int]]:
    rows, ids = Matcher(entries, range(len(entries))).match(pa.array(texts, pa.string()))
    lists: list[list[int]] = [[] for _ in texts]
    for row, number in zip(rows.tolist(), ids.tolist(), strict=True):
        lists[row].append(number)
    return lists


@given(st.lists(TEXT, max_size=6), ENTRIES)
@example(["a,b", "a, b", "a , b", "a  ,  b"], ["a , b", "a  ,  b", ",", "a", ", b"])
@example(["cat house cat", "catcat", "cat  house"], ["cat", "house", "cat house", "house cat"])
@example(["a\0b", "a\u00a0b", "\0"], ["a", "a\0b", "a\u00a0b", "\0"])
@example(["cat", "house"], ["cat house", "cat \n house", "cat\nhouse", "cat\n"])
@settings(max_examples=400, deadline=None)
def test_matches_are_those_of_the_reference(texts, entries):
    assert found(texts, entries) == [reference(text, entries) for text in texts]


@given(st.lists(TEXT, min_size=1, max_size=6), ENTRIES, st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_where_chunks_end_does_not_matter(texts, entries, size):
    before = matching.CHUNK_BYTES
    matching.CHUNK_BYTES = size
    try:
        assert found(texts, entries) == [reference(text, entries) for text in texts]
    finally:
        matching.CHUNK_BYTES = before


@given(TEXT, TEXT)
def test_an_entry_that_is_not_matchable_stands_in_no_text(entry, text):
    if not matchable(entry):
        assert reference(text + entry + text, [entry]) == []


@pytest.mark.parametrize("entry", ["cat", "a , b", "a  ,  b", ",", "\u00a0", "re-", "x\0"])
def test_matchable_entries_have_a_text(entry):
    assert matchable(entry)
    assert reference(re.sub(r" ([,.;:?!`]) ", r"\1", entry), [entry]) == [0]


@pytest.mark.parametrize("entry", ["", "Ph.D.", "a,b", "a ,b", ", ,", "a\tb", "a\nb", "a\r"])
def test_entries_that_touch_a_mark_are_not_matchable(entry):
    assert not matchable(entry)


def test_ids_are_the_lists_own_ascending_and_each_once():
    rows, ids = Matcher(["cat", "dog", "the"], [70_000, 5, 2**31 - 1]).match(
        pa.array(["the cat the dog the cat", "dog"])
    )
    assert rows.tolist() == [0, 0, 0, 1]
    assert ids.tolist() == [5, 70_000, 2**31 - 1, 5]


def test_slices_and_chunks_of_a_column_are_read_where_they_lie():
    whole = pa.chunked_array([["cat", "dog"], [], ["the dog", "fish", "cat"]])
    rows, ids = Matcher(["cat", "dog"], [0, 1]).match(whole.slice(1, 3))
    assert (rows.tolist(), ids.tolist()) == ([0, 1], [1, 1])


def test_a_text_made_of_entries_alone_is_searched_in_bounds():
    rows, ids = Matcher(["a"], [3]).match(pa.array(["a " * 2**20, "b", "a"]))
    assert (rows.tolist(), ids.tolist()) == ([0, 2], [3, 3])


def test_the_stage_says_of_each_row_what_became_of_it():
    texts = [
        "a photograph of a horse in the snow",
        "ein Pferd steht im tiefen Schnee",
        "Qzxjk vwpq the-thing",
        "雪の中の馬の写真です",
    ]
    pairs = pa.table({"uid": [f"{i:032x}" for i in range(4)], "text": texts})
    rows = schema.load("matches").hold(match(pairs, Match())).to_pylist()
    assert [(row["state"], row["reason"], row["lang"]) for row in rows[:2]] == [
        ("kept", None, "en"),
        ("dropped", "no_metadata", "de"),
    ]
    assert rows[3]["lang"] == "ja" and rows[3]["reason"] == "no_metadata"
    assert rows[0]["entries"] and not any(row["entries"] for row in rows[1:])
    from curate.concepts import entries

    listed = entries.load("metadata", "en").to_pydict()
    number = dict(zip(listed["text"], listed["id"], strict=True))
    assert {
        number["horse"],
        number["photograph"],
        number["in the snow"] if "in the snow" in number else number["snow"],
    } <= set(rows[0]["entries"])


def test_a_text_without_an_entry_is_dropped_for_that(tmp_path):
    import pyarrow.parquet as pq

    (tmp_path / "en").mkdir()
    table = pa.table({"id": pa.array([4], pa.int32()), "text": ["horse"], "source": ["wordnet"], "statistic": [1.0]})
    pq.write_table(table, tmp_path / "en" / "entries.parquet")
    pairs = pa.table({"uid": ["0" * 32, "1" * 32], "text": ["the dog is in the house", "the horse is in the house"]})
    out = match(pairs, Match(metadata=str(tmp_path)))
    assert out["reason"].to_pylist() == ["no_entry", None]
    assert out["entries"].to_pylist() == [[], [4]]


def test_no_rows_make_no_rows():
    out = match(pa.table({"uid": pa.array([], pa.string()), "text": pa.array([], pa.string())}), Match())
    assert len(schema.load("matches").hold(out)) == 0
