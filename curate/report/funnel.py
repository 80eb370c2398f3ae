"""The account of a workdir: for each stage the rows that came in and how they left it, with the sums checked."""

from typing import Any

import pyarrow.compute as pc

from curate import schema
from curate.images import generations
from curate.ledger import Ledger
from curate.recipe import Recipe
from curate.selection.selecting import ALONE, FIRST
from curate.store import Dataset, Manifest

UNITS = {
    "pairs": "image references in the crawl", "matches": "pairs", "balanced": "matched pairs",
    "images": "pairs to fetch", "scores": "fetched pairs", "duplicates": "fetched pairs",
    "selection": "pairs", "shards": "selected pairs", "shards-raw": "fetched pairs of the baseline",
}  # fmt: skip
"""What a row going into each dataset's stage is, in the words of the page."""


def datasets(recipe: Recipe) -> list[str]:
    """The datasets with rows, in the order of the road. `counts` holds entries, not rows of the pool: not here."""
    scores = [f"scores/{name}" for name in recipe.score.names()]
    return ["pairs", "matches", "balanced", "images", *scores, "duplicates", "selection", "shards", "shards-raw"]


def funnel(workdir: str, recipe: Recipe) -> dict[str, Any]:
    """The account as plain values: `stages` that ran, `missing` datasets, `checks` of the sums, `baseline` rows.

    Tables of captions lose nobody for the stages behind them: their sums are checked, and their account is `curate.report.captions`'.
    """
    stages, missing, manifests = [], [], {}
    for name in datasets(recipe):
        manifest = generations.current(workdir, name).manifest()
        if manifest is None:
            missing.append(name)
            continue
        manifests[name] = manifest
        stages.append(_stage(name, manifest))
    captions = {
        name: Dataset(workdir, name).manifest() for name in (f"captions/{one}" for one in recipe.recaption.names())
    }
    manifests |= {name: manifest for name, manifest in captions.items() if manifest is not None}
    baseline = _baseline(generations.newest(workdir)) if "images" in manifests else None
    return {"stages": stages, "missing": missing, "checks": _checks(manifests, baseline), "baseline": baseline}


def merged(stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The stages with neighbours that tell the same as one: tables beside each other that lost no row. Its `tables` are their names."""
    found: list[dict[str, Any]] = []
    for stage in stages:
        last = found[-1] if found else {}
        same = all(stage[key] == last.get(key) for key in ("stage", "rows_in", "kept")) and not last["notes"]
        if same and stage["kept"] == stage["rows_in"] and "/" in stage["dataset"]:
            last["tables"].append(stage["dataset"])
        else:
            found.append(stage | {"tables": [stage["dataset"]]})
    return found


def _stage(name: str, manifest: Manifest) -> dict[str, Any]:
    ledger, known = manifest.ledger, schema.of(name, manifest.plan.settings)

    def ways(counts: dict[str, int], about: dict[str, str]) -> list[dict[str, Any]]:
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [{"name": word, "rows": rows, "about": about.get(word, "")} for word, rows in ordered if rows]

    return {
        "dataset": name, "stage": known.stage, "unit": UNITS[name.split("/")[0]],
        "rows_in": ledger.rows_in, "kept": ledger.kept,
        "dropped": ways(ledger.dropped, known.dropped), "dropped_rows": sum(ledger.dropped.values()),
        "failed": ways(ledger.failed, known.failed), "failed_rows": sum(ledger.failed.values()),
        "rules": _rules(manifest),
        "notes": {name: n for name, n in sorted(ledger.notes.items()) if not name.startswith((FIRST, ALONE))},
        "balances": _left(ledger) == ledger.rows_in,
    }  # fmt: skip


def _rules(manifest: Manifest) -> list[dict[str, Any]]:
    """What each rule of a selection dropped as the first, and, where that was counted, would have dropped; empty for other datasets.

    Rules that tell how a row failed each of their branches have several lines.
    """
    counts = manifest.ledger.notes
    order = [rule["label"] for rule in manifest.extra.get("rules", [])]
    labels = {name.removeprefix(words) for name in counts for words in (FIRST, ALONE) if name.startswith(words)}
    place = {
        label: next((i for i, one in enumerate(order) if label == one or label.startswith(f"{one}: ")), 0)
        for label in labels
    }
    return [
        {"rule": label, "rows": counts.get(FIRST + label, 0), "alone": counts.get(ALONE + label)}
        for label in sorted(labels, key=lambda label: (place[label], label))
    ]


def _left(ledger: Ledger) -> int:
    return ledger.kept + sum(ledger.dropped.values()) + sum(ledger.failed.values())


def _baseline(images: Dataset) -> dict[str, int]:
    """Rows of `images` by why they were fetched, and how many of each came back as an image."""
    counts = dict.fromkeys(("curated", "baseline_only", "both", "curated_fetched", "baseline_only_fetched"), 0)
    for table in images.batches(["curated", "baseline", "state"]):
        curated, baseline, kept = table["curated"], table["baseline"], pc.equal(table["state"], "kept")
        alone = pc.and_(baseline, pc.invert(curated))
        masks = (curated, alone, pc.and_(curated, baseline), pc.and_(curated, kept), pc.and_(alone, kept))
        for key, mask in zip(counts, masks, strict=True):
            counts[key] += pc.sum(mask).as_py() or 0
    return counts


def _checks(manifests: dict[str, Manifest], baseline: dict[str, int] | None) -> list[dict[str, Any]]:
    """Every sum that must hold within a stage and from one stage to the next, with whether it does."""
    ledgers = {name: manifest.ledger for name, manifest in manifests.items()}
    checks = [
        _check(f"{name}: rows in = kept + dropped + failed", ledger.rows_in, _left(ledger))
        for name, ledger in ledgers.items()
    ]

    def handed(before: str, after: str, more: int = 0, words: str = "") -> None:
        if before in ledgers and after in ledgers:
            text = f"{after}: rows in = {before} kept{words}"
            checks.append(_check(text, ledgers[after].rows_in, ledgers[before].kept + more))

    handed("pairs", "matches")
    handed("matches", "balanced")
    if baseline is not None:
        handed("balanced", "images", baseline["baseline_only"], " + rows of the baseline alone")
    for name in ledgers:
        if name.startswith("scores/"):
            handed("images", name)
    compared, ruled = (_scores_read(manifests.get(name)) for name in ("duplicates", "selection"))
    handed(next(iter(sorted(compared)), "images"), "duplicates")
    # A row that only the rules' model failed to score is lost between the two; then there is no sum to check.
    if not any(ledgers[name].failed for name in (ruled - compared) & set(ledgers)):
        handed("duplicates", "selection")
    handed("selection", "shards")
    return checks


def _scores_read(manifest: Manifest | None) -> set[str]:
    """The scores that a dataset was made from; rows without them did not enter."""
    return {name for name in manifest.plan.inputs if name.startswith("scores/")} if manifest else set()


def _check(text: str, one: int, other: int) -> dict[str, Any]:
    return {"text": text, "left": one, "right": other, "holds": one == other}
