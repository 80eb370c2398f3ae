"""Lists that users have, hostile ones among them."""

import json

import pytest

from curate.commands import metadata
from curate.concepts import entries
from curate.concepts.building import imported
from curate.concepts.building.assembling import BuildError


def test_a_list_of_strings_and_an_object_of_sources(tmp_path):
    (tmp_path / "list.json").write_text(json.dumps(["cat", "a dog", "cat", 7, None, ["x"], "猫"]))
    candidates, refused = imported.imported(tmp_path / "list.json")
    assert [text for text, _, _ in candidates] == ["cat", "a dog", "猫"]
    assert refused == {"not_a_string": 3, "repeated": 1}
    (tmp_path / "object.json").write_text(json.dumps({"cat": "wordnet", "dog": 3}))
    assert imported.imported(tmp_path / "object.json")[0] == [("cat", "wordnet", None), ("dog", "imported", None)]


def test_half_characters_are_refused_and_counted(tmp_path):
    (tmp_path / "list.json").write_text('["fine", "half \\ud800"]')
    candidates, refused = imported.imported(tmp_path / "list.json")
    assert [text for text, _, _ in candidates] == ["fine"] and refused == {"not_unicode": 1}


@pytest.mark.parametrize("text", ["", "[", "[]", "[7]", "{}", '"a string"', "7", "[" * 200_000, "\xff\xfe"])
def test_what_is_no_list_says_so(tmp_path, text):
    (tmp_path / "bad.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(BuildError, match=r"bad\.json: "):
        imported.imported(tmp_path / "bad.json")


def test_a_file_that_is_not_there_or_too_large_is_not_read(tmp_path, monkeypatch):
    with pytest.raises(BuildError, match="no such file"):
        imported.imported(tmp_path / "none.json")
    monkeypatch.setattr(imported, "LARGEST", 3)
    (tmp_path / "list.json").write_text('["cat"]')
    with pytest.raises(BuildError, match="7 bytes; at most 3"):
        imported.imported(tmp_path / "list.json")


def test_the_order_of_an_imported_list_gives_its_ids(tmp_path):
    file = tmp_path / "list.json"
    file.write_text(json.dumps(["zebra", "ant", "x" * 300]))
    metadata.import_(file, str(tmp_path / "out"), "en", "metaclip2", "metaclip1")
    table = entries.load(str(tmp_path / "out"), "en")
    assert table["text"].to_pylist()[:3] == ["zebra", "ant", "0"]
    account = json.loads((tmp_path / "out" / "en" / "provenance.json").read_text())
    assert account["left_out"] == {"too_long": 1}
    assert account["inputs"]["imported"]["refused"] == {}
