"""The whole road in one command: every stage's job in order, on engines that are started once."""

import importlib
import time
from collections.abc import Iterable

from curate.recipe import Recipe
from jobs import engine

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


def check(recipe: Recipe, workdir: str, stages: Iterable[str]) -> None:
    """What must be there before the first stage starts: a missing Java is said now, not after an hour."""
    if any(stage in SPARK and not is_done(workdir, stage) for stage in stages):
        problem = engine.java_problem()
        if problem:
            raise engine.EngineError(problem)


def is_done(workdir: str, stage: str) -> bool:
    """Whether all datasets of a stage that this workdir knows are committed."""
    from curate import schema
    from curate.store import Dataset

    names = [name for name in schema.names() if schema.load(name).stage == stage and name != "scores"]
    return all(Dataset(workdir, name).manifest() is not None for name in names)


def show(recipe: Recipe, workdir: str, stages: Iterable[str]) -> None:
    """Prints, for every stage, whether its dataset is there, begun or missing, and its settings."""
    from curate import schema
    from curate.store import PLAN, Dataset

    for stage in stages:
        names = [name for name in schema.names() if schema.load(name).stage == stage] or [stage]
        section = getattr(recipe, stage)
        for name in names:
            names_here = [f"scores/{model.name}" for model in recipe.score.models] if name == "scores" else [name]
            for here in names_here:
                data = Dataset(workdir, here)
                begun = data.fs.exists(data.path(PLAN))
                state = "done" if data.manifest() else "begun" if begun else "to do"
                print(f"{stage:<10} {here:<16} {state:<6} {section.identity()}")
