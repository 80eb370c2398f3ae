import json
import shutil

import msgspec
import pytest

from curate.store import Dataset
from jobs import engine, report


def make(workdir, recipe):
    """Makes the report and returns its bytes; it needs no engine."""
    engines = engine.Engines()
    report.run(engine.Run(recipe, str(workdir), engines))
    assert engines._spark is None and engines._ray is None
    return {name: (workdir / "report" / name).read_bytes() for name in ("index.html", "report.json", "_manifest.json")}


@pytest.fixture
def workdir(small_workdir, tmp_path):
    return shutil.copytree(small_workdir, tmp_path / "copied")


def test_equal_workdirs_make_equal_bytes_anywhere(workdir, small_recipe, tmp_path):
    first = make(workdir, small_recipe)
    elsewhere = shutil.copytree(workdir, tmp_path / "another" / "place")
    shutil.rmtree(elsewhere / "report")
    assert make(elsewhere, small_recipe) == first
    assert str(tmp_path) not in first["index.html"].decode().replace(small_recipe.match.metadata, "").replace(
        small_recipe.report.truth, ""
    )


def test_it_is_made_once_and_again_only_when_something_changed(workdir, small_recipe, capsys):
    make(workdir, small_recipe)
    capsys.readouterr()
    make(workdir, small_recipe)
    assert "already done, skipped" in capsys.readouterr().out
    comparison = workdir / "evaluations" / "comparison.json"
    changed = json.loads(comparison.read_text())
    changed["sets"]["fluent"]["zero_shot_top1"]["curated"] = 0.987
    comparison.write_text(json.dumps(changed))
    assert b"98.7 %" in make(workdir, small_recipe)["index.html"]


def test_it_is_made_anew_with_another_title(workdir, small_recipe):
    make(workdir, small_recipe)
    other = msgspec.structs.replace(small_recipe, report=msgspec.structs.replace(small_recipe.report, title="<Mine>"))
    assert b"&lt;Mine&gt;" in make(workdir, other)["index.html"]


@pytest.mark.parametrize(
    "gone", ["selection", "duplicates", "scores/clip", "balanced", "counts", "evaluations", "runs", "images"]
)
def test_a_stage_that_was_not_run_leaves_its_section_out(workdir, small_recipe, gone):
    shutil.rmtree(workdir / gone)
    made = make(workdir, small_recipe)
    facts = json.loads(made["report.json"])
    if Dataset(str(workdir), gone).name in ("selection", "duplicates", "scores/clip", "balanced", "images"):
        assert gone in facts["funnel"]["missing"]
    absent = {
        "selection": "truth",
        "balanced": "entries",
        "counts": "entries",
        "evaluations": "evaluation",
        "images": "examples",
    }
    if gone in absent:
        assert facts[absent[gone]] is None
