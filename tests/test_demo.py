"""The demo as a newcomer runs it: accounts that balance, planted faults that end where they should, shards that repeat."""

import json
import os
import random
import shutil
import subprocess
import sys
import time

import pytest

from curate import recipe, schema
from curate.store import Dataset
from tests.conftest import ROOT, contents, demo
from tests.killing import kill, wait_for

pytestmark = pytest.mark.timeout(1200)
"""The first of them makes the run that all look at."""
DATASETS = ("pairs", "matches", "balanced", "images", "scores/clip", "duplicates", "selection", "shards", "shards-raw")


def test_every_stage_accounts_for_every_row(demo_workdir):
    for name in DATASETS:
        manifest = Dataset(str(demo_workdir), name).require()
        ledger, known = manifest.ledger, schema.load(name)
        assert ledger.rows_in == ledger.kept + sum(ledger.dropped.values()) + sum(ledger.failed.values())
        assert ledger.rows_in > 0
        ledger.check(name, known.dropped, known.failed)


def test_what_one_stage_keeps_the_next_one_gets(demo_workdir):
    def account(name):
        return Dataset(str(demo_workdir), name).require().ledger

    pairs, matches, balanced = account("pairs"), account("matches"), account("balanced")
    images, scores, duplicates, selection, shards = (account(name) for name in DATASETS[3:8])
    assert pairs.kept == matches.rows_in
    assert matches.kept == balanced.rows_in
    # The baseline takes the whole pool in this recipe, so every pair is fetched.
    assert images.rows_in == pairs.kept
    assert images.kept == scores.rows_in
    assert scores.kept == duplicates.rows_in
    assert duplicates.kept == selection.rows_in
    assert selection.kept == shards.rows_in
    assert selection.kept + selection.dropped["baseline_only"] > 0


def test_side_tables_are_aligned(demo_workdir):
    for name in DATASETS:
        base = schema.load(name).aligned_with
        if base is None:
            continue
        one, other = Dataset(str(demo_workdir), base), Dataset(str(demo_workdir), name)
        assert one.part_names() == other.part_names()
        for part in one.part_names():
            assert one.read_part(part, ["uid"]).equals(other.read_part(part, ["uid"]))


def test_planted_faults_end_where_their_truth_says(demo_workdir):
    report = json.loads((demo_workdir / "report" / "report.json").read_text())
    faults = {row["noise"]: row for row in report["truth"]["faults"]}
    assert set(faults) >= {"junk-alt", "exact-dup", "near-dup", "mismatch", "opt-out", "tiny", "aspect", "broken"}
    for kind in ("junk-alt", "exact-dup", "opt-out", "tiny", "aspect", "broken"):
        assert faults[kind]["as_expected"] == faults[kind]["planted"], (kind, faults[kind])
    # Crops and grey copies are harder; nine in ten groups at least end with one survivor.
    assert faults["near-dup"]["as_expected"] >= 0.9 * faults["near-dup"]["planted"], faults["near-dup"]
    assert report["truth"]["mismatch_auc"]["value"] >= 0.85


def test_the_report_speaks_of_this_run(demo_workdir):
    report = json.loads((demo_workdir / "report" / "report.json").read_text())
    page = (demo_workdir / "report" / "index.html").read_text()
    assert f"{Dataset(str(demo_workdir), 'pairs').require().ledger.kept:,}" in page
    assert "http-equiv" in page and "default-src 'none'" in page
    comparison = json.loads((demo_workdir / "evaluations" / "comparison.json").read_text())
    for metrics in comparison["sets"].values():
        for metric in metrics.values():
            # An interval that holds zero is never sold as a difference.
            assert (metric["low"] <= 0 <= metric["high"]) == (metric["verdict"] == "within the noise")
            assert metric["verdict"] in page
    assert report


def test_no_training_saw_the_evaluation_images(demo_workdir):
    for result in (demo_workdir / "evaluations").glob("*/result.json"):
        for found in json.loads(result.read_text())["sets"].values():
            assert found["overlap"]["sha256"] == found["overlap"]["phash"] == 0
            assert found["overlap"]["training_images"] > 0


