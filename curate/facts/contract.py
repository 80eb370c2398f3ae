"""What a scorer is: a batch of rows or pictures in, columns out. How tables are made of that is known in one place.

A scorer of texts answers `score` alone. A scorer of pixels is shown each image once, whatever the number of its texts and
of the scorers beside it: `see` takes from the decoded picture what it needs (in a thread, so that decoding goes on while a
model computes), and `answer` turns a batch of that into columns.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

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
