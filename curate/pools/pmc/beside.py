"""Images beside an article in a folder, by name."""

from functools import lru_cache
from typing import Any

import fsspec

from curate.pools.pmc import files


def names_beside(path: str) -> list[str]:
    """The images in the folder of a file, by name; no links, and no names that lead out of it."""
    fs, plain = fsspec.core.url_to_fs(path)
    parent = plain.rpartition("/")[0]
    changed = str(fs.info(parent).get("mtime")) if is_local(fs) else ""
    return _listed(fs, parent, changed)


@lru_cache(maxsize=1)
def _listed(fs: Any, parent: str, changed: str) -> list[str]:
    # One folder may hold the images of thousands of articles: it is listed once, not once an article.
    found = (entry for entry in fs.ls(parent, detail=True) if entry["type"] == "file" and not entry.get("islink"))
    names = (str(entry["name"]).rpartition("/")[2] for entry in found)
    return sorted(name for name in names if files.is_image(name) and files.safe(name))


def is_local(fs: Any) -> bool:
    """Whether a filesystem of fsspec is this machine's own."""
    return "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)
