"""The rules against a reference of a few lines, on texts made of everything that could part the two."""

import random
import string

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate import schema
from curate.concepts import entries as lists
from curate.concepts import index, rules
from curate.concepts.matching import match
from curate.recipe import Match

PIECES = [
    *" \t\n\r\0,.;:?!`'-_\u00a0\u200b\u3000", "  ", "\r\n", "cat", "cat house", "house", "Cat", "a", "a a", "a\0", "re-", "re", "implementation",
    "-ing", "C++", "(b)", "1234567", "12345678", "x" * 15, "x" * 16, "x" * 17, "y" * 300, "y" * 299 + "z", "é", "e\u0301", "ñandú", "кот",
    "猫", "猫の写真", "の", "写真", "猫 写", "한국", "고양이", "قطة", "बिल्ली", "แมว", "ແມວ", "ကြောင်", "ឆ្មា", "ཞི་མི་", "γάτα", "חתול", "🐈", "🐈\u200d⬛",
    "𠀀", "\U0002ebef", "\U0002ebf0", "\U00030000", "\U0010ffff", "Ph.D.", ", ,", "99", "“", "”", "—", "。", "、", "・", "～", "¿", "«",
]  # fmt: skip
PHRASE = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
TEXT = st.one_of(PHRASE, st.text(st.characters(exclude_categories=["Cs"])))
ENTRIES = st.lists(st.one_of(st.sampled_from(PIECES), PHRASE, TEXT), max_size=12, unique=True)
RULES = ["metaclip1", "metaclip2"]


def close(char: str) -> bool:
    """Whether rule 2 leaves the blank out beside a character: the published ranges and marks."""
    point = ord(char)
    han = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF),
           (0x2CEB0, 0x2EBEF), (0xF900, 0xFAFF), (0x2E80, 0x2EFF), (0x2F00, 0x2FDF), (0x2FF0, 0x2FFF)]  # fmt: skip
    others = [(0x0E00, 0x0E7F), (0x0E80, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x0F00, 0x0FFF)]
    marks = string.punctuation + "，。、；：？！“”‘’（）【】《》〈〉「」『』～—"
    return char in marks or any(low <= point <= high for low, high in han + others)


def as_read(text: str) -> str:
    text = f" {text} "
    for mark in ",.;:?!`":
        text = text.replace(mark, f" {mark} ")
    return text.replace("\t", " ").replace("\n", " ").replace("\r", " ")


def wanted(entry: str, rule: str) -> str:
    if rule == "metaclip1":
        return f" {entry} "
    return ("" if close(entry[0]) else " ") + entry + ("" if close(entry[-1]) else " ")


def reference(texts: list[str], entries: list[str], rule: str) -> list[list[int]]:
    """The rules as they read."""
    padded = [(number, wanted(entry, rule)) for number, entry in enumerate(entries) if entry]
    return [[number for number, entry in padded if entry in read] for read in map(as_read, texts)]


def entry_table(texts: list[str], ids: list[int] | None = None) -> pa.Table:
    count = len(texts)
    return pa.table({
        "id": pa.array(range(count) if ids is None else ids, pa.int32()), "text": pa.array(texts, pa.string()),
        "source": pa.array(["words"] * count, pa.string()), "statistic": pa.array([None] * count, pa.float64()),
    })  # fmt: skip


def found(texts: pa.Array | list[str], table: pa.Table, rule: str, rows: list[int] | None = None) -> list[list[int]]:
    array = pa.array(texts, pa.string()) if isinstance(texts, list) else texts
    chosen = np.arange(len(array)) if rows is None else np.array(rows)
    ids, counts = index.build(table, rule).match(array, chosen)
    return [part.tolist() for part in np.split(ids, np.cumsum(counts)[:-1])] if len(chosen) else []


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


@pytest.mark.parametrize("rule", RULES)
@given(entry=TEXT, text=TEXT)
@example(entry="a,", text="")
@settings(deadline=None)
def test_an_entry_that_is_not_matchable_stands_in_no_text(rule, entry, text):
    if entry and not rules.matchable(entry, rule):
        assert reference([text + entry + text, entry], [entry], rule) == [[], []]


@pytest.mark.parametrize("rule", RULES)
@given(ENTRIES)
def test_a_list_is_padded_and_checked_as_its_entries_one_by_one(rule, entries):
    array = pa.array(entries, pa.large_string())
    assert (~rules.impossible(array, rule)).tolist() == [rules.matchable(entry, rule) for entry in entries]
    padded = rules.padded_all(array, rule).to_pylist()
    assert [mine for mine, entry in zip(padded, entries, strict=True) if entry] == [
        rules.padded(entry, rule) for entry in entries if entry
    ]


