"""Captions beside their alt texts: who made them, what was refused and why, what it took, and pairs to read."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from curate import schema
from curate.backends import registry as backends
from curate.draw import draw
from curate.images import generations
from curate.images.archive import images_of
from curate.ledger import KEPT
from curate.parts import zipped
from curate.recipe import Recipe
from curate.report.rows import SHOWN
from curate.report.sampling import Smallest
from curate.report.untrusted import clip, thumbnail
from curate.store import Dataset, Manifest
from curate.uid import part_of

PARTS, LOOKUP = 8, 20_000
"""Parts that pairs are drawn from, and images at the beginning of a part's tar among which a picture is looked for."""
PAIRS, REFUSED = 12, 6
"""Pairs that are shown, and refused texts of each captioner."""
TEXTS = ("captions", "features", "regions", "denied")
"""Columns that are read out, of those that a table has."""
NUMBERS = {"similarities": "similarity", "rewards": "reward", "novelties": "novelty", "box_scores": "score"}
"""Lists of numbers that run beside the texts, and what they are called."""


def captions(workdir: str, recipe: Recipe) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """(facts, thumbnails); (None, {}) where no table of captions is committed."""
    accounts = tables(workdir, recipe)
    if not accounts:
        return None, {}
    rows = _rows(workdir, recipe, [Dataset(workdir, f"captions/{one['name']}") for one in accounts])
    return {"tables": accounts, "pairs": rows}, _thumbnails(workdir, {row["image_uid"] for row in rows})


def tables(workdir: str, recipe: Recipe) -> list[dict[str, Any]]:
    """The account of each table of captions that is committed, in the recipe's order."""
    made = [(one, Dataset(workdir, f"captions/{one.name}").manifest()) for one in recipe.recaption.captioners]
    return [_table(one, manifest, recipe) for one, manifest in made if manifest is not None]


def _table(captioner: Any, manifest: Manifest, recipe: Recipe) -> dict[str, Any]:
    """One captioner: its account, by reason, and what it took."""
    known, ledger = schema.load(f"{schema.CAPTIONS}/{captioner.word}"), manifest.ledger
    took, backend = manifest.extra.get("took") or {}, recipe.recaption.backend_of(captioner)
    tokens = [int(took.get(name, 0)) for name in ("prompt_tokens", "completion_tokens")]
    return {
        "name": captioner.name, "captioner": captioner.word, "about": known.about, "backend": backend.name if backend else None,
        "model": getattr(backend, "model", None) or getattr(backend, "word", None), "of": list(captioner.captions_of()),
        "rows_in": ledger.rows_in, "kept": ledger.kept, "not_drawn": ledger.dropped.get("not_drawn", 0),
        "dropped": [{"reason": why, "pairs": rows, "about": known.dropped[why]} for why, rows in ledger.dropped.items() if why != "not_drawn"],
        "failed": [{"reason": why, "pairs": rows, "about": known.failed[why]} for why, rows in ledger.failed.items()],
        "requests": int(took.get("requests", 0)), "prompt_tokens": tokens[0], "completion_tokens": tokens[1],
        "cost": backends.cost(backend, *tokens) if backend else 0.0,
    }  # fmt: skip


def _rows(workdir: str, recipe: Recipe, made: list[Dataset]) -> list[dict[str, Any]]:
    """Pairs to read: of those that most captioners have something of, the ones with the smallest draws."""
    sample = Smallest(PAIRS)
    for rows in _sampled(workdir, recipe, made):
        for row in rows:
            shown = {name: _said(values) for name, values in row["said"].items()}
            shown = {name: one for name, one in shown.items() if one["texts"] or one["refused"] or one["numbers"]}
            if shown:
                chance = draw(recipe.seed, "report", [row["uid"]])
                group = sum(bool(one["texts"]) for one in shown.values())
                sample.offer(group, chance, [row["uid"]], [row | {"said": shown}])
    found = [row for group in sorted(sample.rows, reverse=True, key=str) for row in sample.taken(group)]
    keep = ("uid", "image_uid", "said")
    return [{name: row[name] for name in keep} | {"text": clip(row["text"])} for row in found[:PAIRS]]


def _sampled(workdir: str, recipe: Recipe, made: list[Dataset]) -> Iterator[list[dict[str, Any]]]:
    """Rows of the first row group of a few parts, with what each table says of them."""
    images = generations.newest(workdir)
    inputs = {"images": (images, list(SHOWN))} | {data.name: (data, _columns(data)) for data in made}
    parts = images.part_names()
    for _, part in sorted(zip(draw(recipe.seed, "report parts", parts), parts, strict=True))[:PARTS]:
        for tables in islice(zipped(part, inputs), 1):
            sides: dict[str, list[dict[str, Any]]] = {
                data.name.partition("/")[2]: tables[data.name].to_pylist() for data in made
            }
            yield [
                row | {"said": {name: side[place] for name, side in sides.items()}}
                for place, row in enumerate(tables["images"].to_pylist())
                if any(side[place]["state"] == KEPT or side[place].get("rejected") for side in sides.values())
            ]


def _columns(data: Dataset) -> list[str]:
    wanted = ("state", "reason", *TEXTS, *NUMBERS, "rejected", "rejections", "alt_similarity", "langs")
    return [name for name in wanted if name in data.schema.columns]


def _said(row: dict[str, Any]) -> dict[str, Any]:
    """What a table says of a pair, for people."""
    texts = next((row[name] for name in TEXTS if row.get(name)), None) or []
    texts = texts if row["state"] == KEPT else []
    numbers = {word: row[name] for name, word in NUMBERS.items() if row.get(name) and row["state"] == KEPT}
    reasons = row.get("rejections") or [row["reason"]] * len(row.get("rejected") or [])
    return {
        "texts": [clip(text) for text in texts[:REFUSED]],
        "numbers": {word: [round(float(value), 3) for value in values[:REFUSED]] for word, values in numbers.items()},
        "alt": None if row.get("alt_similarity") is None else round(row["alt_similarity"], 3),
        "refused": [{"text": clip(text), "reason": why} for text, why in zip((row.get("rejected") or [])[:REFUSED], reasons, strict=False)],
    }  # fmt: skip


def _thumbnails(workdir: str, wanted: set[str]) -> dict[str, str]:
    images, found = generations.newest(workdir), dict[str, str]()
    names = images.part_names()
    for part in sorted({names[part_of(uid, len(names))] for uid in wanted}):
        for uid, data in islice(images_of(images, part), LOOKUP):
            if uid in wanted and (picture := thumbnail(data)) is not None:
                found[uid] = picture
    return found
