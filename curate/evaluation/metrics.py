"""Zero-shot classification and image-text retrieval, item by item, so that models can be compared on the same items."""

from collections.abc import Sequence

import numpy as np

from curate.evaluation.sets import Sheet, pictures
from curate.models import Clip

TOP = (1, 5)
RECALL = (1, 5, 10)
_BLOCK = 1024


def outcomes(sheet: Sheet, clip: Clip) -> dict[str, np.ndarray]:
    """Whether a model is right, for each metric and item: bool, shape (items,).

    Items are the images for `zero_shot_top<k>` and `image_to_text_recall@<k>`, the distinct texts for
    `text_to_image_recall@<k>`.
    """
    images = clip.image_embeddings(clip.pixels(picture) for picture in pictures(sheet))
    texts = clip.text_embeddings(sheet.texts)
    classes = classifier(sheet.classes, sheet.settings.templates, clip)
    class_at = {label: index for index, label in enumerate(sheet.classes)}
    own = [np.array([class_at[label]]) for label in sheet.labels]
    return from_embeddings(images, texts, classes, own, sheet.pairs)


def from_embeddings(
    images: np.ndarray, texts: np.ndarray, classes: np.ndarray, own: Sequence[np.ndarray], pairs: np.ndarray
) -> dict[str, np.ndarray]:
    """`outcomes` from embeddings (float32, shapes (n, width)); `own` are each image's right classes, `pairs` as Sheet's."""
    zero_shot = ranks(images, classes, own)
    to_text = ranks(images, texts, _partners(pairs[:, 0], pairs[:, 1], len(images)))
    to_image = ranks(texts, images, _partners(pairs[:, 1], pairs[:, 0], len(texts)))
    found = {f"zero_shot_top{k}": zero_shot < k for k in TOP}
    found |= {f"image_to_text_recall@{k}": to_text < k for k in RECALL}
    return found | {f"text_to_image_recall@{k}": to_image < k for k in RECALL}


def classifier(classes: Sequence[str], templates: Sequence[str], clip: Clip) -> np.ndarray:
    """One unit vector a class, float32: the normalised mean of its normalised prompts (Radford et al. 2021)."""
    prompts = [template.replace("{}", label) for label in classes for template in templates]
    means = clip.text_embeddings(prompts).reshape(len(classes), len(templates), -1).mean(axis=1)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def ranks(queries: np.ndarray, candidates: np.ndarray, right: Sequence[np.ndarray]) -> np.ndarray:
    """How many wrong candidates score at least as high as the best right one: int64, shape (queries,).

    A tie counts against the model, so that one which says the same of everything is never right; nor is one that says nothing
    (NaN, of which every comparison is false).
    """
    found = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), _BLOCK):
        scores = queries[start : start + _BLOCK] @ candidates.T
        for row, answers in enumerate(right[start : start + _BLOCK]):
            best = scores[row, answers].max()
            scores[row, answers] = -np.inf
            found[start + row] = np.count_nonzero(~(scores[row] < best))
    return found


def _partners(one: np.ndarray, other: np.ndarray, n: int) -> list[np.ndarray]:
    """For each of n items, the items that it is paired with."""
    order = np.argsort(one, kind="stable")
    edges = np.searchsorted(one[order], np.arange(n + 1))
    return [other[order][edges[i] : edges[i + 1]] for i in range(n)]
