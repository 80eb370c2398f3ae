"""match: language and metadata entries of each pair, and how many texts of the pool match each entry.

python jobs/match.py -c recipe.yaml -w workdirs/mine
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from functools import partial

from curate import parts
from curate.concepts import counting, entries, language, matching
from curate.ledger import Ledger
from curate.store import Part, part_name
from jobs import engine


def run(run: engine.Run) -> None:
    match(run)
    count(run)


def match(run: engine.Run) -> None:
    """The side table `matches`."""
    settings, pairs = run.recipe.match, run.dataset("pairs")
    marks = {f"metadata/{lang}": entries.fingerprint(settings.metadata, lang) for lang in settings.languages}
    marks["language model"] = language.fingerprint(settings.language_model)
    plan = run.plan("matches", settings.identity(), ["pairs"], pairs.part_names(), **marks)
    function = partial(
        parts.annotate,
        inputs={"pairs": (pairs, ["text"])},
        target=run.dataset("matches"),
        plan=plan,
        work=partial(matching.match, settings=settings),
    )
    run.make(plan, lambda missing: engine.spark_parts(run.engines, function, missing))


def count(run: engine.Run) -> None:
    """The dataset `counts`: a sum over parts, so its size is that of the entry lists and not of the pool."""
    matches, target = run.dataset("matches"), run.dataset("counts")
    plan = run.plan("counts", {}, ["matches"], [part_name(0)])

    def launch(missing: list[str]) -> list[Part]:
        partial_counts = engine.spark_rows(
            run.engines,
            partial(counting.count_part, matches=matches),
            matches.part_names(),
            "lang string, entry int, count long",
        )
        merged = (
            partial_counts.groupBy("lang", "entry").sum("count").toArrow().rename_columns(["lang", "entry", "count"])
        )
        table = counting.merge(merged, merged.slice(0, 0))
        account = Ledger(rows_in=len(table), kept=len(table), notes={"matches": sum(table["count"].to_pylist())})
        with target.write_part(part_name(0), plan.hash, account) as out:
            out.write(table)
        return [parts.committed(target, part_name(0), plan)]

    run.make(plan, launch)


if __name__ == "__main__":
    engine.main(run)
