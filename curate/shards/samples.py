"""From the aligned tables to samples: one per image, with all its selected texts and the chosen one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.draw import draw
from curate.images import generations
from curate.images.archive import images_of
from curate.ledger import KEPT
from curate.parts import Inputs, zipped
from curate.shards.captions import Texts
from curate.shards.matched import SIDES, aligned, with_matches
from curate.shards.policies import ALT
from curate.store import Dataset

Policy = Literal["first", "best", "draw"]
Members = Callable[..., pa.ChunkedArray]
"""Boolean mask of the rows that belong to a set, from the aligned tables (by keyword)."""

CARRIED = ("uid", "image_uid", "url", "text", "lang", "page_url", "sha256", "width", "height", "format")
"""Columns of `images` that a sample's json carries."""


NO_CAPTIONS = Texts()
FACES = "face_bboxes"
"""Of a sample whose faces are to be blurred: where they are; null where nobody could look."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """An image with its texts; `rows` are its selected rows, `chosen` the one whose text stands in `.txt`."""

    image_uid: str
    rows: list[dict[str, Any]]
    chosen: dict[str, Any]
    data: bytes | None
    """Bytes as fetched; None when they are not in the archive."""
    text: str | None = None
    """What stands in `.txt`: one of the chosen row's captions, or its alt text; None means the alt text."""
    source: str = ALT
    """`alt`, or the captioner."""


def curated(*, selection: pa.Table, **_: pa.Table) -> pa.ChunkedArray:
    """Rows of the curated set: those that `select` kept."""
    return pc.equal(selection["state"], KEPT)


def raw(*, images: pa.Table, duplicates: pa.Table, **_: pa.Table) -> pa.ChunkedArray:
    """Rows of the raw baseline: everything drawn for it that was fetched, less what an evaluation set holds."""
    held_out = pc.fill_null(pc.equal(duplicates["reason"], "in_evaluation_set"), False)
    return pc.and_(pc.and_(images["baseline"], pc.equal(images["state"], KEPT)), pc.invert(held_out))


def table_inputs(
    workdir: str, models: Sequence[str], faces: str | None = None, texts: Texts = NO_CAPTIONS
) -> dict[str, tuple[Dataset, Sequence[str]]]:
    """The tables that samples are made of; scores under the keyword `scores_<name>`, faces that are to be blurred under `faces`, captions
    under `captions_<name>`."""
    inputs: dict[str, tuple[Dataset, Sequence[str]]] = {
        "images": (generations.newest(workdir), [*CARRIED, "state", "baseline"]),
        "duplicates": (Dataset(workdir, "duplicates"), ["reason"]),
        "selection": (Dataset(workdir, "selection"), ["state"]),
    }
    for model in models:
        inputs[f"scores_{model}"] = (Dataset(workdir, f"scores/{model}"), ["similarity_score"])
    if faces is not None:
        inputs["faces"] = (Dataset(workdir, f"scores/{faces}"), [FACES])
    return inputs | texts.inputs(workdir) | {name: (Dataset(workdir, name), columns) for name, columns in SIDES.items()}


def rows_of(part: str, inputs: Inputs, members: Members, texts: Texts = NO_CAPTIONS) -> Iterator[dict[str, Any]]:
    """Yields the rows of a set in a part, as dicts; a model's similarity is `<model>_similarity_score`. Where captions travel, each row
    has them under `captions`, and under `choice` what may stand for its text."""
    for tables in with_matches(part, inputs):
        table = tables["images"].select(CARRIED)
        for column in ("entries", "keep_probability"):
            table = table.append_column(column, tables["matched"][column])
        for name, scores in tables.items():
            if name.startswith("scores_"):
                column = f"{name.removeprefix('scores_')}_similarity_score"
                table = table.append_column(column, scores["similarity_score"])
        if "faces" in tables:
            table = table.append_column(FACES, tables["faces"][FACES])
        mask = members(**tables)
        rows = table.filter(mask).to_pylist()
        if texts.carry:
            texts.beside(rows, tables, mask)
        yield from rows


def count(part: str, inputs: Inputs, members: Members) -> int:
    """How many images of a part have a row in the set."""
    images, last = 0, None
    for tables in zipped(part, aligned(inputs)):
        uids = tables["images"]["image_uid"].filter(members(**tables)).to_pylist()
        for uid in uids:
            images, last = images + (uid != last), uid
    return images


def samples_of(
    part: str,
    inputs: Inputs,
    members: Members,
    choose: Callable[[list[dict[str, Any]]], dict[str, Any]],
    texts: Texts = NO_CAPTIONS,
) -> Iterator[Sample]:
    """Yields the samples of a part in row order (by image uid). Holds one image at a time."""
    archive = images_of(inputs["images"][0], part)
    at: tuple[str, bytes] | None = next(archive, None)
    for uid, group in groupby(rows_of(part, inputs, members, texts), key=lambda row: row["image_uid"]):
        rows = list(group)
        # Rows and archive are both ordered by image uid, so one pass over each finds every image.
        while at is not None and at[0] < uid:
            at = next(archive, None)
        data = at[1] if at is not None and at[0] == uid else None
        chosen = choose(rows)
        drawn = texts.drawn(chosen) if texts.carry else (None, ALT)
        yield Sample(image_uid=uid, rows=rows, chosen=chosen, data=data, text=drawn[0], source=drawn[1])


def policy_for(asked: Policy, curated: bool, models: Sequence[str]) -> Policy:
    """The policy of a set. The raw set takes no advice from a score, so its texts are drawn; without scores no text is the best."""
    if not curated:
        return "draw"
    return "first" if asked == "best" and not models else asked


def chooser(policy: Policy, seed: int, model: str | None) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    """Which of an image's rows gives the text. Ties of `best` go to the smaller uid; `draw` is a hash of (seed, uid)."""

    def first(rows: list[dict[str, Any]]) -> dict[str, Any]:
        return min(rows, key=lambda row: row["uid"])

    def best(rows: list[dict[str, Any]]) -> dict[str, Any]:
        column = f"{model}_similarity_score"
        return min(rows, key=lambda row: (-np.float64(row[column] if row[column] is not None else -2), row["uid"]))

    def drawn(rows: list[dict[str, Any]]) -> dict[str, Any]:
        return rows[int(np.argmin(draw(seed, "text", [row["uid"] for row in rows])))]

    return {"first": first, "best": best, "draw": drawn}[policy]


def slices(counts: Mapping[str, int], samples: int) -> list[list[tuple[str, int, int]]]:
    """Cuts the samples of all parts, in order, into even shards of at most `samples`.

    Returns for each shard a list of (part, first sample, number of samples). Even, because data-parallel training
    waits for the longest: sizes differ by one at most.
    """
    everything = sum(counts.values())
    shards = -(-everything // samples)
    edges = [everything * i // shards for i in range(shards + 1)] if shards else [0]
    cut: list[list[tuple[str, int, int]]] = [[] for _ in range(shards)]
    offset = 0
    for part, size in counts.items():
        for shard in range(shards):
            low, high = max(edges[shard], offset), min(edges[shard + 1], offset + size)
            if low < high:
                cut[shard].append((part, low - offset, high - low))
        offset += size
    return cut
