"""ALIP's weights of a pair and of its caption, from three cosines and their means.

Yang et al., "ALIP: Adaptive Language-Image Pre-training with Synthetic Caption" (2023). In training the means H are running ones, of
momentum 0.99; of a set that lies there whole they are the means of the set.
"""

from typing import NamedTuple

import numpy as np


class Means(NamedTuple):
    """H of the three cosines, over pairs and their captions."""

    agreement: float
    """Of alt text and caption."""
    alt: float
    """Of image and alt text."""
    caption: float
    """Of image and caption."""


class Weights(NamedTuple):
    """float64, of the shape that went in."""

    sample: np.ndarray
    """W_s: how far the pair is to be trusted at all, at most 1."""
    alt: np.ndarray
    """W_t."""
    caption: np.ndarray
    """W_c."""


def alip(agreement: np.ndarray, alt: np.ndarray, caption: np.ndarray, means: Means) -> Weights:
    """W_s = min(1, exp(s - H)^2) of the agreement; W_t and W_c = exp(s - H)^2 of each side, and 1 where W_s is not below 1."""
    raw, of_alt, of_caption = (
        np.exp(np.asarray(cosine, np.float64) - mean) ** 2
        for cosine, mean in zip((agreement, alt, caption), means, strict=True)
    )
    trusted = raw >= 1
    return Weights(np.minimum(raw, 1), np.where(trusted, 1, of_alt), np.where(trusted, 1, of_caption))
