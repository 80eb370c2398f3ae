"""Building an entry list: stable ids, equal bytes, and the account of what can never match."""

import json

import pyarrow.parquet as pq
import pytest

from curate import schema
from curate.concepts import building, entries
from curate.concepts.matching import matchable
from curate.recipe import RecipeError

LICENCE = "  1 This software and database is being provided to you\n"


@pytest.fixture
def wordnet(tmp_path):
    """A WordNet of five synsets in the format of wndb(5WN)."""
    folder = tmp_path / "wordnet"
    folder.mkdir()
    lines = {
        "data.noun": ["00001740 03 n 01 entity 0 000 | x", "00001930 03 n 02 physical_entity 0 thing 0 000 | x"],
        "data.verb": ["00001740 29 v 01 entity 0 000 01 + 02 00 | x"],
        "data.adj": ["00001740 00 a 01 outback(a) 0 000 | x"],
        "data.adv": ["00001740 02 r 01 et_al. 0 000 | x"],
    }
    for file, synsets in lines.items():
        (folder / file).write_text(LICENCE + "".join(line + "  \n" for line in synsets))
    return folder


def test_synset_names_are_first_lemmas_with_blanks_and_without_markers(wordnet):
    assert list(building.wordnet(wordnet)) == [
        ("entity", "wordnet", 2.0),
        ("physical entity", "wordnet", 1.0),
        ("outback", "wordnet", 1.0),
        ("et al.", "wordnet", 1.0),
    ]


@pytest.mark.parametrize("text", ["?", "°", "_", "a00", "twenty00", "v0.0", "0,000"])
def test_marks_and_classes_of_numbers_are_no_words(text):
    assert not building.is_word(text)


@pytest.mark.parametrize("text", ["cat", "ps4", "o'clock", "猫", "5", "café"])
def test_words_are_words(text):
    assert building.is_word(text)


def test_a_rebuild_keeps_ids_and_appends():
    first = building.assemble([("cat", "words", 3.0), ("dog", "words", 2.0), ("eel", "words", 1.0)])
    # "dog" is no longer offered, "ant" and "bee" are new, the order is another one.
    again = building.assemble(
        [("bee", "words", 9.0), ("eel", "words", 5.0), ("cat", "words", 3.0), ("ant", "words", 1.0)], first
    )
    assert again["text"].to_pylist() == ["cat", "dog", "eel", "bee", "ant"]
    assert again["id"].to_pylist() == [0, 1, 2, 3, 4]
    assert again.slice(0, 3).equals(first)


def test_the_command_builds_equal_bytes_and_accounts_for_what_cannot_match(wordnet, tmp_path):
    pytest.importorskip("wordfreq")
    out = tmp_path / "metadata" / "en"
    command = ["--wordnet", str(wordnet), "--words", "300", "--out", str(out)]
    building.main(command)
    built = {file.name: file.read_bytes() for file in out.iterdir()}
    building.main(command)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == built
    (out / "entries.parquet").unlink()
    building.main(command)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == built
    table = entries.load(str(out.parent), "en")
    texts = table["text"].to_pylist()
    assert {"entity", "the", "The", "0", "99"} <= set(texts) and "," not in texts
    account = json.loads(built["provenance.json"])
    assert "et al." in account["never_match"]["examples"]
    assert account["never_match"]["count"] == sum(not matchable(text) for text in texts)
    assert account["entries"] == len(texts) == sum(account["by_source"].values())


def test_the_shipped_list_is_what_its_account_says():
    table = entries.load("metadata", "en")
    folder = building.Path(__file__).resolve().parents[2] / "metadata" / "en"
    account = json.loads((folder / "provenance.json").read_text())
    assert len(table) == account["entries"] > 200_000
    assert table["id"].to_pylist() == list(range(len(table)))
    assert (folder / "entries.parquet").stat().st_size < 4_000_000
    assert {str(n) for n in range(100)} <= set(table["text"].to_pylist())
    assert sum(not matchable(text) for text in table["text"].to_pylist()) == account["never_match"]["count"]
    assert {"LICENSE.wordnet", "LICENSE.wordfreq", "README.md"} <= {file.name for file in folder.iterdir()}
    assert schema.load("entries").hold(table).equals(table)


def test_a_language_without_a_list_is_refused_by_name():
    with pytest.raises(RecipeError, match=r"no entry list for 'eng'.*did you mean 'en'"):
        entries.load("metadata", "eng")


def test_a_list_whose_ids_repeat_is_refused(tmp_path):
    table = building.assemble([("cat", "words", 1.0), ("dog", "words", 1.0)])
    (tmp_path / "en").mkdir()
    pq.write_table(table.set_column(0, "id", [[7, 7]]), tmp_path / "en" / "entries.parquet")
    with pytest.raises(RecipeError, match="ids repeat"):
        entries.load(str(tmp_path), "en")
