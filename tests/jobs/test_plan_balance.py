"""plan balance on Spark, over the bundled pool: it expects what the stage decides, and says so on a terminal."""

import json
import re
import shutil

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from curate import recipe
from curate.cli import app
from curate.store import Dataset, StoreError
from jobs import balance, engine, match, plan_balance

RECIPE = """
name: plan
extract: {inputs: ["*.warc.gz"]}
match: {languages: [en]}
balance: {t: 2}
score: {models: [{name: clip, model: ViT-B-32}]}
"""


@pytest.fixture(scope="module")
def matched(pool_pairs, engines, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("plan") / "w"
    shutil.copytree(pool_pairs, workdir)
    match.run(engine.Run(recipe.load("demo"), str(workdir), engines))
    return workdir


@pytest.mark.parametrize("how", [(), ("balance.one_text_per_image=true", "seed=7")])
def test_the_expectation_is_the_sum_of_what_the_stage_decides_by(matched, engines, tmp_path, how):
    run = engine.Run(recipe.load("demo", how), str(matched), engines)
    account = plan_balance.plan(run, [1, 3])
    for one in account["thresholds"]:
        target = tmp_path / str(one["t"])
        shutil.copytree(matched, target)
        balance.run(engine.Run(recipe.load("demo", [*how, f"balance.t={one['t']}"]), str(target), engines))
        rows = pa.concat_tables(Dataset(str(target), "balanced").batches()).to_pylist()
        drawn = [row["keep_probability"] for row in rows if row["state"] != "gone" and row["reason"] != "other_text"]
        assert one["pairs"] == len(drawn)
        assert one["expected"] == pytest.approx(sum(drawn), abs=1e-2)
        assert one["sigma"] == pytest.approx(np.sqrt(sum(p * (1 - p) for p in drawn)), abs=1e-2)
        kept = sum(row["state"] == "kept" for row in rows)
        assert abs(kept - one["expected"]) <= 4 * one["sigma"]


def test_t_of_english_is_the_one_asked_for_wherever_the_recipe_gives_it(matched, engines):
    run = engine.Run(recipe.load("demo", ["balance.t_of={en: 5}"]), str(matched), engines)
    small, large = plan_balance.plan(run, [1, 50])["thresholds"]
    assert small["languages"]["en"]["t"] == 1 and small["expected"] < large["expected"]


def test_counts_of_other_matches_are_refused(matched, engines, tmp_path):
    shutil.copytree(matched, tmp_path / "w")
    manifest = tmp_path / "w" / "matches" / "_manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    with pytest.raises(StoreError, match="counted from other matches"):
        plan_balance.plan(engine.Run(recipe.load("demo"), str(tmp_path / "w"), engines), [1])


def test_the_command_prints_a_table_and_writes_the_numbers(matched, engines, tmp_path):
    engines.spark()  # The command takes the session that it finds.
    (tmp_path / "r.yaml").write_text(RECIPE)
    told = tmp_path / "plan.json"
    done = CliRunner().invoke(
        app, ["plan", "balance", "-c", str(tmp_path / "r.yaml"), "-w", str(matched), "--t", "20,1,3", "--json", str(told)]
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    account = json.loads(told.read_text())
    assert [one["t"] for one in account["thresholds"]] == [1, 3, 20]
    expected = [f"{round(one['expected']):,}" for one in account["thresholds"]]
    assert re.search(r"pairs kept, expected +" + " +".join(expected) + " *\n", done.output)
    assert "Head and tail of en" in done.output and "keeps exceed pairs" in done.output
    assert engines.spark().range(3).count() == 3


@pytest.mark.parametrize("t", ["abc", "0", "-5", "", " ", "1,,2", "1e4", "\x1b[31m7"])
def test_a_threshold_that_is_none_stops_before_anything_runs(t):
    done = CliRunner().invoke(app, ["plan", "balance", "--t", t])
    assert "no threshold" in str(done.exception) and "\x1b" not in str(done.exception)


def test_a_file_that_cannot_be_written_is_said_before_anything_runs(tmp_path):
    done = CliRunner().invoke(
        app, ["plan", "balance", "-w", str(tmp_path), "--json", str(tmp_path / "no" / "plan.json")]
    )
    assert "--json: there is no folder" in str(done.exception)
