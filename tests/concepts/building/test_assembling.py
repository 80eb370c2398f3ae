"""Building an entry list: stable ids, equal bytes, and the account of what is left out and of what can never match."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from curate import schema
from curate.cli import app
from curate.concepts import entries
from curate.concepts.building import assembling, frequencies, presets
from curate.concepts.building.assembling import BuildError
from curate.concepts.rules import RULES, matchable
from curate.recipe import RecipeError

METACLIP1 = presets.preset("metaclip1")


def run(*arguments: object):
    """The command; errors that a user is to see are raised, as `curate` catches them at its door."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.mark.parametrize("text", ["?", "°", "_", "a00", "twenty00", "v0.0", "0,000"])
def test_marks_and_classes_of_numbers_are_no_words(text):
    assert not frequencies.is_word(text)


@pytest.mark.parametrize("text", ["cat", "ps4", "o'clock", "猫", "5", "café"])
def test_words_are_words(text):
    assert frequencies.is_word(text)


def test_a_rebuild_keeps_ids_and_appends():
    first = assembling.assemble([("cat", "words", 3.0), ("dog", "words", 2.0), ("eel", "words", 1.0)])
    # "dog" is no longer offered, "ant" and "bee" are new, the order is another one.
    offered = [("bee", "words", 9.0), ("eel", "words", 5.0), ("cat", "words", 3.0), ("ant", "words", 1.0)]
    again = assembling.assemble(offered, first)
    assert again["text"].to_pylist() == ["cat", "dog", "eel", "bee", "ant"]
    assert again["id"].to_pylist() == [0, 1, 2, 3, 4]
    # "eel" has a new number; "dog", which nobody offers now, has the one it had.
    assert again["statistic"].to_pylist() == [3.0, 2.0, 5.0, 9.0, 1.0]
    account = assembling.build("xx", {"words": offered}, METACLIP1, "metaclip1", first).account
    assert account["kept_from_before_alone"] == 1


def test_an_entry_keeps_the_source_that_first_brought_it():
    first = assembling.assemble([("cat", "wordnet", 1.0), ("dog", "wordnet", 1.0)])
    offered = [("cat", "words", 7.0), ("dog", "words", 8.0), ("dog", "wordnet", 2.0), ("dog", "wordnet", 3.0)]
    rows = assembling.assemble(offered, first).to_pylist()
    assert [(row["source"], row["statistic"]) for row in rows] == [("wordnet", 1.0), ("wordnet", 2.0)]


def test_ids_of_a_list_with_gaps_are_kept_and_never_given_again():
    first = assembling.assemble([(text, "words", None) for text in "abcd"]).take([0, 3])
    again = assembling.assemble([("e", "words", None), ("d", "words", None), ("f", "words", None)], first)
    assert dict(zip(again["text"].to_pylist(), again["id"].to_pylist(), strict=True)) == {
        "a": 0,
        "d": 3,
        "e": 4,
        "f": 5,
    }


def test_an_entry_of_several_sources_stands_under_the_first():
    sources = {"wordnet": [("cat", "wordnet", 2.0)], "words": [("cat", "words", 9.0), ("dog", "words", 8.0)]}
    built = assembling.build("en", sources, METACLIP1, "metaclip1")
    rows = {row["text"]: row for row in built.table.to_pylist()}
    assert (rows["cat"]["source"], rows["cat"]["statistic"]) == ("wordnet", 2.0)
    assert built.account["offered_by_source"] == {"wordnet": 1, "words": 2, "numbers": 100}
    assert built.account["by_source"] == {"numbers": 100, "wordnet": 1, "words": 1}
    assert set(rows) == {"cat", "dog", *(str(number) for number in range(100))}


def test_what_is_no_entry_is_left_out_by_reason():
    offered = [(text, "words", None) for text in ("", "  ", "?", "—。", "a" * 256, "b" * 257, "é?")]
    for name, long in (("metaclip1", 0), ("metaclip2", 1)):
        account = assembling.build("en", {"words": offered}, presets.preset(name), "metaclip1").account
        expected = {"empty": 2, "punctuation": 2} | ({"too_long": 1} if long else {})
        assert account["left_out"] == expected
        assert account["by_source"]["words"] == len(offered) - sum(expected.values())


@pytest.mark.parametrize("rule", RULES)
def test_what_can_never_match_is_counted_by_the_rule_in_question(rule):
    texts = ["et al.", "St. John", "a , b", "猫.", "plain", "re-"]
    built = assembling.build("en", {"words": [(text, "words", None) for text in texts]}, METACLIP1, rule)
    never = [text for text in texts if not matchable(text, rule)]
    assert built.account["never_match"]["examples"] == never and built.account["never_match"]["count"] == len(never) > 1
    assert built.account["never_match"]["rule"] == rule


