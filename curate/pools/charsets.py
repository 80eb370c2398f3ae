"""Text of a page's bytes. What the bytes are counts for more than what the page says they are."""

import codecs
import re
from functools import lru_cache

from curate.pools import looking

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_META = re.compile(rb"<meta[^>]{0,1024}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_WIDE = ("utf-16-le", "utf-16-be")
META_BYTES = 4096
"""Where a page may declare its charset. HTML says 1,024; browsers wait longer, and pages rely on it."""


def decode(data: bytes, declared: str | None) -> str:
    """The text of a page (or any) body; what cannot be decoded becomes U+FFFD. Never raises.

    `declared` is the charset of the HTTP header. In order: a byte order mark; UTF-8 when the bytes are UTF-8, or are
    but for a few broken sequences (other encodings hardly ever look so, and servers that declare a charset for pages
    they have not read are common); the header's charset, the page's own; a guess from the bytes.
    """
    return bytes(utf8(data, declared)).decode("utf-8", "replace")


def utf8(data: bytes | memoryview, declared: str | None) -> bytes | memoryview:
    """The same text as UTF-8; most pages are that already, and come back as they are."""
    if (
        bytes(data[:3]) != codecs.BOM_UTF8
        and _codec(declared) not in _WIDE
        and looking.well_formed(data, escapes=False)
    ):
        return data
    return _converted(bytes(data), declared)


def _converted(data: bytes, declared: str | None) -> bytes:
    for mark, name in _BOMS:
        if data.startswith(mark):
            rest = data[len(mark) :]
            return rest.decode(name, "replace").encode("utf-8", "replace")
    escaped = b"\x1b" in data and any(label.lower() == "iso-2022-jp" for label in (declared, _of_meta(data)) if label)
    if not escaped and _codec(declared) not in _WIDE:
        if looking.well_formed(data):
            return data
        text = data.decode("utf-8", "replace")
        if _holds(text):
            return text.encode()
    labels = [name for name in (declared, _of_meta(data)) if name]
    codec = next((codec for label in labels if (codec := _codec(label)) not in (None, "utf-8")), None)
    return data.decode(codec or _guess(data), "replace").encode("utf-8", "replace")


def _holds(text: str) -> bool:
    """Whether bytes that gave this text were UTF-8: fewer broken sequences than whole ones."""
    broken = text.count("\ufffd")
    if not broken:
        return True
    whole = len(text) - len(text.encode("ascii", "ignore")) - broken
    return whole > broken


def _of_meta(data: bytes) -> str | None:
    found = _META.search(data, 0, META_BYTES)
    # A page whose declaration can be read as ASCII is not UTF-16, whatever it declares.
    return None if found is None or found[1].lower().startswith(b"utf-16") else found[1].decode("ascii", "replace")


@lru_cache(1000)
def _codec(label: str | None) -> str | None:
    """Python's codec for a label as WHATWG maps it (`iso-8859-1` is windows-1252); None for an unknown one."""
    from resiliparse.parse.encoding import map_encoding_to_html5

    name = map_encoding_to_html5(label, fallback_utf8=False) if label else None
    try:
        return codecs.lookup(name).name if name else None
    except LookupError:
        return None


def _guess(data: bytes) -> str:
    from resiliparse.parse.encoding import detect_encoding

    guess = _codec(detect_encoding(data))
    return guess or "cp1252"
