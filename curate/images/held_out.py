"""Evaluation sets as images that no training may see: the one place that reads their tables and bytes and takes their hashes."""

import hashlib
import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import fsspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from curate import CurateError
from curate.images.decoding import ImageError
from curate.images.inspecting import perceptual_hash
from curate.recipe import EvaluationSet

THREADS = 8
"""Images that are read and hashed at a time."""
Made = TypeVar("Made")


class EvaluationError(CurateError, RuntimeError):
    """An evaluation set that cannot be used, or an evaluation that would not be honest; the message says why and what to do."""


@dataclass(frozen=True)
class Print:
    """How an image is recognised elsewhere. Of one that does not decode, phash is None and `problem` says why."""

    path: str
    sha256: str
    phash: int | None
    problem: str | None = None


def table(settings: EvaluationSet, columns: Sequence[str]) -> pa.Table:
    """Columns of a set's table, CSV or Parquet; in a CSV all are text. EvaluationError for what is not there."""
    try:
        with fsspec.open(settings.table, "rb") as file:
            data = io.BytesIO(file.read())
        if settings.table.endswith(".parquet"):
            found = pq.read_table(data)
        else:
            strings = dict.fromkeys(columns, pa.string())
            convert = pyarrow.csv.ConvertOptions(column_types=strings, strings_can_be_null=False)
            found = pyarrow.csv.read_csv(data, convert_options=convert)
    except (OSError, pa.ArrowInvalid) as error:
        raise EvaluationError(f"evaluation set {settings.name}: {settings.table} cannot be read: {error}") from error
    missing = [name for name in columns if name not in found.column_names]
    if missing:
        raise EvaluationError(
            f"evaluation set {settings.name}: {settings.table} lacks {', '.join(missing)}; it has {found.column_names}"
        )
    return found.select(list(columns))


def paths(settings: EvaluationSet) -> list[str]:
    """The images that a set's table names, each once, in alphabetical order."""
    return sorted(set(table(settings, ["path"])["path"].to_pylist()))


def images(settings: EvaluationSet, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of images of a set, in the order given. EvaluationError for one that is not there."""
    return each(settings, names, lambda path, data: (path, data))


def prints(settings: EvaluationSet, names: Iterable[str], max_pixels: int) -> Iterator[Print]:
    """The hashes of images of a set, in the order given. EvaluationError for one that is not there."""
    return each(settings, names, partial(_print, max_pixels=max_pixels))


def each(settings: EvaluationSet, names: Iterable[str], function: Callable[[str, bytes], Made]) -> Iterator[Made]:
    """What a function makes of the path and the bytes of each image, in the order given; THREADS at a time, few ahead.

    Files on a store come slowly one by one; decoding and hashing let other threads run. EvaluationError for an image that is not there.
    """
    with ThreadPoolExecutor(THREADS, "evaluation images") as pool:
        flying: deque[Future[Made]] = deque()
        try:
            for name in names:
                flying.append(pool.submit(_read, settings, name, function))
                if len(flying) >= 2 * THREADS:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
        finally:
            for one in flying:
                one.cancel()


def _read(settings: EvaluationSet, name: str, function: Callable[[str, bytes], Made]) -> Made:
    place = f"{settings.images.rstrip('/')}/{name}"
    try:
        with fsspec.open(place, "rb") as file:
            data = file.read()
    except FileNotFoundError as error:
        raise EvaluationError(
            f"evaluation set {settings.name}: {place}, which {settings.table} names, is not there"
        ) from error
    return function(name, data)


def _print(path: str, data: bytes, max_pixels: int) -> Print:
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        return Print(path, sha256, int(perceptual_hash(data, max_pixels), 16))
    except ImageError as error:
        return Print(path, sha256, None, str(error))
