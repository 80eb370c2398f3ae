"""evaluate: zero-shot and retrieval of every trained model, on images that no training saw; raw against curated.

python jobs/evaluate.py -c recipe.yaml -w workdirs/mine
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import msgspec

from curate import models
from curate.duplicates.hashes import any_close
from curate.evaluation import overlap, results, sets
from curate.images import generations
from curate.recipe import Model
from curate.store import Dataset, Part, Plan
from curate.weights import at_hand
from jobs import engine
from jobs.train import SHARDS

Sets = list[tuple[sets.Sheet, sets.Prints]]
RESULT, OUTCOMES, COMPARISON = "result.json", "outcomes.json", "comparison.json"


def run(run: engine.Run) -> None:
    train, evaluate = run.recipe.train, run.recipe.evaluate
    sheets = [sets.read(one) for one in evaluate.sets]
    held = [(sheet, sets.prints(sheet, run.recipe.download.max_pixels)) for sheet in sheets]
    seen = cache(partial(overlaps, run, held))
    for seed in train.seeds:
        for kind in train.sets:
            plan = planned(run, f"{kind}-{seed}", SHARDS[kind], held)
            run.make(plan, partial(evaluate_one, run, plan, held, seen))
    if {"raw", "curated"} <= set(train.sets):
        found = {kind: [read(run, f"evaluations/{kind}-{seed}", OUTCOMES) for seed in train.seeds] for kind in SHARDS}
        said = results.comparison(found["raw"], found["curated"], train.seeds, evaluate.bootstrap, run.recipe.seed)
        put(run.dataset("evaluations"), COMPARISON, said)


def planned(run: engine.Run, name: str, shards: str, held: Sets) -> Plan:
    """An evaluation is its model, its sets, and what the model was trained on."""
    with at_hand(run.dataset(f"runs/{name}")) as folder:
        revision = models.identity(model_in(run, folder))["revision"]
    settings: dict[str, Any] = {"bootstrap": run.recipe.evaluate.bootstrap, "seed": run.recipe.seed}
    settings |= {"phash_distance": run.recipe.dedup.phash_distance}
    settings |= {f"set {s.settings.name}": sets.mark([results.identity(s), prints.mark]) for s, prints in held}
    inputs = [f"runs/{name}", shards, generations.newest(run.workdir).name]
    return run.plan(f"evaluations/{name}", settings, inputs, stage="evaluate", model=revision)


def model_in(run: engine.Run, folder: str) -> Model:
    return Model(name="trained", model=f"local-dir:{folder}", batch_size=run.recipe.evaluate.batch_size)


def overlaps(run: engine.Run, held: Sets, shards: str) -> dict[str, dict[str, int]]:
    """For each set, what a training set shares with it: nothing, or an EvaluationError."""
    found, distance = {}, run.recipe.dedup.phash_distance
    images = generations.newest(run.workdir)
    for sheet, prints in held:
        alike = overlap.look_alikes(images.batches(["image_uid", "phash"]), prints, distance, any_close)
        found[sheet.settings.name] = overlap.check(sheet.settings.name, run.dataset(shards), prints, alike)
    return found


def evaluate_one(
    run: engine.Run, plan: Plan, held: Sets, seen: Callable[[str], dict[str, dict[str, int]]], _: list[str]
) -> list[Part]:
    """Scores one model on every set, and keeps the outcome of every item beside the means."""
    settings, source = run.recipe.evaluate, plan.dataset.replace("evaluations/", "runs/")
    facts = read(run, source, "run.json")
    shared, said, outcomes = seen(SHARDS[facts["set"]]), {}, {}
    with at_hand(run.dataset(source)) as folder:
        clip = models.load(model_in(run, folder), settings.device, plan.inputs["model"])
    for sheet, _prints in held:
        name = sheet.settings.name
        said[name], outcomes[name] = results.result(sheet, clip, shared[name], settings.bootstrap, run.recipe.seed)
    target = run.dataset(plan.dataset)
    put(target, OUTCOMES, outcomes)
    put(target, RESULT, {key: facts[key] for key in ("run", "set", "seed", "samples_seen")} | {"sets": said})
    return []


def put(dataset: Dataset, file: str, value: Any) -> None:
    dataset.put(file, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")


def read(run: engine.Run, name: str, file: str) -> Any:
    dataset = run.dataset(name)
    return msgspec.json.decode(dataset.fs.cat_file(dataset.path(file)))


if __name__ == "__main__":
    engine.main(run)