@pytest.mark.parametrize("entry", ["cat", "a , b", "a  ,  b", ",", "\u00a0", "re-", "x\0", "猫", "\U0010ffff"])
@pytest.mark.parametrize("rule", RULES)
def test_matchable_entries_have_a_text(entry, rule):
    assert rules.matchable(entry, rule)
    text = entry
    for mark in ",.;:?!`":
        text = text.replace(f" {mark} ", mark)
    assert reference([text], [entry], rule) == [[0]] == found([text], entry_table([entry]), rule)


@pytest.mark.parametrize("entry", ["", "Ph.D.", "a,b", "a ,b", ", ,", "a\tb", "a\nb", "a\r"])
@pytest.mark.parametrize("rule", RULES)
def test_entries_that_touch_a_mark_are_not_matchable(entry, rule):
    assert not rules.matchable(entry, rule)


def test_the_rules_differ_where_the_second_leaves_blanks_out():
    texts = ["a re-implementation", "写真です", "C++11"]
    table = entry_table(["re-", "写真", "C++", "re", "11"])
    assert found(texts, table, "metaclip1") == [[], [], []]
    assert found(texts, table, "metaclip2") == [[0], [1], [2]]


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
    assert built.match(texts, np.arange(1))[0].tolist() == [0]
    for at in range(length):
        # The bytes that the hash stands for are other ones now: as if two words had one hash.
        built.words.pool[at] ^= 1
        assert built.match(texts, np.arange(1))[0].tolist() == []
        built.words.pool[at] ^= 1


@pytest.mark.parametrize("rule", RULES)
def test_an_index_on_disk_is_the_one_that_was_built(rule, tmp_path):
    table = entry_table([piece for piece in dict.fromkeys(PIECES) if piece])
    built = index.build(table, rule)
    index.write(built, tmp_path / "an.index")
    read = index.read(tmp_path / "an.index")
    texts = pa.array([*PIECES, "".join(PIECES)], pa.string())
    for one, other in zip(
        built.match(texts, np.arange(len(texts))), read.match(texts, np.arange(len(texts))), strict=True
    ):
        assert one.tolist() == other.tolist()
    assert not read.words.short.flags.writeable
    assert read.words.short.ctypes.data % 64 == 0


def write_list(folder, lang: str, texts: list[str]) -> None:
    (folder / lang).mkdir(parents=True)
    pq.write_table(schema.load("entries").hold(entry_table(texts)), folder / lang / "entries.parquet")


def test_an_index_is_kept_under_its_lists_fingerprint_and_a_changed_list_has_another(tmp_path, monkeypatch):
    monkeypatch.setenv("CURATE_CACHE", str(tmp_path / "cache"))
    write_list(tmp_path / "lists", "en", ["horse"])
    write_list(tmp_path / "other", "en", ["house"])
    texts = pa.array(["the horse is in the house"])
    for metadata, expected in (("lists", [0]), ("lists", [0]), ("other", [0])):
        opened = index.opened.__wrapped__(str(tmp_path / metadata), "en", "metaclip1")
        assert opened.match(texts, np.arange(1))[0].tolist() == expected
    kept = sorted(file.name for file in (tmp_path / "cache").glob("*.index"))
    assert len(kept) == 2 and all(name.startswith("en-") and "-metaclip1-" in name for name in kept)


def test_a_cache_that_cannot_be_written_says_so(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CURATE_CACHE", str(tmp_path / "file"))
    with pytest.raises(index.CacheError, match="CURATE_CACHE"):
        index.cache()


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
    ]
    asked = Match(metadata=str(tmp_path), languages=("en", "de", "ja"), rule="metaclip2")
    out = match(pairs_of([*texts, *texts[::-1]]), asked)
    expected = [[0, 1, 2], [1, 2], [0, 1], []]
    assert out["lang"].to_pylist()[:4] == ["ja", "en", "de", "en"]
    assert out["entries"].to_pylist() == expected + expected[::-1]
    assert out["reason"].to_pylist() == [None, None, None, "no_entry", "no_entry", None, None, None]


def test_no_rows_make_no_rows():
    out = match(pairs_of([]), Match())
    assert len(schema.load("matches").hold(out)) == 0
