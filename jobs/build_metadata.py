"""Entry lists from Wikipedia-sized input: dumps and page views are counted on Spark, only what the preset takes comes back.

python jobs/build_metadata.py --language de,fr --preset metaclip2 --wikipedia 'dumps/{lang}wiki-*.xml.bz2' --pageviews 'views/*.gz' --out lists

A dump is split inside a file too, plain or bzip2: the reader cuts it at `</page>` wherever a block of the file begins.
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from curate.concepts.building import files, pageviews, wikipedia
from curate.concepts.building.files import Sources
from curate.concepts.building.presets import Preset
from jobs.engine import Engines


def counted(
    language: str, preset: Preset, dumps: Sequence[str], views: Sequence[str]
) -> tuple[Sources, dict[str, Any]]:
    """As `files.counted`, on Spark."""
    engines = Engines()
    counters = {"count_dumps": partial(on_spark, engines), "count_views": partial(views_on_spark, engines)}
    try:
        return files.counted(language, preset, dumps, views, **counters)
    finally:
        engines.stop()


def on_spark(engines: Engines, dumps: Sequence[str], language: str, preset: Preset) -> tuple[Sources, dict[str, int]]:
    """As `files.in_process`: thresholds are applied to distributed counts, the driver gets the entries alone."""
    from pyspark.sql import functions as f

    spark = engines.spark()
    pages = spark.read.option("lineSep", wikipedia.END).text(list(dumps))
    work = partial(wikipedia.count_pages, language=language)
    counts = pages.mapInArrow(partial(batches, work=work, column="page", size=wikipedia.PAGES), ddl(wikipedia.COUNTS))
    counts = counts.groupBy("kind", "first", "second").agg(f.sum("count").alias("count")).persist()
    try:
        singles = counts.where("kind = 'word'").select("first", "count")
        different, total = singles.agg(f.count("*"), f.coalesce(f.sum("count"), f.lit(0))).first()
        enough = singles.where(f.col("count") >= preset.unigram_count)
        taken = enough.orderBy(f.desc("count"), "first").limit(wikipedia.word_limit(different, preset)).toArrow()
        a, b = (singles.withColumnsRenamed({"first": side, "count": f"c_{side}"}) for side in ("first", "second"))
        doubles = counts.where("kind = 'pair'").join(a, "first").join(b, "second")
        bits = f.log2(f.col("count").cast("double") * total) - f.log2(
            f.col("c_first").cast("double") * f.col("c_second")
        )
        doubles = doubles.withColumn("pmi", f.round(bits, wikipedia.DIGITS)).where(f.col("pmi") >= preset.bigram_pmi)
        doubles = doubles.orderBy(f.desc("pmi"), "first", "second")
        limit = wikipedia.pair_limit(len(taken), preset)
        doubles = (doubles if limit is None else doubles.limit(limit)).select("first", "second", "pmi").toArrow()
        fates = {row.first: row["count"] for row in counts.where("kind = 'page'").collect()}
    finally:
        counts.unpersist()
    return wikipedia.candidates(taken, doubles, language), dict(sorted(fates.items()))


def views_on_spark(
    engines: Engines, views: Sequence[str], language: str, preset: Preset
) -> tuple[Sources, dict[str, int]]:
    from pyspark.sql import functions as f

    lines = engines.spark().read.text(list(views))
    work = partial(pageviews.count_lines, language=language, preset=preset)
    counts = lines.mapInArrow(partial(batches, work=work, column="line", size=pageviews.LINES), ddl(pageviews.COUNTS))
    counts = counts.groupBy("kind", "title").agg(f.sum("views").alias("views")).persist()
    try:
        titles = counts.where("kind = 'title'").select("title", "views")
        enough = titles.where(f.col("views") >= preset.title_views).orderBy(f.desc("views"), "title")
        taken = enough.limit(pageviews.title_limit(titles.count(), preset)).toArrow()
        fates = {row.title: row.views for row in counts.where("kind = 'line'").collect()}
    finally:
        counts.unpersist()
    return {"wikipedia-titles": pageviews.candidates(taken)}, dict(sorted(fates.items()))


def batches(found: Iterator[Any], *, work: Callable[[pa.Table], pa.Table], column: str, size: int) -> Iterator[Any]:
    """Runs a function over a task's rows, so many at a time: what it counts has to fit in memory, not what Spark hands over.

    Spark hands on bytes that are no UTF-8 as strings; page-view files have such titles. They are read as elsewhere, with marks of
    replacement.
    """
    for batch in found:
        values = batch.column("value").cast(pa.binary())
        for start in range(0, len(values), size):
            read = [(value or b"").decode("utf-8", errors="replace") for value in values.slice(start, size).to_pylist()]
            yield from work(pa.table({column: pa.array(read, pa.string())})).to_batches()


def ddl(columns: pa.Schema) -> str:
    """A schema as Spark writes it."""
    return ", ".join(f"{field.name} {'long' if pa.types.is_integer(field.type) else 'string'}" for field in columns)


def main(argv: Sequence[str]) -> None:
    """`curate metadata build`, on Spark."""
    from curate.cli import app, guarded

    guarded(lambda: app(["metadata", "build", "--spark", *argv]))


if __name__ == "__main__":
    main(sys.argv[1:])
