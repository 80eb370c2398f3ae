"""Settings of the scorers that read the embeddings of a model, row by row."""

from typing import Annotated, Literal

import msgspec

from curate.scores.settings.base import OfEmbeddings


class Quality(OfEmbeddings, frozen=True, kw_only=True, tag="quality"):
    """Quality of an image by pairs of opposite texts; see `curate.scores.quality`."""

    pairs: Annotated[tuple[tuple[str, str], ...], msgspec.Meta(min_length=1)] = (
        ("a photo in good quality", "a photo in bad quality"),
        ("a sharp photo", "a blurry photo"),
        ("a clean photo", "a noisy, grainy photo"),
        ("a photo with clear details", "a photo full of compression artefacts"),
        ("a well exposed photo", "a photo that is far too dark or too bright"),
    )
    """Of each pair the good text, then its opposite."""


class Aesthetics(OfEmbeddings, frozen=True, kw_only=True, tag="aesthetics"):
    """A score of beauty by a linear head on image embeddings; see `curate.scores.aesthetics`."""

    head: str
    """Path of the head's weights: .safetensors, .npz, .pth."""


class Safety(OfEmbeddings, frozen=True, kw_only=True, tag="safety"):
    """How unsafe an image or a text is by a head on its embedding; see `curate.scores.safety`."""

    head: str
    """Path of the head's weights: .safetensors, .npz, .pth."""
    embedding: Literal["image", "text"] = "image"
    activation: Literal["none", "relu"] = "relu"
    """Between the head's layers."""
    output: Literal["sigmoid", "softmax"] = "sigmoid"
    """What turns the head's outputs into probabilities."""
    unsafe: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0)], ...], msgspec.Meta(min_length=1)] = (0,)
    """Which outputs are unsafe, from 0: the largest of these counts for sigmoid, their sum for softmax."""


class Grammar(OfEmbeddings, frozen=True, kw_only=True, tag="grammar"):
    """How grammatical a text is by a head on its embedding; see `curate.scores.grammar`."""

    head: str
    """Path of the head's weights, as `curate grammar-head` writes them (`workdirs/grammar/grammar-head/head.safetensors`)."""
