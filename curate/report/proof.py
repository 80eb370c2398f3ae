"""What the set is worth: loss curves and the evaluation of the models that were trained on it and on the raw pool."""

from collections.abc import Iterator
from typing import Any

import msgspec

from curate.store import Dataset, StoreError

POINTS = 200
"""Points of a loss curve; each is the mean over the steps that it stands for."""
BETTER, WORSE, NOISE = "curated is better", "raw is better", "within the noise"


def training(workdir: str) -> list[dict[str, Any]]:
    """One account per finished run, by set and seed: its settings as it wrote them, and its loss curve."""
    runs = []
    for name in committed(workdir, "runs"):
        data = Dataset(workdir, name)
        facts = read_json(data, "run.json") or {}
        steps = [line for line in _lines(data, "log.jsonl") if "loss" in line]
        set_, _, seed = name.removeprefix("runs/").rpartition("-")
        runs.append({
            "run": name.removeprefix("runs/"), "set": set_, "seed": seed, "facts": facts, "steps": len(steps),
            "samples_seen": facts.get("samples_seen", steps[-1].get("samples_seen") if steps else None),
            "first_loss": steps[0]["loss"] if steps else None, "last_loss": steps[-1]["loss"] if steps else None,
            "curve": _curve(steps),
        })  # fmt: skip
    return runs


def evaluation(workdir: str) -> dict[str, Any] | None:
    """Results of each run and their comparison; None until evaluate has run."""
    results = [read_json(Dataset(workdir, name), "result.json") for name in committed(workdir, "evaluations")]
    comparison = read_json(Dataset(workdir, "evaluations"), "comparison.json")
    present = [result for result in results if result is not None]
    if not present and comparison is None:
        return None
    return {"results": present, "comparison": comparison, "overlap": _overlap(present), "verdict": verdict(comparison)}


def verdict(comparison: dict[str, Any] | None) -> dict[str, Any] | None:
    """The comparison in a sentence: how many metrics speak for the curated set, for the raw pool, or for neither."""
    if comparison is None:
        return None
    verdicts = [metric["verdict"] for metrics in comparison["sets"].values() for metric in metrics.values()]
    better, worse, noise = (verdicts.count(words) for words in (BETTER, WORSE, NOISE))
    if better and worse:
        said = "The two sets are better at different things."
    elif better:
        said = "The curated set trains the better model."
    elif worse:
        said = "The raw pool trains the better model at this budget."
    else:
        said = "No difference between raw and curated that exceeds the noise was measured."
    return {"sentence": said, "better": better, "worse": worse, "noise": noise, "metrics": len(verdicts)}


def committed(workdir: str, group: str) -> list[str]:
    """Names `<group>/<name>` of the committed datasets in a folder of the workdir, in alphabetical order."""
    root = Dataset(workdir, group)
    if not root.fs.exists(root.root):
        return []
    names = sorted(f"{group}/{path.rstrip('/').rsplit('/', 1)[-1]}" for path in root.fs.ls(root.root, detail=False))
    return [name for name in names if Dataset(workdir, name).manifest() is not None]


def read_json(data: Dataset, file: str) -> dict[str, Any] | None:
    if not data.fs.exists(data.path(file)):
        return None
    try:
        return msgspec.json.decode(data.fs.cat_file(data.path(file)), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise StoreError(
            f"{data.path(file)} is damaged ({error}); remove {data.root} and run its stage again"
        ) from error


def _lines(data: Dataset, file: str) -> Iterator[dict[str, Any]]:
    if data.fs.exists(data.path(file)):
        with data.fs.open(data.path(file), "rb") as lines:
            for line in lines:
                yield msgspec.json.decode(line, type=dict[str, Any])


def _curve(steps: list[dict[str, Any]]) -> list[list[float]]:
    """[samples seen, mean loss] of at most POINTS stretches of equal length."""
    stretch = -(-len(steps) // POINTS) or 1
    groups = [steps[start : start + stretch] for start in range(0, len(steps), stretch)]
    return [[g[-1].get("samples_seen", 0), round(sum(s["loss"] for s in g) / len(g), 5)] for g in groups]


def _overlap(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each run and evaluation set: how many training images are also in the set, by bytes and by perceptual hash."""
    return [
        {"run": result["run"], "set": name, "images": found["images"], **found["overlap"]}
        for result in results
        for name, found in sorted(result["sets"].items())
        if "overlap" in found
    ]
