"""Scores from embeddings that a model's table holds, in three steps over the pool: gather, merge, score.

    start   once: what is embedded besides the pool (a target set, the classes' prompts)
    gather  each part: what of it all parts need to know (a sample, the most confident rows)
    merge   once: that of all parts put together
    score   each part, row for row

What `start` and `merge` make lies beside the parts as `.npz`; it is bounded by the settings and does not grow with the pool. Each step
is a function of the rows and the arrays alone, so that nothing depends on how the pool is cut.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from curate import models, parts, schema
from curate.facts.contract import Columns, vectors
from curate.facts.laying import NO_EMBEDDING, laid
from curate.images.decoding import MAX_PIXELS, ImageError, decode
from curate.ledger import alive
from curate.models import Clip
from curate.recipe import Model
from curate.storage import located
from curate.store import Dataset, Part, Plan, StoreError

Arrays = dict[str, np.ndarray]
EMBEDDED = ("state", "image_embedding", "text_embedding")


class TargetError(StoreError):
    """A target set that cannot be read; the message says which file and why."""


@dataclass(frozen=True)
class Rows:
    """Rows with embeddings."""

    uid: list[str]
    image_uid: list[str]
    image: np.ndarray
    """float32 of length 1, shape (n, width)."""
    text: np.ndarray
    more: dict[str, np.ndarray] = field(default_factory=dict)
    """What else the scorer `reads`."""


@dataclass(frozen=True)
class Targets:
    """What a scorer measures the pool against, as the recipe's names were resolved."""

    images: tuple[str, ...] = ()
    """Paths or URLs, in order."""
    prompts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Class -> its zero-shot prompts."""
    reference: str | None = None
    """Path or URL of vectors."""
    fingerprint: str = ""
    max_pixels: int = MAX_PIXELS
    """Of an image."""


class Derived:
    """A scorer of embeddings. Steps that it does not need stay as they are."""

    reads: ClassVar[tuple[str, ...]] = ()
    """Columns of the model's table besides the embeddings: numbers."""
    needs_model = False
    """Whether `start` is given the model though there are no targets."""

    def start(self, clip: Clip, targets: Targets, pool: int) -> Arrays:
        """What the pool is measured against. `clip` is there where there are targets or the scorer needs it; `pool`: rows with embeddings."""
        return {}

    def gather(self, rows: Iterator[Rows], started: Arrays) -> Arrays:
        """What of a part the scores of other parts depend on."""
        return {}

    def merge(self, gathered: Sequence[Arrays], started: Arrays) -> Arrays:
        """What `score` needs. `gathered`: of each part, in the order of the parts."""
        return started

    def score(self, rows: Rows, ready: Arrays) -> Columns:
        """Columns for a batch of rows (none, at times)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Job:
    """A table of derived scores to be made."""

    word: str
    scorer: Derived
    target: Dataset
    plan: Plan
    images: Dataset
    scores: Dataset
    """Of the model whose embeddings are read."""
    model: Model
    device: str
    targets: Targets
    beside: Dataset | None = None
    """Scores of another model, whose `similarity_score` the scorer reads too (as `beside`); rows without one have no answer."""

    @property
    def prefix(self) -> str:
        """Files of another plan are not taken for ours."""
        return f"_{self.plan.hash[:8]}"


def start(job: Job) -> None:
    """The first step; runs in a worker, with the model."""
    if not _there(job, "start"):
        scored = job.scores.require()
        needed = bool(job.scorer.needs_model or job.targets.images or job.targets.prompts)
        clip: Any = models.load(job.model, job.device, scored.plan.settings["revision"]) if needed else None
        _put(job, "start", job.scorer.start(clip, job.targets, scored.ledger.kept))


def gathers(job: Job) -> bool:
    """Whether parts have anything to tell each other; otherwise what was started with is what the scores need."""
    return type(job.scorer).gather is not Derived.gather


def gather(part: str, *, job: Job) -> None:
    """The second step, for a part."""
    if not _there(job, part):
        rows = (found for _, _, _, found in _rows(job, part))
        _put(job, part, job.scorer.gather(rows, _get(job, "start")))


def merge(job: Job) -> None:
    """The third step."""
    if not _there(job, "ready"):
        _put(job, "ready", job.scorer.merge([_get(job, part) for part in job.plan.parts], _get(job, "start")))


def score_part(part: str, *, job: Job) -> Part:
    """Makes one part of the table."""
    step = "ready" if gathers(job) else "start"
    ready, known = (
        _ready(job.target.workdir, job.target.name, _name(job, step)),
        schema.load(f"{schema.SCORES}/{job.word}"),
    )
    with job.target.write_part(part, job.plan.hash) as out:
        for uid, live, fit, rows in _rows(job, part):
            out.write(laid(uid, live, fit, job.scorer.score(rows, ready), known, NO_EMBEDDING))
    return parts.committed(job.target, part, job.plan)


def tidy(job: Job) -> None:
    """Removes what parts told each other. Files that were merged stay: they say what the scores were measured against."""
    for part in job.plan.parts:
        if _there(job, part):
            job.target.fs.rm_file(job.target.path(_name(job, part)))


def _rows(job: Job, part: str) -> Iterator[tuple[pa.ChunkedArray, np.ndarray, np.ndarray, Rows]]:
    """For each row group: its uids, the rows that entered, which of them have embeddings, and these."""
    inputs = {"images": (job.images, ("image_uid", "state")), "scores": (job.scores, (*EMBEDDED, *job.scorer.reads))}
    if job.beside is not None:
        inputs["beside"] = (job.beside, ("state", "similarity_score"))
    for tables in parts.zipped(part, inputs):
        images, scores = tables["images"], tables["scores"]
        live = np.flatnonzero(alive(images["state"]).to_numpy(zero_copy_only=False))
        fit = alive(scores["state"]).to_numpy(zero_copy_only=False)[live]
        if job.beside is not None:
            fit = fit & alive(tables["beside"]["state"]).to_numpy(zero_copy_only=False)[live]
        taken = pa.array(live[fit])
        image, text = (unit(scores[name].take(taken)) for name in EMBEDDED[1:])
        uids = [images[name].take(taken).to_pylist() for name in ("uid", "image_uid")]
        if missing := [name for name in job.scorer.reads if name not in scores.column_names]:
            raise StoreError(
                f"{job.scores.root} lacks {missing[0]}: another version made it; make it again with `--redo score`"
            )
        more = {name: scores[name].take(taken).to_numpy() for name in job.scorer.reads}
        if job.beside is not None:
            more["beside"] = tables["beside"]["similarity_score"].take(taken).to_numpy()
        yield images["uid"], live, fit, Rows(uids[0], uids[1], image, text, more)


def unit(column: pa.ChunkedArray) -> np.ndarray:
    """A column of embeddings without nulls as float32 of length 1, shape (n, width)."""
    found = vectors(column)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return found / np.where(lengths > 0, lengths, 1)


def embedded_images(clip: Clip, targets: Targets) -> np.ndarray:
    """Embeddings of the target images, float32, shape (n, width). TargetError for one that is not there or no image."""

    def pixels() -> Iterator[Any]:
        for file in targets.images:
            try:
                fs, path = located(file)
                yield clip.pixels(decode(fs.cat_file(path), targets.max_pixels))
            except (ImageError, ValueError, OSError) as error:
                raise TargetError(f"{file} cannot be embedded as a target: {error}") from error

    return clip.image_embeddings(pixels())


def embedded_classes(clip: Clip, prompts: Mapping[str, Sequence[str]]) -> np.ndarray:
    """An embedding of length 1 for each class, the mean of its prompts', float32, shape (classes, width)."""
    means = np.stack([clip.text_embeddings(texts).mean(axis=0) for texts in prompts.values()])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


# -- files beside the parts


def _name(job: Job, step: str) -> str:
    return f"{job.prefix}-{step}.npz"


def _there(job: Job, step: str) -> bool:
    return job.target.fs.exists(job.target.path(_name(job, step)))


def _put(job: Job, step: str, arrays: Arrays) -> None:
    out = io.BytesIO()
    np.savez(out, **arrays)  # type: ignore[arg-type]
    job.target.put(_name(job, step), out.getvalue())


def _get(job: Job, step: str) -> Arrays:
    return _read(job.target, _name(job, step))


def _read(target: Dataset, name: str) -> Arrays:
    with np.load(io.BytesIO(target.fs.cat_file(target.path(name))), allow_pickle=False) as arrays:
        return dict(arrays)


@lru_cache(maxsize=1)
def _ready(workdir: str, dataset: str, name: str) -> Arrays:
    """Read once by a worker for all of its parts."""
    return _read(Dataset(workdir, dataset), name)
