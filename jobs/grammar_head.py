"""grammar-head: a head that says how grammatical a text is, learned from good sentences and corruptions of them (this process).

python jobs/grammar_head.py -c recipe.yaml -w workdirs/mine grammar_head.model=clip grammar_head.texts=sentences.txt
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import msgspec

from curate import __version__, models, storage
from curate.hints import nearest
from curate.recipe import Model, RecipeError
from curate.scores import grammar_training
from curate.scores.grammar_training import Card
from curate.store import Part
from curate.texts import sentences
from jobs import engine

NAME, WEIGHTS, CARD = "grammar-head", "head.safetensors", "head.json"
FILE = "file"


def run(run: engine.Run) -> Card:
    """Trains the head that the recipe describes, unless it is there. Returns its card."""
    settings, model = run.recipe.grammar_head, model_of(run)
    source = settings.texts
    if not source:
        raise RecipeError(
            "grammar_head.texts names no texts: a file with one a line (.txt), a Parquet file, or a dataset of the workdir"
        )
    known, target = models.identity(model), run.dataset(NAME)
    inputs, more = ([], {FILE: mark(source)}) if sentences.is_file(source) else ([source], {})
    # What is known of the model stands in the settings: a head for another tower is another head.
    identity = settings.identity() | {"seed": run.recipe.seed, "tower": known}
    plan = run.plan(NAME, identity, inputs, stage=NAME, **more)

    def launch(_: list[str]) -> list[Part]:
        drawn = sentences.sample(
            texts(run, source), seed=run.recipe.seed, most=settings.most, min_words=settings.min_words
        )
        clip = models.load(model, run.recipe.score.device, known["revision"])
        head, told = grammar_training.learn(drawn.texts, clip, known["revision"], settings, run.recipe.seed)
        data = grammar_training.encoded(head)
        card = Card(head_sha256=hashlib.sha256(data).hexdigest(), tower=known["revision"], model=known, settings=settings.identity(),
                    seed=run.recipe.seed, source=PurePosixPath(source).name if sentences.is_file(source) else source,
                    account=drawn.account, code=__version__, **told)  # fmt: skip
        target.put(WEIGHTS, data)
        target.put(CARD, msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n")
        return []

    run.make(plan, launch, finish=lambda: {"head": msgspec.to_builtins(read(run).held_out)})
    return read(run)


def read(run: engine.Run) -> Card:
    """The card of the workdir's head."""
    target = run.dataset(NAME)
    return msgspec.json.decode(target.fs.cat_file(target.path(CARD)), type=Card)


def model_of(run: engine.Run) -> Model:
    """The model whose text embeddings the head is to take. RecipeError for one that `score.models` has not."""
    named = {model.name: model for model in run.recipe.score.models}
    name = run.recipe.grammar_head.model or (next(iter(named)) if len(named) == 1 else "")
    if name not in named:
        hint = nearest(name, list(named)) if named else "there are none"
        raise RecipeError(f"grammar_head.model: {name!r} is none of score.models: {hint}")
    return named[name]


def texts(run: engine.Run, source: str) -> Iterator[list[str | None]]:
    settings = run.recipe.grammar_head
    if sentences.is_file(source):
        return sentences.of_file(source, settings.column, settings.where)
    return sentences.of_dataset(run.dataset(source), settings.column, settings.where)


def mark(path: str) -> str:
    """sha256 of a file's bytes. TextsError where there is none."""
    fs, place = storage.located(path)
    if not fs.exists(place):
        raise sentences.TextsError(f"grammar_head.texts: no file {path}")
    with fs.open(place, "rb") as file:
        digest: Any = hashlib.file_digest(file, "sha256")
    return f"sha256:{digest.hexdigest()}"


if __name__ == "__main__":
    import typer

    from curate.cli import guarded
    from curate.commands.grammar_head import grammar_head

    guarded(lambda: typer.run(grammar_head))
