"""Aligned tables of a made-up pool, as select's function is given them."""

import pyarrow as pa

from curate.recipe import Model, Rule, Score, Select
from curate.scores.settings import Clusters, Pixels, Text
from curate.selection.resolving import resolve

IMAGES = {
    "text": pa.string(), "lang": pa.string(), "width": pa.int32(), "height": pa.int32(), "nbytes": pa.int64(), "format": pa.string(),
    "url": pa.string(), "curated": pa.bool_(), "state": pa.string(),
}  # fmt: skip
ROW = {
    "text": "a red house on a hill", "lang": "en", "width": 640, "height": 480, "nbytes": 90_000, "format": "jpeg",
    "url": "https://a.example/1.jpg", "curated": True, "state": "kept", "duplicate": "kept",
}  # fmt: skip
SCORES = {
    "clip": {"similarity_score": pa.float32()},
    "text": {"imagenet21k": pa.string(), "repetition": pa.float32(), "words": pa.int32()},
    "clusters": {"cluster": pa.int32(), "near_target": pa.bool_()},
    "pixels": {"near_constant": pa.bool_(), "frames": pa.int32(), "contrast": pa.float32()},
}
USUAL = {"clip.similarity_score": 0.3, "text.imagenet21k": "n02084071", "text.repetition": 0.0, "text.words": 6, "clusters.cluster": 1,
         "clusters.near_target": True, "pixels.near_constant": False, "pixels.frames": 1, "pixels.contrast": 0.2}  # fmt: skip


def tables(rows: list[dict]) -> dict[str, pa.Table]:
    """Each row as what differs from ROW and USUAL; `clip.state` and its like say how a score went."""
    uids = [f"{i:032x}" for i in range(len(rows))]
    full = [ROW | USUAL | row for row in rows]
    images = {name: pa.array([row[name] for row in full], kind) for name, kind in IMAGES.items()}
    images |= {
        "uid": pa.array(uids),
        "image_uid": pa.array([row.get("image", uid) for row, uid in zip(full, uids, strict=True)]),
    }
    found = {
        "images": pa.table(images),
        "duplicates": pa.table({"uid": uids, "state": [row["duplicate"] for row in full]}),
    }
    for name, columns in SCORES.items():
        values = {column: pa.array([row[f"{name}.{column}"] for row in full], kind) for column, kind in columns.items()}
        states = [row.get(f"{name}.state", "kept") for row in full]
        found[f"scores/{name}"] = pa.table({"uid": uids, "state": states} | values)
    return found


SCORE = Score(
    models=(Model(name="clip", model="ViT-B-32"),), scorers=(Text(), Pixels(), Clusters(model="clip", target="x"))
)


def rules(*own: Rule, preset: str | None = None, score: Score = SCORE, **settings) -> tuple[Rule, ...]:
    return resolve(Select(preset=preset, rules=own, **settings), score)
