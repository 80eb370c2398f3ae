"""What a model says it was trained on: `disclosure.json` in its folder, written with the weights, read by whoever scores with them."""

from pathlib import Path
from typing import Any

import msgspec

from curate.weights import FOLDER, Model, ModelError, locate, sha256

FILE = "disclosure.json"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A set that a model was trained on."""

    name: str
    about: str
    includes: tuple[str, ...]
    """Benchmarks whose training images are in it, as the recipe says."""
    fingerprint: str
    """Of the index of all its samples."""
    tars: int
    samples: int
    left_out: dict[str, int]
    """Samples that were not trained on, by reason or status."""
    broken_places: int
    samples_seen: int
    settings: dict[str, Any]
    overlap: dict[str, dict[str, int]]
    """Evaluation set -> images of it in this set, by way (sha256, phash)."""


class Disclosure(msgspec.Struct, frozen=True, kw_only=True):
    """What a model was trained on, in the order of its trainings."""

    weights_sha256: str
    objective: str
    seed: int
    code: str
    samples_seen: int
    trained_on: tuple[Seen, ...]
    phash_distance: int
    """Bits within which perceptual hashes were held to be of one picture; -1: they were not compared."""
    warnings: tuple[str, ...]


def of(model: Model) -> Disclosure | None:
    """What a model in a folder says; None for one that says nothing.

    Raises ModelError for a disclosure that cannot be read, and for one of other weights than those beside it: then nobody knows what
    these were trained on.
    """
    folder = Path(model.model.removeprefix(FOLDER))
    if not model.model.startswith(FOLDER) or not (folder / FILE).is_file():
        return None
    try:
        told = msgspec.json.decode((folder / FILE).read_bytes(), type=Disclosure)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{folder / FILE} is no disclosure of a model: {error}") from error
    if told.weights_sha256 != sha256(locate(model).weights):
        raise ModelError(
            f"{folder / FILE} speaks of other weights than those beside it: put the right ones there, or remove it if you know what they "
            "were trained on"
        )
    return told
