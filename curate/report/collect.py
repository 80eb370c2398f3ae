"""Gathers the facts of a workdir as plain values: the JSON twin, from which alone the page is made."""

from typing import Any

import msgspec
import xxhash
import yaml

from curate import __version__
from curate.images import generations
from curate.recipe import Recipe
from curate.report.captions import captions
from curate.report.columns import columns
from curate.report.consent import consent
from curate.report.disclosures import disclosures
from curate.report.duplicates import duplicates
from curate.report.entries import entries
from curate.report.examples import examples
from curate.report.funnel import datasets, funnel
from curate.report.pool import pool
from curate.report.proof import committed, evaluation, training
from curate.report.similarity import similarity
from curate.report.truth import truth
from curate.store import Dataset


def collect(workdir: str, recipe: Recipe) -> tuple[dict[str, Any], dict[str, str]]:
    """(facts, thumbnails): everything that the page says, as JSON values, and {image_uid: data URI} beside it.

    Streams the datasets a row group at a time; sections whose stage has not run are None or empty.
    """
    shown, thumbnails = examples(workdir, recipe)
    captioned, more = captions(workdir, recipe)
    models = recipe.score.models
    planted = recipe.report.truth
    facts = {
        "title": recipe.report.title,
        "provenance": provenance(workdir, recipe),
        "funnel": funnel(workdir, recipe),
        "entries": entries(workdir, recipe),
        "scores": similarity(workdir, recipe),
        "columns": columns(workdir, recipe),
        "models": disclosures(workdir, recipe),
        "duplicates": duplicates(workdir),
        "examples": shown,
        "captions": captioned,
        "training": training(workdir),
        "evaluation": evaluation(workdir),
        "pool": pool(workdir),
        "consent": consent(workdir, recipe),
        "truth": truth(workdir, planted, models[0].name if models else None) if planted else None,
        "shards": shards(workdir),
    }
    return facts, thumbnails | more


def present(workdir: str, recipe: Recipe) -> list[str]:
    """The datasets that the report reads and that are committed: the inputs of its plan."""
    captioned = [f"captions/{name}" for name in recipe.recaption.names()]
    found = [generations.current(workdir, name) for name in [*datasets(recipe), *captioned, "counts"]]
    rows = [data.name for data in found if data.manifest() is not None]
    return [*rows, *committed(workdir, "runs"), *committed(workdir, "evaluations")]


def provenance(workdir: str, recipe: Recipe) -> dict[str, Any]:
    """What the run is: recipe with its hash, code version and fingerprints of the datasets."""
    plain = recipe.identity()
    manifests = {name: Dataset(workdir, name).require() for name in present(workdir, recipe)}
    return {
        "recipe": recipe.name,
        "recipe_hash": xxhash.xxh3_128_hexdigest(msgspec.json.encode(plain, order="deterministic")),
        "recipe_yaml": yaml.safe_dump(plain, sort_keys=False, allow_unicode=True),
        "code": __version__,
        "datasets": [
            {
                "dataset": name, "fingerprint": Dataset(workdir, name).fingerprint, "code": manifest.plan.code,
                "parts": len(manifest.parts), "bytes": sum(part.bytes for part in manifest.parts),
            }
            for name, manifest in manifests.items()
        ],
    }  # fmt: skip


def shards(workdir: str) -> list[dict[str, Any]]:
    """The sets of shards that are there, with their tars and samples."""
    found = []
    for name in ("shards", "shards-raw"):
        manifest = Dataset(workdir, name).manifest()
        if manifest is not None:
            found.append({"dataset": name, "tars": len(manifest.parts), "samples": sum(p.rows for p in manifest.parts)})
    return found
