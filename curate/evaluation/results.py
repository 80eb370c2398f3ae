"""What is written down of an evaluation: means with intervals, the outcome of every item, and raw against curated."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from curate.evaluation import bootstrap, metrics
from curate.evaluation.sets import Sheet
from curate.models import Clip

Outcomes = dict[str, dict[str, list[int]]]
"""Set -> metric -> 1 for each item that the model has right, 0 for the others."""


def result(
    sheet: Sheet, clip: Clip, overlap: Mapping[str, int], resamples: int, seed: int
) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """What `result.json` says of one set, and the outcomes of its items by metric."""
    name, outcomes = sheet.settings.name, metrics.outcomes(sheet, clip)
    measured = {
        metric: bootstrap.interval(values, resamples, seed, f"{name}:{metric}") for metric, values in outcomes.items()
    }
    said = {
        "images": len(sheet.paths), "classes": len(sheet.classes), "texts": len(sheet.texts),
        "metrics": measured, "overlap": dict(overlap),
    }  # fmt: skip
    return said, {metric: values.astype(int).tolist() for metric, values in outcomes.items()}


def comparison(
    raw: Sequence[Outcomes], curated: Sequence[Outcomes], seeds: Sequence[int], resamples: int, seed: int
) -> dict[str, Any]:
    """What `comparison.json` says: raw against curated on every metric of every set, one run of each a training seed."""
    compared = {
        name: {
            metric: bootstrap.compare(
                [np.array(run[name][metric]) for run in raw], [np.array(run[name][metric]) for run in curated],
                resamples, seed, f"{name}:{metric}",
            )
            for metric in found
        }
        for name, found in raw[0].items()
    }  # fmt: skip
    return {"sets": compared, "seeds": list(seeds)}


def identity(sheet: Sheet) -> dict[str, Any]:
    """What of a set decides its results, besides the bytes of its images: texts, labels, prompts."""
    return {
        "labels": sheet.labels, "texts": sheet.texts, "pairs": sheet.pairs.tolist(), "paths": sheet.paths,
        "templates": sheet.settings.templates,
    }  # fmt: skip
