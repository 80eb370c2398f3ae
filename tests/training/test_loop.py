import json
import math
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import torch

from curate import models, weights
from curate.recipe import Model
from curate.store import Dataset
from curate.training import checkpoints, loop
from curate.training.job import Job
from curate.training.shards import TrainingError


def files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir()}


def finished(run: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(run).items() if name != checkpoints.LAST}


def test_the_loss_falls_and_the_log_says_so(small_run):
    lines = [json.loads(line) for line in (small_run / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 61))
    assert lines[-1]["samples_seen"] == 960 == json.loads((small_run / "run.json").read_text())["samples_seen"]
    first, last = (sum(line["loss"] for line in some) / 5 for some in (lines[:5], lines[-5:]))
    assert last < 0.9 * math.log(16) < first  # a guess among the 16 pictures of a batch costs log(16)
    assert lines[4]["lr"] == pytest.approx(5e-3) and lines[-1]["lr"] < 1e-4


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path, make_shards, job_on, small_run):
    make_shards(tmp_path)
    loop.train(job_on(tmp_path, "runs/again"))
    loop.train(job_on(tmp_path, "runs/other", seed=1))
    same, other = finished(tmp_path / "runs" / "again"), finished(tmp_path / "runs" / "other")
    assert same[weights.WEIGHTS] == (small_run / weights.WEIGHTS).read_bytes() != other[weights.WEIGHTS]
    assert same["log.jsonl"] == (small_run / "log.jsonl").read_bytes() != other["log.jsonl"]


def test_weights_that_are_no_numbers_are_said_though_no_loss_was_made_of_them(tmp_path, make_shards, job_on):
    make_shards(tmp_path)
    with pytest.raises(
        TrainingError, match=r"weights .* are not finite after step 1, the last one; lower train.learning"
    ):
        loop.train(job_on(tmp_path, "runs/far", samples_seen=16, warmup=0, weight_decay=1e45))
    assert not (tmp_path / "runs" / "far" / weights.WEIGHTS).exists()


class Killed(BaseException):
    """Stands for the power going out."""


def most(uid: str) -> float:
    """A keep probability from .5 to 1, by the pair's uid."""
    return 0.5 + int(uid[:2], 16) / 510


@pytest.mark.parametrize("held", [True, False], ids=["in memory", "streaming"])
@pytest.mark.parametrize("online", [False, True], ids=["whole epochs", "drawn epochs"])
def test_a_killed_training_ends_in_the_same_bytes(tmp_path, make_shards, job_on, monkeypatch, held, online):
    make_shards(tmp_path, keep=most)
    changed = {"online_balance": online} | ({} if held else {"in_memory_bytes": 0, "shuffle_window": 5})
    whole, cut = job_on(tmp_path, "runs/whole", **changed), job_on(tmp_path, "runs/cut", **changed)
    loop.train(whole)
    save = checkpoints.save

    def save_and_die(target, state):
        save(target, state)
        raise Killed

    for _ in range(2):  # after step 25, and again after step 50
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(checkpoints, "save", save_and_die)
            loop.train(cut)
    assert weights.WEIGHTS not in files(tmp_path / "runs" / "cut")
    loop.train(cut)
    one, other = finished(tmp_path / "runs" / "whole"), finished(tmp_path / "runs" / "cut")
    assert one.pop("run.json") != other.pop("run.json")  # they differ in the name of the run alone
    assert one == other


def test_a_stream_does_not_go_on_in_other_lanes(tmp_path, make_shards, job_on, monkeypatch):
    make_shards(tmp_path)
    stream = {"in_memory_bytes": 0, "shuffle_window": 5}
    save = checkpoints.save

    def save_and_die(target, state):
        save(target, state)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(checkpoints, "save", save_and_die)
        loop.train(job_on(tmp_path, **stream))
    with pytest.raises(TrainingError, match=r"begun with 1 lanes .* go on with 2"):
        loop.train(job_on(tmp_path, workers=2, **stream))


