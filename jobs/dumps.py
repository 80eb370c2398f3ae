"""Wikipedia's dumps on Spark: a file of any size is read by as many tasks as it has splits, page by page."""

import jobs  # noqa: F401 - before all others, see there

# isort: split
import re
from collections.abc import Callable, Iterator, Sequence
from os.path import abspath, getsize
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from curate.concepts.building import wikipedia
from curate.concepts.building.assembling import BuildError
from curate.concepts.building.markup import LONGEST_PAGE


def read(spark: Any, dumps: Sequence[str], damaged: bool) -> Any:
    """The pages of dumps, one a row. Raises BuildError for a file that Spark's reader passes over."""
    # Spark takes names for globs, and those without a scheme for files of the cluster's own store.
    names = [re.sub(r"([\[\]{}*?\\])", r"\\\1", file if "://" in file else f"file://{abspath(file)}") for file in dumps]
    # What is no dump may have no `</page>`: a task is not to hold all of it. Pages of half that length have a fate.
    longest = {"mapreduce.input.linerecordreader.line.maxlength": str(8 * LONGEST_PAGE)}
    options = {"lineSep": wikipedia.END, "ignoreCorruptFiles": str(damaged).lower()} | longest
    pages = spark.read.options(**options).text(names)
    seen = {unquote(name.rpartition("/")[2]) for name in pages.inputFiles()}
    missed = [file for file in dumps if "://" not in file and file.rpartition("/")[2] not in seen and getsize(file)]
    if missed:
        raise BuildError(
            f"--wikipedia: Spark reads no files whose names begin with '_' or '.': rename {', '.join(missed[:3])}"
        )
    return pages


def batches(found: Iterator[Any], *, work: Callable[[pa.Table], pa.Table]) -> Iterator[Any]:
    """Counts a task's pages, so many at a time: what is counted has to fit in memory, not what Spark hands over.

    Spark hands on bytes that are no UTF-8 as strings. They are read as elsewhere, with marks of replacement.
    """
    for batch in found:
        values = batch.column("value").cast(pa.binary())
        for start in range(0, len(values), wikipedia.PAGES):
            some = values.slice(start, wikipedia.PAGES).to_pylist()
            pages = [(value or b"").decode("utf-8", errors="replace") for value in some]
            yield from work(pa.table({"page": pa.array(pages, pa.string())})).to_batches()
