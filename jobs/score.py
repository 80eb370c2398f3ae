"""score: CLIP similarity and embeddings of every fetched pair, one side table `scores/<name>` a model.

python jobs/score.py -c recipe.yaml -w workdirs/mine
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from functools import partial

from curate import models, parts
from curate.images import generations
from curate.images.archive import images_of
from curate.recipe import Model
from curate.scores import clip
from curate.store import Dataset, Part, Plan
from jobs import engine


def run(run: engine.Run) -> None:
    for model in run.recipe.score.models:
        score_model(run, model)


def score_model(run: engine.Run, model: Model) -> None:
    images, device = generations.newest(run.workdir), run.recipe.score.device
    settings = models.identity(model)
    plan = run.plan(f"scores/{model.name}", settings, [images.name], images.part_names())
    function = partial(
        score_part, images=images, target=run.dataset(plan.dataset), plan=plan, model=model, device=device
    )

    def launch(missing: list[str]) -> list[Part]:
        gpus = gpus_each(run.engines, device)
        return engine.ray_parts(run.engines, function, missing, workers=run.recipe.score.workers, gpus=gpus)

    run.make(plan, launch)


def gpus_each(engines: engine.Engines, device: str) -> float:
    """GPUs that a worker holds: one where the cluster has any and the recipe does not say `cpu`."""
    return 1.0 if device != "cpu" and engines.ray().cluster_resources().get("GPU", 0) else 0.0


def score_part(part: str, *, images: Dataset, target: Dataset, plan: Plan, model: Model, device: str) -> Part:
    """Scores one part of `images`; runs in a worker, where the model stays warm from part to part."""
    loaded = models.load(model, device, plan.settings["revision"])
    pictures = clip.Pictures(images_of(images, part))
    work = partial(clip.score, pictures=pictures, model=loaded)
    return parts.annotate(part, inputs={"images": (images, clip.COLUMNS)}, target=target, plan=plan, work=work)


if __name__ == "__main__":
    engine.main(run)
