"""Candidate rows of pages: one for each address and text of each image, or a reason why there is none.

Pages come in batches, and what they hold in columns: a row costs no Python object of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from curate import schema
from curate.pools import columns, pairing, url_parts
from curate.pools.addresses import absolute
from curate.pools.candidates import MAX_LANG, MAX_ROBOTS, Account, repaired
from curate.pools.pages import KINDS, Page
from curate.recipe import Extract

_ANY = 2**62
"""No limit."""


@dataclass
class Pages:
    """Pages of one file, by number: where each stands, and what some say of themselves, in a form that can be stored."""

    urls: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    """Of their records, in the file."""
    bases: dict[int, str] = field(default_factory=dict)
    """As they are given."""
    robots: dict[int, str] = field(default_factory=dict)
    """Directives of their meta robots."""
    langs: dict[int, str] = field(default_factory=dict)
    """Languages that they declare."""

    def add(self, url: str, offset: int, page: Page) -> None:
        self.says(len(self.urls), page)
        self.urls.append(url)
        self.offsets.append(offset)

    def says(self, number: int, page: Page) -> None:
        """Notes what a page says of itself."""
        if page.base is not None:
            self.bases[number] = page.base
        if page.robots and (robots := repaired(page.robots)[:MAX_ROBOTS]):
            self.robots[number] = robots
        if page.lang and (lang := repaired(page.lang).strip()[:MAX_LANG]):
            self.langs[number] = lang


class Batch(NamedTuple):
    """Pages of one file, their images in columns, and what else the records were."""

    pages: Pages
    images: Sequence[columns.Images]
    """Each image names its page by its place in `pages`."""
    read: int
    """Records that are pages; `pages` may hold others, which have no images."""
    others: int
    bad: int


def tables(batch: Batch, source: str, file: str, settings: Extract, account: Account) -> Iterator[pa.Table]:
    """The candidates of a batch, as tables of the schema of `pairs`; what yields none goes to the account.

    An image counts once for each of its addresses and distinct texts, and once when it has no text.
    """
    account.notes.update(_some({"pages": batch.read, "other_records": batch.others}))
    account.failed.update(_some({"bad_record": batch.bad}))
    located = _located(batch.pages)
    counts = np.zeros(pairing.COUNTED, np.int64)
    for images in batch.images:
        account.notes.update(_some({"images": len(images.pages)}))
        for chunk in columns.chunks(images, located.bases):
            found = _paired(chunk, located.bases, settings, counts)
            if len(found.pages):
                yield _table(found, batch.pages, located.urls, source, file)
    numbers = dict(zip(pairing.COUNTS, counts.tolist(), strict=True))
    account.kept += numbers.pop("kept")
    account.notes.update(_some({"texts_repaired": numbers.pop("texts_repaired")}))
    account.failed.update(_some({"bad_url": numbers.pop("bad_url")}))
    account.dropped.update(_some(numbers))


def _some(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


class _Located(NamedTuple):
    urls: pa.Array
    """Of each page, to be shown."""
    bases: columns.Bases


def _located(pages: Pages) -> _Located:
    """Where pages stand, and what the addresses on them are relative to."""
    none = columns.Bases.of(columns.encoded([""]))
    given = columns.encoded(pages.urls)
    found = columns.resolved(given, np.zeros(len(pages.urls), np.int32), none, _ANY)
    shown, bases = dict[int, str](), dict[int, str | None]()
    for i in np.flatnonzero(found.states != url_parts.OK).tolist():
        shown[i], bases[i] = _odd(pages.urls[i])
    for i, base in pages.bases.items():
        url = bases[i] if i in bases else found.texts.text(i)
        if url is not None:
            bases[i] = _based(base, url)
    urls = found.texts.with_texts(shown).gathered()
    return _Located(urls, columns.Bases.of(found.texts.with_texts({i: base or "" for i, base in bases.items()})))


def _odd(url: str) -> tuple[str, str | None]:
    """(URL of a page to be shown, base that its addresses count from; None when it has no usable one)."""
    try:
        found = absolute(url, None)
    except ValueError:
        return repaired(url), None
    return found, found


def _based(given: str, url: str) -> str:
    """The base that a page on `url` gives, or `url` where it is none."""
    try:
        base = absolute(given, url)
    except ValueError:
        return url
    # HTML passes over a base that nothing can be relative to.
    return url if base.startswith(("data:", "javascript:")) else base


class _Found(NamedTuple):
    """Candidates: columns of one length, of which `pages` and `kinds` are numbers."""

    uids: pa.Array
    image_uids: pa.Array
    urls: pa.Array
    texts: pa.Array
    kinds: np.ndarray
    pages: np.ndarray


def _paired(images: columns.Images, bases: columns.Bases, settings: Extract, counts: np.ndarray) -> _Found:
    found = columns.urls(images, bases, settings.max_url_bytes)
    what = (images.address_of, images.text_of, *found.texts[1:], *images.texts[1:])
    rows, url_bytes, text_bytes, longest = pairing.room(*what)
    pages, kinds = np.empty(rows, np.int32), np.empty(rows, np.int8)
    urls, texts = np.empty(url_bytes, np.uint8), np.empty(text_bytes, np.uint8)
    url_at, text_at = np.empty(rows + 1, np.int32), np.empty(rows + 1, np.int32)
    uids, image_uids = np.empty(32 * rows, np.uint8), np.empty(32 * rows, np.uint8)
    count = pairing.pair(
        *what, images.pages, found.texts.data, found.states, images.texts.data, images.kinds, settings.max_text_bytes,
        np.empty(longest, np.uint8), np.empty((4, pairing.MOST), np.int64), pages, kinds, urls, url_at, texts, text_at, uids, image_uids, counts,
    )  # fmt: skip
    named = np.arange(count + 1, dtype=np.int32) * np.int32(32)
    return _Found(
        columns.strings(named, uids[: 32 * count]),
        columns.strings(named, image_uids[: 32 * count]),
        columns.strings(url_at[: count + 1], urls[: url_at[count]]),
        columns.strings(text_at[: count + 1], texts[: text_at[count]]),
        kinds[:count],
        pages[:count],
    )


def _said(said: dict[int, str], count: int, on: np.ndarray) -> pa.Array:
    """What the pages of rows say, where some of `count` pages say something."""
    if not said:
        return pa.nulls(len(on), pa.string())
    place = np.full(count, -1, np.int32)
    place[list(said)] = np.arange(len(said))
    return pa.array(list(said.values()), pa.string()).take(pa.array(place[on], mask=place[on] < 0))


def _table(found: _Found, pages: Pages, urls: pa.Array, source: str, file: str) -> pa.Table:
    count, on = len(found.pages), pa.array(found.pages)
    number = len(pages.urls)
    held = {
        "uid": found.uids,
        "image_uid": found.image_uids,
        "url": found.urls,
        "text": found.texts,
        "kind": pa.array(KINDS).take(pa.array(found.kinds)),
        "page_url": urls.take(on),
        "page_robots": _said(pages.robots, number, found.pages),
        "page_lang": _said(pages.langs, number, found.pages),
        "source": pa.repeat(source, count),
        "crawl_file": pa.repeat(file, count),
        "record_offset": pa.array(pages.offsets, pa.int64()).take(on),
    }
    arrow = schema.load("pairs").arrow()
    arrays = [held[field.name] if field.name in held else pa.nulls(count, field.type) for field in arrow]
    return pa.Table.from_arrays(arrays, schema=arrow)