def test_the_checkpoint_loads_in_open_clip_by_path_and_by_folder(small_run, small_config):
    import open_clip

    open_clip.add_model_config(small_config)
    by_path = open_clip.create_model("small-clip", pretrained=str(small_run / weights.WEIGHTS))
    by_folder = open_clip.create_model(f"local-dir:{small_run}", require_pretrained=True)
    ours = models.load(Model(name="run", model=f"local-dir:{small_run}"), "cpu")
    for name, value in by_path.state_dict().items():
        assert torch.equal(value, by_folder.state_dict()[name]), name
    tokens = open_clip.get_tokenizer(f"local-dir:{small_run}", bpe_path=str(small_run / checkpoints.MERGES))
    assert torch.equal(tokens(["red square"]), ours.tokenizer(["red square"]))
    with torch.no_grad():
        theirs = by_path.eval().encode_text(tokens(["red square"]), normalize=True).numpy()
    assert ours.text_embeddings(["red square"]) == pytest.approx(theirs, abs=1e-6)


def torchrun(job: Job, processes: int) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1",
               "--nproc-per-node", str(processes), "-m", "curate.training", msgspec.json.encode(job).decode()]  # fmt: skip
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=200)


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("objective", ["contrastive", "hyperbolic"])
def test_two_processes_learn_what_one_learns(tmp_path, make_shards, job_on, objective):
    make_shards(tmp_path)
    few = {"samples_seen": 16 * 8, "learning_rate": 1e-3}
    for name, processes in (("one", 1), ("two", 2)):
        job = msgspec.structs.replace(job_on(tmp_path, f"runs/{name}", **few), objective=objective)
        torchrun(job, 2) if processes == 2 else loop.train(job)
    one, two = (losses(tmp_path / "runs" / name) for name in ("one", "two"))
    # The gradient of the gathered loss is that of the whole batch, up to the order of sums.
    assert one == pytest.approx(two, abs=2e-3)
    assert max(abs(a - b) for a, b in pairwise(one)) > 0.01


def test_the_curated_set_alone_is_drawn_anew(tmp_path, make_shards, job_on):
    make_shards(tmp_path, keep=most)
    runs = {
        (kind, online): job_on(tmp_path, f"runs/{kind}-{online}", kind=kind, samples_seen=64, online_balance=online)
        for kind in ("raw", "curated") for online in (False, True)
    }  # fmt: skip
    for job in runs.values():
        loop.train(job)
    model = {which: files(tmp_path / job.target)[weights.WEIGHTS] for which, job in runs.items()}
    assert model["raw", True] == model["raw", False] == model["curated", False] != model["curated", True]


def test_two_processes_that_stream_drawn_epochs_end_together(tmp_path, make_shards, job_on):
    # Lanes of different length, and epochs of which a lane has nothing: nobody may wait for another for ever.
    make_shards(tmp_path, shards=4, keep=lambda uid: 1.0 if uid < "8" else 0.01)
    torchrun(job_on(tmp_path, samples_seen=16 * 12, in_memory_bytes=0, workers=2, online_balance=True), 2)
    facts = json.loads((tmp_path / "runs" / "curated-0" / "run.json").read_text())
    assert (facts["samples_seen"], facts["steps"], facts["online_balance"]) == (192, 12, True)


def test_a_training_whose_command_is_gone_stops(tmp_path, make_shards, job_on, monkeypatch):
    make_shards(tmp_path)
    gone = subprocess.Popen(["true"])
    gone.wait()
    monkeypatch.setenv("CURATE_PARENT", str(gone.pid))
    with pytest.raises(TrainingError, match="is gone"):
        loop.train(job_on(tmp_path))
    assert not Dataset(str(tmp_path), "runs/curated-0").fs.exists(str(tmp_path / "runs/curated-0" / weights.WEIGHTS))


def test_settings_that_cannot_work_are_said_before_anything_starts(tmp_path, make_shards, job_on):
    make_shards(tmp_path)
    with pytest.raises(TrainingError, match=r"32 samples and a batch takes 64.*at most 32"):
        loop.train(job_on(tmp_path, batch_size=64))
    with pytest.raises(TrainingError, match="3 shards and streams into 4 lanes"):
        loop.train(job_on(tmp_path, in_memory_bytes=0, workers=4))
    with pytest.raises(TrainingError, match="amp needs a GPU"):
        loop.train(job_on(tmp_path, precision="amp"))
    with pytest.raises(weights.ModelError, match="did you mean 'ViT-B-32"):
        loop.train(job_on(tmp_path, model="ViT-B-33"))


def test_gains_biases_and_the_logit_scale_do_not_decay(small_config):
    import open_clip

    model = open_clip.create_model(weights.register(small_config))
    kept = {name for name, value in model.named_parameters() if not loop.decays(name, value)}
    assert {"logit_scale", "ln_final.weight", "ln_final.bias"} <= kept
    assert "token_embedding.weight" not in kept and "visual.conv1.weight" not in kept
