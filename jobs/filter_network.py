"""filter-network: a CLIP to score with, trained on trusted pairs (Ray looks through their tars, torchrun trains).

python jobs/filter_network.py -c recipe.yaml -w workdirs/filter
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from functools import partial

import msgspec

from curate import weights
from curate.disclosures import FILE, Disclosure
from curate.duplicates import hashes, overlap
from curate.ledger import KEPT
from curate.recipe import RecipeError, Train, Trusted
from curate.store import Dataset, Part
from curate.training import checkpoints, disclosure, trusted
from curate.training.job import Job
from jobs import engine, train

NAME, FIRST = "filter-network", "filter-network-trusted"
"""The network, and what it was before it was fine-tuned, where it is."""
INDEXES = ("trusted", "trusted-fine-tune")


def run(run: engine.Run) -> Disclosure:
    """Trains the network that the recipe describes, or goes on. Returns its disclosure."""
    network = run.recipe.filter_network
    if network.trusted is None:
        raise RecipeError(
            "filter_network.trusted names no set: give it `shards`, a dataset of shards or tars with trusted pairs"
        )
    sets: list[tuple[Trusted, Train]] = [(network.trusted, network.train)]
    if network.fine_tune is not None:
        sets.append((network.fine_tune, network.finishing()))
    # Both are looked through before anything is trained: a second set that is not there is said now.
    indexes = [looked_through(run, said, name) for (said, _), name in zip(sets, INDEXES, strict=False)]
    found = [overlaps(run, index) for index in indexes]
    phases = [
        disclosure.Phase(said=said, index=index, settings=settings, overlap=shared)
        for (said, settings), index, shared in zip(sets, indexes, found, strict=True)
    ]
    names = (FIRST, NAME)[-len(phases) :]
    for number, name in enumerate(names):
        told = trained(run, phases[: number + 1], name, names[number - 1] if number else None)
    return told


def trained(run: engine.Run, phases: list[disclosure.Phase], name: str, begin_with: str | None) -> Disclosure:
    """Trains on the last of the sets, from the weights of the run before. Returns what the network has seen by then."""
    last, target = phases[-1], run.dataset(name)
    job = Job(workdir=run.workdir, shards=last.index.name, target=name, settings=last.settings, seed=run.recipe.seed,
              kind="trusted", objective=run.recipe.filter_network.objective, begin_with=begin_with)  # fmt: skip

    def finish() -> dict[str, Disclosure]:
        return {"disclosure": disclose(run, target, phases)}

    run.make(train.planned(run, job, stage=NAME), partial(train.torchrun, job), finish=finish)
    checkpoints.clear(target)
    # Again, because evaluation sets may have been named since: the card is to say what is known of the overlap now.
    return disclose(run, target, phases)


def looked_through(run: engine.Run, said: Trusted, name: str) -> Dataset:
    """The index of a set. TrainingError where it has nothing to train on."""
    network, target = run.recipe.filter_network, run.dataset(name)
    where = f"filter_network.{'trusted' if name == INDEXES[0] else 'fine_tune'}.shards"
    tars = trusted.tars_of(said.shards, where)
    plan = run.plan(name, {"max_pixels": network.max_pixels}, [], list(tars), stage=NAME, tars=trusted.mark(tars))
    part = partial(trusted.index_part, tars=tars, target=target, plan=plan, max_pixels=network.max_pixels)

    def launch(missing: list[str]) -> list[Part]:
        if network.workers == 1:
            return [part(one) for one in missing]
        return engine.ray_parts(run.engines, part, missing, workers=network.workers)

    run.make(plan, launch)
    trusted.put_places(target, tars)
    trusted.check(target, where)
    return target


def overlaps(run: engine.Run, index: Dataset) -> dict[str, dict[str, int]]:
    """For each evaluation set of the recipe, how many of a trusted set's images it holds, by way. One pass over the index."""
    distance, pixels = run.recipe.dedup.phash_distance, run.recipe.download.max_pixels
    held = {one.name: overlap.held([one], pixels) for one in run.recipe.evaluate.sets}
    found = {name: {"sha256": 0, "phash": 0} for name in held}
    for table in index.batches(["state", "sha256", "phash"]) if held else ():
        rows = table.filter([state == KEPT for state in table["state"].to_pylist()])
        sha256, phash = rows["sha256"].to_pylist(), hashes.parse(rows["phash"].to_pylist())
        for name, one in held.items():
            for way in one.found(sha256, phash, distance).tolist():
                if way is not None:
                    found[name][way] += 1
    return found


def disclose(run: engine.Run, target: Dataset, phases: list[disclosure.Phase]) -> Disclosure:
    """Writes what the network was trained on beside it, where that is not what stands there. Returns it."""
    with target.fs.open(target.path(weights.WEIGHTS), "rb") as file:
        sha256 = weights.digest(file)
    recipe = run.recipe
    told = disclosure.disclosed(phases, recipe.filter_network, recipe.seed, recipe.dedup.phash_distance, sha256)
    place = target.path(FILE)
    if not target.fs.exists(place) or msgspec.json.decode(target.fs.cat_file(place), type=Disclosure) != told:
        disclosure.write(target, told)
    return told


if __name__ == "__main__":
    import typer

    from curate.cli import guarded
    from curate.commands.filter_network import filter_network

    guarded(lambda: typer.run(filter_network))
