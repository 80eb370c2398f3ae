"""Archive files made in code: WARC and WAT records, one gzip member each, whole or broken on purpose."""

import gzip
import json
from collections.abc import Sequence
from itertools import pairwise

from curate.pools.pages import KINDS, Found

PAGE = "http://news.example/a/page.html"


def record(block: bytes, kind: str = "response", url: str = PAGE, length: int | None = None) -> bytes:
    """One WARC record; `length` is the Content-Length that it claims."""
    content = {"response": "application/http; msgtype=response", "metadata": "application/json"}
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-05-18T01:58:10Z\r\n"
        "WARC-Record-ID: <urn:uuid:2db8c4d5-3a8f-4b8e-9a7c-0a8e3f1d6b11>\r\n"
        f"Content-Type: {content.get(kind, 'application/warc-fields')}\r\n"
        f"Content-Length: {len(block) if length is None else length}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An HTTP response; HTML unless a header says something else."""
    if not any(header.lower().startswith("content-type") for header in headers):
        headers = ("Content-Type: text/html", *headers)
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1") + body


def html(*images: str, head: str = "", attributes: str = "") -> bytes:
    """A page with these tags in its body."""
    return f"<!doctype html><html {attributes}><head>{head}</head><body>{'<p>'.join(images)}</body></html>".encode()


def page(*images: str, url: str = PAGE, head: str = "", attributes: str = "") -> bytes:
    """The response record of a page with these tags."""
    return record(http(html(*images, head=head, attributes=attributes)), url=url)


def links(*found: dict, url: str = PAGE, **head: object) -> bytes:
    """The WAT record of a page with these links."""
    html_metadata = {"Head": head, "Links": list(found)}
    return record(json.dumps(envelope(html_metadata)).encode(), "metadata", url)


def envelope(html_metadata: object) -> dict:
    return {"Envelope": {"Payload-Metadata": {"HTTP-Response-Metadata": {"HTML-Metadata": html_metadata}}}}


def images_of(found: Found) -> list[tuple[tuple[str, ...], tuple[tuple[str, str], ...]]]:
    """The addresses and the texts (kind, text) of each image."""
    texts = [(KINDS[kind], text) for kind, text in zip(found.kinds, found.texts, strict=True)]
    addresses = [tuple(found.addresses[start:end]) for start, end in pairwise(found.address_of)]
    return list(zip(addresses, (tuple(texts[start:end]) for start, end in pairwise(found.text_of)), strict=True))


def members(records: Sequence[bytes]) -> list[bytes]:
    """Each record as a gzip member, as archives hold them."""
    return [gzip.compress(each, mtime=0) for each in records]


def archive(*records: bytes) -> bytes:
    """A whole .warc.gz."""
    return b"".join(members(records))
