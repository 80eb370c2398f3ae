"""What is compared: images, not pairs. One node for each image with at least one living row."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from curate.draw import draw
from curate.duplicates import embeddings, hashes
from curate.duplicates.overlap import Held
from curate.ledger import alive
from curate.parts import zipped
from curate.store import Dataset

NODE = (
    "part string, image_uid string, curated boolean, side int, similarity double, seen string, sha256 string, phash long, "
    "held string"
)
VECTOR = "image_uid string, cluster int, embedding binary"
FACTS = ("image_uid", "state", "curated", "width", "height", "sha256", "phash")


@dataclass(frozen=True)
class Source:
    """The images, and the score table of the model whose scores and embeddings count (None: neither).

    pairs: where the order in which the pool names them counts; date: the fact of theirs that goes before it.
    """

    images: Dataset
    scores: Dataset | None
    pairs: Dataset | None = None
    date: str | None = None

    def inputs(self, images: tuple[str, ...], scores: tuple[str, ...]) -> dict:
        inputs = {"images": (self.images, images)}
        return inputs | ({"scores": (self.scores, scores)} if self.scores else {})


def living(images: pa.Table, scores: pa.Table | None = None) -> pa.ChunkedArray:
    """Mask of the rows that were fetched and, where a model is asked, scored."""
    here = alive(images["state"])
    return here if scores is None else pc.and_(here, alive(scores["state"]))


def nodes(part: str, source: Source, held: Held, distance: int) -> Iterator[pa.Table]:
    """The nodes of a part, columns of NODE.

    curated: some living row is; side: the shorter one, in pixels (a banner has
    more pixels than the picture it was stretched from, and shows less); similarity: the best of its living rows, null without scores; seen:
    where the pool names it first, as text that sorts so, null where that is not asked; phash: its 64 bits as int64; held: how an
    evaluation set was found to have this image (overlap.WAYS), null for others.
    """
    places = Places(part, source)
    wanted = ("state", "similarity_score", *(["image_embedding"] if held.embedded else []))
    for rows in living_rows(part, source, ("uid", *FACTS), wanted):
        starts = _starts(rows)
        first = rows.take(starts)
        bits = hashes.parse(first["phash"].to_pylist())
        similarity, embedded = pa.nulls(len(first), pa.float64()), None
        if held.embedded:
            embedded = embeddings.unit(_matrix(first))
        if source.scores:
            similarity = pa.array(np.maximum.reduceat(rows["similarity_score"].to_numpy().astype(np.float64), starts))
        yield pa.table(
            {
                "part": pa.array([part] * len(first)),
                "image_uid": first["image_uid"],
                "curated": pa.array(np.logical_or.reduceat(rows["curated"].to_numpy(), starts)),
                "side": pc.min_element_wise(first["width"], first["height"]),
                "similarity": similarity,
                "seen": places.first(rows["uid"].to_pylist(), starts),
                "sha256": first["sha256"],
                "phash": pa.array(bits.view(np.int64)),
                "held": pa.array(held.found(first["sha256"].to_pylist(), bits, distance, embedded), pa.string()),
            }
        )


class Places:
    """Where the pool names the pairs of a part, as text that sorts in time: a date where there is one, file, place."""

    def __init__(self, part: str, source: Source):
        self._at: dict[str, str] | None = None
        if source.pairs is None:
            return
        columns = ["uid", "crawl_file", "record_offset", *(["facts"] if source.date else [])]
        rows = source.pairs.read_part(part, columns).to_pydict()
        dates = [_date(facts, source.date) for facts in rows["facts"]] if source.date else [""] * len(rows["uid"])
        places = zip(dates, rows["crawl_file"], rows["record_offset"], strict=True)
        self._at = dict(zip(rows["uid"], (f"{d}\0{f}\0{at:020d}" for d, f, at in places), strict=True))

    def first(self, uids: list[str], starts: np.ndarray) -> pa.Array:
        """The first place of each group of pairs, groups beginning at `starts`; null where places are not asked."""
        if self._at is None:
            return pa.nulls(len(starts), pa.string())
        ends = [*starts[1:].tolist(), len(uids)]
        return pa.array([min(self._at[u] for u in uids[a:b]) for a, b in zip(starts.tolist(), ends, strict=True)])


def _date(facts: str | None, name: str | None) -> str:
    """The fact as text; what has none sorts behind every date."""
    found = orjson.loads(facts).get(name) if facts else None
    return str(found) if found not in (None, "") else "~"


def vectors(part: str, source: Source, centres: np.ndarray | None) -> Iterator[pa.Table]:
    """The embedding of each node of a part and its cluster, columns of VECTOR.

    Clusters are assigned a row group at a time, so that rounding does not depend on how an engine cuts batches.
    """
    for rows in living_rows(part, source, ("image_uid", "state"), ("state", "image_embedding")):
        first = rows.take(_starts(rows))
        packed = embeddings.pack(_matrix(first))
        cluster = embeddings.assign(embeddings.unpack(packed), centres)
        yield pa.table({"image_uid": first["image_uid"], "cluster": pa.array(cluster), "embedding": packed})


def sampled(part: str, source: Source, seed: int, share: float) -> Iterator[pa.Table]:
    """The vectors of a share of a part's nodes, drawn by hash, for k-means."""
    for table in vectors(part, source, None):
        yield table.filter(pa.array(draw(seed, "dedup k-means", table["image_uid"].to_pylist()) < share))


def _matrix(rows: pa.Table) -> np.ndarray:
    """Embeddings of rows as float16, shape (n, width)."""
    column = rows["image_embedding"].combine_chunks()
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(rows), -1)


def living_rows(part: str, source: Source, images: tuple[str, ...], scores: tuple[str, ...]) -> Iterator[pa.Table]:
    """Living rows with the columns of both tables; all rows of an image come together, even across row groups."""
    held: pa.Table | None = None
    for tables in zipped(part, source.inputs(images, scores)):
        scored = tables.get("scores")
        rows = tables["images"]
        for name in scores if scored is not None else ():
            rows = rows if name == "state" else rows.append_column(name, scored[name])
        rows = rows.filter(living(tables["images"], scored))
        rows = rows if held is None else pa.concat_tables([held, rows])
        if not len(rows):
            continue
        last = int(_starts(rows)[-1])
        if last:
            yield rows.slice(0, last).combine_chunks()
        held = rows.slice(last)
    if held is not None and len(held):
        yield held.combine_chunks()


def _starts(rows: pa.Table) -> np.ndarray:
    """The first row of each image; rows of one image are adjacent."""
    uids = rows["image_uid"].to_numpy()
    return np.flatnonzero(np.append(True, uids[1:] != uids[:-1]))
