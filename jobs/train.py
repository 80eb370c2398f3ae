"""train: one small CLIP a set and seed, at a fixed number of samples seen; raw and curated alike.

python jobs/train.py -c recipe.yaml -w workdirs/mine         starts torchrun for each training that is missing
torchrun --nproc-per-node 8 jobs/train.py -c ... -w ...      trains in the processes that it finds itself in
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec

from curate import weights
from curate.models import device_of
from curate.store import Part, Plan
from curate.training import checkpoints, memory
from curate.training.job import PARENT, Job, Place, check, processes
from curate.training.shards import TrainingError
from jobs import engine

SHARDS = {"raw": "shards-raw", "curated": "shards"}


def run(run: engine.Run) -> None:
    if "TORCHELASTIC_RUN_ID" in os.environ:
        with processes(run.recipe.train) as place:
            for job in trainings(run):
                train_here(run, job, place)
        return
    planned_jobs = [(job, planned(run, job)) for job in trainings(run)]
    if said := memory.said(
        run.recipe.train, sum(run.dataset(job.target).manifest() is None for job, _ in planned_jobs)
    ):
        print(f"WARNING: {said}", flush=True)

    def train_one(job: Job, plan: Plan) -> None:
        run.make(plan, partial(torchrun, job))
        checkpoints.clear(run.dataset(job.target))

    with ThreadPoolExecutor(max_workers=run.recipe.train.together) as pool:
        for waiting in [pool.submit(train_one, job, plan) for job, plan in planned_jobs]:
            waiting.result()


def trainings(run: engine.Run) -> Iterator[Job]:
    settings = run.recipe.train
    for seed in settings.seeds:
        for kind in settings.sets:
            yield Job(workdir=run.workdir, shards=SHARDS[kind], target=f"runs/{kind}-{seed}",
                      settings=settings, seed=seed, kind=kind)  # fmt: skip


def planned(run: engine.Run, job: Job, stage: str = "train") -> Plan:
    """What decides a run: settings, and the model's configuration and vocabulary rather than their paths."""
    import open_clip

    settings: dict[str, Any] = job.settings.identity()
    del settings["seeds"], settings["sets"]
    model, merges = weights.register(job.settings.model), weights.merges_of(job.settings.model)
    settings["online_balance"] = job.online_balance
    settings |= {"set": job.kind, "seed": job.seed, "model": open_clip.get_model_config(model)}
    settings |= {"vocabulary": weights.sha256(merges) if merges else None}
    if job.objective != "contrastive":
        settings["objective"] = job.objective
    inputs = [job.shards, *([job.begin_with] if job.begin_with else [])]
    return run.plan(job.target, settings, inputs, stage=stage)


def train_here(run: engine.Run, job: Job, place: Place) -> None:
    """Under torchrun: the first process decides whether there is anything to do, and tells the others."""
    from curate.training.loop import train

    if not place.first:
        if _told(None):
            train(job)
        return
    started = []

    def launch(_: list[str]) -> list[Part]:
        started.append(_told(True))
        train(job)
        return []

    run.make(planned(run, job), launch)
    if not started:
        _told(False)
    checkpoints.clear(run.dataset(job.target))


def _told(word: bool | None) -> bool | None:
    import torch.distributed as dist

    said = [word]
    if dist.is_initialized():
        dist.broadcast_object_list(said, src=0)
    return said[0]


def torchrun(job: Job, _: list[str]) -> list[Part]:
    """Trains in processes of their own, which end when this one does. TrainingError when they fail."""
    import torch

    gpus = torch.cuda.device_count() if device_of(job.settings.device) == "cuda" else 0
    world = job.settings.processes or max(1, gpus)
    check(job, world)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1",
               "--nproc-per-node", str(world), "-m", "curate.training", msgspec.json.encode(job).decode()]  # fmt: skip
    # Threads that spin while they wait take the cores from each other: with one other busy process, 48 samples/s
    # instead of 166 on two cores.
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ | {PARENT: str(os.getpid())}
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        raise TrainingError(f"training {job.target} ended with status {done.returncode}; what it said stands above")
    return []


if __name__ == "__main__":
    engine.main(run)
