"""What a backend is: requests in, each one's words out, with why they end and how many tokens they took.

What a request asks is independent of what else is asked: an answer hangs on the request alone, so it can be kept by content
(`curate.backends.cache`) and the order and grouping of requests are free.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import msgspec
import xxhash
from PIL import Image

from curate.backends import sending
from curate.images.decoding import decode

STATUSES = {
    "undecodable": "the image cannot be decoded",
    "no_answer": "the backend did not answer in time, or was too busy, to the last retry",
    "rejected": "the backend refused the request (a prompt that is too long, an image that it does not take)",
    "bad_answer": "the answer is not of the protocol, or too long",
}
"""How a request fails; the closed list that a table of captions has under `failed`."""


@dataclass(frozen=True)
class Sampling:
    """How words are drawn."""

    max_tokens: int = 77
    temperature: float = 0.0
    """0: always the likeliest."""
    top_p: float = 1.0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Photo:
    """An image that a request shows. It is decoded when somebody looks, which an answer that is known does not need."""

    data: bytes = field(repr=False)
    """As fetched."""
    sha256: str
    """Of `data`."""
    max_pixels: int = 50_000_000

    @cached_property
    def pixels(self) -> Image.Image:
        """The first frame as RGB. ImageError when it does not decode."""
        return decode(self.data, self.max_pixels)

    def sent(self, side: int) -> tuple[str, bytes]:
        """(type, bytes) for a model that takes images up to `side` pixels. ImageError when it does not decode."""
        return sending.sent(self.data, side, self.max_pixels)

    def as_fetched(self, side: int) -> tuple[str, bytes] | None:
        """The same where nothing has to be decoded for it; None elsewhere. ImageError when it is no image."""
        return sending.as_fetched(self.data, side, self.max_pixels)


@dataclass(frozen=True)
class Request:
    """What a model is asked."""

    prompt: str
    system: str = ""
    photo: Photo | None = None
    sampling: Sampling = Sampling()
    seed: int = 0
    """Below 2**31. Two requests that differ in it alone are two draws."""
    bare: bool = False
    """Whether the model goes on with `prompt` as it stands, instead of answering it in a chat: what base models do."""

    def key(self, backend: str) -> bytes:
        """16 bytes that stand for the request to a backend (its `Backend.mark`): xxh3-128 of all that an answer hangs on."""
        image = self.photo.sha256 if self.photo else None
        asked = (backend, self.system, self.prompt, image, self.sampling, self.seed, *([True] if self.bare else []))
        return xxhash.xxh3_128_digest(msgspec.json.encode(asked))


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What came of a request: words, or a status of STATUSES."""

    text: str = ""
    finish: str = "stop"
    """`stop`: the model was done; `length`: it was cut off at `max_tokens`; or the word of an endpoint (`content_filter`)."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    status: str | None = None


class Backend:
    """A model that answers. Made by a worker from the recipe's settings, and kept warm by it."""

    sees: ClassVar[bool] = False
    """Whether it takes images."""
    concurrency: int = 1
    """How many requests it has open at a time; others that it is asked wait their turn, made ready."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What answers hang on: model, revision, how an image is sent. Never a key, a place or a limit of speed."""
        raise NotImplementedError

    @cached_property
    def mark(self) -> str:
        """xxh3-128 of `identity`, 32 hex digits."""
        return mark_of(self.identity)

    async def __aenter__(self) -> "Backend":
        return self

    async def __aexit__(self, *_: Any) -> None:
        pass

    async def ask(self, request: Request, key: bytes) -> Answer:
        """The answer; `key` is the request's own. What is wrong with one request is a status; what is wrong with the backend itself is a ModelError, since every
        other request would end the same."""
        raise NotImplementedError


def mark_of(identity: Mapping[str, Any]) -> str:
    """xxh3-128 of an identity, 32 hex digits."""
    return xxhash.xxh3_128_hexdigest(msgspec.json.encode(identity, order="deterministic"))


class Batched(Backend):
    """A backend that answers many requests together, in a thread: a model in this process."""

    batch_size: int = 16

    def answers(self, requests: Sequence[Request]) -> list[Answer]:
        """The answers to at most `batch_size` requests, in order; never called twice at a time."""
        raise NotImplementedError
