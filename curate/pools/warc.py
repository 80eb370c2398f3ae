"""WARC response records: the HTTP message, its encodings, and the HTML page in it."""

import re
from typing import Literal

from curate.pools import charsets, html
from curate.pools.pages import BadRecord, Page

HTML_TYPES = ("text/html", "application/xhtml+xml")
_LOOKS_LIKE_HTML = re.compile(rb"\s*(?:<!--.{0,500}?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.I | re.S)


def page(block: bytes, url: str, limit: int) -> Page | None:
    """The page in the block (an HTTP response) of a response record; None when it holds no HTML.

    What the message declares is tried and not believed: a body that is not compressed or chunked as declared is read
    as it stands. Raises BadRecord for a header that cannot be read, and a body over `limit` bytes.
    """
    kind, charset, body = _message(block, limit)
    if len(body) > limit:
        raise BadRecord(f"the body is larger than extract.max_record_bytes={limit}")
    if kind not in HTML_TYPES and (kind or not _LOOKS_LIKE_HTML.match(body)):
        return None
    return html.page(charsets.decode(body, charset), url)


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
