"""The files of a pool: patterns expanded, names that tell them apart, and what identifies the whole list."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import fsspec
import msgspec
import xxhash

from curate.recipe import RecipeError


class Input(msgspec.Struct, frozen=True):
    """One file of a pool."""

    path: str
    """fsspec path or URL that opens it"""
    name: str
    """What rows call it: the end of its path, as long as it takes to tell it from the others."""
    size: int


def expand(patterns: Sequence[str]) -> list[Input]:
    """The files that the patterns match, each once, ordered by name.

    Raises RecipeError naming the pattern that matches no file.
    """
    sizes: dict[str, int] = {}
    for index, pattern in enumerate(patterns):
        found = _matches(pattern)
        if not found:
            raise RecipeError(
                f"extract.inputs[{index}]: {pattern!r} matches no file; give paths, globs (`pool/*.warc.gz`) or "
                "fsspec URLs, relative to the working directory"
            )
        sizes |= found
    if not sizes:
        raise RecipeError("extract.inputs: the list is empty; name the WARC or WAT files of a pool")
    names = _names(sorted(sizes))
    files = [Input(path, names[path], size) for path, size in sizes.items()]
    return sorted(files, key=lambda file: (file.name, file.path))


def identity(files: Sequence[Input]) -> str:
    """What the pool is, in words and as a hash of names and sizes; the same wherever the files are kept."""
    mark = xxhash.xxh3_128_hexdigest(msgspec.json.encode([(file.name, file.size) for file in files]))
    return f"{len(files)} files of {sum(file.size for file in files)} bytes, {mark}"


def _matches(pattern: str) -> dict[str, int]:
    fs, path = fsspec.core.url_to_fs(pattern)
    found: dict[str, dict[str, Any]]
    if any(sign in path for sign in "*?["):
        found = fs.glob(path, detail=True)
    else:
        found = {path: fs.info(path)} if fs.exists(path) else {}
    return {fs.unstrip_protocol(p): int(info["size"]) for p, info in found.items() if info["type"] == "file"}


def _names(paths: Sequence[str]) -> dict[str, str]:
    """For each path its last component, or as many as it takes until all paths have names of their own."""
    parts = {path: PurePosixPath(path).parts for path in paths}
    for length in range(1, max(map(len, parts.values())) + 1):
        names = {path: "/".join(part[-length:]) for path, part in parts.items()}
        if max(Counter(names.values()).values()) == 1:
            return names
    return {path: path for path in paths}
