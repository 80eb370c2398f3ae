"""score: facts about every fetched pair, one side table `scores/<name>` for each model and scorer of the recipe.

python jobs/score.py -c recipe.yaml -w workdirs/mine
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import msgspec

from curate import disclosures
from curate.images import generations
from curate.recipe import Model
from curate.scores import making, npz, registry, stored
from curate.scores.making import Task
from curate.scores.settings import OfEmbeddings, OfModel, OfPool
from curate.store import Part
from jobs import deriving, engine


def run(run: engine.Run) -> None:
    score, images = run.recipe.score, generations.newest(run.workdir)
    tasks = []
    for scorer in score.scorers:
        registry.kind(scorer).check(scorer, score.model_of(scorer) if isinstance(scorer, OfModel) else None)
    for settings in score.all():
        if isinstance(settings, OfEmbeddings):
            continue
        model = score.model_of(settings) if isinstance(settings, OfModel) else None
        identity, beside = registry.identity(settings, model), None
        if score.npz and isinstance(settings, Model):
            beside = npz.key_of(settings)
            identity["npz"] = beside
        plan = run.plan(f"scores/{settings.name}", identity, [images.name], images.part_names())
        tasks.append(Task(settings, run.dataset(plan.dataset), plan, beside, model))
    with run.engines.same_actors():
        for needs in ("pixels", "texts"):
            make(run, [task for task in tasks if registry.kind(task.settings).needs == needs])
        for settings in score.scorers:
            if isinstance(settings, OfPool):
                deriving.make(run, settings, images, partial(disclosed, score.models_of(settings)))
            elif isinstance(settings, OfEmbeddings):
                from_embeddings(run, settings)


def from_embeddings(run: engine.Run, settings: OfEmbeddings) -> None:
    """Makes a table from the embeddings that a model has stored, which are there by now."""
    score, images = run.recipe.score, generations.newest(run.workdir)
    model, source = score.model_of(settings), run.dataset(f"scores/{settings.model}")
    identity = registry.identity(settings, model)
    plan = run.plan(f"scores/{settings.name}", identity, [images.name, source.name], images.part_names())
    task = Task(settings, run.dataset(plan.dataset), plan, model=model)
    work = partial(stored.score_part, images=images, embeddings=source, task=task, device=score.device)

    def launch(missing: list[str]) -> list[Part]:
        gpus = run.engines.gpu(score.device, registry.kind(task.settings).on_device)
        return engine.ray_parts(run.engines, work, missing, workers=score.workers, gpus=gpus)

    run.make(plan, launch, finish=partial(disclosed, [model]))


def disclosed(asked: Sequence[Model]) -> dict[str, Any]:
    """For a table's manifest: what the models that it comes from were trained on, by name, where they say it."""
    found = {model.name: told for model in asked if (told := disclosures.of(model)) is not None}
    return {"disclosures": found} if found else {}


def make(run: engine.Run, tasks: Sequence[Task]) -> None:
    """Makes tables in one pass over the parts that any of them lacks."""
    missing = {task.plan.dataset: run.begin(task.plan) for task in tasks}
    unfinished = [task for task in tasks if missing[task.plan.dataset]]
    settings, images = run.recipe.score, generations.newest(run.workdir)

    @cache
    def passed() -> list[dict[str, Part]]:
        on_device = any(registry.kind(task.settings).on_device for task in unfinished)
        gpus = run.engines.gpu(settings.device, on_device)
        function = partial(
            making.score_part,
            images=images,
            tasks=unfinished,
            device=settings.device,
            threads=settings.threads,
            max_pixels=run.recipe.download.max_pixels,
        )
        names = sorted({part for lacking in missing.values() for part in lacking})
        answers = engine.ray_map(run.engines, function, names, workers=settings.workers, gpus=gpus)
        return [msgspec.convert(answer, dict[str, Part]) for answer in answers]

    def launch(lacking: list[str], dataset: str) -> list[Part]:
        return [made[dataset] for made in passed()]

    for task in tasks:
        name = task.plan.dataset
        asked = [model for model in (task.settings, task.model) if isinstance(model, Model)]
        finish = partial(disclosed, asked)
        beside = unfinished[0].plan.dataset if task in unfinished[1:] else ""
        run.make(task.plan, partial(launch, dataset=name), finish=finish, missing=missing[name], beside=beside)


if __name__ == "__main__":
    engine.main(run)
