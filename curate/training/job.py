"""What a training is told: the set, the settings, the seed; its place among processes; and checks before it starts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from curate.models import device_of
from curate.recipe import Train
from curate.store import Dataset
from curate.training.balancing import check_balance
from curate.training.sets import Own, Set
from curate.training.shards import TrainingError, check_fits
from curate.training.trusted import Indexed
from curate.weights import register

PARENT = "CURATE_PARENT"
"""Process id of the command that started a training: when it is killed, its trainings must not live on."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One training: a set, a seed, and where it goes. Travels to the processes as JSON."""

    workdir: str
    shards: str
    """Dataset of the shards: `shards` or `shards-raw`; of a trusted set its index."""
    target: str
    """Dataset of the run: `runs/<set>-<seed>`, or the filter network's."""
    settings: Train
    seed: int
    kind: str
    """Which set it is, `raw`, `curated` or `trusted`."""
    objective: Literal["contrastive", "hyperbolic"] = "contrastive"
    begin_with: str | None = None
    """Dataset of the run whose weights it begins with; with none they are random."""

    @property
    def online_balance(self) -> bool:
        """Whether each epoch is drawn anew. The raw baseline is what a balance is compared with: it never has one."""
        return self.settings.online_balance and self.kind == "curated"

    def opened(self) -> Set:
        """The set. StoreError where it is not there."""
        data = Dataset(self.workdir, self.shards)
        return Indexed(data) if self.kind == "trusted" else Own(data)


class Place(msgspec.Struct, frozen=True):
    """This process among the others."""

    rank: int
    world: int
    device: str

    @property
    def first(self) -> bool:
        return self.rank == 0


def steps_of(settings: Train) -> int:
    """Steps of a training: samples seen over batch size, rounded up."""
    return -(-settings.samples_seen // settings.batch_size)


def check(job: Job, world: int) -> Set:
    """The set; TrainingError for settings and sets that cannot work, before anything starts."""
    settings, shards, data = job.settings, job.opened(), Dataset(job.workdir, job.shards)
    lanes = None if held_in_memory(shards, settings) else world * max(1, settings.workers)
    check_fits(data.root, shards.sizes, settings.batch_size, lanes)
    if job.online_balance:
        check_balance(data, settings.batch_size)
    if settings.batch_size % world:
        raise TrainingError(f"train.batch_size {settings.batch_size} does not divide among {world} processes")
    if settings.precision != "fp32" and device_of(settings.device) == "cpu":
        raise TrainingError(f"train.precision {settings.precision} needs a GPU; a CPU emulates it. Set it to fp32")
    register(settings.model)
    return shards


def held_in_memory(shards: Set, settings: Train) -> bool:
    """Whether the tars of a set are small enough to be kept."""
    left = settings.in_memory_bytes
    for name in shards.sizes:
        left -= shards.nbytes(name)
        if left < 0:
            return False
    return True


@contextmanager
def processes(settings: Train) -> Iterator[Place]:
    """This process's place: alone, or one of those that torchrun started."""
    import torch
    import torch.distributed as dist

    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = device_of(settings.device)
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    if world == 1 or dist.is_initialized():
        yield Place(rank, world, device)
        return
    dist.init_process_group("gloo" if device == "cpu" else "nccl")
    try:
        yield Place(rank, world, device)
    finally:
        dist.destroy_process_group()


def is_alive(pid: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
