"""Dumps and page-view files: found, marked, counted, and what a preset takes of them."""

import glob
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from curate.concepts.building import assembling, pageviews, wikipedia
from curate.concepts.building.assembling import BuildError, Candidate
from curate.concepts.building.presets import Preset

Sources = dict[str, list[Candidate]]
Counter = Callable[[Sequence[str], str, Preset], tuple[Sources, dict[str, int]]]
"""Files, language and preset in; candidates by source, and what became of pages or lines, out."""


def in_process(files: Sequence[str], language: str, preset: Preset) -> tuple[Sources, dict[str, int]]:
    """Words and pairs of dumps, counted in this process: for those that fit one machine."""
    counts = wikipedia.count_files(map(Path, files), language)
    return wikipedia.select(counts, language, preset), wikipedia.pages_of(counts)


def views_in_process(files: Sequence[str], language: str, preset: Preset) -> tuple[Sources, dict[str, int]]:
    """Titles of page-view files, counted in this process."""
    counts = pageviews.count_files(map(Path, files), language, preset)
    return {"wikipedia-titles": pageviews.select(counts, preset)}, pageviews.lines_of(counts)


def counted(
    language: str, preset: Preset, dumps: Sequence[str], views: Sequence[str], *,
    count_dumps: Counter = in_process, count_views: Counter = views_in_process,
) -> tuple[Sources, dict[str, Any]]:  # fmt: skip
    """Words, pairs and titles that a preset takes, and the account of the files."""
    sources: Sources = {}
    account: dict[str, Any] = {}
    if dumps:
        wikipedia.need_parser()
        files = found(dumps, "--wikipedia")
        chosen, fates = count_dumps(files, language, preset)
        sources, account["wikipedia"] = chosen, {"pages": fates, "files": marks(files)}
    if views:
        files = found(views, "--pageviews")
        chosen, fates = count_views(files, language, preset)
        sources, account["pageviews"] = sources | chosen, {"lines": fates, "files": marks(files)}
    return sources, account


def found(patterns: Sequence[str], option: str) -> list[str]:
    """Files of paths and globs, in order. Remote ones (`s3://...`) are left to Spark. Raises BuildError where there is none."""
    files: list[str] = []
    for pattern in patterns:
        here = [pattern] if "://" in pattern else sorted(glob.glob(pattern))
        if not here:
            raise BuildError(f"{option}: no file matches {pattern!r}")
        files += here
    return files


def marks(files: Sequence[str]) -> dict[str, Any]:
    """Sizes and hashes of the files that are on this machine."""
    return {Path(file).name: {} if "://" in file else assembling.mark(Path(file)) for file in files}
