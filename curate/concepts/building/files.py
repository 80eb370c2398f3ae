"""Dumps and page-view files: found, marked, counted, and what a preset takes of them."""

from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any

from curate.concepts.building import assembling, pageviews, wikipedia
from curate.concepts.building.assembling import BuildError, Candidate
from curate.concepts.building.markup import need_parser
from curate.concepts.building.presets import Preset
from curate.concepts.building.reading import found
from curate.concepts.building.tokenizers import UNSPACED, tokenizer

Sources = dict[str, list[Candidate]]
Counter = Callable[[Sequence[str], str, Preset], tuple[Sources, dict[str, int]]]
"""Files, language and preset in; candidates by source, and what became of pages or lines, out."""


def in_process(files: Sequence[str], language: str, preset: Preset) -> tuple[Sources, dict[str, int]]:
    """Words and pairs of dumps, counted in this process: for those that fit one machine."""
    counts = wikipedia.count_files(files, language)
    return wikipedia.select(counts, language, preset), wikipedia.pages_of(counts, len(files))


def views_in_process(files: Sequence[str], language: str, preset: Preset) -> tuple[Sources, dict[str, int]]:
    """Titles of page-view files, counted in this process."""
    counts = pageviews.count_files(files, language, preset)
    return {"wikipedia-titles": pageviews.select(counts, preset)}, pageviews.lines_of(counts)


def check(language: str, dumps: Sequence[str], views: Sequence[str]) -> None:
    """Raises BuildError for what would stop `counted` later: a file that is not there, a parser or tokenizer that is missing."""
    found(views, "--pageviews")
    if found(dumps, "--wikipedia"):
        need_parser()
        if language in UNSPACED:
            tokenizer(language)


def counted(
    language: str, preset: Preset, dumps: Sequence[str], views: Sequence[str], *,
    count_dumps: Counter = in_process, count_views: Counter = views_in_process,
) -> tuple[Sources, dict[str, Any]]:  # fmt: skip
    """Words, pairs and titles that a preset takes, and the account of the files.

    Raises BuildError when all files together have no article, or no line of the language: they are not what they were taken for.
    """
    check(language, dumps, views)
    sources: Sources = {}
    account: dict[str, Any] = {}
    if dumps:
        files = found(dumps, "--wikipedia")
        chosen, fates = count_dumps(files, language, preset)
        if not fates.get("article"):
            raise BuildError(
                f"--wikipedia: no article in {', '.join(files[:3])} (pages: {fates or 'none'}); dumps of articles are wanted, as "
                "pages-articles has them, .xml or .xml.bz2"
            )
        sources, account["wikipedia"] = chosen, {"pages": fates, "files": marks(files)}
    if views:
        files = found(views, "--pageviews")
        chosen, fates = count_views(files, language, preset)
        if not {"counted", "few_views", "colon"} & fates.keys():
            raise BuildError(
                f"--pageviews: no line of the domain {language!r} in {', '.join(files[:3])} (lines: {fates or 'none'}); hourly files "
                "are wanted, with lines of domain, title, views and bytes"
            )
        sources, account["pageviews"] = sources | chosen, {"lines": fates, "files": marks(files)}
    return sources, account


def marks(files: Sequence[str]) -> dict[str, Any]:
    """Sizes and hashes of files by their names, or by their paths where two have one name. Those that are elsewhere are named alone."""
    names = [PurePath(file).name for file in files]
    keys = names if len(set(names)) == len(names) else files
    return {key: {} if "://" in file else assembling.mark(file) for key, file in zip(keys, files, strict=True)}
