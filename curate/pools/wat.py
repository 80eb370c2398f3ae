"""WAT metadata records, as Common Crawl writes them: the links of a page that its extractor found, as JSON."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from curate.pools import addresses, json_bytes, scanning, wat_heads, wat_links
from curate.pools.batches import Batch, Pages
from curate.pools.columns import Images, Texts, columns
from curate.pools.pages import ATTRIBUTES, METAS, BadRecord, Found, Page, directives, opengraph
from curate.pools.records import Record

ABOUT_HTML = b'"HTML-Metadata"'
_HTML = ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "HTML-Metadata")
_LANG = ("html@/lang", "html@/xml:lang")
_NAMES = [name.decode() for name in wat_heads.NAMES]
_WANTED = frozenset(_NAMES)
_BLANKS = "".join(map(chr, range(33)))
"""What a URL may have at its ends, by its standard."""


def batch(records: Sequence[Record]) -> Batch:
    """The pages of metadata records."""
    blocks = [record.block for record in records]
    data = np.frombuffer(bytearray().join([*blocks, bytes(json_bytes.PADDING)]), np.uint8)
    starts = np.cumsum([0, *map(len, blocks)])
    kinds = np.empty(len(records), np.int8)
    links, texts, metas = (np.empty((len(data) // least + 1, width), np.int32) for least, width in scanning.ROOM)
    bases = np.empty((len(records), 2), np.int64)
    counts = np.zeros(3, np.int64)
    scanning.scan(data, starts, kinds, links, texts, metas, bases, counts)
    links, texts, metas = links[: counts[0]], texts[: counts[1]], metas[: counts[2]]
    found = Found()
    pages = Pages([record.url for record in records], [record.offset for record in records])
    named = _named_of(data, metas)
    for number in sorted({*named, *np.flatnonzero(bases[:, 0] >= 0).tolist()}):
        start, end = bases[number].tolist()
        base = _text(data, start, end) if start >= 0 else None
        pages.says(number, _page(base, named.get(number, []), number, found))
    bad = 0
    for number in np.flatnonzero(kinds == scanning.ODD).tolist():
        try:
            odd = read(records[number].block, number, found)
        except BadRecord:
            bad += 1
            continue
        if odd is not None:
            kinds[number] = scanning.PAGE
            pages.says(number, odd)
    images = [_images(data, links, texts), columns(found)]
    count = int((kinds == scanning.PAGE).sum())
    return Batch(pages, images, count, len(records) - count - bad, bad)


def read(block: bytes, number: int, found: Found) -> Page | None:
    """The page that a metadata record speaks of, its images into `found`; None for a record about anything else. Raises BadRecord.

    This is the patient way, by a JSON parser; `batch` goes it where the scan does not get through.
    """
    if ABOUT_HTML not in block:
        return None
    metadata: Any = _parsed(block)
    for key in _HTML:
        metadata = metadata.get(key) if isinstance(metadata, dict) else None
    if metadata is None:
        return None
    for link in _list(metadata, "Links"):
        _image(link, number, found)
    head = _mapping(metadata, "Head")
    named = [pair for meta in _list(head, "Metas") if isinstance(meta, dict) and (pair := _named(meta))]
    return _page(_string(head, "Base"), named, number, found)


def _named(meta: dict[str, Any]) -> tuple[str, str] | None:
    """Name and content of a meta that is wanted; its name or else its property says so."""
    for key in ("name", "property"):
        name = (_string(meta, key) or "").strip().lower()
        if name in _WANTED:
            return name, _string(meta, "content") or ""
    return None


def _named_of(data: np.ndarray, metas: np.ndarray) -> dict[int, list[tuple[str, str]]]:
    """The same of each scanned page that has any."""
    named: dict[int, list[tuple[str, str]]] = {}
    for number, which, start, end in metas.tolist():
        named.setdefault(number, []).append((_NAMES[which], _text(data, start, end)))
    return named


def _page(base: str | None, named: Sequence[tuple[str, str]], number: int, found: Found) -> Page:
    """A page by its metas; the images that it is shared with go into `found`."""
    shared = [meta for meta in named if meta[0].startswith("og:")]
    if shared:
        opengraph(shared, number, found)
    robots = [meta for meta in named if meta[0] in METAS]
    lang = next((content for name, content in named if name in _LANG), None)
    return Page(base, directives(robots) if robots else None, lang)


def _images(data: np.ndarray, links: np.ndarray, texts: np.ndarray) -> Images:
    """The scanned images; of a srcset the largest candidate takes the place of the whole."""
    for row in np.flatnonzero(links[:, wat_links.IS_SRCSET]).tolist():
        start = int(links[row, 1])
        chosen = (addresses.largest([_text(data, start, int(links[row, 2]))]) or "").encode("utf-8", "surrogatepass")
        data[start : start + len(chosen)] = np.frombuffer(chosen, np.uint8)
        links[row, 2] = start + len(chosen)
    there = links[:, 2] > links[:, 1]
    return Images(
        links[:, 0].astype(np.int32),
        np.concatenate(([0], np.cumsum(there))),
        Texts(data, links[there, 1].astype(np.int64), links[there, 2].astype(np.int64)),
        np.append(links[:, 4], len(texts)).astype(np.int64),
        Texts(data, texts[:, 0].astype(np.int64), texts[:, 1].astype(np.int64)),
        texts[:, 2].astype(np.int8),
    )


def _text(data: np.ndarray, start: int, end: int) -> str:
    return data[start:end].tobytes().decode("utf-8", "surrogatepass")


def _image(link: Any, number: int, found: Found) -> None:
    """Adds the image of a link whose path is an attribute of IMG (`IMG@/src`, `IMG@/data-src`, `IMG@/srcset`)."""
    if not isinstance(link, dict) or not (path := _string(link, "path") or "").startswith("IMG@/"):
        return
    attribute = path.removeprefix("IMG@/")
    if not (attribute == "src" or attribute.startswith("data-") or attribute.endswith("srcset")):
        return
    address = (_string(link, "url") or "").strip(_BLANKS)
    chosen = addresses.largest([address]) if attribute.endswith("srcset") else address
    texts = ((kind, text) for kind in ATTRIBUTES if (text := _string(link, kind)))
    found.add(number, (chosen,) if chosen else (), texts)


def _parsed(block: bytes) -> Any:
    try:
        return orjson.loads(block)
    except orjson.JSONDecodeError:
        # Half a UTF-8 sequence, or half a surrogate pair, in one text must not cost the page.
        try:
            return json.loads(block.decode("utf-8", "replace"), strict=False)
        except (ValueError, RecursionError) as error:
            raise BadRecord(f"JSON: {str(error)[:200]}") from error


def _mapping(value: Any, key: str) -> dict[str, Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def _list(value: Any, key: str) -> list[Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, list) else []


def _string(value: dict[str, Any], key: str) -> str | None:
    inner = value.get(key)
    return inner if isinstance(inner, str) else None
