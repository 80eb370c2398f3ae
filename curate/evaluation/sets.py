"""Evaluation sets: labelled images in a folder, described by a table with the columns path, label, text."""

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from curate import CurateError
from curate.images.decoding import ImageError, decode
from curate.images.inspecting import perceptual_hash
from curate.recipe import EvaluationSet

COLUMNS = ("path", "label", "text")


class EvaluationError(CurateError, RuntimeError):
    """An evaluation that cannot be made or would not be honest; the message says why and what to do."""


@dataclass(frozen=True)
class Sheet:
    """A set as it is scored. Images and texts are distinct; `pairs` says which belong together."""

    settings: EvaluationSet
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    """One per image."""
    texts: tuple[str, ...]
    pairs: np.ndarray
    """int64, shape (n, 2): image index, text index; every pair of which the text is right for the image."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The distinct labels, in alphabetical order."""
        return tuple(sorted(set(self.labels)))

    def images(self) -> Iterator[tuple[str, bytes]]:
        """(path, bytes) of each image, in order. EvaluationError for one that is not there."""
        for path in self.paths:
            place = f"{self.settings.images.rstrip('/')}/{path}"
            try:
                with fsspec.open(place, "rb") as file:
                    yield path, file.read()
            except FileNotFoundError as error:
                raise EvaluationError(f"evaluation set {self.settings.name}: {place} is not there") from error


@dataclass(frozen=True)
class Prints:
    """How a set's images are recognised elsewhere: by the sha256 of their bytes, and by perceptual hash (uint64)."""

    paths: tuple[str, ...]
    sha256: tuple[str, ...]
    phash: np.ndarray

    @property
    def mark(self) -> str:
        """sha256 over all of them: what the set's images are."""
        return hashlib.sha256("".join(self.sha256).encode()).hexdigest()


def read(settings: EvaluationSet) -> Sheet:
    """The sheet of a set. Rows with the same path are one image with several texts, and a text may be right for several.

    Raises EvaluationError for a table that is not there, lacks a column, is empty, or gives an image two labels.
    """
    table = _table(settings)
    rows = sorted({(row["path"], row["label"], row["text"]) for row in table.to_pylist()})
    if not rows:
        raise EvaluationError(f"evaluation set {settings.name}: {settings.table} has no rows")
    labels: dict[str, str] = {}
    for path, label, _ in rows:
        if labels.setdefault(path, label) != label:
            raise EvaluationError(
                f"evaluation set {settings.name}: {path} has two labels, {labels[path]!r} and {label!r}"
            )
    texts = sorted({text for _, _, text in rows})
    image_at, text_at = {p: i for i, p in enumerate(labels)}, {t: i for i, t in enumerate(texts)}
    # A text that stands at several images is right for all of them, and so for every image that shares one of its texts.
    pairs = np.unique([(image_at[path], text_at[text]) for path, _, text in rows], axis=0)
    return Sheet(settings, tuple(labels), tuple(labels.values()), tuple(texts), pairs)


def prints(sheet: Sheet, max_pixels: int) -> Prints:
    """The hashes of a set's images. EvaluationError for an image that cannot be decoded: a set must be whole."""
    sha256, phash = [], []
    for path, data in sheet.images():
        sha256.append(hashlib.sha256(data).hexdigest())
        try:
            phash.append(int(perceptual_hash(data, max_pixels), 16))
        except ImageError as error:
            raise EvaluationError(f"evaluation set {sheet.settings.name}: {path}: {error}") from error
    return Prints(sheet.paths, tuple(sha256), np.array(phash, np.uint64))


def pictures(sheet: Sheet) -> Iterator:
    """The decoded images of a set, in order, one at a time."""
    for path, data in sheet.images():
        try:
            yield decode(data)
        except ImageError as error:
            raise EvaluationError(f"evaluation set {sheet.settings.name}: {path}: {error}") from error


def _table(settings: EvaluationSet) -> pa.Table:
    try:
        with fsspec.open(settings.table, "rb") as file:
            data = io.BytesIO(file.read())
        if settings.table.endswith(".parquet"):
            table = pq.read_table(data)
        else:
            strings = dict.fromkeys(COLUMNS, pa.string())
            convert = pyarrow.csv.ConvertOptions(column_types=strings, strings_can_be_null=False)
            table = pyarrow.csv.read_csv(data, convert_options=convert)
    except (OSError, pa.ArrowInvalid) as error:
        raise EvaluationError(f"evaluation set {settings.name}: {settings.table} cannot be read: {error}") from error
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise EvaluationError(
            f"evaluation set {settings.name}: {settings.table} lacks {', '.join(missing)}; it has {table.column_names}"
        )
    return table.select(COLUMNS)


def mark(described: Any) -> str:
    """sha256 of plain values: a short name for much text."""
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
