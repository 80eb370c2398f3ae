"""Images beside a file of the pool, or in a folder that is one: their names, and their bytes. Never through a link, nor out of it."""

import os
import stat
from functools import lru_cache
from typing import Any

import fsspec

from curate.pools import files
from curate.storage import is_local

LIMIT = 64 * 2**20


class MemberError(ValueError):
    """A member that is not there, is no file of its own, or is larger than asked for; the message says which."""

    def __init__(self, message: str, status: str = "not_at_hand"):
        super().__init__(message)
        self.status = status
        """Of those of `schemas/images.yaml`."""


def names_beside(path: str) -> list[str]:
    """The images in the folder of a file (of a folder, where the path ends in `/`), by name; no links (their type is their own)."""
    fs, parent = _folder(path)
    changed = str(fs.info(parent).get("mtime")) if is_local(fs) else ""
    return _listed(fs, parent, changed)


def read_beside(path: str, member: str, limit: int = LIMIT) -> bytes:
    """The bytes of one image, by its path from the folder of the file at `path`. Raises MemberError."""
    if files.safe(member) != member:
        raise MemberError(f"{path}: {member!r} is no name of a file beside it")
    fs, parent = _folder(path)
    file = f"{parent}/{member}"
    try:
        if is_local(fs):
            _check_no_link(parent, file)
        with fs.open(file, "rb") as opened:
            data = opened.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise MemberError(f"{file}: {error}") from error
    if len(data) > limit:
        raise MemberError(f"{file}: more than {limit} bytes", "too_many_bytes")
    return data


def _folder(path: str) -> tuple[Any, str]:
    fs, plain = fsspec.core.url_to_fs(path)
    return fs, plain.rstrip("/") if path.endswith("/") else plain.rpartition("/")[0]


def _check_no_link(parent: str, file: str) -> None:
    inside = os.path.relpath(os.path.realpath(file), os.path.realpath(parent))
    if inside != os.path.relpath(file, parent) or not stat.S_ISREG(os.lstat(file).st_mode):
        raise MemberError(f"{file}: is a link, or no file")


@lru_cache(maxsize=1)
def _listed(fs: Any, parent: str, changed: str) -> list[str]:
    # One folder may hold the images of thousands of articles: it is listed once, not once an article.
    found = (entry for entry in fs.ls(parent, detail=True) if entry["type"] == "file")
    names = (str(entry["name"]).rpartition("/")[2] for entry in found)
    return sorted(name for name in names if files.is_image(name) and files.safe(name))
