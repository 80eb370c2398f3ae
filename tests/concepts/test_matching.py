"""The rules against a reference of a few lines, on texts made of everything that could part the two."""

import random
import string
from contextlib import suppress

import numba
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate import schema
from curate.concepts import cache, characters, index
from curate.concepts import entries as lists
from curate.concepts.matching import match
from curate.recipe import Match
from curate.texts.buffers import buffers, laid_out
from tests.concepts.reference import (
    ENTRIES,
    PIECES,
    RULES,
    TEXT,
    as_read,
    entry_table,
    found,
    of_bytes,
    reference,
    wanted,
)


@pytest.mark.parametrize("rule", RULES)
@given(texts=st.lists(TEXT, max_size=6), entries=ENTRIES)
@example(["a,b", "a, b", "a , b", "a  ,  b"], ["a , b", "a  ,  b", ",", "a", ", b"])
@example(["cat house cat", "catcat", "cat  house"], ["cat", "house", "cat house", "house cat"])
@example(["a\0b", "a\u00a0b", "\0"], ["a", "a\0b", "a\u00a0b", "\0"])
@example(["cat", "house"], ["cat house", "cat \n house", "cat\nhouse", "cat\n"])
@example(["re-implementation", "re -x", "-re"], ["re-", "-", "-implementation", "re"])
@example(["猫の写真", "の 猫", "写真 の"], ["猫", "の", "写真", "猫の", "の写真", "猫の写真"])
@settings(max_examples=300, deadline=None)
def test_matches_are_those_of_the_reference(rule, texts, entries):
    assert found(texts, entry_table(entries), rule) == reference(texts, entries, rule)


@pytest.mark.parametrize("rule", RULES)
def test_a_hundred_thousand_texts_by_each_rule_have_no_difference(rule):
    chance = random.Random(rule)
    for _ in range(100):
        entries = list(dict.fromkeys("".join(chance.choices(PIECES, k=chance.randint(1, 4))) for _ in range(120)))
        texts = ["".join(chance.choices(PIECES, k=int(chance.expovariate(0.12)))) for _ in range(1000)]
        for text, ours, theirs in zip(
            texts, found(texts, entry_table(entries), rule), reference(texts, entries, rule), strict=True
        ):
            assert ours == theirs, (text, [entries[i] for i in set(ours) ^ set(theirs)])


def test_an_index_is_of_the_same_types_built_or_read_so_that_kernels_are_compiled_once(tmp_path):
    entries = ["cat", "-x", "w" * 20]
    built = index.build(entry_table(entries, [1, 3, 5]), "metaclip2")
    cache.write(built, tmp_path / "an.index")
    read = cache.read(tmp_path / "an.index", index.Index)
    assert [str(numba.typeof(part)) for part in built] == [str(numba.typeof(part)) for part in read]
    columns = [pa.array(texts, pa.string()) for texts in (["cat"], [""], [])] + [of_bytes([b"cat"])]
    kinds = {tuple(str(numba.typeof(part)) for part in buffers(column)) for column in columns}
    assert len(kinds) == 1


def test_a_few_words_among_many_entries_of_an_unspaced_script_are_found_by_characters():
    entries = [chr(0x4E00 + i) + chr(0x4E01 + i) for i in range(200)] + ["iPhone", "T恤", "a b"]
    texts = ["一丁iPhone 丁七", "iPhone", "an iPhone, T恤", "a b", "a  b", "xT恤", ""]
    built = index.build(entry_table(entries), "metaclip2")
    assert built.words is None and built.characters is not None
    assert found(texts, entry_table(entries), "metaclip2") == reference(texts, entries, "metaclip2")


@pytest.mark.parametrize("rule", RULES)
def test_ids_are_the_lists_own_ascending_and_each_once(rule):
    table = entry_table(["the", "cat", "dog", "-"], [2**31 - 1, 70_000, 5, 6])
    expected = {"metaclip1": [[5, 70_000, 2**31 - 1], [5]], "metaclip2": [[5, 6, 70_000, 2**31 - 1], [5]]}[rule]
    assert found(["the cat the dog- the cat dog", "dog"], table, rule) == expected


BYTES = [*(bytes([byte]) for byte in (0x80, 0xBF, 0xC0, 0xC1, 0xC2, 0xE0, 0xE7, 0xED, 0xF0, 0xF4, 0xF7, 0xF8, 0xFF)),
         "猫".encode(), "猫".encode()[:2], "\U0010ffff".encode(), "\U0010ffff".encode()[:3], b"\xf4\x90\x80\x80", b"\xed\xa0\x80",
         b"\xc0\xad", b"\xe0\x80\xad", "é".encode(), b"cat", b"-", b" ", b",", b"a"]  # fmt: skip
