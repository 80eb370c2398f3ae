"""The parts of tables of scores: one pass over a part of `images` for all scorers that miss it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pyarrow as pa

from curate import parts, schema
from curate.facts.contract import Scorer
from curate.facts.passing import Desk, Pictures, score
from curate.images.archive import images_of
from curate.recipe import Model
from curate.scores import registry
from curate.scores.npz import Npz
from curate.scores.settings import Scorer as Settings
from curate.store import Dataset, Part, Plan


@dataclass(frozen=True)
class Task:
    """A table of scores to be made."""

    settings: Model | Settings
    target: Dataset
    plan: Plan
    npz: str | None = None
    """DataComp's word for the model, where its embeddings are to lie beside each part."""
    model: Model | None = None
    """The model of the recipe that the scorer names: whose stored embeddings it reads, or that it asks."""


def score_part(
    part: str, *, images: Dataset, tasks: Sequence[Task], device: str, threads: int, max_pixels: int
) -> dict[str, Part]:
    """Makes one part of every task's table that lacks it; {dataset: its record} of all of them. `max_pixels`: what `download` let in.

    Each table is committed whole: after a kill those that were not are made again, and no others.
    """
    done = {task.plan.dataset: task.target.committed(part, task.plan.hash) for task in tasks}
    missing = [task for task in tasks if done[task.plan.dataset] is None]
    with ExitStack() as stack:
        desks = [desk(task, device) for task in missing]
        for one in desks:
            stack.enter_context(one.scorer.at(part, images.workdir))
        outs = [_Out(task, part, images, stack) for task in missing]
        pictures = Pictures(images_of(images, part), max_pixels) if any(desk.pixels for desk in desks) else None
        pool = stack.enter_context(ThreadPoolExecutor(threads, "see"))
        columns = sorted({"image_uid", "state", *(name for desk in desks for name in desk.scorer.reads)})
        for tables in parts.zipped(part, {"images": (images, columns)}) if desks else ():
            for out, table in zip(outs, score(tables["images"], desks, pictures, pool), strict=True):
                out.write(table)
    made = {task.plan.dataset: parts.committed(task.target, part, task.plan) for task in missing}
    return {name: record or made[name] for name, record in done.items()}


class _Out:
    """The files of a part of a table. What lies beside the part is there before it."""

    def __init__(self, task: Task, part: str, images: Dataset, stack: ExitStack):
        # A stack closes last things first.
        self._part, self._beside = stack.enter_context(task.target.write_part(part, task.plan.hash)), None
        if task.npz:
            with images.open_part(part) as annotated:
                rows = annotated.metadata.num_rows
            file = stack.enter_context(task.target.sidecar(f"{part}.npz"))
            self._beside = stack.enter_context(Npz(file, task.npz, rows))

    def write(self, table: pa.Table) -> None:
        self._part.write(table)
        if self._beside:
            self._beside.add(table)


def desk(task: Task, device: str) -> Desk:
    """The task's scorer, where it works."""
    word = registry.word(task.settings)
    return Desk(loaded(task, device), registry.KINDS[word].needs == "pixels", schema.load(f"{schema.SCORES}/{word}"))


def loaded(task: Task, device: str) -> Scorer:
    """The task's scorer, as it was planned."""
    model = () if task.model is None else (task.model,)
    return registry.kind(task.settings).load(task.settings, device, task.plan.settings, *model)
