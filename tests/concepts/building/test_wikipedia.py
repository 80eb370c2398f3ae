"""Dumps: what is read of a page, what is counted, and what is taken of the counts."""

import bz2
import itertools
import math
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.concepts.building import markup, wikipedia
from curate.concepts.building.presets import Preset, preset
from curate.concepts.building.tokenizers import words
from tests.concepts.building import dumps

WORDS = ["cat", "dog", "New", "York", "house", "the"]


def counts_of(texts: list[str], language: str = "en") -> dict[tuple[str, str, str], int]:
    found = wikipedia.count_pages(
        pa.table({"page": [dumps.page(i, f"T{i}", text) for i, text in enumerate(texts)]}), language
    )
    assert found.schema == wikipedia.COUNTS
    return {(row["kind"], row["first"], row["second"]): row["count"] for row in found.to_pylist()}


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from([*WORDS, ",", "(", "—"]), max_size=12), max_size=4))
def test_counts_are_those_of_the_plain_words(texts):
    expected: Counter[tuple[str, str, str]] = Counter()
    for tokens in texts:
        expected["page", "article", ""] += 1
        for token in tokens:
            expected["word", token, ""] += token in WORDS
        for one, two in itertools.pairwise(tokens):
            expected["pair", one, two] += one in WORDS and two in WORDS
    # A list of blank-separated words is its own plain text.
    assert counts_of([" ".join(tokens) for tokens in texts]) == +expected


def test_marks_part_words_and_make_no_pairs():
    found = counts_of(["The cat's house, an old-fashioned one: (really)"])
    assert {first for kind, first, _ in found if kind == "word"} == {
        "The",
        "cat",
        "s",
        "house",
        "an",
        "old",
        "fashioned",
        "one",
        "really",
    }
    assert {(one, two) for kind, one, two in found if kind == "pair"} == {
        ("The", "cat"),
        ("s", "house"),
        ("an", "old"),
        ("fashioned", "one"),
    }


def test_every_page_has_a_fate():
    pages = [
        dumps.page(1, "Cat", "a cat"), dumps.page(2, "Kitty", "#REDIRECT [[Cat]]", redirect="Cat"),
        dumps.page(3, "Talk:Cat", "no words of ours", ns=1), dumps.page(4, "Empty", ""), "<page><title>Cut",
        "<page>" + "x" * (wikipedia.LONGEST_PAGE + 1), "\n</mediawiki>\n",
    ]  # fmt: skip
    found = wikipedia.count_pages(pa.table({"page": pages}), "en")
    assert wikipedia.pages_of(found, 1) == {"article": 2, "broken": 1, "elsewhere": 1, "redirect": 1, "too_long": 1}
    assert {row["first"] for row in found.to_pylist() if row["kind"] == "word"} == {"a", "cat"}


def test_a_page_that_the_parser_trips_over_costs_itself_alone(monkeypatch):
    monkeypatch.setattr(wikipedia, "plain_text", lambda text: 1 / 0 if "bad" in text else text)
    found = counts_of(["good words", "bad words", "good"])
    assert found["page", "unparsed", ""] == 1 and found["page", "article", ""] == 2 and found["word", "good", ""] == 2


@pytest.mark.parametrize("piece", ["<ref>", "{|\n", "<b><i>", "[[a|", "<b>x</i>"])
def test_markup_that_is_begun_and_never_ended_costs_its_page_alone(piece):
    ends = {"<ref>": "</ref>", "[[a|": "]]"}.get(piece, "")
    for text in (piece * 20_000, ends * 20_000 + piece * 20_000, piece * 20_000 + ends * 20_000):
        assert counts_of([text, "fine"]) == {
            ("page", "article", ""): 1,
            ("page", "tangled", ""): 1,
            ("word", "fine", ""): 1,
        }


def test_articles_as_people_write_them_are_not_tangled():
    text = (dumps.MARKUP + "<br>Some <li>list <p>par [[open link and a {| table\n") * 100
    assert markup.tangle(dumps.MARKUP * 1000) < markup.TANGLE / 100
    assert counts_of([text])["page", "article", ""] == 1


