"""Which models spoke of the pool, and what they had learned from: a filter hands on what it has seen."""

from itertools import dropwhile, takewhile
from typing import Any

from curate.recipe import Recipe
from curate.scores import registry
from curate.store import Dataset

LANGUAGE = "fastText's lid.176, trained on Wikipedia, Tatoeba and SETimes."
TOLD = ("pretrained", "precision", "detector", "head", "classifier", "network", "target", "classes", "endpoint")
"""Settings that say which model, or what it is held against."""


def disclosures(workdir: str, recipe: Recipe) -> list[dict[str, Any]]:
    """One account for each model and scorer whose table is there, after that of the language id: `score`, `scorer`, what it says (`about`),
    `model`, `settings`, `revision`, `learned_from`, and of a model in a folder the `card` beside it."""
    found = []
    if Dataset(workdir, "matches").manifest() is not None:
        found.append(_told("language", "language", "The language of each text.", "lid.176.ftz", LANGUAGE))
    for settings in recipe.score.all():
        data = Dataset(workdir, f"scores/{settings.name}")
        manifest = data.manifest()
        if manifest is None:
            continue
        model = getattr(settings, "model", None)
        found.append(
            _told(settings.name, registry.word(settings), data.schema.about, model, registry.kind(settings).learned_from)
            | {
                "settings": {name: str(value) for name in TOLD if name in settings.__struct_fields__ and (value := getattr(settings, name)) not in (None, "")},
                "revision": manifest.plan.settings.get("revision"), "card": card(str(model)),
            }
        )  # fmt: skip
    return found


def _told(score: str, scorer: str, about: str, model: str | None, learned_from: str) -> dict[str, Any]:
    return {"score": score, "scorer": scorer, "about": about.replace("`", ""), "model": model, "learned_from": learned_from,
            "settings": {}, "revision": None, "card": None}  # fmt: skip


def card(model: str) -> str | None:
    """What the card beside a local model says first: its paragraphs before any table or further heading, unformatted."""
    place, sign, folder = model.partition(":")
    file = Dataset(folder, "README.md") if sign and place == "local-dir" else None
    if file is None or not file.fs.exists(file.root):
        return None
    text = file.fs.cat_file(file.root).decode("utf-8", "replace")
    body = text.split("---", 2)[2] if text.startswith("---") and text.count("---") > 1 else text
    lines = [line.strip() for line in body.strip().splitlines()]
    first = dropwhile(lambda line: not line or line.startswith("#"), lines)
    words = " ".join(takewhile(lambda line: not line.startswith(("#", "|")), first))
    return words.replace("**", "").replace("`", "").strip() or None
