"""A captioner of open_clip (CoCa), on this machine: it says what it sees, one token after the other, and takes no instructions.

Of a request it heeds the image, the sampling and the seed; the prompt and the system's words are not for it. Words that every caption is
to begin with are a setting (`prefix`).

open_clip's own `CoCa.generate` draws from torch's one generator, so that an answer hangs on who else is in the batch; its beam search
asks for a part of transformers that is there no more; and it takes the marks of CLIP's vocabulary for everybody's. So tokens are chosen
in `curate.backends.decoding`.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from curate import hugging, models
from curate.backends import decoding
from curate.backends.contract import Answer, Batched, Request
from curate.backends.settings import CoCa
from curate.draw import draw
from curate.images.decoding import ImageError
from curate.weights import Model, ModelError, locate

_CUTS = re.compile(
    r"\s+(?=[.,;:!?%)\]])|(?<=[(\[])\s+|\s+(?=['’](?:s|t|re|ve|m|ll|d)\b)|(?<=\w)\s+(?=-\s)|(?<=-)\s+(?=\w)"
)
"""Spaces that stand where the tokenizer cuts, and that no writer puts there."""


class Captioner(Batched):
    """A CoCa that is loaded."""

    sees = True

    def __init__(self, settings: CoCa, clip: models.Clip, known: Mapping[str, Any]):
        self._clip, self._known, self._beams = clip, known, settings.beams
        self._words, self._prefix = clip.tokenizer, settings.prefix.strip()
        self.batch_size = settings.batch_size
        # As many again are made ready while a batch is at work.
        self.concurrency = 2 * settings.batch_size
        prefix = [self._words.sot_token_id, *self._words.encode(self._prefix)]
        self._steps = decoding.Steps(
            clip.model, prefix, self._words.eot_token_id, self._words.vocab_size, settings.min_tokens
        )
        self._prompt_tokens = len(prefix)
        if self._steps.room <= settings.min_tokens:
            raise ModelError(
                f"{settings.name}: the model has room for {self._steps.room} tokens after the prefix's {len(prefix) - 1}, and "
                f"min_tokens is {settings.min_tokens}; shorten the prefix, or lower min_tokens"
            )

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        return self._known

    def answers(self, requests: Sequence[Request]) -> list[Answer]:
        pixels: dict[str, Any] = {}
        found: list[Answer | None] = [self._seen(request, pixels) for request in requests]
        asked = [place for place, answer in enumerate(found) if answer is None]
        for place, answer in zip(asked, self._answers([requests[place] for place in asked], pixels), strict=True):
            found[place] = answer
        return [answer for answer in found if answer is not None]

    def _seen(self, request: Request, pixels: dict[str, Any]) -> Answer | None:
        """Adds the model's input of a request's image to `pixels`, by its sha256; or the answer, where that fails."""
        if request.photo is None:
            return Answer(status="rejected")
        try:
            if request.photo.sha256 not in pixels:
                pixels[request.photo.sha256] = self._clip.pixels(request.photo.pixels)
        except (ImageError, ValueError, OSError):  # resizing a hostile shape may fail after decoding went well
            return Answer(status="undecodable")
        return None

    def _answers(self, requests: Sequence[Request], pixels: Mapping[str, Any]) -> list[Answer]:
        import torch

        if not requests:
            return []
        with torch.inference_mode():
            # An image that several requests show is encoded once.
            batch = torch.stack(list(pixels.values())).to(self._clip.device, self._clip.input_dtype)
            images = dict(zip(pixels, self._clip.model(batch)["image_embs"], strict=True))
            rows = [self._asked(request, images) for request in requests]
            said: dict[int, decoding.Said] = {}
            for places, search in ((_where(rows, False), True), (_where(rows, True), False)):
                some = [rows[place] for place in places]
                made = (
                    decoding.searched(self._steps, some, self._beams) if search else decoding.drawn(self._steps, some)
                )
                said |= dict(zip(places, made, strict=True))
        return [self._answer(said[place], request) for place, request in enumerate(requests)]

    def _asked(self, request: Request, images: Mapping[str, Any]) -> decoding.Asked:
        how, photo = request.sampling, request.photo
        assert photo is not None
        limit = max(min(how.max_tokens, self._steps.room), 1)
        chance = draw(request.seed, f"words:{photo.sha256}", map(str, range(limit))) if how.temperature else None
        return decoding.Asked(
            image=images[photo.sha256],
            limit=limit,
            done=lambda tokens: any(stop in self._text(tokens) for stop in how.stop),
            temperature=how.temperature,
            top_p=how.top_p,
            chance=chance,
        )

    def _text(self, tokens: Sequence[int]) -> str:
        return _CUTS.sub("", self._words.decode(tokens)).strip()

    def _answer(self, said: decoding.Said, request: Request) -> Answer:
        text = self._text(said.tokens)
        ends = [place for stop in request.sampling.stop if (place := text.find(stop)) >= 0]
        text = f"{self._prefix} {text[: min(ends)] if ends else text}".strip()
        return Answer(text, said.finish, self._prompt_tokens, said.made)


def _where(rows: Sequence[decoding.Asked], by_chance: bool) -> list[int]:
    return [place for place, row in enumerate(rows) if (row.chance is not None) == by_chance]


def model_of(settings: CoCa) -> Model:
    """The model as `curate.models` knows models. ModelError where it is not here, or is no CoCa."""
    import open_clip

    model = Model(
        name=settings.name, model=settings.model, pretrained=settings.pretrained, precision=settings.precision
    )
    if (folder := hugging.folder_of(model)) is not None or "multimodal_cfg" not in locate(model).config:
        known = ", ".join(name for name in open_clip.list_models() if name.startswith("coca"))
        raise ModelError(
            f"backend {settings.name!r}: {folder or settings.model} is no CoCa: its configuration has no multimodal_cfg. Take one of "
            f"open_clip's ({known}), or a folder (local-dir:) that was made of one"
        )
    return model


def identity(settings: CoCa) -> dict[str, Any]:
    """Settings, and revision and preprocessing of the model; not where its files lie."""
    known = settings.identity() | models.identity(model_of(settings))
    del known["name"]
    return known


@lru_cache(maxsize=2)
def load(settings: CoCa, device: str) -> Captioner:
    """The captioner, kept warm. ModelError when the model is not here, is no CoCa, or has a vocabulary that it cannot be asked in."""
    known = identity(settings)
    clip = models.load(model_of(settings), device, known["revision"])
    end = getattr(clip.tokenizer, "eot_token_id", None)
    if end is None or end >= clip.model.text.vocab_size:
        raise ModelError(
            f"backend {settings.name!r}: {settings.model}: its vocabulary has no marks of begin and end that the model knows; captioners with "
            "open_clip's own tokenizer have (the CoCas that read through transformers, as coca_roberta-ViT-B-32, do not)"
        )
    return Captioner(settings, clip, known)
