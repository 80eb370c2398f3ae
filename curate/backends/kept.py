"""A backend that is asked elsewhere, by an engine that takes requests as a dataset; here are its answers, as they were kept."""

from collections.abc import Mapping
from typing import Any

from curate.backends.contract import Answer, Backend, Request
from curate.backends.settings import RayLLM
from curate.images.decoding import ImageError
from curate.weights import ModelError


class Kept(Backend):
    """Whatever was asked has its answer in the cache, failures too; only what could not be asked comes here."""

    sees, concurrency = True, 32

    def __init__(self, settings: RayLLM):
        self._settings = settings

    @property
    def identity(self) -> Mapping[str, Any]:
        return identity(self._settings)

    async def ask(self, request: Request, key: bytes) -> Answer:
        try:
            if request.photo is not None:
                request.photo.sent(self._settings.side)
        except ImageError:
            return Answer(status="undecodable")
        raise ModelError(
            f"backend {self._settings.name!r} was not asked everything: its engine ended before its time, or its answers in the cache "
            "were removed; run the same command again"
        )


def identity(settings: RayLLM) -> dict[str, Any]:
    return settings.identity()


def load(settings: RayLLM, device: str) -> Kept:
    return Kept(settings)
