"""Embeddings as DataComp gives them: beside each part an `.npz` of float16 arrays `<key>_img` and `<key>_txt`.

Row n of an array is row n of the part; rows that were not scored are NaN there, as they are null in the table.
"""

import re
import shutil
import tempfile
import zipfile
from types import TracebackType
from typing import IO, Any, BinaryIO

import numpy as np
import pyarrow as pa

from curate.recipe import Model

COLUMNS = {"img": "image_embedding", "txt": "text_embedding"}
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The least that a zip can say: a part's bytes hold no time."""


def key_of(settings: Model) -> str:
    """DataComp's word for a model of open_clip (`b32` for ViT-B-32, `l14` for ViT-L-14); any other is called as in the recipe."""
    known = re.fullmatch(r"ViT-([A-Za-z]{1,4})-(\d+)(-quickgelu)?", settings.model)
    return f"{known[1]}{known[2]}".lower() if known else settings.name.replace("-", "_")


class Npz:
    """Writes the file as the part's row groups come; of the arrays that wait for the first one a temporary file holds the rows."""

    def __init__(self, file: BinaryIO, key: str, rows: int):
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)
        self._key, self._rows, self._width = key, rows, 0
        self._first: IO[bytes] | None = None
        self._later = tempfile.TemporaryFile(prefix="curate-npz-")  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> "Npz":
        return self

    def add(self, table: pa.Table) -> None:
        """The next row group of the part."""
        image, text = (_rows(table[name]) for name in COLUMNS.values())
        if self._first is None:
            self._width = image.shape[1]
            self._first = self._entry("img")
        self._first.write(image.tobytes())
        self._later.write(text.tobytes())

    def _entry(self, kind: str) -> IO[bytes]:
        entry = self._zip.open(zipfile.ZipInfo(f"{self._key}_{kind}.npy", _EPOCH), "w", force_zip64=True)
        header = {"descr": "<f2", "fortran_order": False, "shape": (self._rows, self._width)}
        np.lib.format.write_array_header_1_0(entry, header)
        return entry

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            (self._first or self._entry("img")).close()
            if error is None:
                self._later.seek(0)
                with self._entry("txt") as entry:
                    shutil.copyfileobj(self._later, entry, 1 << 20)
            self._zip.close()
        finally:
            self._later.close()


def _rows(column: pa.ChunkedArray) -> np.ndarray:
    """float16, shape (n, width): NaN for nulls."""
    array: Any = column.combine_chunks()
    width = array.type.list_size
    # A null's values are whatever lies there; `flatten` would leave them out.
    values = array.values.slice(array.offset * width, len(array) * width)
    rows = values.to_numpy(zero_copy_only=False).astype("<f2").reshape(len(array), width)
    rows[array.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return rows
