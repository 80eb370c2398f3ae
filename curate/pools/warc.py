"""WARC response records: the HTTP message, its encodings, and the HTML page in it."""

import re
from collections.abc import Sequence
from typing import Literal

from curate.pools import charsets, html
from curate.pools.batches import Batch, Pages
from curate.pools.columns import columns
from curate.pools.pages import BadRecord, Found, Page
from curate.pools.records import Record

HTML_TYPES = ("text/html", "application/xhtml+xml")
_LOOKS_LIKE_HTML = re.compile(rb"\s*(?:<!--.{0,500}?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.I | re.S)
# In a head with one plain Content-Type, and neither encodings nor continued lines, as nearly all are.
_TYPE = re.compile(rb"\r\nContent-Type:[ ]*([\w/+.-]+)(?:;[ ]*charset=([\w-]+))?\r\n", re.I)


def batch(records: Sequence[Record], limit: int) -> Batch:
    """The pages of response records."""
    pages, found = Pages(), Found()
    others = bad = 0
    for record in records:
        try:
            page = read(record.block, limit, len(pages.urls), found)
        except BadRecord:
            bad += 1
            continue
        if page is None:
            others += 1
        else:
            pages.add(record.url, record.offset, page)
    return Batch(pages, [columns(found)], len(pages.urls), others, bad)


def read(block: bytes, limit: int, number: int, found: Found) -> Page | None:
    """The page in the block (an HTTP response) of a response record, its images into `found`; None when it holds no HTML.

    What the message declares is tried and not believed: a body that is not compressed or chunked as declared is read
    as it stands. Raises BadRecord for a header that cannot be read, and a body over `limit` bytes.
    """
    kind, charset, body = _plain(block) or _message(block, limit)
    if len(body) > limit:
        raise BadRecord(f"the body is larger than extract.max_record_bytes={limit}")
    if kind not in HTML_TYPES and (kind or not _LOOKS_LIKE_HTML.match(body)):
        return None
    return html.read(charsets.utf8(body, charset), number, found)


def _plain(block: bytes) -> tuple[str | None, str | None, memoryview] | None:
    """What `_message` says of an ordinary message, ten times faster; None for any other."""
    end = block.find(b"\r\n\r\n", 0, 16_384)
    if end < 0 or not block.startswith(b"HTTP/1.") or _odd(block[:end].lower()):
        return None
    found = _TYPE.search(block, 0, end + 2)
    if found is None:
        return None
    charset = found[2].decode("ascii", "replace") if found[2] else None
    return found[1].decode("ascii", "replace").lower(), charset, memoryview(block)[end + 4 :]


def _odd(head: bytes) -> bool:
    """Whether a head (in lower case) is encoded, continues a line, has two types, or lines that end in other ways."""
    lines = head.count(b"\r\n")
    if head.count(b"\r") != lines or head.count(b"\n") != lines or b"\n " in head or b"\n\t" in head:
        return True
    return b"-encoding:" in head or head.count(b"content-type:") != 1


def _message(block: bytes, limit: int) -> tuple[str | None, str | None, bytes]:
    """(media type, charset, body) of an HTTP response; at most limit + 1 bytes of body."""
    try:
        return _parsed(block, limit, "all")
    except OSError:
        # Not encoded as declared. Crawlers that store the decoded body often keep the header that spoke of it.
        try:
            return _parsed(block, limit, "none")
        except OSError as error:
            raise BadRecord(f"HTTP: {error}") from error


def _parsed(block: bytes, limit: int, decode: Literal["all", "none"]) -> tuple[str | None, str | None, bytes]:
    from fastwarc import WarcRecord

    # A record of its own, because one that fails to parse takes fastwarc's iterator over the file with it.
    record = WarcRecord()
    record.set_bytes_content(block)
    record.is_http = True
    record.parse_http(auto_decode=decode, quirks_mode=True)
    kind = record.http_content_type
    return kind and kind.strip().lower(), record.http_charset, record.reader.read(limit + 1)
