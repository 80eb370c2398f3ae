"""How long each image of a part took, written beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate import schema
from curate.images.fetched import Fetched
from curate.store import Dataset


def times_name(part: str) -> str:
    """Beside a part: how long each of its images took. No two runs agree on that, so it stands in no part and no manifest."""
    return f"{part}.times.parquet"


class Times:
    """Writes `part-00000.times.parquet`."""

    def __init__(self, file: Any):
        self._schema = schema.load("times").arrow()
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")

    @classmethod
    @contextmanager
    def beside(cls, part: str, target: Dataset) -> Iterator["Times"]:
        with target.sidecar(times_name(part)) as file:
            times = cls(file)
            yield times
            times._writer.close()

    def write(self, fetched: dict[str, Fetched]) -> None:
        rows = [(image, end.times) for image, end in fetched.items() if end.times is not None]
        columns = {
            "image_uid": [image for image, _ in rows],
            "elapsed": [times.elapsed for _, times in rows],
            "waited": [times.waited for _, times in rows],
            "requests": [times.requests for _, times in rows],
        }
        self._writer.write_table(pa.table(columns, schema=self._schema))
