"""Tables whose columns are known by their place: files without a header that name nothing themselves."""

from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

import pyarrow as pa

from curate.recipe import Table

_YFCC = (
    "line", "photo_id", "photo_hash", "user_nsid", "user_nickname", "date_taken", "date_uploaded", "capture_device", "title",
    "description", "user_tags", "machine_tags", "longitude", "latitude", "accuracy", "page_url", "download_url", "license_name",
    "license_url", "server", "farm", "secret", "secret_original", "extension", "is_video",
)  # fmt: skip
"""YFCC100M (Thomee et al. 2016), as its `yfcc100m_readme.txt` lists them."""
LAYOUTS = (_YFCC, (_YFCC[1], *_YFCC[3:]))
"""With the numbers of lines and the hashes that were added later, and as it came out first."""
ESCAPED = ("user_nickname", "capture_device", "title", "description", "user_tags", "machine_tags")
"""Columns of it that are written as in a query: `The+owl%27s+eyes`."""
SETTINGS = Table(columns={"url": "download_url", "page_url": "page_url", "title": "title", "caption": "description"})
_PAGE = ("http://www.flickr.com/photos/", "https://www.flickr.com/photos/")


def known(rows: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    """The names of the columns of a table that begins with these rows; None where its layout is not known."""
    for names in LAYOUTS:
        at = names.index("page_url")
        if any(len(row) == len(names) and row[at].startswith(_PAGE) for row in rows):
            return names
    return None


def unescaped(table: pa.Table) -> pa.Table:
    """The rows of such a table, as bytes, with its escaped columns as they are meant."""
    for name in ESCAPED:
        values = [None if v is None else unquote_to_bytes(v.replace(b"+", b" ")) for v in table[name].to_pylist()]
        table = table.set_column(table.schema.names.index(name), name, pa.array(values, pa.binary()))
    return table
