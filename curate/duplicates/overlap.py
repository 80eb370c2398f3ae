"""Images of evaluation sets, which no training may see: their bytes' sha256 and their perceptual hashes."""

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import fsspec
import numpy as np
import pyarrow.parquet as pq
import xxhash

from curate.duplicates import hashes
from curate.images.decoding import ImageError
from curate.images.inspecting import perceptual_hash
from curate.recipe import EvaluationSet, RecipeError


@dataclass(frozen=True)
class Held:
    """What evaluation sets hold, small enough for the memory of every worker: 72 bytes an image."""

    sha256: frozenset[str] = frozenset()
    phash: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))

    def has(self, sha256: Sequence[str], phash: np.ndarray, distance: int) -> np.ndarray:
        """Whether each image is one of them, exactly or within `distance` bits (-1: exactly alone); bool, shape (n,)."""
        same = np.fromiter((name in self.sha256 for name in sha256), dtype=bool, count=len(sha256))
        return same | hashes.any_close(phash, self.phash, distance) if distance >= 0 else same


def held(sets: Sequence[EvaluationSet], max_pixels: int) -> Held:
    """The hashes of all images of the sets. One that does not decode is known by its bytes alone."""
    exact, perceptual = set(), set()
    for data in (data for one in sets for _, data in _images(one)):
        exact.add(hashlib.sha256(data).hexdigest())
        try:
            perceptual.add(int(perceptual_hash(data, max_pixels), 16))
        except ImageError:
            continue
    return Held(frozenset(exact), np.array(sorted(perceptual), dtype=np.uint64))


def fingerprint(one: EvaluationSet) -> str:
    """xxh3-128 over the bytes of a set's images in order: what of it decides which images overlap."""
    digest = xxhash.xxh3_128()
    for name, data in _images(one):
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def _images(one: EvaluationSet) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of each image of a set, once, in alphabetical order. Raises RecipeError for what is not there."""
    for name in sorted(set(_paths(one))):
        yield name, _read(f"{one.images.rstrip('/')}/{name}", f"evaluate.sets: {one.name}: its table {one.table}")


def _paths(one: EvaluationSet) -> list[str]:
    data = _read(one.table, f"evaluate.sets: {one.name}")
    if one.table.endswith(".parquet"):
        table = pq.read_table(io.BytesIO(data))
        columns, rows = table.column_names, lambda: table["path"].to_pylist()
    else:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
        columns, rows = list(reader.fieldnames or ()), lambda: [row["path"] for row in reader]
    if "path" not in columns:
        raise RecipeError(f"evaluate.sets: {one.name}: {one.table} has the columns {columns}; one must be `path`")
    return rows()


def _read(path: str, who: str) -> bytes:
    try:
        with fsspec.open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise RecipeError(f"{who} names {path}, which is not there") from error