"""Among them bytes that begin or go on with no character, a surrogate, a point beyond the last, and `-` in too many bytes."""


@pytest.mark.parametrize("rule", RULES)
@given(texts=st.lists(st.lists(st.sampled_from(BYTES), max_size=8).map(b"".join), min_size=1, max_size=4))
@example([b"\xe7\x8c", b"\xab", b"\xf4\x8f\xbf", b"\xbf"])
@settings(max_examples=200, deadline=None)
def test_texts_that_are_no_utf8_match_what_stands_in_them_byte_for_byte(rule, texts):
    entries = ["cat", "a", "猫", "猫猫", "-", "\U0010ffff", "é", "é-", "a cat", "cat-"]
    padded = [wanted(entry, rule).encode() for entry in entries]
    read = [as_read(text.decode("latin-1")).encode("latin-1") for text in texts]
    expected = [[number for number, entry in enumerate(padded) if entry in text] for text in read]
    assert found(of_bytes(texts), entry_table(entries), rule) == expected


def first_character(text: bytes) -> tuple[int, int] | None:
    """Code point and size of the character that some bytes begin with, by Python's own reading."""
    for size in range(1, min(len(text), 4) + 1):
        with suppress(UnicodeDecodeError):
            return ord(text[:size].decode()), size
    return None


def test_characters_are_those_that_python_reads_and_none_goes_beyond_the_end():
    """A code point beyond the last, or a byte behind the text, would be looked up outside of a table."""
    chance, wide = random.Random(0), (0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0x00, 0x7F, 0xC2, 0xFF)
    texts = [bytes([lead, *chance.choices(wide, k=3)]) for lead in range(0x80, 0x100) for _ in range(200)]
    texts += [chr(point).encode().ljust(4, b"\x80") for point in (0x80, 0x7FF, 0x800, 0xFFFF, 0x10000, 0x10FFFF)]
    for text in texts:
        for end in (1, 2, 3, 4):
            point, size = characters._decoded(np.frombuffer(text, np.uint8), 0, end)
            expected = first_character(text[:end])
            # Surrogates are read: no entry has one.
            assert (point, size) == expected if expected else size == 0 or 0xD800 <= point < 0xE000, (text, end)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_binary(), pa.binary(), pa.dictionary(pa.int32(), pa.string())])  # fmt: skip
def test_texts_of_any_arrow_type_are_read_once_laid_out(rule, kind):
    texts = ["cat", "dog 猫", "the dog", "", "cat"]
    array = pa.array(texts).dictionary_encode() if kind.num_fields else pa.array(texts).cast(kind)
    expected = reference(texts, ["cat", "dog", "猫"], rule)
    assert found(laid_out(array), entry_table(["cat", "dog", "猫"]), rule) == expected
    assert found(laid_out(array.slice(1, 3)), entry_table(["cat", "dog", "猫"]), rule) == expected[1:4]


def test_texts_that_are_not_laid_out_are_refused():
    with pytest.raises(TypeError, match="string_view"):
        found(pa.array(["cat"], pa.string_view()), entry_table(["cat"]), "metaclip1")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@pytest.mark.parametrize("rule", RULES)
def test_slices_of_a_column_are_read_where_they_lie(rule, kind):
    whole = pa.array(["cat", "dog 猫", "the dog", "猫", "cat"], kind)
    table = entry_table(["cat", "dog", "猫"])
    expected = [[1, 2], [1], [2]]
    assert found(whole.slice(1, 3), table, rule) == expected
    assert found(whole.slice(1, 3), table, rule, [2, 0]) == [expected[2], expected[0]]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("length", [2**14, 2**20])
