"""What is made small in training: a module around the model that answers a batch with its loss.

contrastive  CLIP's (Radford et al., 2021), as open_clip has it; of a captioner also its own (`curate.training.captioning`).
hyperbolic   MERU's (Desai et al., 2023): vectors are lifted to a hyperboloid whose curvature is learned; the contrastive loss is taken
             over negative Lorentz distances, and a text's cone is to hold its image (entailment loss).
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from curate import lorentz
from curate.training import captioning
from curate.training.shards import TrainingError

LONGEST_SCALE = math.log(100)
"""CLIP's bound of the logit scale."""
CURVATURE_RANGE = math.log(10)
"""c stays within a factor of 10 of where it began, which is 1."""
ENTAILMENT = 0.2
"""Weight of the entailment loss."""


class Contrastive(nn.Module):
    """Cross-entropy of each image's text among the batch's texts, and of each text's image."""

    def __init__(self, model: Any, rank: int, world: int):
        super().__init__()
        self.model, self._loss = model, contrastive(model, rank, world)

    def forward(self, images: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return self._loss(self.model(images, tokens))

    @torch.no_grad()
    def clamp(self) -> None:
        """Brings what is learned back into its bounds; after each step."""
        self.model.logit_scale.clamp_(0, LONGEST_SCALE)


class Hyperbolic(nn.Module):
    """MERU's two losses. The model gets the parameters of `curate.lorentz`, which its checkpoint carries."""

    def __init__(self, model: Any, rank: int, world: int):
        super().__init__()
        self.model, self._rank, self._world = model, rank, world

    def forward(self, images: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        image, text = self.model.encode_image(images), self.model.encode_text(tokens)
        # Outside of mixed precision: half of a small curvature's digits would be gone.
        with torch.autocast(images.device.type, enabled=False):
            c = getattr(self.model, lorentz.CURVATURE).exp()
            own = [
                lorentz.lift(vectors.float() * getattr(self.model, name).exp(), c)
                for vectors, name in ((image, lorentz.IMAGE_SCALE), (text, lorentz.TEXT_SCALE))
            ]
            everyone = self._gathered(*own)
            scale = self.model.logit_scale.exp()
            mine = torch.arange(len(image), device=images.device) + len(image) * self._rank
            halves = [
                functional.cross_entropy(-scale * lorentz.distance(lorentz.all_beyond_one(x, y, c), c), mine)
                for x, y in ((own[0], everyone[1]), (own[1], everyone[0]))
            ]
            angle = lorentz.exterior_angle(own[1], own[0], c)
            outside = (angle - lorentz.half_aperture(own[1], c)).clamp(min=0).mean()
            return (halves[0] + halves[1]) / 2 + ENTAILMENT * outside

    def _gathered(self, image: torch.Tensor, text: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Those of all processes, in the order of their ranks."""
        if self._world == 1:
            return image, text
        from open_clip.loss import gather_features

        return gather_features(image, text, True, True, self._rank, self._world)

    @torch.no_grad()
    def clamp(self) -> None:
        """Brings what is learned back into its bounds; after each step."""
        self.model.logit_scale.clamp_(0, LONGEST_SCALE)
        getattr(self.model, lorentz.CURVATURE).clamp_(-CURVATURE_RANGE, CURVATURE_RANGE)
        for name in (lorentz.IMAGE_SCALE, lorentz.TEXT_SCALE):
            getattr(self.model, name).clamp_(max=0)


def contrastive(model: Any, rank: int, world: int) -> Callable[[Any], torch.Tensor]:
    """The loss, as a function of what the model answers to images and token ids."""
    import open_clip

    if captioning.is_captioner(model):
        return captioning.objective(rank, world)
    loss = open_clip.ClipLoss(local_loss=True, gather_with_grad=True, rank=rank, world_size=world)
    return lambda outputs: loss(*outputs)


def objective(kind: str, model: Any, rank: int, world: int) -> Contrastive | Hyperbolic:
    """The module that answers a batch with its loss. TrainingError for a model that has no such objective."""
    if kind == "contrastive":
        return Contrastive(model, rank, world)
    if captioning.is_captioner(model):
        raise TrainingError("a captioner has no hyperbolic objective; take another model, or objective: contrastive")
    return Hyperbolic(model, rank, world)
