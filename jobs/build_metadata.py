"""Entry lists from Wikipedia-sized input: dumps and page views are counted on Spark, only what the preset takes comes back.

python jobs/build_metadata.py --language de,fr --preset metaclip2 --wikipedia 'dumps/{lang}wiki-*.xml.bz2' --pageviews 'views/*.gz' --out lists

A dump is split inside a file too, plain or bzip2: the reader cuts it at `</page>` wherever a block of the file begins.
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pyarrow as pa

from curate.concepts.building import files, pageviews, wikipedia
from curate.concepts.building.files import Sources
from curate.concepts.building.presets import Preset
from jobs.dumps import batches, read
from jobs.engine import Engines, spark_rows


@contextmanager
def counting() -> Iterator[Callable[..., tuple[Sources, dict[str, Any]]]]:
    """`files.counted` on Spark, which is started once for all languages."""
    engines = Engines()
    try:
        yield partial(
            files.counted, count_dumps=partial(on_spark, engines), count_views=partial(views_on_spark, engines)
        )
    finally:
        engines.stop()


def on_spark(engines: Engines, dumps: Sequence[str], language: str, preset: Preset) -> tuple[Sources, dict[str, int]]:
    """As `files.in_process`: thresholds are applied to distributed counts, the driver gets the entries alone.

    A damaged file stops Spark's reader. Then all is counted again, without what it cannot read, and the account says so.
    """
    try:
        return _dumps(engines.spark(), dumps, language, preset, damaged=False)
    except Exception as error:
        if "FAILED_READ_FILE" not in str(error):
            raise
        return _dumps(engines.spark(), dumps, language, preset, damaged=True)


def _dumps(
    spark: Any, dumps: Sequence[str], language: str, preset: Preset, damaged: bool
) -> tuple[Sources, dict[str, int]]:
    from pyspark.sql import functions as f

    pages = read(spark, dumps, damaged)
    work = partial(wikipedia.count_pages, language=language)
    counts = pages.mapInArrow(partial(batches, work=work), ddl(wikipedia.COUNTS))
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
        fates = counts.where("kind in ('page', 'end')").toArrow()
    finally:
        counts.unpersist()
    return wikipedia.candidates(taken, doubles, language), wikipedia.pages_of(fates, len(dumps), damaged)


def views_on_spark(
    engines: Engines, views: Sequence[str], language: str, preset: Preset
) -> tuple[Sources, dict[str, int]]:
    """As `files.views_in_process`. An hour is one task: these files cannot be split, and each is small."""
    from pyspark.sql import functions as f

    work = partial(pageviews.count_file, language=language, preset=preset)
    counts = spark_rows(engines, work, views, ddl(pageviews.COUNTS))
    counts = counts.groupBy("kind", "title").agg(f.sum("views").alias("views")).persist()
    try:
        titles = counts.where("kind = 'title'").select("title", "views")
        enough = titles.where(f.col("views") >= preset.title_views).orderBy(f.desc("views"), "title")
        taken = enough.limit(pageviews.title_limit(titles.count(), preset)).toArrow()
        fates = pageviews.lines_of(counts.where("kind = 'line'").toArrow())
    finally:
        counts.unpersist()
    return {"wikipedia-titles": pageviews.candidates(taken)}, fates


def ddl(columns: pa.Schema) -> str:
    """A schema as Spark writes it."""
    return ", ".join(f"{field.name} {'long' if pa.types.is_integer(field.type) else 'string'}" for field in columns)


def main(argv: Sequence[str]) -> None:
    """`curate metadata build`, on Spark."""
    from curate.cli import app, guarded

    guarded(lambda: app(["metadata", "build", "--spark", *argv]))


if __name__ == "__main__":
    main(sys.argv[1:])
