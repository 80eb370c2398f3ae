"""Images of evaluation sets, which no training may see: by their bytes, by perceptual hash, and by embedding."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import xxhash
from PIL import Image

from curate.draw import draw
from curate.duplicates import embeddings, hashes, planted
from curate.images import held_out
from curate.images.decoding import ImageError, decode
from curate.recipe import EvaluationSet
from curate.store import Dataset, StoreError

WAYS = ("sha256", "phash", "embedding")
"""How an image is found to be one of an evaluation set; the first that finds it is told."""
BYTES_ALONE = (
    "{:,} images of the evaluation sets do not decode: the pool is searched for their bytes alone, not for copies"
)
EMBEDDINGS = "evaluation-embeddings-{:05d}.npy"
AT_A_TIME = 1024
"""Images that a worker embeds before it takes the next ones."""


@dataclass(frozen=True)
class Embedded:
    """Embeddings of all evaluation images, in files beside a dataset's parts: workers read them once each."""

    dataset: Dataset
    marks: tuple[str, ...]
    """Hash of each file."""
    cosine: float

    def close(self, vectors: np.ndarray) -> np.ndarray:
        """Whether each vector (float32, length 1) has a cosine above the threshold with some of them; bool, shape (n,)."""
        index = _index(self.dataset.workdir, self.dataset.name, self.marks)
        if not len(vectors) or not index.ntotal:
            return np.zeros(len(vectors), bool)
        return index.search(np.ascontiguousarray(vectors), 1)[0][:, 0] > self.cosine


@dataclass(frozen=True)
class Held:
    """What evaluation sets hold, small enough for the memory of every worker: 72 bytes an image, and their embeddings."""

    sha256: frozenset[str] = frozenset()
    phash: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    embedded: Embedded | None = None
    undecodable: int = 0
    """Images of the sets that do not decode: they are known by their bytes alone."""

    def found(
        self, sha256: Sequence[str], phash: np.ndarray, distance: int, vectors: np.ndarray | None = None
    ) -> np.ndarray:
        """The first of WAYS in which each image is one of them, None for the others; object, shape (n,).

        Hashes count within `distance` bits (-1: not at all), vectors where evaluation images are embedded.
        """
        found = np.full(len(sha256), None, object)
        if vectors is not None and self.embedded:
            found[self.embedded.close(vectors)] = "embedding"
        if distance >= 0:
            found[hashes.any_close(phash, self.phash, distance)] = "phash"
        found[np.fromiter((name in self.sha256 for name in sha256), dtype=bool, count=len(sha256))] = "sha256"
        return found


def held(sets: Sequence[EvaluationSet], max_pixels: int) -> Held:
    """The hashes of all images of the sets. One that does not decode is known by its bytes alone."""
    exact, perceptual, bad = set(), set(), 0
    for one in sets:
        for found in held_out.prints(one, held_out.paths(one), max_pixels):
            exact.add(found.sha256)
            perceptual |= set() if found.phash is None else {found.phash}
            bad += found.phash is None
    return Held(frozenset(exact), np.array(sorted(perceptual), dtype=np.uint64), undecodable=bad)


def chunks(sets: Sequence[EvaluationSet]) -> list[str]:
    """The images of all sets, AT_A_TIME or fewer in each: `number set first end` for `embed`."""
    found = [
        (one.name, first, min(first + AT_A_TIME, count))
        for one in sets
        for count in [len(held_out.paths(one))]
        for first in range(0, count, AT_A_TIME)
    ]
    return [f"{number} {name} {first} {end}" for number, (name, first, end) in enumerate(found)]


def embed(chunk: str, sets: Sequence[EvaluationSet], load: Callable[[], Any], max_pixels: int, target: Dataset) -> str:
    """Embeds the images of one of `chunks` that decode, by the model that `load` gives, and lays them beside `target`'s parts as
    float16, shape (n, width). Returns the file's hash."""
    number, name, first, end = chunk.split()
    one = next(one for one in sets if one.name == name)
    pictures = _pictures(one, held_out.paths(one)[int(first) : int(end)], max_pixels)
    out = io.BytesIO()
    np.save(out, planted.embedder(load())(pictures).astype(np.float16))
    target.put(EMBEDDINGS.format(int(number)), out.getvalue())
    return xxhash.xxh3_128_hexdigest(out.getvalue())


def calibrated(
    sets: Sequence[EvaluationSet], clip: Any, max_pixels: int, recall: float, seed: int
) -> planted.Calibration | None:
    """The threshold for a loaded model, from copies of evaluation images drawn by hash; None where no image decodes."""
    named = [(one, path) for one in sets for path in held_out.paths(one)]
    chance = draw(seed, "dedup calibration", [f"{one.name}/{path}" for one, path in named])
    drawn = [named[place] for place in np.argsort(chance, kind="stable")[: planted.SAMPLE].tolist()]
    pictures = [picture for one, path in drawn for picture in _pictures(one, [path], max_pixels)]
    return planted.calibrate(pictures, planted.embedder(clip), recall) if pictures else None


def fingerprint(one: EvaluationSet) -> str:
    """xxh3-128 over the bytes of a set's images in order: what of it decides which images overlap."""
    digest = xxhash.xxh3_128()
    for name, data in held_out.images(one, held_out.paths(one)):
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def _pictures(one: EvaluationSet, paths: Sequence[str], max_pixels: int) -> Iterator[Image.Image]:
    for _, data in held_out.images(one, paths):
        try:
            yield decode(data, max_pixels)
        except ImageError:
            continue


@lru_cache(maxsize=1)
def _index(workdir: str, name: str, marks: tuple[str, ...]) -> Any:
    """All evaluation embeddings, compared exactly. `marks` are in the key: another run may have left others in the same place."""
    dataset = Dataset(workdir, name)
    files = [dataset.fs.cat_file(dataset.path(EMBEDDINGS.format(number))) for number in range(len(marks))]
    for number, (data, mark) in enumerate(zip(files, marks, strict=True)):
        if xxhash.xxh3_128_hexdigest(data) != mark:
            path = dataset.path(EMBEDDINGS.format(number))
            raise StoreError(f"{path} is not what this run wrote there: does another one work in the same workdir?")
    vectors = embeddings.unit(np.concatenate([np.load(io.BytesIO(data)) for data in files]))
    index = embeddings.library().IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index