def test_nested_markup_that_is_meant_to_hurt_ends():
    for text in (
        "{{" * 3000 + "x",
        "[[" * 3000,
        "<div>" * 2000 + "x",
        "{|" * 500,
        "'" * 5000,
        "&lt;script&gt;alert(1)&lt;/script&gt;",
    ):
        assert sum(count for (kind, _, _), count in counts_of([text]).items() if kind == "page") == 1


ENTITIES = '<!DOCTYPE m [<!ENTITY a "boom"><!ENTITY b "&a;&a;&a;">]>'


def test_entities_of_a_document_are_not_expanded(tmp_path):
    (tmp_path / "d.xml").write_text(
        ENTITIES + dumps.document([dumps.page(1, "A", "X").replace(">X<", ">one &b; two<")])
    )
    found = wikipedia.count_files([str(tmp_path / "d.xml")], "en")
    assert "boom" not in found["first"].to_pylist() and "one" in found["first"].to_pylist()


@pytest.fixture
def some_pages():
    return [dumps.page(i, f"Title {i}", f"word{i % 7} and the house {i}") for i in range(30)]


def test_plain_packed_and_multistream_dumps_are_one(tmp_path, some_pages):
    text = dumps.document(some_pages)
    (tmp_path / "a.xml").write_text(text)
    (tmp_path / "a.xml.bz2").write_bytes(bz2.compress(text.encode()))
    dumps.multistream(some_pages, tmp_path / "m.xml.bz2")
    tables = [wikipedia.count_files([str(tmp_path / name)], "en").sort_by([("kind", "ascending"), ("first", "ascending"), ("second", "ascending")])
              for name in ("a.xml", "a.xml.bz2", "m.xml.bz2")]  # fmt: skip
    assert tables[0].equals(tables[1]) and tables[0].equals(tables[2])
    assert wikipedia.pages_of(tables[0], 1) == {"article": 30}


def test_what_was_read_before_a_dump_breaks_off_is_counted(tmp_path, some_pages):
    dumps.multistream(some_pages, tmp_path / "m.xml.bz2", per_stream=10)
    whole = (tmp_path / "m.xml.bz2").read_bytes()
    (tmp_path / "cut.xml.bz2").write_bytes(whole[: int(len(whole) * 0.6)])
    fates = wikipedia.pages_of(wikipedia.count_files([str(tmp_path / "cut.xml.bz2")], "en"), 1)
    assert fates.pop("cut_off") == 1 and fates.keys() == {"article"} and 10 <= fates["article"] < 30
    # In the middle of the last page, between its text and its end, and behind it.
    for cut, whole in ((200, 29), (60, 29), (13, 30)):
        (tmp_path / "cut.xml").write_text(dumps.document(some_pages)[:-cut])
        fates = wikipedia.pages_of(wikipedia.count_files([str(tmp_path / "cut.xml")], "en"), 1)
        assert fates == {"article": whole, "cut_off": 1} | ({"broken": 1} if whole == 29 else {})


def test_a_damaged_file_is_said_though_its_end_was_read():
    found = wikipedia.count_pages(pa.table({"page": [dumps.page(1, "T", "x"), "\n</mediawiki>\n"]}), "en")
    assert wikipedia.pages_of(found, 1) == {"article": 1}
    assert wikipedia.pages_of(found, 1, damaged=True) == {"article": 1, "cut_off": 1}
    assert wikipedia.pages_of(found, 3, damaged=True) == {"article": 1, "cut_off": 2}


def test_a_page_without_end_is_not_held_in_memory(tmp_path, monkeypatch):
    for room in (markup, wikipedia):
        monkeypatch.setattr(room, "LONGEST_PAGE", 1 << 18)
    (tmp_path / "d.xml").write_text(dumps.document([dumps.page(1, "A", "x " * (1 << 21)), dumps.page(2, "B", "fine")]))
    assert max(map(len, wikipedia.pages(str(tmp_path / "d.xml")))) < 3 << 20
    found = wikipedia.count_files([str(tmp_path / "d.xml")], "en")
    assert wikipedia.pages_of(found, 1) == {"article": 1, "too_long": 1}
    assert set(found.filter(pc.equal(found["kind"], "word"))["first"].to_pylist()) == {"fine"}


# -- unspaced scripts


