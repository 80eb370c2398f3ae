"""Samples in tars from anywhere; nothing of what a tar says is believed."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, BinaryIO, NamedTuple

import msgspec
import xxhash

from curate import schema
from curate.pools.candidates import Account, repaired
from curate.pools.files import safe
from curate.pools.tar_members import members
from curate.settings import Share
from curate.shards.reading import IMAGES
from curate.storage import located
from curate.training.shards import TrainingError

TEXTS = ("txt", "json")
MAX_IMAGE, MAX_TEXT = 2**26, 2**20
"""Bytes of a member that is read."""
MAX_MEMBERS = 1000
"""Members of a key that are looked at; a hostile tar may have one key for all."""
MAX_KEYS = 2**20
"""Keys of a tar that are remembered, to tell which come again."""


class Words(msgspec.Struct, frozen=True):
    """What the json of our own shards says of a sample's texts; see `curate.training.shards.Sample`."""

    texts: tuple[str, ...] = ()
    choices: tuple[tuple[str, ...], ...] = ()
    odds: tuple[tuple[Share, ...], ...] = ()

    def fit(self) -> bool:
        """Whether the lists belong together."""
        sides = [(len(choices), len(odds)) for choices, odds in zip(self.choices, self.odds, strict=False)]
        lengths = {len(self.choices), len(self.odds)}
        return all(self.texts) and (
            lengths == {0} or (lengths == {len(self.texts)} and all(n == m > 0 for n, m in sides))
        )


class Found(NamedTuple):
    """What stands under one key; `reason`: why it is no sample."""

    key: str
    image: bytes
    words: Words
    reason: str | None

    @property
    def content(self) -> str:
        """xxh3-128 over the image, the texts and what may stand for them."""
        return xxhash.xxh3_128(msgspec.json.encode(self.words) + self.image).hexdigest()


def read(tar: str, account: Account) -> Iterator[Found]:
    """What stands under each key of a tar, in order; nothing of it is believed. Broken places go into the account."""
    seen: set[int] = set()
    fs, path = located(tar)
    try:
        size = int(fs.size(path) or 0)
        with fs.open(path, "rb") as file:
            for key, group in groupby(_members(file, tar, size, account), key=lambda member: member[0]):
                some = [member[1:] for member in islice(group, MAX_MEMBERS)]
                name = xxhash.xxh3_64_intdigest(key.encode())
                if name in seen:
                    yield Found(key, b"", Words(), "repeated_key")
                    continue
                if len(seen) < MAX_KEYS:
                    seen.add(name)
                yield _found(key, some, file)
    except FileNotFoundError as error:
        raise TrainingError(f"{tar} is not there any more") from error


def _members(file: BinaryIO, tar: str, size: int, account: Account) -> Iterator[tuple[str, str, int, int]]:
    """(key, suffix, offset, bytes) of each image and text. A key is what stands before the first dot, folder included."""
    for info in members(file, tar, size, account):
        name = repaired(info.name)
        folder, slash, base = name.rpartition("/")
        key, _, suffixes = base.partition(".")
        suffix = suffixes.rpartition(".")[2].lower()
        if info.isdir():
            continue
        if not (info.isreg() and not info.issparse() and safe(name) == name.removeprefix("./")):
            account.notes["unsafe_members"] += 1
        elif not key or suffix not in (*IMAGES, *TEXTS):
            account.notes["other_members"] += 1
        else:
            yield folder + slash + key, suffix, info.offset_data, info.size


def _found(key: str, some: Sequence[tuple[str, int, int]], file: BinaryIO) -> Found:
    there = {suffix: (offset, size) for suffix, offset, size in reversed(some)}
    image = next((there[suffix] for suffix in IMAGES if suffix in there), None)
    if image is None:
        return Found(key, b"", Words(), "no_image")
    told = {suffix: there[suffix] for suffix in TEXTS if suffix in there}
    if image[1] > MAX_IMAGE or any(size > MAX_TEXT for _, size in told.values()):
        return Found(key, b"", Words(), "too_many_bytes")
    words = _words({suffix: _bytes(file, *at) for suffix, at in told.items()})
    if not words.texts:
        return Found(key, b"", Words(), "no_text")
    return Found(key, _bytes(file, *image), words, None)


def _bytes(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _words(told: Mapping[str, bytes]) -> Words:
    """The texts that `.json` lists as our shards do; else that of `.txt`; else the json's own, under any name that the field has."""
    data = told.get("json", b"{}")
    try:
        own = msgspec.json.decode(data, type=Words)
        if own.texts and own.fit():
            return own
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        facts = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        facts = {}
    candidates: list[Any] = [told["txt"].decode("utf-8", "replace")] if "txt" in told else []
    if isinstance(facts, dict):
        candidates += [facts.get(name) for name in ("text", *schema.load("pairs").columns["text"].aliases)]
    found = (repaired(text).strip() for text in candidates if isinstance(text, str))
    return Words(texts=tuple(islice(filter(None, found), 1)))
