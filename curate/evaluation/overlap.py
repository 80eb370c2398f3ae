"""The proof that no training saw an evaluation set: its images' hashes against everything in the shards."""

from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.evaluation.sets import EvaluationError, Prints
from curate.store import Dataset

Near = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""(hashes, references, distance) -> which hashes have a reference within that many bits: bool, shape (hashes,)."""
NAMED = 5


def look_alikes(batches: Iterable[pa.Table], prints: Prints, distance: int, near: Near) -> dict[str, str]:
    """Fetched images that look like an evaluation image: {image_uid: path of that image}.

    `batches` have the columns image_uid and phash (16 hex digits or null). Holds only what was found.
    """
    found: dict[str, str] = {}
    if distance < 0:
        return found
    for batch in batches:
        hashed = batch.filter(pc.is_valid(batch["phash"]))
        bits = np.fromiter((int(text, 16) for text in hashed["phash"].to_pylist()), np.uint64, len(hashed))
        for row in np.flatnonzero(near(bits, prints.phash, distance)):
            nearest = int(np.argmin(np.bitwise_count(prints.phash ^ bits[row])))
            found[hashed["image_uid"][int(row)].as_py()] = prints.paths[nearest]
    return found


def check(name: str, shards: Dataset, prints: Prints, alike: dict[str, str]) -> dict[str, int]:
    """{"sha256": 0, "phash": 0, "training_images": n} of a training set. EvaluationError when it saw the evaluation set.

    Reads the shards' index a batch at a time.
    """
    known, exact, perceptual, images = dict(zip(prints.sha256, prints.paths, strict=True)), [], [], 0
    for batch in shards.batches(["image_uid", "sha256", "url"]):
        images += len(batch)
        same = pc.is_in(batch["sha256"], value_set=pa.array(known, pa.string()))
        close = pc.is_in(batch["image_uid"], value_set=pa.array(alike, pa.string()))
        exact += [f"{row['url']} is {known[row['sha256']]}" for row in batch.filter(same).to_pylist()]
        perceptual += [f"{row['url']} looks like {alike[row['image_uid']]}" for row in batch.filter(close).to_pylist()]
    if exact or perceptual:
        named = [*exact, *perceptual]
        more = f", and {len(named) - NAMED} more" if len(named) > NAMED else ""
        raise EvaluationError(
            f"evaluation set {name}: {shards.name} holds {len(exact)} of its images by sha256 and {len(perceptual)} by "
            f"perceptual hash: {'; '.join(named[:NAMED])}{more}. Its numbers would be worth nothing: name the set in the "
            "recipe before dedup runs, and run from there again with `--redo dedup`"
        )
    return {"sha256": 0, "phash": 0, "training_images": images}
