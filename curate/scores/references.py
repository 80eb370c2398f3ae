"""A reference set of raw vectors that lies elsewhere: in an `.npz`, or in the scores of the same model in another workdir."""

import io
from typing import Any

import numpy as np
import xxhash

from curate.draw import draw
from curate.facts.contract import vectors
from curate.ledger import alive
from curate.scores.derived import Arrays, TargetError
from curate.storage import located
from curate.store import Dataset

ARRAYS = {"image": "image_embedding", "text": "text_embedding"}
COLUMNS = ("uid", "state", *ARRAYS.values(), "image_length", "text_length")
MAX_BYTES = 2**32
"""Of an `.npz`, which is read whole."""


def fingerprint(place: str) -> str:
    """What decides the vectors of a reference set. TargetError where there is none."""
    fs, path = located(place)
    if not place.endswith(".npz"):
        return _dataset(place).fingerprint
    try:
        size = int(fs.size(path) or 0)
        if size > MAX_BYTES:
            raise TargetError(f"{place} has {size:,} bytes, and a reference set is read whole: at most {MAX_BYTES:,}")
        return xxhash.xxh3_128_hexdigest(fs.cat_file(path))
    except FileNotFoundError as error:
        raise TargetError(f"score.scorers: the reference {place} is not there") from error


def read(place: str, most: int, seed: int, width: int, revision: str) -> Arrays:
    """{"uid", "image", "text"}: at most `most` pairs, drawn by hash; vectors float32 of shape (n, width), as the model gives them.

    Pairs of an `.npz` have no uid, and are drawn by their place. Holds twice as many as are asked for, whatever the table. TargetError
    for vectors of another width, and scores of another model.
    """
    found = _of_file(place, most, seed) if place.endswith(".npz") else _of_table(place, most, seed, revision)
    for name in ARRAYS:
        if (
            found[name].ndim != 2
            or found[name].shape != (len(found["uid"]), width)
            or not np.isfinite(found[name]).all()
        ):
            raise TargetError(
                f"{place}: {name} has to be finite numbers of shape (n, {width}), and is {found[name].shape}"
            )
    if not len(found["uid"]):
        raise TargetError(f"{place} has no vectors")
    return found


def _of_file(place: str, most: int, seed: int) -> Arrays:
    fs, path = located(place)
    try:
        with np.load(io.BytesIO(fs.cat_file(path)), allow_pickle=False) as file:
            whole = {name: np.asarray(file[name]).astype(np.float32) for name in ARRAYS}
    except (ValueError, OSError, KeyError, EOFError) as error:
        raise TargetError(f"{place} is no .npz with the arrays {', '.join(ARRAYS)}: {error}") from error
    if len({len(values) for values in whole.values()}) > 1:
        raise TargetError(f"{place}: image and text are no pairs: {[len(values) for values in whole.values()]}")
    rows = len(whole["image"])
    least = least_drawn(draw(seed, "hype", map(str, range(rows))), np.arange(rows), most)
    return {name: values[least] for name, values in whole.items()} | {"uid": np.full(len(least), b"", "S32")}


def _of_table(place: str, most: int, seed: int, revision: str) -> Arrays:
    data, held = _dataset(place), dict[str, np.ndarray]()
    made_by = data.require().plan.settings.get("revision")
    if made_by != revision:
        raise TargetError(f"{place} has the scores of another model ({made_by}) than this one ({revision})")
    for table in data.batches(COLUMNS):
        kept = table.filter(alive(table["state"]))
        if len(kept):
            mine = {
                "draw": draw(seed, "hype", kept["uid"].to_pylist()),
                "uid": np.array(kept["uid"].to_pylist(), "S32"),
            }
            mine |= {
                name: raw(vectors(kept[column]), kept[f"{name}_length"].to_numpy()) for name, column in ARRAYS.items()
            }
            held = thinned([held, mine] if held else [mine], most)
    if not held:
        raise TargetError(f"{place} has no vectors")
    return {name: held[name] for name in ("uid", *ARRAYS)}


def thinned(pieces: list[Arrays], most: int) -> Arrays:
    """Of several pieces with `draw` and `uid`, the rows with the least draws, in the order of their uids."""
    whole = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    least = least_drawn(whole["draw"], whole["uid"], most)
    return {name: values[least] for name, values in whole.items()}


def least_drawn(draws: np.ndarray, names: np.ndarray, most: int) -> np.ndarray:
    """Places of the `most` least draws, ties by name, in the order of the names."""
    least = np.lexsort((names, draws))[:most]
    return least[np.argsort(names[least], kind="stable")]


def raw(units: np.ndarray, lengths: Any) -> np.ndarray:
    """Vectors with their own lengths, float32, shape (n, width), from those of length 1."""
    return (units * np.asarray(lengths, np.float32)[:, None]).astype(np.float32)


def _dataset(place: str) -> Dataset:
    """The table of scores whose folder a path is: `<workdir>/scores/<name>`."""
    workdir, _, name = place.rstrip("/").rpartition("/scores/")
    if not workdir:
        raise TargetError(
            f"score.scorers: the reference {place!r} is neither an .npz nor a table of scores (WORKDIR/scores/NAME)"
        )
    return Dataset(workdir, f"scores/{name}")
