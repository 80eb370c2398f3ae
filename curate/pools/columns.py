"""What a batch of pages holds, in columns: texts in one buffer, images with their addresses and texts, URLs resolved all at once."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from curate.pools import pairing, resolving
from curate.pools.addresses import absolute
from curate.pools.pages import Found
from curate.pools.url_parts import ASK, BAD, NOT_HTTP, OK, TOO_LONG

CHUNK = 16 * 2**20
"""Bytes of URLs that are made at once, at most but for those of one image."""
_LONGER = 3
"""Times that an address may grow: a byte becomes %XX."""


class Texts(NamedTuple):
    """Strings in one buffer: `data[starts[i]:ends[i]]`, UTF-8, where halves of surrogate pairs have three bytes each."""

    data: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def text(self, index: int) -> str:
        return bytes(self.data[self.starts[index] : self.ends[index]]).decode("utf-8", "surrogatepass")

    def with_texts(self, others: dict[int, str]) -> "Texts":
        """The same but for some."""
        if not others:
            return self
        starts, ends, data = self.starts.copy(), self.ends.copy(), bytearray()
        for i, text in others.items():
            starts[i] = len(self.data) + len(data)
            data += text.encode()
            ends[i] = len(self.data) + len(data)
        return Texts(np.concatenate((self.data, np.frombuffer(data, np.uint8))), starts, ends)

    def gathered(self) -> pa.Array:
        """An array of the texts, in which no half of a surrogate pair may be."""
        offsets = np.concatenate(([0], np.cumsum(self.ends - self.starts))).astype(np.int32)
        data = np.empty(offsets[-1], np.uint8)
        pairing.gather(*self, data, offsets)
        return strings(offsets, data)

    def part(self, first: int, last: int) -> "Texts":
        return Texts(self.data, self.starts[first:last], self.ends[first:last])


class Images(NamedTuple):
    """Images of a batch of pages. Image i is on page `pages[i]`; its addresses are `address_of[i]` to `address_of[i + 1]`."""

    pages: np.ndarray
    address_of: np.ndarray
    addresses: Texts
    text_of: np.ndarray
    texts: Texts
    kinds: np.ndarray
    """Of each text, its place in KINDS."""

    def part(self, first: int, last: int) -> "Images":
        a, z = self.address_of[[first, last]]
        b, y = self.text_of[[first, last]]
        return Images(
            self.pages[first:last],
            self.address_of[first : last + 1] - a,
            self.addresses.part(a, z),
            self.text_of[first : last + 1] - b,
            self.texts.part(b, y),
            self.kinds[b:y],
        )


class Urls(NamedTuple):
    """What became of addresses: `texts` are URLs where the state is OK."""

    texts: Texts
    states: np.ndarray


class Bases(NamedTuple):
    """Bases of pages; an empty one is none."""

    texts: Texts
    origins: np.ndarray
    folders: np.ndarray

    @classmethod
    def of(cls, texts: Texts) -> "Bases":
        origins, folders = np.empty(len(texts.starts), np.int64), np.empty(len(texts.starts), np.int64)
        resolving.dissect(*texts, origins, folders)
        return cls(texts, origins, folders)


def strings(offsets: np.ndarray, data: np.ndarray) -> pa.Array:
    """An array of strings by its offsets and its bytes."""
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


def encoded(strings: Sequence[str]) -> Texts:
    """Strings in one buffer."""
    try:
        array = pa.array(strings, pa.large_string())
    except UnicodeEncodeError:  # Half a surrogate pair.
        array = pa.array([string.encode("utf-8", "surrogatepass") for string in strings], pa.large_binary())
    _, offsets, data = array.buffers()
    at = np.frombuffer(offsets, np.int64, len(strings) + 1) if len(strings) else np.zeros(1, np.int64)
    return Texts(np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8), at[:-1], at[1:])


def columns(found: Found) -> Images:
    """Images that were read one by one."""
    return Images(
        np.array(found.pages, np.int32),
        np.array(found.address_of),
        encoded(found.addresses),
        np.array(found.text_of),
        encoded(found.texts),
        np.array(found.kinds, np.int8),
    )


def chunks(images: Images, bases: Bases) -> Iterator[Images]:
    """The images in portions whose URLs fit into CHUNK bytes: a base of a page may be far longer than what is relative to it."""
    bound = np.concatenate(([0], np.cumsum(_room(images.addresses, _pages(images), bases))))[images.address_of]
    first, count = 0, len(images.pages)
    while first < count:
        last = int(np.searchsorted(bound, bound[first] + CHUNK, "right")) - 1
        last = min(max(last, first + 1), count)
        yield images.part(first, last)
        first = last


def urls(images: Images, bases: Bases, limit: int) -> Urls:
    """The URLs of the images' addresses; those of more than `limit` bytes are TOO_LONG."""
    return resolved(images.addresses, _pages(images), bases, limit)


def resolved(addresses: Texts, pages: np.ndarray, bases: Bases, limit: int) -> Urls:
    """Addresses resolved, each against the base of its page, as `absolute` does it."""
    count = len(addresses.starts)
    out = np.empty(int(_room(addresses, pages, bases).sum()), np.uint8)
    starts, ends, states = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int8)
    used = resolving.resolve(
        *addresses, pages, bases.texts.data, bases.texts.starts, bases.origins, bases.folders, limit, out, starts, ends, states
    )  # fmt: skip
    more, known = bytearray(), {}
    for i in np.flatnonzero(states == ASK).tolist():
        asked = int(pages[i]), addresses.text(i)
        if asked not in known:
            known[asked] = _asked(asked[1], bases.texts.text(asked[0]) or None, limit)
        url, states[i] = known[asked]
        starts[i] = used + len(more)
        more += url
        ends[i] = used + len(more)
    out = np.concatenate((out[:used], np.frombuffer(more, np.uint8))) if more else out
    return Urls(Texts(out, starts, ends), states)


def _asked(address: str, base: str | None, limit: int) -> tuple[bytes, int]:
    try:
        url = absolute(address, base)
    except ValueError:
        return b"", BAD
    if not url.startswith(("http://", "https://")):
        return b"", NOT_HTTP
    return (b"", TOO_LONG) if len(url) > limit else (url.encode(), OK)


def _pages(images: Images) -> np.ndarray:
    """The page of each address."""
    return np.repeat(images.pages, np.diff(images.address_of))


def _room(addresses: Texts, pages: np.ndarray, bases: Bases) -> np.ndarray:
    """Bytes that each URL takes at most."""
    base = (bases.texts.ends - bases.texts.starts)[pages]
    return _LONGER * (addresses.ends - addresses.starts) + base + 1
