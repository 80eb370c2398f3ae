"""The facts of a text as a table has them."""

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate import schema
from curate.facts.contract import columns_of
from curate.scores import text
from curate.scores.settings import Text
from curate.texts import stock

TEXT = st.text(st.sampled_from("aAgiImM01٣_-. \t\n()#?[]ßİ图é") | st.characters(codec="utf-8"), max_size=12)
STOCK = st.sampled_from(sorted(stock.stock_words()))


def scored(*texts: str) -> dict:
    found = text.score(pa.table({"text": pa.chunked_array([list(texts[:1]), list(texts[1:])], pa.string())}), Text())
    known = schema.load("scores/text")
    assert list(found) == columns_of(known)
    for name, values in found.items():
        assert len(values) == len(texts)
        assert pa.array(values).type == known.arrow().field(name).type, name
    return {
        name: values.tolist() if hasattr(values, "tolist") else values.to_pylist() for name, values in found.items()
    }


def test_a_text_has_all_its_facts():
    found = scored("A red dog, a red car", "IMG_1234.jpg", "Thumbnail 3", "write a@b.de or +49 30 123456", "")
    assert found["characters"] == [20, 12, 11, 29, 0]
    assert found["words"] == [6, 1, 2, 6, 0]
    assert found["letters"][0] == pytest.approx(14 / 15)
    assert found["repetition"][0] == 0  # "A red" and "a red" differ
    assert found["file_name"] == [False, True, False, False, False]
    assert found["boilerplate"] == [False, False, True, False, True]
    assert found["imagenet21k"] == ["n02958343", None, None, None, None]
    assert (found["emails"], found["phones"], found["cards"]) == ([0, 0, 0, 1, 0], [0, 0, 0, 1, 0], [0] * 5)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        TEXT | st.builds("{} {}".format, STOCK, TEXT) | st.builds("{}{}.jpg".format, TEXT, TEXT), min_size=1, max_size=5
    )
)
@example(
    [" IMG_1.JPG\n", "a b.jpg", "٣٤", "screenshot of ٣", "photos/cat.png?w=200", "x" * 251 + ".jpg", "x" * 252 + ".jpg"]
)
@example(["IMAGE MAY CONTAIN", "Straße", "tracking pixel 12", "___", "İ"])
def test_what_is_settled_by_counts_is_what_the_rules_of_select_say(texts):
    found = scored(*texts)
    assert found["file_name"] == [stock.is_file_name(one) for one in texts]
    assert found["boilerplate"] == [stock.is_boilerplate(one) for one in texts]


def test_the_longest_stock_words_are_found():
    longest = sorted(stock.stock_words(), key=lambda word: sum(map(str.isalpha, word)))[-5:]
    assert scored(*longest)["boilerplate"] == [True] * 5


def test_no_rows_are_no_facts():
    assert len(text.score(pa.table({"text": pa.array([], pa.string())}), Text())["words"]) == 0
