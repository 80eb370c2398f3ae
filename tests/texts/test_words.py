"""Counts over code points, held against Python's own view of the same texts."""

import sys
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate.texts import points, words

TEXTS = st.lists(
    st.text(st.characters(codec="utf-8") | st.sampled_from(" \t\n\x1c\x85\u3000aé1क्या"), max_size=40), max_size=6
)


def counted(*texts: str) -> words.Words:
    return words.count(points.of(pa.array(texts, pa.string())))


@settings(max_examples=200, deadline=None)
@given(TEXTS)
@example(["", " ", "a b", "क्या है", "１２ x", "😀 e\u0301"])
def test_counts_are_pythons(texts):
    found, held = counted(*texts), points.of(pa.array(texts, pa.string()))
    assert held.lengths.tolist() == [len(text) for text in texts]
    assert found.words.tolist() == [len(text.split()) for text in texts]
    for share, text in zip(found.letters.tolist(), texts, strict=True):
        solid = [unicodedata.category(character)[0] for character in text if not character.isspace()]
        assert share == pytest.approx(sum(kind in "LM" for kind in solid) / max(len(solid), 1), rel=1e-6)


def test_every_blank_of_python_is_one():
    blanks = [chr(point) for point in range(sys.maxunicode + 1) if chr(point).isspace()]
    assert counted(*[f"a{blank}b" for blank in blanks]).words.tolist() == [2] * len(blanks)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("red house", 1.0),
        ("क्या", 1.0),
        ("a1", 0.5),
        ("a 1", 0.5),
        ("!!! 123", 0.0),
        ("", 0.0),
        (" \n", 0.0),
        ("日本", 1.0),
        ("ab--", 0.5),
    ],
)
def test_letters_are_a_share_of_what_is_not_blank(text, share):
    assert counted(text).letters[0] == share


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("a red car and a red bus", 8 / 17),  # "a red" twice, four characters each time
        ("sale sale sale", 1.0),
        ("sale sale", 0.0),  # one pair of words, once
        ("one two three four", 0.0),
        ("ab cd ab cd ab", 1.0),  # overlapping pairs count once
        ("x yy x yy zzzz", 6 / 10),
        ("word", 0.0),
        ("", 0.0),
    ],
)
def test_repetition_is_the_share_in_pairs_that_come_again(text, share):
    assert counted("other words", text).repetition[1] == pytest.approx(share)


def test_a_row_knows_nothing_of_the_rows_before_it():
    alone = counted("red car").repetition[0]
    assert counted("red car", "red car", "red car").repetition.tolist() == [alone] * 3 == [0.0] * 3


@pytest.mark.timeout(60)
def test_many_rows_in_a_row_leave_room_in_the_table():
    texts = [f"{n}a {n}b {n}c" + f" {n}a {n}b" * (n % 2) for n in range(20_000)]
    assert (counted(*texts).repetition > 0).tolist() == [bool(n % 2) for n in range(20_000)]


@pytest.mark.timeout(10)
def test_long_texts_of_one_pair_or_of_many_take_no_longer():
    counted("x " * 500_000, " ".join(map(str, range(300_000))))


def test_bytes_that_are_no_utf8_and_nulls_are_texts_too():
    broken = pa.array([b"a\xe2\x82", b"b c", None], pa.binary()).view(pa.string())
    held = points.of(broken)
    assert held.lengths.tolist() == [2, 3, 0]
    assert words.count(held).words.tolist() == [1, 2, 0]
    assert points.of(pa.chunked_array([["xy"], ["z", ""]])).lengths.tolist() == [2, 1, 0]
    assert points.of(pa.array(["one", "two!", "three"]).slice(1, 1)).lengths.tolist() == [4]
    assert points.of(pa.array([], pa.string())).lengths.tolist() == []
