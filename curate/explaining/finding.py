"""Finds single rows in a workdir without reading it.

`pairs` is cut by the hash of the image's URL and ordered by image_uid, so an image's rows lie in one part, in row groups that the
file's statistics name. A pair's uid says nothing about where it is: of `pairs` its uid column alone is read, part by part, up to
the hit. What annotates a dataset has the same rows in the same row groups.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.store import Dataset, StoreError
from curate.uid import part_of

Row = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a row stands in a dataset, and in all that annotate it."""

    part: str
    group: int
    row: int
    """Within the row group."""


def of_uid(data: Dataset, uid: str) -> Place | None:
    """The place of a pair; None when no part has it. Reads the column `uid`, a row group at a time, up to the hit."""
    for part in data.part_names():
        with data.open_part(part) as file:
            for group in range(file.num_row_groups):
                row = pc.index(file.read_row_group(group, columns=["uid"])["uid"], uid).as_py()
                if row >= 0:
                    return Place(part, group, row)
    return None


def of_image(data: Dataset, image: str) -> list[Place]:
    """The places of an image's rows, in order; empty when there are none. `data`: `pairs`, or `images` with its parts."""
    parts = data.part_names()
    if not parts:
        return []
    with data.open_part(parts[part_of(image, len(parts))]) as file:
        return list(_within(file, parts[part_of(image, len(parts))], image))


def of_pair(data: Dataset, image: str, uid: str) -> Place | None:
    """The place of one of an image's rows; None when it has no such row. `data` as for `of_image`."""
    groups = dict.fromkeys((place.part, place.group) for place in of_image(data, image))
    for part, group in groups:
        with data.open_part(part) as file:
            row = pc.index(file.read_row_group(group, columns=["uid"])["uid"], uid).as_py()
        if row >= 0:
            return Place(part, group, row)
    return None


def in_order(data: Dataset, image: str) -> list[Place]:
    """The same for a dataset whose parts, too, are ordered by image_uid, wherever they are cut: the index of shards."""
    parts = data.part_names()
    low, high = 0, len(parts)
    while low < high:
        middle = (low + high) // 2
        with data.open_part(parts[middle]) as file:
            found = list(_within(file, parts[middle], image))
            first, last = bounds(file)
        if found:
            return found
        if first is None or last is None or first <= image <= last:
            break
        low, high = (low, middle) if image < first else (middle + 1, high)
    # A part without rows has no bounds: it cannot say on which side to go on.
    return [place for part in parts[low:high] for place in _of_part(data, part, image)]


def bounds(file: pq.ParquetFile) -> tuple[str | None, str | None]:
    """The least and the greatest image_uid of a part by its statistics; None where it has none."""
    groups = [_statistics(file, group) for group in range(file.num_row_groups)]
    if not groups or any(found is None for found in groups):
        return None, None
    known = [found for found in groups if found is not None]
    return min(first for first, _ in known), max(last for _, last in known)


def read(data: Dataset, place: Place, columns: Sequence[str], uid: str | None = None) -> Row:
    """A row's columns. Raises StoreError when another uid than the one given stands there: the dataset is then not aligned."""
    with data.open_part(place.part) as file:
        aligned = place.group < file.num_row_groups
        table = file.read_row_group(place.group, columns=list(columns)).slice(place.row, 1) if aligned else None
    if table is None or not len(table) or (uid is not None and table["uid"][0].as_py() != uid):
        raise StoreError(
            f"{data.root}/{place.part}: row {place.row} of row group {place.group} is not the pair {uid}; the dataset is not "
            f"aligned with what it annotates: redo its stage"
        )
    return dict(table.to_pylist()[0])


def _of_part(data: Dataset, part: str, image: str) -> list[Place]:
    with data.open_part(part) as file:
        return list(_within(file, part, image))


def _within(file: pq.ParquetFile, part: str, image: str) -> Iterator[Place]:
    for group in range(file.num_row_groups):
        edges = _statistics(file, group)
        if edges is None or edges[0] <= image <= edges[1]:
            same = pc.equal(file.read_row_group(group, columns=["image_uid"])["image_uid"], image)
            for row in pc.indices_nonzero(same.combine_chunks()).to_pylist():
                yield Place(part, group, row)


def _statistics(file: pq.ParquetFile, group: int) -> tuple[str, str] | None:
    found = file.metadata.row_group(group)
    column = found.column(file.schema_arrow.get_field_index("image_uid"))
    if not column.is_stats_set or not column.statistics.has_min_max:
        return None
    return column.statistics.min, column.statistics.max
