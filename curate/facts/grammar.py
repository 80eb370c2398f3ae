"""How grammatical a text is: a head on its embedding by a CLIP-like model, trained to tell texts from corruptions of them.

The head is that of CLIP-reward (Cho et al., "Fine-grained Image Captioning with CLIP Reward", arXiv:2205.13115), there because texts that
are chosen by their cosine alone lose their grammar. `curate grammar-head` trains one; it knows what the embeddings let it see of the
order of words, and its card says how much that is.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from curate.facts import heads
from curate.weights import Model, ModelError


def grammaticality(embeddings: np.ndarray, head: heads.Head) -> np.ndarray:
    """How grammatical the texts of embeddings are, 0 to 1.

    `embeddings`: float32, shape (n, d), of any length; float32, shape (n,), NaN for a vector without a direction.
    """
    outputs = head(embeddings)[:, 0].astype(np.float64)
    return (1 / (1 + np.exp(-np.clip(outputs, -500, 500)))).astype(np.float32)


def head_of(path: str, model: Model, identity: Mapping[str, Any]) -> heads.Head:
    """The head in a file; `identity`: `revision`, the file's, and `embeddings_of`, the model's, as they were planned with.

    Raises ModelError as `heads.load`, and for a head that is no grammar head or does not say whose embeddings it takes.
    """
    head = heads.load(path, "relu", model, identity)
    if head.tower is None or head.outputs != 1:
        raise ModelError(
            f"{path} is no grammar head: those have one output, and say for which model they are. {_how(model.name)}"
        )
    return head


def identity(settings: Any) -> dict[str, Any]:
    """As `heads.identity`. Raises ModelError where there is no head, with how to train one."""
    if not Path(settings.head).is_file():
        raise ModelError(f"no grammar head at {Path(settings.head).absolute()}. {_how(settings.model)}")
    return heads.identity(settings)


def _how(model: str) -> str:
    return (
        "Train one on good sentences: `curate grammar-head -c RECIPE -w WORKDIR "
        f"grammar_head.model={model} grammar_head.texts=sentences.txt`"
    )
