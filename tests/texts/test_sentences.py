"""Texts to learn from: the same sample in any order, every text accounted for, and hostile files."""

import gzip
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.texts import sentences
from curate.texts.sentences import LONGEST, TextsError, of_file, sample


def flat(batches):
    return [text for batch in batches for text in batch]


def test_a_sample_hangs_on_the_texts_alone():
    texts = (
        [f"text number {i}" for i in range(500)]
        + [f"Text  Number {i}" for i in range(250)]
        + ["two words"] * 9
        + [None]
    )
    found = sample([texts], seed=0, most=100, min_words=3)
    assert len(found.texts) == 100 and found.account["too_few_words"] == 10
    assert sum(value for name, value in found.account.items() if name != "read") == found.account["read"] == len(texts)
    mixed = random.Random(0).sample(texts, len(texts))
    assert sample([mixed[at : at + 7] for at in range(0, len(mixed), 7)], seed=0, most=100, min_words=3) == found
    more = sample([texts], seed=0, most=200, min_words=3).texts
    assert set(found.texts) < set(more) and set(sample([texts], seed=1, most=100, min_words=3).texts) != set(
        found.texts
    )


def test_a_sample_holds_about_twice_what_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(sentences, "BATCH", 10)
    sizes = []
    smallest = sentences._smallest

    def seen(held, seed, most):
        sizes.append(len(held))
        return smallest(held, seed, most)

    monkeypatch.setattr(sentences, "_smallest", seen)
    found = sample(
        ([f"text number {i + j}" for j in range(10)] for i in range(0, 5000, 10)), seed=0, most=50, min_words=3
    )
    assert max(sizes) <= 2 * 50 + 20 and len(sizes) > 50
    monkeypatch.undo()
    assert found.texts == sample([[f"text number {i}" for i in range(5000)]], seed=0, most=50, min_words=3).texts


def test_lines_of_a_file(tmp_path):
    data = b"one line of text\r\n\nbad \xff byte here\n" + b"long " * 100_000 + b"\nthe last line"
    (tmp_path / "a.txt").write_bytes(data)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(data))
    found = flat(of_file(str(tmp_path / "a.txt"), "text", {}))
    assert [text if len(text) < 99 else "..." for text in found] == [
        "one line of text",
        "",
        "bad � byte here",
        "...",
        "the last line",
    ]
    assert LONGEST < len(found[3]) < 5 * LONGEST
    assert flat(of_file(str(tmp_path / "a.txt.gz"), "text", {})) == found
    assert sample([found], seed=0, most=9, min_words=3).account["too_long"] == 1


def test_columns_of_a_parquet_file(tmp_path):
    rows = {
        "caption": ["a red cat", "un chat rouge", None],
        "lang": ["en", "fr", "en"],
        "many": [["x y"], [], None],
        "n": [1, 2, 3],
    }
    path = str(tmp_path / "a.parquet")
    pq.write_table(pa.table(rows), path)
    assert flat(of_file(path, "caption", {})) == rows["caption"]
    assert flat(of_file(path, "caption", {"lang": "fr"})) == ["un chat rouge"]
    assert flat(of_file(path, "caption", {"lang": ("en", "de"), "n": "1"})) == ["a red cat"]
    assert flat(of_file(path, "many", {})) == ["x y"]
    with pytest.raises(TextsError, match=r"has no column 'captoin': .*caption"):
        flat(of_file(path, "captoin", {}))
    with pytest.raises(TextsError, match="column 'n' holds int64, not texts"):
        flat(of_file(path, "n", {}))
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(TextsError, match="is no Parquet file"):
        flat(of_file(str(tmp_path / "b.parquet"), "text", {}))
    with pytest.raises(TextsError, match="no texts at"):
        flat(of_file(str(tmp_path / "c.txt"), "text", {}))
