"""`curate counts`: sums of pools on the command line, and paths that lead nowhere."""

import pytest
from typer.testing import CliRunner

from curate.cli import app
from curate.concepts.counting import CountError
from tests.concepts.test_counting import dataset

ROW = {"state": "kept", "lang": "en", "entries": [0, 3]}


def run(*arguments: object) -> str:
    return CliRunner().invoke(app, ["counts", *map(str, arguments)], catch_exceptions=False).output


def test_pools_are_added_up_and_taken_off(tmp_path):
    for name, rows in (("a", [ROW, ROW]), ("b", [ROW])):
        dataset(tmp_path / name, rows)
    said = run("merge", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "sum")
    assert "en" in said and said.split()[-2:] == ["2", "6"]
    run("merge", tmp_path / "sum", "--remove", tmp_path / "a", "--out", tmp_path / "less")
    assert run("show", "-w", tmp_path / "less").split()[-2:] == ["2", "2"]


def test_a_workdir_without_counts_is_named(tmp_path):
    with pytest.raises(CountError, match=r"nowhere.counts is not there or not finished"):
        run("merge", tmp_path / "nowhere", "--out", tmp_path / "sum")
