"""What the evaluation sets hold, for dedup: hashes by threads here, embeddings in Ray's actors, where the GPUs are."""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from curate import models
from curate.duplicates import overlap, planted
from curate.hints import nearest
from curate.recipe import RecipeError
from curate.store import Dataset
from jobs import engine


def held(run: engine.Run, calibration: planted.Calibration | None, target: Dataset) -> overlap.Held:
    """What the evaluation sets hold; their embeddings lie beside `target`, by the model whose scores are compared."""
    sets, pixels, cosine = run.recipe.evaluate.sets, run.recipe.download.max_pixels, run.recipe.dedup.evaluation_cosine
    found = overlap.held(sets, pixels)
    if found.undecodable:
        print(f"duplicates: {overlap.BYTES_ALONE.format(found.undecodable)}", flush=True)
    cosine = calibration.cosine if calibration is not None else cosine
    if not sets or not isinstance(cosine, float):
        return found
    score = run.recipe.score
    work = partial(overlap.embed, sets=sets, load=loading(run), max_pixels=pixels, target=target)
    gpus = run.engines.gpu(score.device)
    marks = engine.ray_map(run.engines, work, overlap.chunks(sets), workers=score.workers, gpus=gpus)
    return replace(found, embedded=overlap.Embedded(target, tuple(marks), cosine))


def calibration(run: engine.Run) -> planted.Calibration | None:
    """The threshold that `calibrated` stands for, None where it is a number; RecipeError as `planted.checked`."""
    settings, sets, pixels = run.recipe.dedup, run.recipe.evaluate.sets, run.recipe.download.max_pixels
    if settings.evaluation_cosine != "calibrated" or not sets:
        return None
    load, recall, seed = loading(run), settings.evaluation_recall, run.recipe.seed

    def work(_: str) -> planted.Calibration | None:
        return overlap.calibrated(sets, load(), pixels, recall, seed)

    (found,) = engine.ray_map(run.engines, work, ["calibration"], gpus=run.engines.gpu(run.recipe.score.device))
    return planted.checked(msgspec.convert(found, planted.Calibration | None), settings)


def loading(run: engine.Run) -> Callable[[], Any]:
    """Loads the model that made the scores; ModelError there when it is not what it was then."""
    name = model(run)
    revision = run.dataset(f"scores/{name}").require().plan.settings["revision"]
    settings = next(one for one in run.recipe.score.models if one.name == name)
    return partial(models.load, settings, run.recipe.score.device, revision)


def model(run: engine.Run) -> str:
    """The model whose embeddings are compared; RecipeError when score does not know it."""
    name, known = run.recipe.dedup.semantic_model or "", [model.name for model in run.recipe.score.models]
    if name not in known:
        raise RecipeError(f"dedup.semantic_model: {name!r} is not in score.models: {nearest(name, known)}")
    return name
