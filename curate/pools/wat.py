"""WAT metadata records, as Common Crawl writes them: the links of a page that its extractor found, as JSON."""

import json
from typing import Any

import orjson

from curate.pools import addresses
from curate.pools.pages import ATTRIBUTES, METAS, BadRecord, Image, Page, directives

_HTML = ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "HTML-Metadata")


def page(block: bytes, url: str) -> Page | None:
    """The page that a metadata record speaks of; None for a record about anything else. Raises BadRecord."""
    # Most records of a WAT are about requests and robots.txt: looking is ten times faster than parsing.
    if b'"HTML-Metadata"' not in block:
        return None
    metadata: Any = _parsed(block)
    for key in _HTML:
        metadata = metadata.get(key) if isinstance(metadata, dict) else None
    if metadata is None:
        return None
    head = _mapping(metadata, "Head")
    metas = [meta for meta in _list(head, "Metas") if isinstance(meta, dict)]
    named = [(str(meta.get("name", "")).strip().lower(), _string(meta, "content") or "") for meta in metas]
    return Page(
        url=url,
        base=_string(head, "Base"),
        robots=directives([meta for meta in named if meta[0] in METAS]),
        lang=next((content for name, content in named if name in ("html@/lang", "html@/xml:lang")), None),
        images=[image for link in _list(metadata, "Links") if (image := _image(link)) is not None],
        source="wat",
    )


def _image(link: Any) -> Image | None:
    """The image of a link whose path is an attribute of IMG (`IMG@/src`, `IMG@/data-src`, `IMG@/srcset`)."""
    if not isinstance(link, dict) or not (path := _string(link, "path") or "").startswith("IMG@/"):
        return None
    attribute = path.removeprefix("IMG@/")
    if not (attribute == "src" or attribute.startswith("data-") or attribute.endswith("srcset")):
        return None
    address = _string(link, "url") or ""
    chosen = addresses.largest([address]) if attribute.endswith("srcset") else address.strip()
    texts = tuple((kind, text) for kind in ATTRIBUTES if (text := _string(link, kind)))
    return Image((chosen,) if chosen else (), texts)


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