@pytest.mark.parametrize(
    ("language", "text", "some", "pair"),
    [
        ("zh", "我喜欢北京大学。猫在房子里（小猫）", {"喜欢", "北京大学", "房子"}, "我喜欢"),
        ("ja", "猫が家の中で眠っている。写真", {"猫", "家", "写真"}, "家の"),
        ("th", "แมวกินปลาในบ้าน", {"แมว", "ปลา", "บ้าน"}, "กินปลา"),
    ],
)
def test_scripts_without_blanks_are_cut_by_their_tokenizers(language, text, some, pair):
    counts = wikipedia.count_pages(pa.table({"page": [dumps.page(1, "T", text)]}), language)
    taken = wikipedia.select(counts, language, Preset(bigram_pmi=-100))
    singles, pairs = ({text for text, _, _ in taken[name]} for name in ("wikipedia-words", "wikipedia-pairs"))
    assert some <= singles and not {"。", "（", "）"} & singles
    assert pair in pairs and not any(" " in text for text in pairs)


def test_broken_tokens_of_unspaced_scripts_are_passed_over(monkeypatch):
    from curate.concepts.building import tokenizers

    monkeypatch.setattr(tokenizers, "tokenizer", lambda language: lambda piece: piece.split("|"))
    assert list(words("猫|（犬|「鳥」x|x「鳥|家", "zh")) == ["猫", None, None, None, "家"]


# -- what a preset takes


def select(singles: dict[str, int], doubles: dict[tuple[str, str], int], wanted: Preset) -> tuple[list, list]:
    rows = [("word", word, "", n) for word, n in singles.items()] + [("pair", *pair, n) for pair, n in doubles.items()]
    table = pa.table([pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), wikipedia.COUNTS, strict=True)],
                     schema=wikipedia.COUNTS)  # fmt: skip
    taken = wikipedia.select(table, "en", wanted)
    return taken["wikipedia-words"], taken["wikipedia-pairs"]


def test_pairs_are_taken_by_their_mutual_information():
    singles = {"New": 100, "York": 40, "the": 5000, "of": 4860}
    doubles = {("New", "York"): 38, ("of", "the"): 900, ("the", "New"): 30}
    _, pairs = select(singles, doubles, Preset(bigram_pmi=-100))
    expected = {pair: math.log2(n * 10_000 / (singles[pair[0]] * singles[pair[1]])) for pair, n in doubles.items()}
    assert pairs == [
        (" ".join(pair), "wikipedia-pairs", round(bits, 3))
        for pair, bits in sorted(expected.items(), key=lambda item: -item[1])
    ]
    threshold = sorted(expected.values())[1]
    assert [text for text, _, _ in select(singles, doubles, Preset(bigram_pmi=round(threshold, 6) - 1e-6))[1]] == [
        "New York",
        "the New",
    ]


def test_a_pair_at_the_threshold_is_taken():
    # log2(1 * 8 / (2 * 2)) is 1.
    singles, doubles = {"a": 2, "b": 2, "c": 4}, {("a", "b"): 1}
    assert select(singles, doubles, Preset(bigram_pmi=1))[1] == [("a b", "wikipedia-pairs", 1.0)]
    assert select(singles, doubles, Preset(bigram_pmi=1.001))[1] == []


def test_words_are_taken_by_count_share_and_cap_with_ties_in_order():
    singles = {"b": 5, "a": 5, "c": 9, "d": 1, "e": 100}
    taken = lambda **wanted: [text for text, _, _ in select(singles, {("a", "b"): 1}, Preset(**wanted))[0]]  # noqa: E731
    assert taken() == ["e", "c", "a", "b", "d"]
    assert taken(unigram_count=5) == ["e", "c", "a", "b"]
    assert taken(unigram_share=0.6) == ["e", "c", "a"]
    assert taken(unigram_share=0.6, unigrams=2) == ["e", "c"]
    # The share is of all words, not of those that are frequent enough.
    assert taken(unigram_share=0.6, unigram_count=5) == ["e", "c", "a"]


def test_the_second_preset_caps_pairs_by_the_words_taken():
    assert wikipedia.pair_limit(100, preset("metaclip2")) == 40
    assert wikipedia.pair_limit(10**7, preset("metaclip2")) == 100_646
    assert wikipedia.pair_limit(100, preset("metaclip1")) is None
    assert wikipedia.word_limit(10**7, preset("metaclip2")) == 251_465
