"""The whole road in one command: every stage's job in order, on engines that are started once."""

import importlib
import time
from collections.abc import Iterable
from typing import Any

from curate.images import generations
from curate.recipe import Recipe
from curate.settings import Settings
from curate.store import PLAN, Dataset
from jobs import engine, java

SPARK = ("extract", "match", "balance", "dedup", "select")
"""Stages that run on Spark."""


def travel(recipe: Recipe, workdir: str, stages: Iterable[str], redo: frozenset[str] = frozenset()) -> None:
    """Runs stages in order and prints the summary. Stages whose dataset is already there take no engine."""
    stages, start = tuple(stages), time.monotonic()
    check(recipe, workdir, stages)
    engines = engine.Engines()
    try:
        for stage in stages:
            importlib.import_module(f"jobs.{stage}").run(engine.Run(recipe, workdir, engines, redo))
    finally:
        engines.stop()
    if "report" in stages:
        from curate.report.summary import print_summary

        print_summary(workdir, recipe)
    print(f"{' '.join(stages) if len(stages) < 3 else f'{len(stages)} stages'}: {time.monotonic() - start:.1f} s")


def datasets(recipe: Recipe, stage: str) -> list[str]:
    """Names of all datasets that a stage leaves in a workdir under this recipe."""
    runs = [f"{kind}-{seed}" for seed in recipe.train.seeds for kind in recipe.train.sets]
    raw = ["shards-raw"] if recipe.balance.baseline_fraction > 0 else []
    beside = ["reinforcements"] if recipe.shard.reinforce else []
    beside += ["regions"] if recipe.shard.regions else []
    beside += [f"embeddings/{one.name}" for one in recipe.shard.embeddings]
    return {
        "extract": ["pairs"],
        "match": ["matches", "counts"],
        "balance": ["balanced"],
        "download": ["images"],
        "score": [f"scores/{name}" for name in recipe.score.names()],
        "dedup": ["duplicates"],
        "recaption": [f"captions/{name}" for name in recipe.recaption.names()],
        "select": ["selection"],
        "shard": ["shards", *raw, *beside],
        "train": [f"runs/{run}" for run in runs],
        "evaluate": [f"evaluations/{run}" for run in runs],
        "report": ["report"],
    }[stage]


def check(recipe: Recipe, workdir: str, stages: Iterable[str]) -> None:
    """What must be there before the first stage starts: a missing Java is said now, not after an hour."""
    if any(stage in SPARK and not is_done(recipe, workdir, stage) for stage in stages):
        problem = java.problem()
        if problem:
            raise engine.EngineError(problem)


def is_done(recipe: Recipe, workdir: str, stage: str) -> bool:
    """Whether all datasets of a stage are committed, under whatever settings."""
    return all(Dataset(workdir, name).manifest() is not None for name in datasets(recipe, stage))


def show(recipe: Recipe, workdir: str, stages: Iterable[str]) -> None:
    """Prints, for every dataset of the stages, whether it is there, begun or missing, and what the recipe chose for it; of what a retry
    put on top of `images`, also whether it is read."""
    for stage in stages:
        for name in datasets(recipe, stage):
            data, settings = Dataset(workdir, name), settings_of(recipe, stage, name)
            line(stage, name, state(data), settings.chosen(), other(data, settings, stage))
        if stage == "download":
            old = {data.name for data in generations.stale(workdir)}
            for data in generations.above(workdir):
                line(stage, data.name, "stale" if data.name in old else state(data), generations.plan_of(data).settings)


def settings_of(recipe: Recipe, stage: str, dataset: str) -> Settings:
    """What decides about a dataset: the item of a list that it is named after, else the stage's section."""
    items = {"score": recipe.score.all, "recaption": lambda: recipe.recaption.captioners}.get(stage, tuple)()
    found: dict[str, Settings] = {one.name: one for one in items}
    return found.get(dataset.partition("/")[2]) or getattr(recipe, stage)


def other(data: Dataset, settings: Settings, stage: str) -> str:
    """Numbers and switches that were others when a dataset was made: a run would refuse to go on with it."""
    manifest = data.manifest()
    before = manifest.plan.settings if manifest else {}
    plain = {k: v for k, v in settings.identity().items() if k in before and isinstance(v, bool | int | float)}
    changed = [f"{name} was {before[name]}, is now {value}" for name, value in plain.items() if before[name] != value]
    return f"made with other settings: {', '.join(changed)} (--redo {stage})" if changed else ""


def state(data: Dataset) -> str:
    return "done" if data.manifest() else "begun" if data.fs.exists(data.path(PLAN)) else "to do"


def line(stage: str, dataset: str, state: str, settings: dict[str, Any], other: str = "") -> None:
    told = ", ".join(f"{name}: {value}" for name, value in settings.items())
    print("  ".join(filter(None, (f"{stage:<10} {dataset:<22} {state:<6}", told, other))))
