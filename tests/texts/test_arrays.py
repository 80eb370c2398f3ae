"""Whole columns of texts: every answer is Python's own, whatever the letters."""

import re
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate.texts import arrays
from curate.texts.stock import is_boilerplate, is_file_name, stock_words

EVERY = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
BLANK = [one for one in EVERY if one.isspace()]
NEAR = sorted(
    {
        *stock_words(),
        "IMG_",
        "dsc",
        "screenshot",
        "photo",
        ".jpg",
        ".JPEG",
        "?w=2",
        "-",
        "_",
        " ",
        "(2)",
        "12",
        "٣",
        "x",
        "é",
        "猫",
    }
)
TEXT = st.lists(
    st.sampled_from(NEAR) | st.text(max_size=3) | st.sampled_from(BLANK) | st.sampled_from("ſKßİıﬁǆ\u0345\u200b\u0301_-.#7"), max_size=6
).map("".join)  # fmt: skip
PAIRS = (
    (arrays.words, lambda text: len(text.split())),
    (arrays.file_name, is_file_name),
    (arrays.boilerplate, is_boilerplate),
)


@pytest.mark.parametrize(("whole", "single"), PAIRS)
@given(texts=st.lists(TEXT, max_size=20), cut=st.integers(0, 3))
@example(
    texts=[
        "",
        " ",
        "\n",
        "\x1c",
        "a\x85b",
        "ﬁgure",
        "Kitten",
        "ICON",
        "\u3000画像\u30003",
        "scan٣",
        "ſcan 3",
        "12",
        "a",
    ],
    cut=0,
)
@settings(max_examples=150, deadline=None)
def test_a_columns_answers_are_those_of_its_texts(whole, single, texts, cut):
    column = pa.array(["cut off", "IMG_1.jpg", "icon"][:cut] + texts, pa.string()).slice(cut)
    assert whole(column).tolist() == [single(text) for text in texts]


@pytest.mark.parametrize(("whole", "single"), PAIRS)
@pytest.mark.parametrize("most", [0x600, pytest.param(sys.maxunicode, marks=pytest.mark.long)])
def test_every_character_in_every_place(whole, single, most):
    for form in ("{}", "a{}b", "{}icon", "icon{}", "img{}1", "{}12", "a.jpg{}", "no{}image"):
        texts = [form.format(one) for one in EVERY if ord(one) <= most]
        assert whole(pa.array(texts)).tolist() == [single(text) for text in texts]


@pytest.mark.parametrize("fold", [str.upper, str.title, str.swapcase])
def test_stock_words_in_any_case(fold):
    texts = [fold(word) for word in stock_words()]
    assert arrays.boilerplate(pa.array(texts)).tolist() == [is_boilerplate(text) for text in texts]


def test_the_classes_are_those_of_python():
    def held(letters: str) -> list[str]:
        return [one for one, is_in in zip(EVERY, pc.match_substring_regex(pa.array(EVERY), f"[{letters}]").to_pylist(), strict=True) if is_in]  # fmt: skip

    assert held(arrays.BLANKS) == BLANK
    assert all(one.isalpha() and re.fullmatch(r"[^\W\d_]", one) for one in held(arrays.LETTERS))


def test_texts_that_are_long_or_hardly_there():
    texts = ["a " * 40_000, "\u00a0" * 9000, "", "x" * 70_000]
    assert arrays.words(pa.array(texts)).tolist() == [40_000, 0, 0, 1]
    assert arrays.words(pa.array([], pa.string())).tolist() == []
    assert arrays.file_name(pa.array([], pa.string())).tolist() == []
