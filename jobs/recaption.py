"""recaption: texts beside the alt text, one side table `captions/<name>` for each captioner of the recipe, in their order.

python jobs/recaption.py -c recipe.yaml -w workdirs/mine
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from curate.backends import registry as backends
from curate.backends.cache import ANSWERS
from curate.backends.desk import Counts
from curate.backends.settings import Backend, RayLLM
from curate.captions import registry
from curate.captions.making import Made, Task, caption_part
from curate.captions.settings import Captioner
from curate.images import generations
from curate.store import Part
from jobs import engine, llm


def run(run: engine.Run) -> None:
    with run.engines.same_actors():
        for settings in run.recipe.recaption.captioners:
            make(run, settings, run.recipe.recaption.backend_of(settings))


def make(run: engine.Run, settings: Captioner, backend: Backend | None) -> None:
    """Makes the table of one captioner."""
    recipe, images = run.recipe, generations.newest(run.workdir)
    models = [model for name in settings.models() for model in recipe.score.models if model.name == name]
    identity = registry.identity(settings, backend, models) | {"seed": recipe.seed}
    sources = [f"captions/{name}" for name in settings.captions_of()] + [f"scores/{name}" for name in settings.scores()]
    plan = run.plan(f"captions/{settings.name}", identity, [images.name, "duplicates", *sources], images.part_names())
    task = Task(
        settings=settings,
        backend=backend,
        models=tuple(models),
        images=images,
        target=run.dataset(plan.dataset),
        plan=plan,
        seed=recipe.seed,
        device=recipe.recaption.device,
        threads=recipe.recaption.threads,
        max_pixels=recipe.download.max_pixels,
        answers=recipe.recaption.cache or f"{run.workdir}/{ANSWERS}",
    )

    def launch(missing: list[str]) -> list[Part]:
        models = registry.kind(settings).on_device or (backend is not None and backends.kind(backend).on_device)
        gpus = run.engines.gpu(recipe.recaption.device, models)
        # What all workers may do together is shared out among those that there will be.
        workers = min(recipe.recaption.workers, len(missing))
        mine = replace(task, backend=backend.share(workers)) if backend else task
        before = llm.ask(run.engines, task, missing) if isinstance(backend, RayLLM) else Counts()
        work = partial(caption_part, task=mine)
        answers = engine.ray_map(run.engines, work, missing, workers=workers, gpus=gpus)
        made = [msgspec.convert(answer, Made) for answer in answers]
        if backend is not None:
            print(account(plan.dataset, backend, [vars(before), *(one.counts for one in made)]), flush=True)
        return [one.part for one in made]

    def finish() -> dict[str, Any]:
        return {"took": task.target.noted(plan)} if backend is not None else {}

    run.make(plan, launch, finish)


def account(dataset: str, backend: Backend, made: Sequence[Mapping[str, int]]) -> str:
    """What was asked now, and what it cost: one line for people. What the whole table took, in whatever runs, is in its manifest under
    `took`: there a question that several pairs share counts for each of them."""
    counts: Counter[str] = Counter()
    for one in made:
        counts.update(one)
    cost = backends.cost(backend, counts["prompt_tokens"], counts["completion_tokens"])
    return (
        f"{dataset}: asked {backend.name} {counts['asked']:,} times ({counts['known']:,} were known): "
        f"{counts['prompt_tokens']:,} tokens in, {counts['completion_tokens']:,} out"
        + (f", cost {cost:,.2f}" if cost else "")
    )


if __name__ == "__main__":
    engine.main(run)
