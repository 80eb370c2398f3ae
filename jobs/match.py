"""match: language and metadata entries of each pair, and how many texts of the pool match each entry.

python jobs/match.py -c recipe.yaml -w workdirs/mine
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa

from curate import parts, schema
from curate.concepts import counting, entries, matching
from curate.recipe import Match
from curate.store import Part
from curate.texts import language
from jobs import engine, reducing


def run(run: engine.Run) -> None:
    match(run)
    count(run)


def match(run: engine.Run) -> None:
    """The side table `matches`."""
    settings, pairs = resolved(run.recipe.match), run.dataset("pairs")
    marks = lists(settings) | {"language model": language.fingerprint(settings.language_model)}
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
    """The dataset `counts`: sums over parts by language, so its size is that of the entry lists and not of the pool."""
    settings, matches, target = resolved(run.recipe.match), run.dataset("matches"), run.dataset("counts")
    places = counting.parts_of(settings.languages)
    plan = run.plan("counts", {}, ["matches"], sorted(set(places.values())))
    numbers = {lang: int(part.removeprefix("part-")) for lang, part in places.items()}

    def written(rows: pa.Table, part: str) -> str:
        return msgspec.json.encode(counting.write(rows, target, plan, part)).decode()

    def launch(missing: list[str]) -> list[Part]:
        batches = reducing.batched(run.engines, matches.part_names())
        columns = "lang string, entry int, count long"
        rows = engine.spark_rows(run.engines, partial(counting.count_parts, matches=matches), batches, columns)
        summed = rows.groupBy("lang", "entry").sum("count").withColumnRenamed("sum(count)", "count")
        nothing = schema.load("counts").arrow().empty_table()
        return reducing.spark_groups(summed, numbers, "lang", missing, written, nothing)

    def finish() -> dict[str, Any]:
        matched = lists(settings) | {"rule": settings.rule}
        return {"languages": counting.placed(target, plan.parts), "matched": matched}

    run.make(plan, launch, finish)


def resolved(settings: Match) -> Match:
    """The settings with every language that has a list where the recipe says `all`."""
    if "all" not in settings.languages:
        return settings
    return msgspec.structs.replace(settings, languages=tuple(entries.languages(settings.metadata)))


def lists(settings: Match) -> dict[str, str]:
    """Fingerprints of the entry lists."""
    return {f"metadata/{lang}": entries.fingerprint(settings.metadata, lang) for lang in settings.languages}


if __name__ == "__main__":
    engine.main(run)