def test_presets_are_the_published_ones_and_may_be_changed():
    two = presets.preset("metaclip2")
    assert (two.unigrams, two.bigrams, two.titles, two.longest) == (251_465, 100_646, 61_235, 256)
    assert (two.unigram_share, two.bigram_share, two.title_share, two.bigram_pmi) == (0.1, 0.4, 0.76, 30)
    assert (METACLIP1.unigram_count, METACLIP1.bigram_pmi, METACLIP1.title_views) == (100, 30, 70)
    assert presets.preset("metaclip1", unigram_count=3, title_views=None).unigram_count == 3
    with pytest.raises(RecipeError, match="did you mean 'metaclip2'"):
        presets.preset("metaclip3")


def test_the_command_builds_equal_bytes_and_accounts_for_what_cannot_match(princeton, tmp_path):
    pytest.importorskip("wordfreq")
    out = tmp_path / "metadata"
    command = ("metadata", "build", "--wordnet", princeton, "--words", "300", "--out", out)
    said = run(*command).output
    assert "can never match by metaclip1" in said and "et al." in said
    built = {file.name: file.read_bytes() for file in (out / "en").iterdir()}
    assert "with the ids that they had" in run(*command).output
    assert (out / "en" / "entries.parquet").read_bytes() == built["entries.parquet"]
    (out / "en" / "entries.parquet").unlink()
    run(*command)
    assert {file.name: file.read_bytes() for file in (out / "en").iterdir()} == built
    texts = entries.load(str(out), "en")["text"].to_pylist()
    assert {"entity", "the", "The", "0", "99"} <= set(texts) and "," not in texts
    account = json.loads(built["provenance.json"])
    assert account["never_match"]["count"] == sum(not matchable(text, "metaclip1") for text in texts)
    assert account["entries"] == len(texts) == sum(account["by_source"].values())
    assert account["preset"] == "metaclip1" and account["inputs"]["wordnet"]["data.noun"]["bytes"] > 0
    assert entries.languages(str(out)) == ["en"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no source: give --wordnet"),
        (("--words", "5", "--rule", "metaclip"), "no rule 'metaclip': did you mean 'metaclip"),
        (("--words", "5", "--language", "../en"), "a code in small letters"),
        (("--words", "5", "--language", "qq"), "wordfreq has no language 'qq'"),
        (("--wordnet", "/nowhere"), r"/nowhere/data.noun: No such file"),
        (("--words", "5", "--preset", "metaclip3"), "no preset 'metaclip3'.* did you mean 'metaclip2'"),
        (("--omw", "/nowhere.tab"), "--omw: no file matches '/nowhere.tab'"),
        (("--wikipedia", "/nowhere*.bz2"), r"--wikipedia: no file matches '/nowhere\*.bz2'"),
        (("--wikipedia", "/"), "--wikipedia: no file matches '/'"),
        (("--pageviews", __file__), "--pageviews: no line of the domain 'en'"),
        (("--wikipedia", __file__), "--wikipedia: no article in"),
        (("--wikipedia", __file__, "--language", "en,km"), "--language km: it is written without blanks"),
    ],
)
def test_bad_settings_stop_at_once(arguments, message, tmp_path):
    with pytest.raises((BuildError, RecipeError), match=message):
        run("metadata", "build", "--out", tmp_path, *arguments)
    assert not list(tmp_path.iterdir())


def test_a_list_that_is_none_is_not_built_over(princeton, tmp_path):
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "entries.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(BuildError, match=r"entries.parquet: not an entry list .*with new ids"):
        run("metadata", "build", "--wordnet", princeton, "--out", tmp_path)


def test_the_shipped_list_is_what_its_account_says():
    table = entries.load("metadata", "en")
    folder = Path(__file__).resolve().parents[3] / "metadata" / "en"
    account = json.loads((folder / "provenance.json").read_text())
    assert len(table) == account["entries"] > 200_000
    assert table["id"].to_pylist() == list(range(len(table)))
    assert (folder / "entries.parquet").stat().st_size < 4_000_000
    assert {str(n) for n in range(100)} <= set(table["text"].to_pylist())
    never = sum(not matchable(text, "metaclip1") for text in table["text"].to_pylist())
    assert never == account["never_match"]["count"]
    assert {"LICENSE.wordnet", "LICENSE.wordfreq", "README.md"} <= {file.name for file in folder.iterdir()}
    assert schema.load("entries").hold(table).equals(table)


def test_a_language_without_a_list_is_refused_by_name():
    with pytest.raises(RecipeError, match=r"no entry list for 'eng'.*did you mean 'en'"):
        entries.load("metadata", "eng")


def test_a_list_whose_ids_repeat_is_refused(tmp_path):
    table = assembling.assemble([("cat", "words", 1.0), ("dog", "words", 1.0)])
    (tmp_path / "en").mkdir()
    pq.write_table(table.set_column(0, "id", [[7, 7]]), tmp_path / "en" / "entries.parquet")
    with pytest.raises(RecipeError, match="ids repeat"):
        entries.load(str(tmp_path), "en")
