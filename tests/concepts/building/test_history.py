"""Builds over a list that is there: what its account remembers, and where a list may stand."""

import json

import fsspec
import pytest

from curate.concepts import entries
from curate.concepts.building.assembling import BuildError
from tests.concepts.building import dumps
from tests.concepts.building.test_assembling import run


def account(out) -> dict:
    return json.loads((out / "en" / "provenance.json").read_text())


def test_a_build_over_a_list_keeps_ids_and_the_account_of_what_made_it(princeton, tmp_path):
    (tmp_path / "d.xml").write_text(dumps.document([dumps.page(1, "T", "a cat and an entity")] * 3))
    out = tmp_path / "lists"
    run("metadata", "build", "--wordnet", princeton, "--out", out)
    first = entries.load(str(out), "en").to_pylist()
    assert account(out)["earlier"] == []
    said = run("metadata", "build", "--wikipedia", tmp_path / "d.xml", "--unigram-count", 3, "--out", out).output
    assert "wikipedia, pages: 3 article" in said
    both = entries.load(str(out), "en").to_pylist()
    assert both[: len(first)] == first and len(both) == len(first) + 4
    [earlier] = account(out)["earlier"]
    assert earlier["inputs"].keys() == {"wordnet"} and earlier["thresholds"]["unigram_count"] == 100
    assert account(out)["inputs"].keys() == {"wikipedia"} and account(out)["kept_from_before_alone"] == len(first) - 101
    # The same build again is not another one.
    before = (out / "en" / "provenance.json").read_bytes()
    run("metadata", "build", "--wikipedia", tmp_path / "d.xml", "--unigram-count", 3, "--out", out)
    assert (out / "en" / "provenance.json").read_bytes() == before


def test_an_account_that_is_none_stops_the_build(princeton, tmp_path):
    run("metadata", "build", "--wordnet", princeton, "--out", tmp_path)
    (tmp_path / "en" / "provenance.json").write_text("[]")
    with pytest.raises(BuildError, match=r"provenance.json: not the account of a list"):
        run("metadata", "build", "--wordnet", princeton, "--out", tmp_path)


def test_languages_take_the_preset_that_was_published_for_them(princeton, tmp_path):
    run("metadata", "build", "--language", "en,de", "--wordnet", princeton, "--out", tmp_path)
    presets = {code: json.loads((tmp_path / code / "provenance.json").read_text())["preset"] for code in ("en", "de")}
    assert presets == {"en": "metaclip1", "de": "metaclip2"}


def test_a_list_may_stand_in_a_store_and_folders_that_cannot_be_written_are_named(princeton, tmp_path):
    run("metadata", "build", "--wordnet", princeton, "--out", "memory://lists")
    run("metadata", "build", "--wordnet", princeton, "--out", "memory://lists/")
    assert len(entries.load("memory://lists", "en")) == 104
    fsspec.filesystem("memory").rm("/lists", recursive=True)
    (tmp_path / "file").touch()
    with pytest.raises(BuildError, match=r"--out .*file: .* cannot be written: Not a directory"):
        run("metadata", "build", "--wordnet", princeton, "--out", tmp_path / "file")


def test_what_an_imported_list_has_that_is_no_entry_is_said(tmp_path):
    (tmp_path / "list.json").write_text('["cat", 3, "cat", "?"]')
    said = run("metadata", "import", tmp_path / "list.json", "--out", tmp_path).output
    assert "imported, refused: 1 not_a_string, 1 repeated" in said and "1 left out: punctuation" in said


def test_what_is_wrong_with_one_language_stops_all_before_any_is_built(princeton, tmp_path):
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "entries.parquet").write_bytes(b"PAR1")
    for more in ((), ("--words", "5")):
        with pytest.raises(BuildError, match="not an entry list"):
            run("metadata", "build", "--language", "en,de,qq", "--wordnet", princeton, "--out", tmp_path, *more)
    assert not (tmp_path / "en").exists()