def test_long_texts_and_long_blocks_are_read_in_bounds(rule, length):
    chance = random.Random(length)
    entries = ["a", "a a", "b", "猫", "猫猫", *(f"w{i}" for i in range(500))]
    long = "".join(chance.choices(["a ", "b ", "猫", *(f"w{i} " for i in range(500))], k=length // 4))
    texts = ["b", long, "a", *["a a"] * 1000, "a" * length, "," * length, "", long[: length // 2]]
    assert found(texts, entry_table(entries), rule) == reference(texts, entries, rule)


@pytest.mark.parametrize("rule", RULES)
def test_texts_with_any_number_of_matches_are_ordered(rule):
    entries = [f"w{i}" for i in range(9000)]
    chance = random.Random(0)
    texts = [" ".join(chance.choices(entries, k=k)) for k in (1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 200, 5000)]
    assert found(texts, entry_table(entries), rule) == [
        sorted({int(word[1:]) for word in text.split()}) for text in texts
    ]


@pytest.mark.parametrize("length", [16, 17, 23, 24, 25, 31, 32, 300])
def test_a_hash_alone_is_not_believed(length):
    word = "".join(random.Random(length).choices(string.ascii_letters, k=length))
    built = index.build(entry_table([word]), "metaclip1")
    texts = pa.array([word])

    def flip(at):
        built.words.pool.flags.writeable = True
        built.words.pool[at] ^= 1
        built.words.pool.flags.writeable = False

    assert built.match(texts, np.arange(1))[0].tolist() == [0]
    for at in range(length):
        # The bytes that the hash stands for are other ones now: as if two words had one hash.
        flip(at)
        assert built.match(texts, np.arange(1))[0].tolist() == []
        flip(at)


def write_list(folder, lang: str, texts: list[str]) -> None:
    (folder / lang).mkdir(parents=True)
    pq.write_table(schema.load("entries").hold(entry_table(texts)), folder / lang / "entries.parquet")


# -- the stage


def pairs_of(texts: list[str]) -> pa.Table:
    return pa.table({"uid": [f"{i:032x}" for i in range(len(texts))], "text": pa.array(texts, pa.string())})


def test_the_stage_says_of_each_row_what_became_of_it():
    texts = [
        "a photograph of a horse in the snow",
        "ein Pferd steht im tiefen Schnee",
        "Qzxjk vwpq the-thing",
        "雪の中の馬の写真です",
    ]
    rows = schema.load("matches").hold(match(pairs_of(texts), Match())).to_pylist()
    assert [(row["state"], row["reason"], row["lang"]) for row in rows[:2]] == [
        ("kept", None, "en"),
        ("dropped", "no_metadata", "de"),
    ]
    assert rows[3]["lang"] == "ja" and rows[3]["reason"] == "no_metadata"
    assert rows[0]["entries"] and not any(row["entries"] for row in rows[1:])
    listed = lists.load("metadata", "en").to_pydict()
    number = dict(zip(listed["text"], listed["id"], strict=True))
    assert {number["horse"], number["photograph"], number["snow"]} <= set(rows[0]["entries"])


def test_every_language_is_matched_against_its_own_list(tmp_path):
    write_list(tmp_path, "en", ["dog", "horse", "snow"])
    write_list(tmp_path, "de", ["Schnee", "Pferd"])
    write_list(tmp_path, "ja", ["馬", "雪", "写真"])
    texts = [
        "雪の中の馬の写真です",
        "the horse is in the snow today",
        "ein Pferd steht im tiefen Schnee",
        "the house is on the hill",
        "the dog is at the door of the house",
        "ein Pferd steht auf der Wiese",
    ]
    asked = Match(metadata=str(tmp_path), languages=("en", "de", "ja"), rule="metaclip2")
    out = match(pairs_of([*texts, *texts[::-1]]), asked)
    # Of one language some have more than others: each has to be put where its own belong.
    expected = [[0, 1, 2], [1, 2], [0, 1], [], [0], [1]]
    assert out["lang"].to_pylist()[:6] == ["ja", "en", "de", "en", "en", "de"]
    assert out["entries"].to_pylist() == expected + expected[::-1]
    reasons = [None, None, None, "no_entry", None, None]
    assert out["reason"].to_pylist() == reasons + reasons[::-1]


@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string(), "dictionary", "pieces", "nulls"])
def test_the_stage_takes_columns_of_any_kind(kind):
    texts = ["a photograph of a horse", "ein Pferd steht im tiefen Schnee", "the cat sat on the mat", "a horse"]
    plain = match(pairs_of(texts), Match())
    columns = {
        "dictionary": lambda: pa.chunked_array([pa.array(texts).dictionary_encode()]),
        "pieces": lambda: pa.chunked_array([texts[:1], [], texts[1:]]),
        "nulls": lambda: pa.chunked_array([[*texts, None]]).slice(0, 4),
    }
    column = columns[kind]() if isinstance(kind, str) else pa.chunked_array([pa.array(texts, kind)])
    assert match(pairs_of(texts).set_column(1, "text", column), Match()).equals(plain)


def test_a_null_fails_and_leaves_its_neighbours_alone():
    rows = match(pairs_of(["a horse in the snow", None, "a house in the snow"]), Match()).to_pylist()
    assert [(row["state"], row["reason"]) for row in rows] == [
        ("kept", None),
        ("failed", "no_language"),
        ("kept", None),
    ]
    assert rows[0]["entries"] and not rows[1]["entries"] and rows[2]["entries"]


def test_no_rows_make_no_rows():
    out = match(pairs_of([]), Match())
    assert len(schema.load("matches").hold(out)) == 0
