"""The settings of what is written beside shards: reinforcements, and embeddings of their texts."""

from typing import Annotated, ClassVar, Literal

import msgspec

from curate.settings import Count, Name, Settings


class Reinforce(Settings, frozen=True, kw_only=True):
    """`shard.reinforce`: augmentations and teachers' embeddings beside each shard; see `curate.shards.reinforcing`."""

    runtime: ClassVar[tuple[str, ...]] = ("device", "workers")

    teachers: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]
    """Models of score.models."""
    of: tuple[Name, ...] = ()
    """Captioners whose captions the teachers read; by default all."""
    augmentations: Count = 10
    """Views of each image; the published sets have 30 (12.8M samples) and 10 (1.28B)."""
    crop_scale: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.08
    """Least area of a crop, of the image's."""
    operations: Annotated[int, msgspec.Meta(ge=0, le=14)] = 2
    """Of RandAugment, on each view."""
    magnitude: Annotated[int, msgspec.Meta(ge=0, le=30)] = 9
    side: Count = 224
    """Pixels of a view; teachers bring it to their own size."""
    format: Literal["npz", "pth.gz"] = "npz"
    device: str = "auto"
    workers: Count = 1


class ExportRegions(Settings, frozen=True, kw_only=True):
    """`shard.regions`: region-text rows beside each shard; see `curate.shards.regions`."""

    runtime: ClassVar[tuple[str, ...]] = ("device", "workers")

    model: Name
    """The model of score.models whose text embeddings say which texts are alike."""
    similarity: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.9
    """Cosine above which two texts are not each other's negatives."""
    device: str = "auto"
    workers: Count = 1


class Embed(Settings, frozen=True, kw_only=True):
    """An item of `shard.embeddings`: embeddings of every text of each sample beside its shard; see `curate.shards.embeddings`."""

    runtime: ClassVar[tuple[str, ...]] = ("name", "device", "workers", "batch_size")

    name: Name
    """The dataset is `embeddings/<name>`."""
    encoder: str
    """Folder of a text encoder as transformers saves it, or of a sentence encoder of sentence-transformers."""
    max_tokens: Count = 512
    """Longer texts are cut."""
    precision: Literal["float32", "float16"] = "float32"
    batch_size: Count = 64
    device: str = "auto"
    workers: Count = 1
