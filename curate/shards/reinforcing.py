"""Reinforced shards (DataCompDR, Vasu et al. 2024): for each sample stored augmentations and what teachers see in them and in its texts.

Beside each shard `<shard>.tar` stands `reinforcements/<shard>.tar` with the same keys in the same order and, of each sample, the members of
the published sets: `url.txt`; `syn.json` {syn_text: captions}; `paug.json` {param_aug: parameters as JSON text}; `npz` or `pth.gz` with
`image_emb`, a row for each augmentation, and `text_emb`, row 0 the alt text and then the captions; `json` {uid, sha256}. Several teachers
stand side by side in a row, each of length 1, in the order of the manifest. Embeddings are rounded to bfloat16: in `npz` they are float32
whose lower 16 bits are zero, which any NumPy reads and deflate packs; `pth.gz` holds them as bfloat16.
"""

import gzip
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from PIL import Image

from curate import models, schema
from curate.images import augmenting
from curate.images.archive import ArchiveWriter
from curate.images.augmenting import Augmentation
from curate.images.decoding import ImageError, decode
from curate.ledger import Ledger
from curate.parts import committed
from curate.recipe import Model
from curate.shards.reading import image_of, members_of
from curate.shards.reinforcement import Reinforce
from curate.store import ROW_GROUP, Dataset, Part, Plan

AT_ONCE = 32
"""Samples whose views a teacher sees together."""


@dataclass(frozen=True)
class Job:
    """Reinforcements to be made."""

    settings: Reinforce
    teachers: tuple[Model, ...]
    shards: Dataset
    target: Dataset
    plan: Plan
    seed: int
    device: str
    max_pixels: int


@dataclass(frozen=True)
class Read:
    """A sample of a shard, as it is reinforced."""

    key: str
    image: bytes
    facts: dict[str, Any]

    @property
    def alt(self) -> str:
        return self.facts.get("alt_text", self.facts["text"])

    def captions(self, of: Sequence[str]) -> list[str]:
        """Those of the named captioners, or of all, in the order of the sample's json."""
        said = self.facts.get("captions") or {}
        return [text for name, texts in said.items() if not of or name in of for text in texts]


def reinforce_part(shard: str, *, job: Job) -> Part:
    """Makes the reinforcements of one shard; runs in a worker."""
    teachers = [
        models.load(teacher, job.device, job.plan.settings["models"][teacher.name]["revision"])
        for teacher in job.teachers
    ]
    ledger, index = Ledger(), []
    samples = read(job.shards, shard)
    with job.target.sidecar(f"{shard}.tar") as file:
        tar = ArchiveWriter(file)
        while some := list(islice(samples, AT_ONCE)):
            for sample, files in reinforced(some, teachers, job):
                failed = {} if files else {"undecodable": 1}
                ledger += Ledger(rows_in=1, kept=int(files is not None), failed=failed)
                for suffix, data in (files or {}).items():
                    tar.add(f"{sample.key}.{suffix}", data)
                if files:
                    texts = 1 + len(sample.captions(job.settings.of))
                    row = {
                        "key": sample.key,
                        "uid": sample.facts["uid"],
                        "sha256": sample.facts["sha256"],
                        "shard": f"{shard}.tar",
                    }
                    index.append(row | {"augmentations": job.settings.augmentations, "texts": texts})
        tar.close()
    with job.target.write_part(shard, job.plan.hash, ledger) as out:
        for begin in range(0, len(index), ROW_GROUP):
            rows = index[begin : begin + ROW_GROUP]
            out.write(pa.Table.from_pylist(rows, schema=schema.load("reinforcements").arrow()))
    return committed(job.target, shard, job.plan)


def read(shards: Dataset, shard: str) -> Iterator[Read]:
    """The samples of a shard, in order. StoreError for a damaged tar."""
    for key, members in members_of(shards, shard):
        yield Read(key, image_of(members) or b"", msgspec.json.decode(members["json"]))


def reinforced(
    samples: Sequence[Read], teachers: Sequence[models.Clip], job: Job
) -> Iterator[tuple[Read, dict[str, bytes] | None]]:
    """Each sample with its members by suffix, or None where its image does not decode."""
    settings, views = job.settings, list[Image.Image]()
    plans: list[list[Augmentation] | None] = []
    for sample in samples:
        try:
            image = decode(sample.image, job.max_pixels)
        except ImageError:
            plans.append(None)
            continue
        drawn = [augmentation(image.size, sample.key, index, job) for index in range(settings.augmentations)]
        plans.append(drawn)
        views += [augmenting.replayed(image, one, settings.side) for one in drawn]
    texts = [[sample.alt, *sample.captions(settings.of)] for sample in samples]
    flat = [text for some, how in zip(texts, plans, strict=True) if how is not None for text in some]
    image_rows, text_rows = embedded(views, flat, teachers)
    image_at = text_at = 0
    for sample, said, how in zip(samples, texts, plans, strict=True):
        if how is None:
            yield sample, None
            continue
        of_image, of_text = image_rows[image_at : image_at + len(how)], text_rows[text_at : text_at + len(said)]
        image_at, text_at = image_at + len(how), text_at + len(said)
        yield sample, files(sample, said[1:], how, of_image, of_text, settings.format)


def augmentation(size: tuple[int, int], key: str, index: int, job: Job) -> Augmentation:
    """The parameters of view number `index` of an image of (width, height) `size`."""
    how = job.settings
    return augmenting.drawn(
        job.seed, key, index, size, scale=how.crop_scale, operations=how.operations, magnitude=how.magnitude
    )


def embedded(
    views: Sequence[Image.Image], texts: Sequence[str], teachers: Sequence[models.Clip]
) -> tuple[np.ndarray, np.ndarray]:
    """Teachers' embeddings side by side, float32 rounded to bfloat16: of views (n, widths) and of texts (m, widths)."""
    image = [teacher.image_embeddings(teacher.pixels(view) for view in views) for teacher in teachers]
    text = [teacher.text_embeddings(texts) for teacher in teachers]
    return rounded(np.concatenate(image, axis=1)), rounded(np.concatenate(text, axis=1))


def rounded(values: np.ndarray) -> np.ndarray:
    """The nearest bfloat16 of float32 values, ties to even, as float32. Finite values only."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return bits.view(np.float32)


def files(
    sample: Read, captions: Sequence[str], how: list[Augmentation], image: np.ndarray, text: np.ndarray, form: str
) -> dict[str, bytes]:
    """A sample's members, by suffix."""
    arrays = {"image_emb": image, "text_emb": text}
    return {
        "url.txt": sample.facts["url"].encode(),
        "syn.json": _json({"syn_text": list(captions)}),
        "paug.json": _json({"param_aug": augmenting.stored(how)}),
        form: packed(arrays) if form == "npz" else packed_torch(arrays),
        "json": _json({"uid": sample.facts["uid"], "sha256": sample.facts["sha256"]}),
    }


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An npz whose bytes hang on the arrays alone: np.savez writes the time into it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, array in arrays.items():
            body = io.BytesIO()
            np.lib.format.write_array(body, np.ascontiguousarray(array), allow_pickle=False)
            pack.writestr(zipfile.ZipInfo(f"{name}.npy"), body.getvalue(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def packed_torch(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A gzip of what torch saves of bfloat16 tensors."""
    import torch

    out = io.BytesIO()
    torch.save({name: torch.from_numpy(array).bfloat16() for name, array in arrays.items()}, out)
    return gzip.compress(out.getvalue(), mtime=0)


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
