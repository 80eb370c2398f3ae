"""Trusted sets: tars from anywhere, looked through once before a filter network is trained on them.

What was found in a tar is written down, a row for each key. Training reads the tars again and takes what was kept there and nothing
else, each sample checked by its content, so that a network's card speaks of the very bytes that it was trained on.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
import pyarrow as pa
import xxhash

from curate import parts, schema
from curate.images.decoding import ImageError
from curate.images.inspecting import inspect
from curate.ledger import DROPPED, FAILED, KEPT
from curate.pools.candidates import Account
from curate.storage import located
from curate.store import MANIFEST, ROW_GROUP, Dataset, Part, Plan, part_name
from curate.training.shards import Sample, TrainingError
from curate.training.tars import Found, read

SUFFIX = ".tar"
PLACES = "_tars.json"
"""Beside an index, where the tar of each part is. It is no part of what the index is: a set that was moved is the same set."""


def tars_of(shards: str | Sequence[str], where: str) -> dict[str, str]:
    """{part: path or URL of its tar}, tars in the order of their paths. TrainingError, naming the setting `where`, for places
    without any."""
    found = []
    for place in [shards] if isinstance(shards, str) else shards:
        fs, root = located(place)
        if fs.exists(f"{root.rstrip('/')}/{MANIFEST}"):
            at = root.rstrip("/")
            own = [f"{at}/{part.name}{SUFFIX}" for part in _dataset(place).require().parts if part.rows]
            found += [fs.unstrip_protocol(path) for path in own]
            continue
        pattern = root if any(sign in root for sign in "*?[") else f"{root.rstrip('/')}/*{SUFFIX}"
        some = [root] if root.endswith(SUFFIX) and fs.isfile(root) else sorted(fs.glob(pattern))
        some = [path for path in some if path.endswith(SUFFIX)]
        if not some:
            raise TrainingError(
                f"{where}: no tars at {place}: it takes a dataset of shards, a folder with *{SUFFIX}, a tar, or a glob"
            )
        found += [fs.unstrip_protocol(path) for path in some]
    if not found:
        raise TrainingError(f"{where}: the shards at {shards} have no samples")
    return {part_name(index): path for index, path in enumerate(sorted(set(found)))}


def mark(tars: Mapping[str, str]) -> str:
    """What tars are known by before they are read: names and sizes. Their content stands in the index, and training checks it."""
    digest = xxhash.xxh3_128()
    for path in tars.values():
        fs, root = located(path)
        digest.update(f"{root.rpartition('/')[2]}\0{fs.size(root)}\0".encode())
    return digest.hexdigest()


def index_part(part: str, *, tars: Mapping[str, str], target: Dataset, plan: Plan, max_pixels: int) -> Part:
    """Looks through one tar; runs in a worker. Holds one sample at a time."""
    account = Account()
    with target.write_part(part, plan.hash) as out:
        rows = (_row(found, max_pixels) for found in read(tars[part], account))
        while some := list(islice(rows, ROW_GROUP)):
            out.write(pa.Table.from_pylist(some, schema=schema.load("trusted").arrow()))
        out.note(**dict(account.notes))
    return parts.committed(target, part, plan)


def put_places(index: Dataset, tars: Mapping[str, str]) -> None:
    """Notes where the tars are, for the processes that train on them."""
    index.put(PLACES, msgspec.json.encode(tars))


def check(index: Dataset, where: str) -> None:
    """TrainingError for a set of which nothing can be trained on, with what became of it."""
    ledger = index.require().ledger
    if not ledger.kept:
        lost = ", ".join(f"{count:,} {reason}" for reason, count in (ledger.dropped | ledger.failed).items())
        raise TrainingError(
            f"{where}: no sample with an image and a text in its tars: {ledger.rows_in:,} keys"
            + (f", of them {lost}" if lost else "")
            + (f"; {ledger.notes['broken_places']:,} places are broken" if ledger.notes.get("broken_places") else "")
            + ". A sample is `KEY.jpg` (or another image) with `KEY.txt`, or with `KEY.json` that has `caption` or `texts`"
        )


class Indexed:
    """A trusted set as training reads it, by the index that was made of it."""

    def __init__(self, index: Dataset):
        self.sizes = {part.name: part.ledger.kept for part in index.require().parts if part.ledger.kept}
        """Samples of each tar that has any."""
        self._index = index
        self._tars = msgspec.json.decode(index.fs.cat_file(index.path(PLACES)), type=dict[str, str])

    def nbytes(self, part: str) -> int:
        fs, path = located(self._tars[part])
        return int(fs.size(path) or 0)

    def read(self, part: str) -> Iterator[Sample]:
        """The kept samples of a tar, in order. TrainingError when they are not what was found before."""
        tar = self._tars[part]
        samples = read(tar, Account())
        with self._index.open_part(part) as file:
            for batch in file.iter_batches(columns=["key", "state", "content"], use_threads=False):
                for row in batch.to_pylist():
                    found = next(samples, None)
                    same = found is not None and found.key == row["key"]
                    if found is None or not same or (row["state"] == KEPT and found.content != row["content"]):
                        raise TrainingError(
                            f"{tar}: sample {row['key']} is not what it was when the set was looked through. Remove "
                            f"{self._index.root}, and begin again with `--redo filter-network`"
                        )
                    if row["state"] == KEPT:
                        yield Sample(
                            found.key,
                            found.image,
                            found.words.texts,
                            choices=found.words.choices,
                            odds=found.words.odds,
                        )


def _row(found: Found, max_pixels: int) -> dict[str, Any]:
    row: dict[str, Any] = {"key": found.key, "state": KEPT, "reason": found.reason, "texts": len(found.words.texts)}
    if found.reason is None:
        try:
            facts = inspect(found.image, max_pixels)
            return row | {"sha256": facts.sha256, "phash": facts.phash, "content": found.content}
        except ImageError as error:
            row["reason"] = "too_many_pixels" if error.status == "too_many_pixels" else "undecodable"
    row["state"] = DROPPED if row["reason"] in schema.load("trusted").dropped else FAILED
    return row


def _dataset(place: str) -> Dataset:
    """The dataset whose folder a path is."""
    workdir, _, name = place.rstrip("/").rpartition("/")
    return Dataset(workdir or ".", name)
