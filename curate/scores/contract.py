"""What a scorer is: a batch of rows or pictures in, columns out. How tables are made of that is known in one place.

A scorer of texts answers `score` alone. A scorer of pixels is shown each image once, whatever the number of its texts and
of the scorers beside it: `see` takes from the decoded picture what it needs (in a thread, so that decoding goes on while a
model computes), and `answer` turns a batch of that into columns.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from PIL import Image

from curate.schema import Schema

Columns = dict[str, Any]
"""Column of the scorer's schema -> one value for each row or image: NumPy array or pa.Array. Under REASON, where the
scorer has something to say about single rows: None, or the status that the row fails with (array of objects)."""
REASON = "reason"


@dataclass(frozen=True)
class Picture:
    """An image as all scorers of a pass see it. It is shared: nobody changes it."""

    data: bytes
    """As fetched."""
    pixels: Image.Image
    """The first frame as RGB, transparency on white."""


class Scorer:
    """A scorer with its settings, and its model where it has one; kept warm by a worker from part to part.

    A scorer keeps no state between two calls: what a row gets depends on nothing but the row (and, in the last bits of a
    model's answers, on the batch).
    """

    reads: ClassVar[tuple[str, ...]] = ()
    """Columns of `images` that `score` is given, besides the uid."""
    batch_size = 256
    """How many images `answer` gets at a time, at most."""

    def at(self, part: str, workdir: str) -> AbstractContextManager[None]:
        """Entered while the rows of a part are scored, by scorers of pixels: the place for what one keeps beside the workdir's datasets."""
        return nullcontext()

    def see(self, picture: Picture) -> Any:
        """What the scorer needs of a picture: small, since a batch of it is held. Called in a thread.

        ImageError, ValueError or OSError: the image's rows fail as `undecodable`.
        """
        raise NotImplementedError

    def answer(self, seen: list[Any]) -> Columns:
        """Columns for a batch of images, in order. The batch may be empty: an embedding has its width even then."""
        raise NotImplementedError

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        """Columns for a batch of rows (none, at times), all alive and, for scorers of pixels, with an image that could be decoded.

        `images`: what `answer` said of the batch's images; `image_of`: each row's image there, int64, shape (rows,).
        """
        return {name: values[image_of] for name, values in images.items()}


class OfTexts(Scorer):
    """A scorer of texts that is nothing but a function of a table of rows and the settings."""

    def __init__(self, function: Callable[[pa.Table, Any], Columns], settings: Any, reads: tuple[str, ...] = ("text",)):
        self._function, self._settings, self.reads = function, settings, reads  # type: ignore[misc]

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        return self._function(rows, self._settings)


@dataclass(frozen=True)
class Kind:
    """A scorer that a recipe can name."""

    needs: Literal["texts", "pixels", "embeddings", "pool"]
    """What it looks at: scorers of texts never open the tars; those of embeddings read (`reads`) the table of a model of the recipe,
    whose name is their setting `model`, and answer `score` alone; those of the pool read it too, and each row's answer depends on
    other rows: they are a `curate.scores.derived.Derived`."""
    load: Callable[..., Any]
    """(settings, device, identity that was planned with; of embeddings also the Model whose they are, and of pixels the one that
    the setting `model` names where there is that setting) -> the scorer, ready. Called once
    for each part: it caches itself what is dear. A model that is not here, or not what it was, is an error that says where it was looked for and how to get
    it."""
    identity: Callable[[Any], dict[str, Any]] = lambda settings: settings.identity()
    """What the manifest says: settings, and of a model revision, preprocessing and precision; a change makes other scores."""
    on_device: bool = False
    """Whether it has a model that wants a GPU where there is one."""
    learned_from: str = ""
    """What its model was trained on, in a sentence for the report's readers, or that it has none: a filter hands on what it has
    learned."""
    check: Callable[[Any, Any], None] = lambda settings, model: None
    """(settings, the Model that they name, or None): said before anything is scored, where the two do not go together."""


def columns_of(known: Schema) -> list[str]:
    """The columns that a scorer answers; uid, state and reason are everybody's."""
    return [name for name in known.columns if name not in ("uid", "state", REASON)]


def unless(good: np.ndarray, status: str) -> np.ndarray:
    """For REASON: None where `good`, the status elsewhere. Array of objects."""
    reasons = np.full(len(good), None, object)
    reasons[~good] = status
    return reasons


def vectors(embeddings: pa.ChunkedArray) -> np.ndarray:
    """A column of embeddings without nulls as float32, shape (n, width)."""
    whole = embeddings.combine_chunks()
    return whole.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(-1, embeddings.type.list_size)


def column(values: np.ndarray) -> pa.FixedSizeListArray:
    """Vectors of shape (n, width) as a column of embeddings: float16."""
    return pa.FixedSizeListArray.from_arrays(pa.array(values.astype(np.float16).ravel()), values.shape[1])
