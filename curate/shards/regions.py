"""Region-text rows beside shards, and which of their texts are too alike to be each other's negatives (CLOC, Chen et al. 2024).

Of each shard `regions/<shard>.parquet` has a row for each box, with the shard's keys; `text_id` is the place of its text among the shard's
distinct texts. `regions/<shard>_similar.npy`, int32, shape (pairs, 2), lists the pairs of these whose embeddings have a cosine above 0.9: a
training leaves such a pair out of its negatives, as it does two rows of one text. `ignored` makes the mask of any batch of rows of a shard.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from curate import models, schema
from curate.ledger import Ledger
from curate.parts import committed
from curate.recipe import Model
from curate.shards.reading import members_of
from curate.shards.reinforcement import ExportRegions
from curate.store import ROW_GROUP, Dataset, Part, Plan

BLOCK = 2048
"""Texts that are compared with all others at a time."""


@dataclass(frozen=True)
class Job:
    """Region-text rows to be made."""

    settings: ExportRegions
    model: Model
    shards: Dataset
    target: Dataset
    plan: Plan


def export_part(shard: str, *, job: Job) -> Part:
    """Makes the rows of one shard; runs in a worker. The account counts samples: those without a region are dropped."""
    rows, ledger = [], Ledger()
    for key, members in members_of(job.shards, shard):
        found = list(rows_of(key, msgspec.json.decode(members["json"])))
        ledger += Ledger(rows_in=1, kept=bool(found), dropped={} if found else {"no_region": 1})
        rows += found
    texts = sorted({row["text"] for row in rows})
    place = {text: index for index, text in enumerate(texts)}
    clip = models.load(job.model, job.settings.device, job.plan.settings["model"]["revision"])
    out = io.BytesIO()
    np.save(out, similar(clip.text_embeddings(texts), job.settings.similarity), allow_pickle=False)
    job.target.put(f"{shard}_similar.npy", out.getvalue())
    with job.target.write_part(shard, job.plan.hash, ledger) as file:
        for begin in range(0, len(rows), ROW_GROUP):
            some = [
                row | {"text_id": place[row["text"]], "shard": f"{shard}.tar"}
                for row in rows[begin : begin + ROW_GROUP]
            ]
            file.write(pa.Table.from_pylist(some, schema=schema.load("regions").arrow()))
    return committed(job.target, shard, job.plan)


def rows_of(key: str, facts: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of a sample, by its json: those of each captioner, the surest box first."""
    for name, found in (facts.get("regions") or {}).items():
        for text, score, *box in found:
            yield {"key": key, "uid": facts["uid"], "captioner": name, "text": text, "score": score, "box": box}


def similar(embeddings: np.ndarray, above: float) -> np.ndarray:
    """Pairs (i, j), i < j, of unit vectors (n, width) with a cosine above a limit; int32, shape (pairs, 2), in order."""
    found = [np.zeros((0, 2), np.int32)]
    for begin in range(0, len(embeddings), BLOCK):
        cosines = embeddings[begin : begin + BLOCK] @ embeddings[begin:].T
        one, other = np.nonzero(np.triu(cosines > above, 1))
        found.append((np.stack([one, other], axis=1) + begin).astype(np.int32))
    return np.concatenate(found)


def ignored(text_ids: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Which rows of a batch are no negatives of each other, since they say the same or nearly so; bool, (n, n), False on the diagonal.

    text_ids: int, (n,), of one shard; pairs: what stands in the shard's `_similar.npy`.
    """
    ids = np.asarray(text_ids)
    known, place = np.unique(ids, return_inverse=True)
    alike = np.eye(len(known), dtype=bool)
    ours = pairs[np.isin(pairs, known).all(axis=1)] if len(pairs) else pairs
    at = np.searchsorted(known, ours)
    alike[at[:, 0], at[:, 1]] = alike[at[:, 1], at[:, 0]] = True
    mask = alike[place[:, None], place[None, :]]
    np.fill_diagonal(mask, False)
    return mask
