"""Which files of a pool are read together into one part, and the list of them that workers look into.

PubMed Central has a package for each of millions of articles: as many parts would be as many tasks, files and commits.
"""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.pools.inputs import Input
from curate.recipe import Extract
from curate.store import Dataset

FEW = 1000
"""Files that each have a part of their own."""
GROUP_BYTES = 256 * 2**20
"""Bytes of the files of one part, at most, where they are more than one."""
OPENING = 2**16
"""Bytes that opening a file is taken for."""
LIST = "_files.parquet"
"""Beside the parts: the files of each, in order. A worker reads a few thousand rows of it, whatever the pool."""
_ROWS = 4096
_COLUMNS = pa.schema(
    [("part", pa.int64()), ("path", pa.string()), ("name", pa.string()), ("size", pa.int64()), ("source", pa.string())]
)


def grouped(files: Sequence[Input]) -> list[Sequence[Input]]:
    """The files of each part, in their order. It follows from the files alone: from their names, sizes and number.

    Up to FEW files are one to a part. Of more, neighbours share a part of at most GROUP_BYTES, or less where there would be fewer
    than about FEW parts. A file of unknown size (of lists, of web servers) is alone, as those of crawls have a gigabyte each.
    """
    if len(files) <= FEW:
        return [[file] for file in files]
    weights = [GROUP_BYTES if file.size is None else file.size + OPENING for file in files]
    limit = min(GROUP_BYTES, -(-sum(weights) // FEW))
    groups: list[list[Input]] = []
    room = 0
    for file, weight in zip(files, weights, strict=True):
        if weight > room or not groups:
            groups.append([])
            room = limit
        groups[-1].append(file)
        room -= weight
    return list(groups)


def put(target: Dataset, groups: Sequence[Sequence[Input]]) -> None:
    """Writes the list; equal groups are equal bytes."""
    with target.sidecar(LIST) as out, pq.ParquetWriter(out, _COLUMNS, compression="zstd", store_schema=False) as writer:
        for table in _tables((at, file) for at, group in enumerate(groups) for file in group):
            writer.write_table(table)


def of_part(target: Dataset, part: str, settings: Extract) -> Iterator[Input]:
    """The files of a part, in order."""
    sources = {source.name: source for source in settings.sources}
    number = int(part.rpartition("-")[2])
    with target.fs.open(target.path(LIST), "rb") as opened:
        listed = pq.ParquetFile(opened)
        for group in range(listed.num_row_groups):
            edges = listed.metadata.row_group(group).column(0).statistics
            if edges.min <= number <= edges.max:
                rows = listed.read_row_group(group)
                for row in rows.filter(pc.equal(rows["part"], number)).to_pylist():
                    yield Input(row["path"], row["name"], row["size"], sources.get(row["source"]))


def _tables(files: Iterable[tuple[int, Input]]) -> Iterator[pa.Table]:
    rows: list[dict] = []
    for at, file in files:
        source = file.source.name if file.source else None
        rows.append({"part": at, "path": file.path, "name": file.name, "size": file.size, "source": source})
        if len(rows) == _ROWS:
            yield pa.Table.from_pylist(rows, schema=_COLUMNS)
            rows = []
    if rows:
        yield pa.Table.from_pylist(rows, schema=_COLUMNS)
