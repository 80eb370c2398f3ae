"""Entry lists from Wikipedia-sized input: dumps and page views are counted on Spark, only what the preset takes comes back.

python jobs/build_metadata.py --language de,fr --preset metaclip2 --wikipedia 'dumps/{lang}wiki-*.xml.bz2' --pageviews 'views/*.gz' --out lists

A dump is split inside a file too, plain or bzip2: the reader cuts it at `</page>` wherever a block of the file begins.
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
import glob
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.concepts.building import assembling, pageviews, wikipedia
from curate.concepts.building.assembling import BuildError, Candidate
from curate.concepts.building.presets import Preset
from jobs.engine import Engines

Sources = dict[str, list[Candidate]]


def counted(
    language: str, preset: Preset, dumps: Sequence[str], views: Sequence[str], *, spark: bool
) -> tuple[Sources, dict[str, Any]]:
    """Words, pairs and titles that a preset takes, and the account of the files; counted on Spark or in this process."""
    sources: Sources = {}
    account: dict[str, Any] = {}
    engines = Engines()
    try:
        if dumps:
            wikipedia.need_parser()
            files = found(dumps, "--wikipedia")
            chosen, pages = (on_spark(engines, files, language, preset) if spark else
                             in_process(files, language, preset))  # fmt: skip
            sources |= chosen
            account["wikipedia"] = {"pages": pages, "files": marks(files)}
        if views:
            files = found(views, "--pageviews")
            titles, lines = (views_on_spark if spark else views_in_process)(engines, files, language, preset)
            sources["wikipedia-titles"] = titles
            account["pageviews"] = {"lines": lines, "files": marks(files)}
    finally:
        engines.stop()
    return sources, account


def found(patterns: Sequence[str], option: str) -> list[str]:
    """Files of paths and globs, in order. Remote ones (`s3://...`) are left to Spark. Raises BuildError where there is none."""
    files: list[str] = []
    for pattern in patterns:
        here = [pattern] if "://" in pattern else sorted(glob.glob(pattern))
        if not here:
            raise BuildError(f"{option}: no file matches {pattern!r}")
        files += here
    return files


def marks(files: Sequence[str]) -> dict[str, Any]:
    """Sizes and hashes of the files that are on this machine."""
    return {Path(file).name: {} if "://" in file else assembling.mark(Path(file)) for file in files}


# -- in this process


def in_process(files: Sequence[str], language: str, preset: Preset) -> tuple[Sources, dict[str, int]]:
    counts = wikipedia.count_files(map(Path, files), language)
    return wikipedia.select(counts, language, preset), wikipedia.pages_of(counts)


def views_in_process(
    _: Engines, files: Sequence[str], language: str, preset: Preset
) -> tuple[list[Candidate], dict[str, int]]:
    counts = pageviews.count_files(map(Path, files), language, preset)
    return pageviews.select(counts, preset), pageviews.lines_of(counts)


# -- on Spark


def on_spark(engines: Engines, files: Sequence[str], language: str, preset: Preset) -> tuple[Sources, dict[str, int]]:
    """As `in_process`: thresholds are applied to distributed counts, the driver gets the entries alone."""
    from pyspark.sql import functions as f

    spark = engines.spark()
    pages = spark.read.option("lineSep", wikipedia.END).text(list(files))
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
    engines: Engines, files: Sequence[str], language: str, preset: Preset
) -> tuple[list[Candidate], dict[str, int]]:
    from pyspark.sql import functions as f

    lines = engines.spark().read.text(list(files))
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
    return pageviews.candidates(taken), dict(sorted(fates.items()))


def batches(found: Iterator[Any], *, work: Callable[[pa.Table], pa.Table], column: str, size: int) -> Iterator[Any]:
    """Runs a function over a task's rows, so many at a time: what it counts has to fit in memory, not what Spark hands over."""
    for batch in found:
        rows = pa.table({column: batch.column("value")})
        for start in range(0, len(rows), size):
            yield from work(rows.slice(start, size)).to_batches()


def ddl(columns: pa.Schema) -> str:
    """A schema as Spark writes it."""
    return ", ".join(f"{field.name} {'long' if pa.types.is_integer(field.type) else 'string'}" for field in columns)


def main(argv: Sequence[str]) -> None:
    """`curate metadata build`, on Spark."""
    from curate.cli import app, guarded

    guarded(lambda: app(["metadata", "build", "--spark", *argv]))


if __name__ == "__main__":
    main(sys.argv[1:])
