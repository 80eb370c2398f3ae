"""Evaluation sets: labelled images in a folder, described by a table with the columns path, label, text."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.images import held_out
from curate.images.decoding import ImageError, decode
from curate.images.held_out import EvaluationError
from curate.recipe import EvaluationSet

COLUMNS = ("path", "label", "text")


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
        return held_out.images(self.settings, self.paths)


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
    table = held_out.table(settings, COLUMNS)
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
    found = list(held_out.prints(sheet.settings, sheet.paths, max_pixels))
    for one in found:
        if one.phash is None:
            raise EvaluationError(f"evaluation set {sheet.settings.name}: {one.path}: {one.problem}")
    return Prints(sheet.paths, tuple(one.sha256 for one in found), np.array([one.phash for one in found], np.uint64))


def pictures(sheet: Sheet) -> Iterator:
    """The decoded images of a set, in order, one at a time."""
    for path, data in sheet.images():
        try:
            yield decode(data)
        except ImageError as error:
            raise EvaluationError(f"evaluation set {sheet.settings.name}: {path}: {error}") from error


def mark(described: Any) -> str:
    """sha256 of plain values: a short name for much text."""
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
