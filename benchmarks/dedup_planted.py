"""Real pictures and planted copies of them, found by hashes: ours (as the stage does, without Spark) and imagededup's."""

import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from curate.duplicates import edges, hashes, planted
from curate.images.decoding import ImageError, decode
from curate.images.inspecting import inspect

HOSTS = ("stamps.example", "scikit-image.example")
"""Hosts of the demo's pool whose pictures are different things; its emoji are the same ones in other colours and postures."""
DISTANCE = 4
"""Bits, the recipe's default; imagededup is asked for the same."""


def narrow(image: Image.Image) -> Image.Image:
    return image.resize((max(image.width * 3 // 4, 1), max(image.height * 3 // 4, 1)), Image.Resampling.BICUBIC)


def mild(image: Image.Image) -> Image.Image:
    x, y = image.width // 50, image.height // 50
    return image.crop((x, y, image.width - x, image.height - y))


COPIES: dict[str, tuple[Callable[[Image.Image], Image.Image] | None, bool]] = {
    "bytes": (None, True), "png": (lambda image: image, True), "jpeg": (partial(planted.jpeg, quality=75), True),
    "scale": (narrow, True), "crop": (mild, False), "overlay": (planted.overlay, False), "flip": (planted.flip, False),
}  # fmt: skip
"""How a copy is made (None: the bytes), and whether it is a light edit. Others are for embeddings to find."""

Groups = list[list[str]]
"""Files that are said to be one picture, by name."""


def plant(pool: Path, folder: Path) -> dict[str, str]:
    """Writes originals and copies as files; {file: name of its original}.

    What is transparent is laid on white first: imagededup lays it on black, and would compare black pictures with white copies.
    """
    of, seen = {}, set()
    files = (file for host in HOSTS for file in sorted((pool / "www" / host).rglob("*")) if file.is_file())
    for number, file in enumerate(files):
        data, name = file.read_bytes(), f"{number:04d}"
        try:
            image = decode(data)
        except ImageError:
            continue
        if (mark := hashlib.sha256(data).digest()) in seen:
            continue
        seen.add(mark)
        if Image.open(file).has_transparency_data:
            data, file = _copy(image, data, lambda image: image), file.with_suffix(".png")
        made = {"original": data, **{kind: _copy(image, data, edit) for kind, (edit, _) in COPIES.items()}}
        for kind, content in made.items():
            suffix = file.suffix if content is data else ".png"
            (folder / f"{name}-{kind}{suffix}").write_bytes(content)
            of[f"{name}-{kind}{suffix}"] = name
    return of


def ours(folder: str) -> Groups:
    """Bytes, then hashes in buckets of bits, as `jobs.clusters` has them made and sorted by Spark."""
    files = sorted(Path(folder).iterdir())
    facts = [inspect(file.read_bytes(), 10**8) for file in files]
    bits = hashes.parse([fact.phash for fact in facts])
    unique, place = np.unique(bits, return_inverse=True)
    blocks = hashes.blocks_for(len(unique), DISTANCE)
    names = np.array([f"{i:09d}" for i in range(len(unique))], dtype=object)
    ties = []
    for key in hashes.keys(unique, blocks, DISTANCE):
        order = np.lexsort((unique, key))
        table = pa.table(
            {
                "key": key[order].view(np.int64),
                "phash": unique[order].view(np.int64),
                "image_uid": names[order].tolist(),
            }
        )
        ties += edges.perceptual(table.to_batches(), ["key"], DISTANCE)
    root = {name: name for name in names}
    for batch in edges.components(ties):
        root |= dict(zip(batch["a"].to_pylist(), batch["b"].to_pylist(), strict=True))
    groups = defaultdict(list)
    for file, at in zip(files, place.tolist(), strict=True):
        groups[root[names[at]]].append(file.name)
    return list(groups.values())


def imagededup(folder: str) -> Groups:
    from imagededup.methods import PHash

    method = PHash(verbose=False)
    marks = {file.name: method.encode_image(image_file=file) for file in sorted(Path(folder).iterdir())}
    near = method.find_duplicates(encoding_map=marks, max_distance_threshold=DISTANCE, num_dist_workers=0)
    root: dict[str, str] = {}
    for name in sorted(near):  # connected, as ours
        reached, open_ones = set(), [name]
        while open_ones and name not in root:
            one = open_ones.pop()
            if one not in reached:
                reached.add(one)
                open_ones += near[one]
        root |= dict.fromkeys(reached, name)
    groups = defaultdict(list)
    for name, first in root.items():
        groups[first].append(name)
    return list(groups.values())


class Found:
    """What groups say of copies whose originals are known."""

    def __init__(self, groups: Groups, of: Mapping[str, str]):
        self._group = {name: number for number, group in enumerate(groups) for name in group}
        self._of = of
        self._originals = {name: file for file, name in of.items() if "-original" in file}

    def by_kind(self) -> dict[str, float]:
        """Share of copies in one group with their original, by how they were made."""
        return {kind: round(self.recall([kind]), 3) for kind in COPIES}

    def recall(self, kinds: Sequence[str]) -> float:
        mine = self._copies(kinds)
        return sum(self._group[file] == self._group[self._originals[self._of[file]]] for file in mine) / len(mine)

    def precision(self, kinds: Sequence[str]) -> float:
        """Of originals and these copies that go for another one (all but one of each group), the share whose group is theirs.

        The picture that most of a group shows is right; members of another one go for what they are not.
        """
        groups = defaultdict(Counter)
        for file in [*self._originals.values(), *self._copies(kinds)]:
            groups[self._group[file]][self._of[file]] += 1
        dropped = sum(sum(counts.values()) - 1 for counts in groups.values())
        return sum(max(counts.values()) - 1 for counts in groups.values()) / max(dropped, 1)

    def _copies(self, kinds: Sequence[str]) -> list[str]:
        return [file for file in self._of if any(f"-{kind}." in file for kind in kinds)]


def _copy(image: Image.Image, data: bytes, edit: Callable[[Image.Image], Image.Image] | None) -> bytes:
    if edit is None:
        return data
    out = io.BytesIO()
    edit(image).save(out, "PNG")
    return out.getvalue()
