"""The files of a pool: patterns expanded, names that tell them apart, and what identifies the whole list."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import msgspec
import xxhash

from curate import draw, storage
from curate.pools import lists
from curate.recipe import Extract, RecipeError, Source


class Input(msgspec.Struct, frozen=True):
    """One file of a pool."""

    path: str
    """fsspec path or URL that opens it"""
    name: str
    """What rows call it: the end of its path, as long as it takes to tell it from the others."""
    size: int | None
    """Bytes; None where nobody was asked: files of lists, and of web servers."""
    source: Source | None = None
    """The named source that it belongs to."""

    def length(self, opened: BinaryIO) -> int:
        """Its bytes, asked of the open file where nobody knew."""
        if self.size is not None:
            return self.size
        at = opened.tell()
        length = opened.seek(0, os.SEEK_END)
        opened.seek(at)
        return length


def expand(settings: Extract, seed: int = 0) -> list[Input]:
    """The files of a pool, each once, ordered by name; of a source with `files` so many, drawn by the seed.

    Raises RecipeError naming the pattern that matches no file, or the file that two sources have.
    """
    found: dict[str, tuple[int | None, Source | None]] = {}
    for place, patterns, source in _listed(settings):
        sizes: dict[str, int | None] = {}
        for index, pattern in enumerate(patterns):
            where = f"{place}[{index}]"
            matched = _matches(where, pattern, source)
            if not matched:
                raise RecipeError(
                    f"{where}: {pattern!r} matches no file; give paths, globs (`pool/*.warc.gz`), fsspec URLs, relative to the "
                    "working directory, lists of these (`wat.paths.gz`), or crawls (`CC-MAIN-2024-10/wat`)"
                )
            for path in matched:
                if path in found:
                    one, two = (part.name if part else "extract.inputs" for part in (found[path][1], source))
                    raise RecipeError(f"{where}: {path} belongs to {one} and to {two}; a file has one source")
            sizes |= matched
        for path in _drawn(sorted(sizes), source, seed):
            found[path] = sizes[path], source
    if not found:
        raise RecipeError("extract.inputs: the list is empty; name the files of a pool there or in extract.sources")
    names = _names(sorted(found))
    files = [Input(path, names[path], size, source) for path, (size, source) in found.items()]
    return sorted(files, key=lambda file: (file.name, file.path))


def _drawn(paths: Sequence[str], source: Source | None, seed: int) -> Sequence[str]:
    """The files of a source that are taken: those with the smallest draws, so that a larger number takes the same and more."""
    if source is None or source.files is None:
        return paths
    if source.files > len(paths):
        raise RecipeError(
            f"source {source.name}: files={source.files}, and it has only {len(paths)}; take fewer, or all (no `files`)"
        )
    # By names that tell the source's own files apart: where it is kept and what stands beside it changes nothing.
    names = _names(paths)
    chance = draw.draw(seed, "files", [names[path] for path in paths])
    return [path for _, _, path in sorted(zip(chance.tolist(), names.values(), paths, strict=True))[: source.files]]


def _listed(settings: Extract) -> Iterator[tuple[str, Sequence[str], Source | None]]:
    yield "extract.inputs", settings.inputs, None
    for index, source in enumerate(settings.sources):
        yield f"extract.sources[{index}].inputs", source.inputs, source


def identity(files: Sequence[Input]) -> str:
    """What the pool is, in words and as a hash of names, sizes (where they are known) and sources; the same wherever it is kept."""
    marks = [(file.name, file.size, *([file.source.name] if file.source else [])) for file in files]
    sizes = [file.size for file in files if file.size is not None]
    unknown = f" and {len(files) - len(sizes)} of unknown size" if len(sizes) < len(files) else ""
    return f"{len(files)} files of {sum(sizes)} bytes{unknown}, {xxhash.xxh3_128_hexdigest(msgspec.json.encode(marks))}"


def _matches(where: str, pattern: str, source: Source | None) -> dict[str, int | None]:
    """The files that a pattern means, with their sizes; for labelled images each folder, with that of all in it."""
    reader = source.reader if source else "auto"
    if reader in ("auto", "archive") and (listed := lists.located(where, pattern, source.base if source else None)):
        return {_whole(path): None for path in lists.paths(where, *listed)}
    if pattern.startswith(("http://", "https://")) and "*" not in pattern:
        return {pattern: None}
    fs, path = storage.located(pattern)
    found: dict[str, dict[str, Any]]
    if any(sign in path for sign in "*?["):
        found = fs.glob(path, detail=True)
    else:
        found = {path: fs.info(path)} if fs.exists(path) else {}
    sizes = {fs.unstrip_protocol(p): _size(info) for p, info in found.items() if info["type"] == "file"}
    for path, info in found.items() if reader == "labels" else ():
        if info["type"] == "directory":
            sizes |= {f"{fs.unstrip_protocol(inner)}/": size for inner, size in _folders(fs, path.rstrip("/"))}
    return sizes


def _size(info: dict[str, Any]) -> int | None:
    return None if info.get("size") is None else int(info["size"])


def _whole(path: str) -> str:
    """A path with its protocol, as globs give it."""
    return path if "://" in path else Path(path).absolute().as_uri()


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
    # What a URL says behind a question mark (a signature) is no name.
    parts = {path: PurePosixPath(path.partition("?")[0] if path.startswith("http") else path).parts for path in paths}
    for length in range(1, max(map(len, parts.values())) + 1):
        names = {path: "/".join(part[-length:]) for path, part in parts.items()}
        if max(Counter(names.values()).values()) == 1:
            return names
    return {path: path for path in paths}
