"""From samples to tensors: decoding, a random crop, one of the texts; each drawn by hash of (seed, epoch, key)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from curate.draw import draw
from curate.images.decoding import ImageError, decode
from curate.models import tokens
from curate.training.shards import Batch, InMemory, Sample, Streaming, TrainingError

ASPECT = 4 / 3
"""Crops are at most this elongated, as torchvision's RandomResizedCrop."""


class Pictures:
    """Decodes images and keeps as many decoded as fit into `limit` bytes: small sets are decoded once, not each epoch."""

    def __init__(self, limit: int):
        self._left, self._kept = limit, dict[str, Image.Image | None]()

    def __call__(self, sample: Sample) -> Image.Image | None:
        """The image as RGB; None when its bytes give none."""
        if sample.key in self._kept:
            return self._kept[sample.key]
        try:
            image = decode(sample.image)
        except ImageError:
            image = None
        size = image.width * image.height * 3 if image else 0
        if size <= self._left:
            self._left -= size
            self._kept[sample.key] = image
        return image


class Batches(IterableDataset):
    """Batches of one process from step `start` on: (pixels, tokens, bad images).

    pixels: uint8, shape (batch, 3, size, size). tokens: int64, shape (batch, context). A sample whose image cannot be
    decoded gives its place to its neighbour and is counted, so that positions stay what they are.
    """

    def __init__(
        self, source: InMemory | Streaming, start: int, seed: int, size: tuple[int, int], crop_scale: float,
        tokenizer: Any, pictures: Pictures,
    ):  # fmt: skip
        self._source, self._start, self._seed = source, start, seed
        self._size, self._crop_scale = size, crop_scale
        self._tokenizer, self._pictures = tokenizer, pictures

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        for batch in self._source.batches(self._start, worker, workers):
            yield self._tensors(batch)

    def _tensors(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, int]:
        epoch, samples = batch
        pairs = [(sample, picture) for sample in samples if (picture := self._pictures(sample)) is not None]
        bad = len(samples) - len(pairs)
        if not pairs:
            raise TrainingError(f"none of {len(samples)} images in a row can be decoded, first {samples[0].key}")
        pairs += [pairs[i % len(pairs)] for i in range(bad)]
        keys = [sample.key for sample, _ in pairs]
        pixels = torch.from_numpy(self._crops([picture for _, picture in pairs], epoch, keys))
        which, choice = (draw(self._seed, f"{what}:{epoch}", keys) for what in ("text", "caption"))
        texts = [sample.text(*draws) for (sample, _), *draws in zip(pairs, which, choice, strict=True)]
        return pixels.permute(0, 3, 1, 2), tokens(self._tokenizer, texts), bad

    def _crops(self, pictures: list[Image.Image], epoch: int, keys: list[str]) -> np.ndarray:
        """One random crop of each picture, resized; uint8, shape (n, height, width, 3)."""
        chance = np.stack([draw(self._seed, f"crop-{what}:{epoch}", keys) for what in ("area", "aspect", "x", "y")])
        out = np.empty((len(pictures), *self._size, 3), np.uint8)
        for row, picture in enumerate(pictures):
            box = crop_box(picture.size, self._crop_scale, *chance[:, row])
            out[row] = np.asarray(picture.resize(self._size[::-1], Image.Resampling.BICUBIC, box=box))
        return out


def crop_box(
    size: tuple[int, int], scale: float, area: float, aspect: float, x: float, y: float
) -> tuple[float, float, float, float]:
    """A crop (left, top, right, bottom) in pixels from four draws in [0, 1).

    Its area is uniform in [scale, 1] of the picture's, its aspect log-uniform in [3/4, 4/3], its place uniform; sides
    that would reach over the picture are cut to it.
    """
    width, height = size
    pixels = width * height * (scale + (1 - scale) * area)
    ratio = ASPECT ** (2 * aspect - 1)
    w, h = min(width, (pixels * ratio) ** 0.5), min(height, (pixels / ratio) ** 0.5)
    left, top = (width - w) * x, (height - h) * y
    return left, top, min(width, left + w), min(height, top + h)


def loader(batches: Batches, workers: int) -> DataLoader:
    """The batches, made in this process or by `workers` loader processes that take turns."""
    return DataLoader(batches, batch_size=None, num_workers=workers, pin_memory=torch.cuda.is_available())
