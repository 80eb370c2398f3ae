"""ImageNet-21k's nouns: the answers of NLTK's WordNet on the same files, and the table's builder."""

import json
import sys

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from curate.cli import app
from curate.texts import synsets

# What `nltk.corpus.wordnet.synsets(word)[0]` (NLTK 3.10.4, WordNet 3.0) is, where that is of ImageNet-21k.
NLTK = {
    "dog": "n02084071", "Dogs": "n02084071", "DOG": "n02084071", "mice": "n02330245", "wolves": "n02114100", "glasses": "n04272054", "churches": None,
    "boxes": "n02883344", "women": "n10787470", "hot_dog": None, "axes": "n02764044", "men": None, "geese": "n01855672", "berries": "n07742704",
    "quickly": None, "run": None, "the": None, "beautiful": None, "house": "n03544360", "houses": "n03544360", "dog,": None, "zzz": None, "": None, "s": None,
}  # fmt: skip


def wnid(word: str) -> str | None:
    return synsets.of(pa.array([word]))[0].as_py()


@pytest.mark.parametrize(("word", "answer"), NLTK.items())
def test_a_words_first_synset_is_nltks(word, answer):
    assert wnid(word) == answer


def test_the_first_word_that_has_one_decides():
    found = synsets.of(
        pa.chunked_array([["a quick dog and a house", "the house, my dog"], ["", "of the"], [None, "x\u3000dogs"]])
    )
    assert found.to_pylist() == ["n02084071", "n02084071", None, None, None, "n02084071"]
    assert found.type == pa.string()
    assert synsets.of(pa.array([], pa.string())).to_pylist() == []


def test_words_are_parted_where_python_parts_them():
    blanks = [chr(point) for point in range(sys.maxunicode + 1) if chr(point).isspace()]
    assert synsets.of(pa.array([f"zzz{blank}dog" for blank in blanks])).to_pylist() == ["n02084071"] * len(blanks)


@pytest.fixture
def wordnet(tmp_path):
    head = "  1 a licence in indented lines\n"
    index = [
        "ax n 1 1 @ 1 0 00000030  ",
        "axis n 2 2 @ ~ 2 0 00000010 00000030  ",
        "dog n 1 0 1 1 00000020  ",
        "man n 1 0 1 1 00000040  ",
    ]
    (tmp_path / "index.noun").write_text(head + "\n".join(index) + "\n")
    (tmp_path / "noun.exc").write_text("axes ax axis\nmen-at-arms man-at-arms\n")
    (tmp_path / "ids.txt").write_text("n00000020\nn00000030\nn00000099\n")
    return tmp_path


def build(folder, **files) -> object:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    args = [
        "metadata",
        "imagenet21k",
        "--wordnet",
        str(folder),
        "--synsets",
        str(folder / "ids.txt"),
        "--out",
        str(folder / "out"),
    ]
    return CliRunner().invoke(app, args)


def test_the_builder_reads_wordnets_files(wordnet, monkeypatch):
    assert build(wordnet).exit_code == 0
    account = json.loads((wordnet / "out/imagenet21k/provenance.json").read_text())
    assert (account["nouns"], account["imagenet_synsets"], account["first_of_a_noun"], account["never_first"]) == (
        4,
        3,
        2,
        1,
    )
    before = (wordnet / "out/imagenet21k/nouns.parquet").read_bytes()
    monkeypatch.setattr(synsets, "folder", lambda name: wordnet / "out")
    synsets.nouns.cache_clear()
    try:
        assert [wnid(word) for word in ("axes", "axis", "dogs", "man", "men-at-arms")] == [
            "n00000030",
            None,
            "n00000020",
            None,
            None,
        ]
    finally:
        synsets.nouns.cache_clear()
    assert build(wordnet).exit_code == 0 and (wordnet / "out/imagenet21k/nouns.parquet").read_bytes() == before


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"index_noun": "dog n 1 5 @ 1\n"}, "not a line of an index"),
        ({"index_noun": "dog n 1 x\n"}, "not a line of an index"),
        ({"ids_txt": "n02084071\n02084072\n"}, "line 2: '02084072' is not a WordNet id"),
        ({"ids_txt": "n00000077\n"}, "no id in it is a synset"),
    ],
)
def test_files_that_are_something_else_are_refused(wordnet, files, message):
    done = build(wordnet, **files)
    assert done.exit_code != 0 and message in str(done.exception)


def test_a_missing_file_says_what_to_give(wordnet):
    (wordnet / "noun.exc").unlink()
    assert "noun.exc: it cannot be read" in str(build(wordnet).exception)
