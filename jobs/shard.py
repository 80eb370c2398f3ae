"""shard: the selected pairs as WebDataset tars, byte-identical on a rerun; and the raw baseline beside them.

python jobs/shard.py -c recipe.yaml -w workdirs/mine
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from curate.parts import Inputs
from curate.shards import balance, captions, samples, writing
from curate.shards.card import card, warnings_for
from curate.store import Dataset, Part, Plan
from jobs import engine, reinforce

Cut = dict[str, list[tuple[str, int, int]]]
"""Shard -> (part, first sample, number of samples), in order."""

SETS: dict[str, tuple[str, samples.Members]] = {
    "curated": ("shards", samples.curated),
    "raw": ("shards-raw", samples.raw),
}


def run(run: engine.Run) -> None:
    with run.engines.same_actors():
        for kind in SETS:
            if kind == "curated" or run.recipe.balance.baseline_fraction > 0:
                make_set(run, kind)
        reinforce.run(run)


def make_set(run: engine.Run, kind: str) -> None:
    recipe = run.recipe
    name, members = SETS[kind]
    models = [model.name for model in recipe.score.models]
    texts = captions.Texts.of(recipe, kind == "curated")
    inputs = samples.table_inputs(run.workdir, models, recipe.shard.blur_faces, texts)
    sources = [data.name for data, _ in inputs.values()]
    policy = samples.policy_for(recipe.shard.text, kind == "curated", models)
    choose = samples.chooser(policy, recipe.seed, models[0] if models else None)
    settings = recipe.shard.identity() | {"text": policy, "seed": recipe.seed, "set": kind}
    if kind == "curated":
        settings["carried"] = [*texts.captioners, *texts.finders]
    target = run.dataset(name)
    done = target.manifest()
    before = run.plan(name, settings, sources, [part.name for part in done.parts] if done else [])
    cut = {} if done and done.plan.hash == before.hash else cut_shards(run, inputs, members)
    plan = run.plan(name, settings, sources, list(cut)) if cut else before

    def launch(missing: list[str]) -> list[Part]:
        write = partial(
            write_shard,
            cut=cut,
            inputs=inputs,
            members=members,
            choose=choose,
            target=target,
            plan=plan,
            texts=weighed(run, texts),
        )
        return engine.ray_parts(run.engines, write, missing, workers=recipe.shard.workers)

    def finish() -> dict[str, Any]:
        shards = [part for shard in plan.parts if (part := target.committed(shard, plan.hash))]
        warnings = warnings_for(shards)
        for warning in warnings:
            print(f"{name}: {warning}", flush=True)
        record = balance.recorded(target, shards, kind == "curated" and balanced_online(run))
        writing.finish(target, shards, card(recipe, kind, shards, record))
        return {"warnings": warnings, "balance": msgspec.to_builtins(record)}

    run.make(plan, launch, finish)


def weighed(run: engine.Run, texts: captions.Texts) -> captions.Texts:
    """The texts of a set with the means that its policy weighs by, if it does: one pass over a table of consistency."""
    name = captions.weighs(texts.policy)
    if name is None:
        return texts
    table = run.dataset(f"captions/{name}")
    sums = engine.ray_map(
        run.engines, partial(captions.summed, table=table), table.part_names(), workers=run.recipe.shard.workers
    )
    return replace(texts, means=captions.means_of([msgspec.convert(one, captions.Sums) for one in sums]))


def balanced_online(run: engine.Run) -> bool:
    """Whether balance let every matched pair pass, by what it said itself."""
    return bool(run.dataset("balanced").require().plan.settings.get("online", False))


def cut_shards(run: engine.Run, inputs: Inputs, members: samples.Members) -> Cut:
    """Which samples of which parts go into each shard: every part is counted once, then cut evenly."""
    parts = inputs["images"][0].part_names()
    counting = partial(samples.count, inputs=inputs, members=members)
    counts = engine.ray_map(run.engines, counting, parts, workers=run.recipe.shard.workers)
    pieces = samples.slices(dict(zip(parts, counts, strict=True)), run.recipe.shard.samples)
    return {f"{index:05d}": piece for index, piece in enumerate(pieces)}


def write_shard(
    shard: str,
    *,
    cut: Cut,
    inputs: Inputs,
    members: samples.Members,
    choose,
    target: Dataset,
    plan: Plan,
    texts: captions.Texts,
) -> Part:
    """One shard from its slices of the parts; runs in a worker."""
    from itertools import islice

    def slices():
        for part, first, size in cut[shard]:
            yield from islice(samples.samples_of(part, inputs, members, choose, texts), first, first + size)

    return writing.write_shard(shard, slices(), target, plan)


if __name__ == "__main__":
    engine.main(run)
