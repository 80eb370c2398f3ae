"""shard's second half: what stands beside the curated shards, reinforcements and embeddings of their texts."""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from functools import partial

from curate import models
from curate.shards import embeddings, regions, reinforcing
from curate.store import Part
from jobs import engine

SHARDS = "shards"


def run(run: engine.Run) -> None:
    """Makes what the recipe wants beside the shards."""
    if run.recipe.shard.reinforce is not None:
        reinforce(run)
    if run.recipe.shard.regions is not None:
        export_regions(run)
    for settings in run.recipe.shard.embeddings:
        embed(run, settings)


def reinforce(run: engine.Run) -> None:
    recipe, settings = run.recipe, run.recipe.shard.reinforce
    assert settings is not None
    named = {model.name: model for model in recipe.score.models}
    teachers = tuple(named[name] for name in settings.teachers)
    identity = settings.identity() | {
        "seed": recipe.seed,
        "models": {one.name: models.identity(one) for one in teachers},
    }
    shards = run.dataset(SHARDS)
    plan = run.plan("reinforcements", identity, [SHARDS], shards.part_names())
    job = reinforcing.Job(
        settings,
        teachers,
        shards,
        run.dataset(plan.dataset),
        plan,
        recipe.seed,
        settings.device,
        recipe.download.max_pixels,
    )
    work = partial(reinforcing.reinforce_part, job=job)
    run.make(plan, partial(launched, run, work, settings.device, settings.workers))


def export_regions(run: engine.Run) -> None:
    settings = run.recipe.shard.regions
    assert settings is not None
    (model,) = (model for model in run.recipe.score.models if model.name == settings.model)
    shards, identity = run.dataset(SHARDS), settings.identity() | {"model": models.identity(model)}
    plan = run.plan("regions", identity, [SHARDS], shards.part_names())
    work = partial(regions.export_part, job=regions.Job(settings, model, shards, run.dataset(plan.dataset), plan))
    run.make(plan, partial(launched, run, work, settings.device, settings.workers))


def embed(run: engine.Run, settings: embeddings.Embed) -> None:
    identity = settings.identity() | {"revision": embeddings.revision(settings)}
    shards = run.dataset(SHARDS)
    plan = run.plan(f"embeddings/{settings.name}", identity, [SHARDS], shards.part_names())
    job = embeddings.Job(settings, shards, run.dataset(plan.dataset), plan)
    work = partial(embeddings.embed_part, job=job)
    run.make(plan, partial(launched, run, work, settings.device, settings.workers))


def launched(run: engine.Run, work: engine.PartFunction, device: str, workers: int, missing: list[str]) -> list[Part]:
    """The parts, from workers with a GPU each where the cluster has any and the recipe does not say `cpu`."""
    return engine.ray_parts(run.engines, work, missing, workers=workers, gpus=run.engines.gpu(device))
