import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from curate import recipe
from curate.store import Dataset, StoreError
from curate.training import checkpoints
from curate.training.loop import train as learn
from curate.training.shards import TrainingError
from jobs import engine, train

JOB = Path(train.__file__)


@pytest.fixture
def settings(small_config):
    return {"model": small_config, "samples_seen": 16 * 40, "batch_size": 16, "learning_rate": 5e-3, "warmup": 2,
            "checkpoint_every": 1, "threads": 1, "device": "cpu", "seeds": [0]}  # fmt: skip


@pytest.fixture
def workdir(tmp_path, make_shards, make_pairs):
    make_shards(tmp_path / "w", "shards")
    make_shards(tmp_path / "w", "shards-raw", pairs=make_pairs() + make_pairs(shift=2))
    return tmp_path / "w"


def described(settings):
    score = {"models": [{"name": "x", "model": "local-dir:x"}]}
    return {"name": "t", "extract": {"inputs": ["x"]}, "score": score, "train": settings}


def run(workdir, settings):
    train.run(engine.Run(recipe.build(described(settings)), str(workdir), engine.Engines()))


def run_here(workdir, settings):
    """Trains in this process, which saves the start of others."""
    here = engine.Run(recipe.build(described(settings)), str(workdir), engine.Engines())
    for job in train.trainings(here):
        here.make(train.planned(here, job), lambda _, job=job: learn(job) or [])
        checkpoints.clear(here.dataset(job.target))


def contents(workdir):
    runs = Path(workdir) / "runs"
    return {str(f.relative_to(runs)): f.read_bytes() for f in sorted(runs.rglob("*")) if f.is_file()}


def test_each_set_is_trained_on_as_many_samples(workdir, settings, capfd):
    run(workdir, settings)
    facts = {kind: json.loads((workdir / f"runs/{kind}-0/run.json").read_text()) for kind in ("raw", "curated")}
    assert facts["raw"]["samples_seen"] == facts["curated"]["samples_seen"] == 640
    assert (facts["raw"]["images"], facts["curated"]["images"]) == (64, 32)
    assert not (workdir / "runs/raw-0/checkpoint.pt").exists()
    before = contents(workdir)
    run(workdir, settings)
    assert capfd.readouterr().out.count("already done") == 2 and contents(workdir) == before
    with pytest.raises(StoreError, match=r"samples_seen was 640, is now 320.*--redo train"):
        run(workdir, settings | {"samples_seen": 320})


def test_only_what_is_drawn_anew_is_another_run_for_it(workdir, settings):
    def plans(online):
        plain = described(settings | {"online_balance": online}) | {"balance": {"online": True}}
        here = engine.Run(recipe.build(plain), str(workdir), engine.Engines())
        return {job.kind: train.planned(here, job).hash for job in train.trainings(here)}

    whole, drawn = plans(False), plans(True)
    assert whole["raw"] == drawn["raw"] and whole["curated"] != drawn["curated"]


def test_shards_without_keep_probabilities_are_refused_before_anything_starts(workdir, settings):
    plain = described(settings | {"online_balance": True, "sets": ["curated"]}) | {"balance": {"online": True}}
    with pytest.raises(TrainingError, match="without keep probabilities"):
        train.run(engine.Run(recipe.build(plain), str(workdir), engine.Engines()))
    assert not (workdir / "runs" / "curated-0" / checkpoints.LAST).exists()


def start(workdir, settings, tmp_path, *launcher):
    recipe_file = tmp_path / "recipe.yaml"
    recipe_file.write_text(yaml.safe_dump(described(settings)))
    command = [sys.executable, *launcher, str(JOB), "-c", str(recipe_file), "-w", str(workdir)]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, start_new_session=True)


def test_killed_and_started_again_it_ends_in_the_same_bytes(workdir, settings, tmp_path, make_shards):
    settings |= {"sets": ["curated"]}
    run_here(workdir, settings)
    other = tmp_path / "other"
    make_shards(other, "shards")
    checkpoint = other / "runs" / "curated-0" / "checkpoint.pt"
    process = start(other, settings, tmp_path)
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.05)
    # The command alone is killed: its training must notice, and not go on behind its back.
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    settle(checkpoint)
    assert Dataset(str(other), "runs/curated-0").manifest() is None
    run(other, settings)
    assert contents(other) == contents(workdir)


def settle(checkpoint):
    """Waits until nobody writes checkpoints any more."""
    seen = None
    while seen != (seen := checkpoint.stat().st_mtime_ns):
        time.sleep(1.5)


def test_torchrun_starts_the_job_file_as_it_stands(workdir, settings, tmp_path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2")
    few = settings | {"samples_seen": 64}
    run_here(workdir, few | {"sets": ["raw"]})  # so that every process must learn that there is nothing to do for it
    process = start(workdir, few, tmp_path, *launcher)
    assert process.wait(timeout=500) == 0
    assert {path.name for path in (workdir / "runs").iterdir()} == {"raw-0", "curated-0"}
    assert Dataset(str(workdir), "runs/raw-0").require().plan.stage == "train"


def test_a_training_that_fails_says_which(workdir, settings, capfd):
    (workdir / "shards-raw" / "00001.tar").write_bytes(b"")
    with pytest.raises(TrainingError, match="runs/raw-0 ended with status"):
        run(workdir, settings | {"sets": ["raw"]})
    assert "00001" in capfd.readouterr().err
