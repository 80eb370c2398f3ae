"""score's second half: tables that are made from a model's embeddings, in steps over the parts (`curate.scores.derived`)."""

import jobs  # noqa: F401 - before all others, see there

# isort: split
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import fsspec

from curate.evaluation import sets
from curate.recipe import EvaluationSet
from curate.scores import derived, references, registry
from curate.scores.derived import Job, TargetError, Targets
from curate.scores.settings import OfPool
from curate.store import Dataset, Part
from jobs import engine

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")


def make(run: engine.Run, settings: OfPool, images: Dataset, finish: Callable[[], Mapping[str, Any]]) -> None:
    """Makes the table of one scorer of embeddings, once its model's table is there; `finish` as in `engine.Run.make`."""
    score, scores = run.recipe.score, run.dataset(f"scores/{settings.model}")
    kind, model = registry.kind(settings), score.model_of(settings)
    found = targets(settings, run.recipe.evaluate.sets, run.recipe.download.max_pixels)
    mark = {"target": found.fingerprint} if found.fingerprint else {}
    cosine = getattr(settings, "cosine", None)
    beside = run.dataset(f"scores/{cosine}") if cosine else None
    plan = run.plan(
        f"scores/{settings.name}",
        registry.identity(settings, model),
        [images.name, scores.name, *([beside.name] if beside else [])],
        images.part_names(),
        **mark,
    )
    job = Job(
        registry.word(settings), kind.load(settings, score.device, plan.settings), run.dataset(plan.dataset), plan, images,
        scores, model, score.device, found, beside,
    )  # fmt: skip

    def launch(missing: list[str]) -> list[Part]:
        embeds = run.engines.gpu(score.device, bool(found.images or found.prompts or job.scorer.needs_model))
        step = partial(engine.ray_map, run.engines)
        step(lambda _: derived.start(job), ["start"], gpus=embeds)
        if derived.gathers(job):
            step(partial(derived.gather, job=job), plan.parts, workers=score.workers)
            step(lambda _: derived.merge(job), ["merge"])
        gpus = run.engines.gpu(score.device, kind.on_device)
        done = engine.ray_parts(
            run.engines, partial(derived.score_part, job=job), missing, workers=score.workers, gpus=gpus
        )
        derived.tidy(job)
        return done

    run.make(plan, launch, finish)


def targets(settings: OfPool, known: Sequence[EvaluationSet], max_pixels: int) -> Targets:
    """What the scorer measures against, from the recipe's names; `max_pixels`: of an image of it."""
    by_name = {one.name: one for one in known}
    if classes := getattr(settings, "classes", None):
        sheet = sets.read(by_name[classes])
        prompts = {name: tuple(text.format(name) for text in sheet.settings.templates) for name in sheet.classes}
        return Targets(prompts=prompts, fingerprint=sets.mark(prompts))
    if reference := getattr(settings, "reference", None):
        return Targets(reference=reference, fingerprint=references.fingerprint(reference))
    target = getattr(settings, "target", None)
    if target is None:
        return Targets()
    if target in by_name:
        sheet = sets.read(by_name[target])
        files = [f"{sheet.settings.images.rstrip('/')}/{path}" for path in sheet.paths]
    else:
        files = images_in(target)
    return Targets(images=tuple(files), fingerprint=sets.mark([_print(file) for file in files]), max_pixels=max_pixels)


def images_in(folder: str) -> list[str]:
    """The images below a folder, in alphabetical order. TargetError where there are none."""
    fs, root = fsspec.core.url_to_fs(folder)
    found = sorted(path for path in fs.find(root) if path.lower().endswith(SUFFIXES)) if fs.exists(root) else []
    if not found:
        raise TargetError(
            f"score.scorers: target {folder!r} is neither one of evaluate.sets nor a folder with images ({', '.join(SUFFIXES)})"
        )
    return [fs.unstrip_protocol(path) for path in found]


def _print(file: str) -> list[str | int]:
    """What a target image is known by: its name and size. Its bytes are read where it is embedded."""
    fs, path = fsspec.core.url_to_fs(file)
    try:
        return [os.path.basename(path), int(fs.size(path) or 0)]
    except FileNotFoundError as error:
        raise TargetError(f"score.scorers: the target image {file} is not there") from error
