"""report: one HTML page that opens without a server, and its JSON twin, from everything that a workdir holds.

python jobs/report.py -c recipe.yaml -w workdirs/mine
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from dataclasses import replace
from pathlib import PurePath

import fsspec
import msgspec
import xxhash

from curate.report.collect import collect, present
from curate.report.page import render
from curate.store import Part
from jobs import engine


def run(run: engine.Run) -> None:
    target = run.dataset("report")
    # A report is a view on the other datasets and nothing follows from it: it is made anew whenever they changed.
    run = replace(run, redo=run.redo | {"report"})
    inputs = present(run.workdir, run.recipe)
    plan = run.plan("report", run.recipe.identity(), inputs, stage="report", **_files(run))

    def launch(_: list[str]) -> list[Part]:
        facts, thumbnails = collect(run.workdir, run.recipe)
        target.put("report.json", msgspec.json.format(msgspec.json.encode(facts), indent=1))
        target.put("index.html", render(facts, thumbnails).encode())
        return []

    run.make(plan, launch)
    print(f"report: {target.path('index.html')}", flush=True)


def _files(run: engine.Run) -> dict[str, str]:
    """Marks of what the page says and no dataset's fingerprint covers: the comparison, and the truth about the pool."""
    comparison = run.dataset("evaluations").path("comparison.json")
    marks = {}
    if run.dataset("evaluations").fs.exists(comparison):
        marks["comparison"] = xxhash.xxh3_128_hexdigest(run.dataset("evaluations").fs.cat_file(comparison))
    if run.recipe.report.truth:
        name = PurePath(run.recipe.report.truth).name
        with fsspec.open(run.recipe.report.truth, "rb") as file:
            marks[name] = xxhash.xxh3_128_hexdigest(file.read())
    return marks


if __name__ == "__main__":
    engine.main(run)