def test_a_second_run_finishes_in_seconds_and_says_what_it_skipped(demo_workdir):
    before, start = contents(demo_workdir), os.times()
    run = demo(demo_workdir)
    output, _ = run.communicate(timeout=600)
    end = os.times()
    assert run.returncode == 0, output
    # Of a processor: how long that takes is a matter of what else this machine does.
    assert end.children_user + end.children_system - start.children_user - start.children_system < 30
    for name in DATASETS:
        assert any(line.startswith(name) and "skipped" in line for line in output.splitlines()), name
    assert contents(demo_workdir) == before


def test_changed_settings_are_refused_and_redo_replaces(demo_workdir, tmp_path):
    run = demo(demo_workdir, "--stages", "balance", "balance.t=21")
    output, _ = run.communicate(timeout=600)
    assert run.returncode == 2
    assert "t was" in output and "is now 21" in output and "--redo balance" in output
    assert "Traceback" not in output


def test_the_shards_are_listed_with_their_sizes(demo_workdir):
    sizes = json.loads((demo_workdir / "shards" / "sizes.json").read_text())
    info = json.loads((demo_workdir / "shards" / "_info.json").read_text())
    rows = {f"{p.name}.tar": p.rows for p in Dataset(str(demo_workdir), "shards").require().parts}
    assert (
        sizes
        == rows
        == dict(zip(info["splits"]["train"]["filenames"], info["splits"]["train"]["shard_lengths"], strict=True))
    )


def test_a_missing_java_is_said_before_anything_else(tmp_path):
    nowhere = os.environ | {"JAVA_HOME": str(tmp_path)}
    for command in (["make", "demo"], [sys.executable, "demo/run.py", "--workdir", str(tmp_path / "new")]):
        done = subprocess.run(command, cwd=ROOT, env=nowhere, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "apt-get install openjdk-17-jre-headless" in done.stderr
        assert not (tmp_path / "new").exists()


def test_a_finished_workdir_needs_no_java(demo_workdir, tmp_path):
    command = [sys.executable, "demo/run.py", "--workdir", str(demo_workdir), "--stages", "extract..shard"]
    nowhere = os.environ | {"JAVA_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=nowhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_dry_run_says_of_every_stage_what_is_there(demo_workdir, tmp_path):
    from typer.testing import CliRunner

    from curate.cli import app

    for workdir, state in ((demo_workdir, "done"), (tmp_path, "to do")):
        said = CliRunner().invoke(app, ["run", "--dry-run", "-w", str(workdir)]).output.splitlines()
        assert list(dict.fromkeys(line.split()[0] for line in said)) == list(recipe.STAGES)
        assert all(state in line[33:40] for line in said)
    told = {line.split()[1]: line for line in said}
    assert "batch: 1024" in told["scores/s_cliploss"] and "near_constant" not in told["scores/text"]
    changed = CliRunner().invoke(app, ["run", "--dry-run", "-w", str(demo_workdir), "balance.t=3"]).output
    assert "t: 3, " in changed and changed.count("(--redo balance)") == 1 and "t was 2, is now 3" in changed


def interrupt(workdir, stages, sign, chance):
    """Starts stages and kills them soon after a file has appeared, which says that the first of them is at work."""
    run = demo(workdir, "--stages", stages)
    assert wait_for(workdir / sign, run), run.communicate()[0]
    time.sleep(chance.uniform(0, 1.0))
    kill(run)


@pytest.mark.parametrize(
    ("stages", "sign", "before"),
    [
        ("extract", "pairs/_plan.json", ()),
        ("dedup..shard", "duplicates/_plan.json", ("pairs", "counts", "matches", "balanced", "images", "scores")),
    ],
)
def test_a_run_that_is_killed_ends_in_the_same_bytes(demo_workdir, tmp_path, stages, sign, before):
    workdir = tmp_path / "killed"
    for name in before:
        shutil.copytree(demo_workdir / name, workdir / name)
    interrupt(workdir, stages, sign, random.Random(5))
    output, _ = (run := demo(workdir, "--stages", stages)).communicate(timeout=600)
    assert run.returncode == 0, output[-3000:]
    made = {sign.split("/")[0]} if stages == "extract" else {"duplicates", "selection", "shards", "shards-raw"}
    killed, whole = (
        {name: data for name, data in contents(of).items() if name.split("/")[0] in made}
        for of in (workdir, demo_workdir)
    )
    assert {name.split("/")[0] for name in killed} == made and sorted(killed) == sorted(whole)
    assert [name for name in whole if killed[name] != whole[name]] == []
