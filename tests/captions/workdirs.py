"""A captioner at work on the small workdir, part by part, as a worker would be."""

import shutil
from pathlib import Path

import pyarrow as pa

from curate import recipe
from curate.captions import registry
from curate.captions.making import Made, Task, caption_part
from curate.store import Dataset, Plan


def own(small_workdir, tmp_path) -> str:
    """A copy of the small workdir that a test may write to."""
    shutil.copytree(small_workdir, tmp_path / "w")
    return str(tmp_path / "w")


def task_of(workdir: str, backends, *captioners, models=(), **more) -> Task:
    """The task of the last of some captioners, given as a recipe gives them; `models`: items of score.models."""
    plain = {"name": "t", "extract": {"inputs": ["x"]}, "recaption": {"backends": backends, "captioners": captioners}}
    whole = recipe.build(plain | {"score": {"models": models}})
    told = whole.recaption
    settings = told.captioners[-1]
    named = tuple(model for name in settings.models() for model in whole.score.models if model.name == name)
    backend, images = told.backend_of(settings), Dataset(workdir, "images")
    identity = registry.identity(settings, backend, named) | {"seed": more.get("seed", 0)}
    name = f"captions/{settings.name}"
    plan = Plan(dataset=name, stage="recaption", settings=identity, inputs={}, parts=tuple(images.part_names()))
    known = {
        "seed": 0,
        "device": "cpu",
        "threads": 2,
        "max_pixels": 50_000_000,
        "answers": str(Path(workdir, "answers")),
    }
    return Task(settings, backend, named, images, Dataset(workdir, name), plan, **known | more)


def captioned(task: Task) -> tuple[pa.Table, list[Made]]:
    """The whole table, made part by part and committed."""
    missing = task.target.begin(task.plan)
    made = [caption_part(part, task=task) for part in missing]
    task.target.commit(task.plan)
    return pa.concat_tables([task.target.read_part(part) for part in task.plan.parts]), made
