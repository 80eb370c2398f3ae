"""The files of a pool: patterns expanded, names that tell them apart, and what identifies the whole list."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import fsspec
import msgspec
import xxhash

from curate.recipe import Extract, RecipeError, Source


class Input(msgspec.Struct, frozen=True):
    """One file of a pool."""

    path: str
    """fsspec path or URL that opens it"""
    name: str
    """What rows call it: the end of its path, as long as it takes to tell it from the others."""
    size: int
    source: Source | None = None
    """The named source that it belongs to."""


def expand(settings: Extract) -> list[Input]:
    """The files of a pool, each once, ordered by name.

    Raises RecipeError naming the pattern that matches no file, or the file that two sources have.
    """
    found: dict[str, tuple[int, Source | None]] = {}
    for where, patterns, source in _listed(settings):
        for index, pattern in enumerate(patterns):
            sizes = _matches(pattern, source is not None and source.reader == "labels")
            if not sizes:
                raise RecipeError(
                    f"{where}[{index}]: {pattern!r} matches no file; give paths, globs (`pool/*.warc.gz`) or "
                    "fsspec URLs, relative to the working directory"
                )
            for path, size in sizes.items():
                other = found.setdefault(path, (size, source))[1]
                if other is not source:
                    one, two = (part.name if part else "extract.inputs" for part in (other, source))
                    raise RecipeError(f"{where}[{index}]: {path} belongs to {one} and to {two}; a file has one source")
    if not found:
        raise RecipeError("extract.inputs: the list is empty; name the files of a pool there or in extract.sources")
    names = _names(sorted(found))
    files = [Input(path, names[path], size, source) for path, (size, source) in found.items()]
    return sorted(files, key=lambda file: (file.name, file.path))


def _listed(settings: Extract) -> Iterator[tuple[str, Sequence[str], Source | None]]:
    yield "extract.inputs", settings.inputs, None
    for index, source in enumerate(settings.sources):
        yield f"extract.sources[{index}].inputs", source.inputs, source


def identity(files: Sequence[Input]) -> str:
    """What the pool is, in words and as a hash of names, sizes and sources; the same wherever the files are kept."""
    marks = [(file.name, file.size, *([file.source.name] if file.source else [])) for file in files]
    return f"{len(files)} files of {sum(file.size for file in files)} bytes, {xxhash.xxh3_128_hexdigest(msgspec.json.encode(marks))}"


def _matches(pattern: str, folders: bool) -> dict[str, int]:
    """The files that a pattern means, with their sizes; and where `folders` count, each folder of images with that of all in it."""
    fs, path = fsspec.core.url_to_fs(pattern)
    found: dict[str, dict[str, Any]]
    if any(sign in path for sign in "*?["):
        found = fs.glob(path, detail=True)
    else:
        found = {path: fs.info(path)} if fs.exists(path) else {}
    sizes = {fs.unstrip_protocol(p): int(info["size"]) for p, info in found.items() if info["type"] == "file"}
    for path, info in found.items() if folders else ():
        if info["type"] == "directory":
            sizes |= {f"{fs.unstrip_protocol(inner)}/": size for inner, size in _folders(fs, path.rstrip("/"))}
    return sizes


def _folders(fs: Any, path: str) -> Iterator[tuple[str, int]]:
    """The folders that hold files, at a path and below, with the size of all their files; links are not followed."""
    waiting = [path]
    while waiting:
        folder, size, has_files = waiting.pop(), 0, False
        for entry in fs.ls(folder, detail=True):
            if entry.get("islink") or entry["name"].rstrip("/") == folder:
                continue
            if entry["type"] == "directory":
                waiting.append(entry["name"].rstrip("/"))
            else:
                size, has_files = size + int(entry["size"]), True
        if has_files:
            yield folder, size


def _names(paths: Sequence[str]) -> dict[str, str]:
    """For each path its last component, or as many as it takes until all paths have names of their own."""
    parts = {path: PurePosixPath(path).parts for path in paths}
    for length in range(1, max(map(len, parts.values())) + 1):
        names = {path: "/".join(part[-length:]) for path, part in parts.items()}
        if max(Counter(names.values()).values()) == 1:
            return names
    return {path: path for path in paths}
