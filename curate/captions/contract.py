"""What a captioner is: a pair in, texts beside its own out. How tables are made of that is known in one place.

A captioner that asks a backend holds a conversation about each pair (`converse`): it says what it asks, gets the answers, may ask
further, and ends with columns. Thousands of conversations are open at a time, so that a backend always has something to do; nothing
that one of them does hangs on another.

A captioner that computes (ranks, boxes, heat maps) is a scorer (`curate.facts.contract.Scorer`) that also reads other tables.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from curate.backends.contract import Answer, Photo, Request
from curate.facts.contract import REASON, Columns, Scorer

__all__ = [
    "COUNTED",
    "REASON",
    "Answer",
    "Asking",
    "Columns",
    "Computing",
    "Conversation",
    "Kind",
    "Photo",
    "Request",
    "Row",
]

Reads = Mapping[str, tuple[str, ...]]
"""Dataset -> columns of it."""
Conversation = Generator[Sequence[Request], Sequence[Answer], dict[str, Any]]
"""Yields requests, is sent their answers in order, and returns a value for each column of the captioner's schema (those that are left
out are null); under REASON None, or why there is no caption: a reason or a status of the schema."""
COUNTED = ("requests", "prompt_tokens", "completion_tokens")
"""Columns that are filled in for captioners that ask: what a pair's conversation took, whether or not it was answered before."""


@dataclass(frozen=True)
class Row:
    """A pair as a captioner sees it."""

    uid: str
    image_uid: str
    text: str
    tables: Mapping[str, Mapping[str, Any]]
    """Dataset -> column -> value, of what the captioner reads; of `captions/...` only pairs that have a caption come here."""
    photo: Photo | None
    """None for captioners that do not look."""


class Asking:
    """A captioner that asks a backend. It keeps no state between two conversations."""

    reads: Reads = {}
    """Besides `uid`, `image_uid` and `text` of `images`."""

    def converse(self, row: Row) -> Conversation:
        """The conversation about a pair. An answer with a status ends it with that status, unless the captioner can do without."""
        raise NotImplementedError


class Computing(Scorer):
    """A captioner that asks nobody. `see` and `answer` are for those of pixels, as for scorers."""

    tables: Reads = {}
    """What it reads besides `reads`, which are columns of `images`."""

    def score(self, rows: pa.Table, images: Columns, image_of: np.ndarray) -> Columns:
        """Columns for a batch of rows; the columns of `tables` are called `<dataset>.<column>` in `rows`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Kind:
    """A captioner that a recipe can name."""

    needs: Literal["requests", "pixels", "rows"]
    """`requests`: an Asking; the others are Computing: of pixels, or of rows alone."""
    load: Callable[..., Any]
    """(settings, device, identity that was planned with, and each Model that `settings.models()` names) -> the captioner, ready; as for
    scorers. The revision of a model that was planned with is `identity["models"][name]["revision"]`. An Asking needs no backend to be made:
    it is handed the answers."""
    identity: Callable[[Any], dict[str, Any]] = lambda settings: settings.identity()
    """What the manifest says besides the backend's own: settings, prompts, banks of examples, of a model its revision."""
    on_device: bool = False
    """Whether it has a model that wants a GPU where there is one."""


def refused(answers: Sequence[Answer]) -> str | None:
    """The status of the first answer that failed."""
    return next((answer.status for answer in answers if answer.status is not None), None)
