"""What a set is worth: training, evaluation, the report."""

from typing import Annotated, ClassVar, Literal

import msgspec

from curate.settings import Count, Limit, Name, Positive, Settings, Share


class EvaluationSet(Settings, frozen=True, kw_only=True):
    """Labelled images that no training may see: a table with the columns path, label, text."""

    name: Name
    table: str
    """CSV or Parquet; `path` is relative to `images`."""
    images: str
    """Folder of the images."""
    templates: tuple[str, ...] = ("{}",)
    """Zero-shot prompts; `{}` is the label."""


class Train(Settings, frozen=True, kw_only=True):
    """CLIP at a fixed number of samples seen, the same for every set that is compared."""

    runtime: ClassVar[tuple[str, ...]] = ("device", "together", "processes", "workers", "threads", "checkpoint_every")

    model: str = "ViT-B-32"
    """open_clip's name, or the path of a model config (JSON), which may name a vocabulary beside it."""
    samples_seen: Count = 12_800_000
    batch_size: Count = 4096
    """Over all processes."""
    learning_rate: Positive = 5e-4
    warmup: Limit = 500
    """Steps."""
    weight_decay: float = 0.2
    beta2: Share = 0.98
    precision: Literal["fp32", "amp_bf16", "amp"] = "fp32"
    crop_scale: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.9
    """Smallest share of the image's area that a random crop takes."""
    seeds: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)] = (0,)
    """One run for each set and seed; several show how much of a difference is noise."""
    sets: tuple[Literal["raw", "curated"], ...] = ("raw", "curated")
    in_memory_bytes: Limit = 2**30
    """Sets whose shards are no larger are held in memory by each process and shuffled whole; others stream."""
    online_balance: bool = False
    """The curated set is balanced in the loader, drawn anew each epoch from all matched pairs; needs `balance.online`."""
    shuffle_window: Count = 2048
    """Samples that a stream shuffles together; shards are in random order to begin with."""
    device: str = "auto"
    together: Count = 1
    """Trainings at a time. Two small models on a thread each make better use of two cores than one on both."""
    processes: Limit = 0
    """Processes on this machine; 0: one for each GPU, one on a CPU."""
    threads: Limit = 0
    """torch threads a process; 0: as many as there are cores."""
    workers: Limit = 0
    """Loader processes for each training process; 0: the training process loads by itself."""
    checkpoint_every: Count = 1000
    """Steps between the checkpoints that a killed training goes on from."""


class Evaluate(Settings, frozen=True, kw_only=True):
    runtime: ClassVar[tuple[str, ...]] = ("device", "batch_size")

    sets: tuple[EvaluationSet, ...] = ()
    bootstrap: Count = 1000
    """Resamples of the evaluation set behind each interval."""
    device: str = "auto"
    batch_size: Count = 256


class Report(Settings, frozen=True, kw_only=True):
    examples: Limit = 24
    """Thumbnails for each of kept and dropped."""
    truth: str | None = None
    """Table of planted faults (url, alt, noise, of) whose ends the report lists; for pools that have one."""
    title: str = "curate report"
