"""The objective of captioners (CoCa): which text is an image's, and what its next word is.

Loss = CONTRASTIVE x contrastive + CAPTION x cross-entropy of each token given the image and the tokens before it (Yu et al., "CoCa:
Contrastive Captioners are Image-Text Foundation Models", arXiv:2205.01917, equation 4 and its weights).
"""

from typing import Any

CONTRASTIVE, CAPTION = 1.0, 2.0


def is_captioner(model: Any) -> bool:
    """Whether a model of open_clip also says texts."""
    return hasattr(model, "text_decoder")


def begin(model: Any) -> None:
    """Draws the weights that open_clip leaves as the memory that they lie in: the decoder's projection to the vocabulary."""
    import torch

    decoder = model.text_decoder
    torch.nn.init.normal_(decoder.text_projection, std=decoder.text_projection.shape[0] ** -0.5)


def objective(rank: int, world: int) -> Any:
    """A function of what the model answers to images and token ids; a scalar tensor."""
    import open_clip

    loss = open_clip.CoCaLoss(CAPTION, CONTRASTIVE, local_loss=True, gather_with_grad=True, rank=rank, world_size=world)
    return lambda outputs: sum(loss(**outputs))
