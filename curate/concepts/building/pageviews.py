"""Titles of articles by how often they were viewed, from Wikipedia's hourly page-view files.

A line is `domain_code page_title count_views total_response_size`. MetaCLIP counts the domain `en` alone, an hour's views of a title
from 50 up; Meta CLIP 2 counts every view of `xx` and `xx.m`, the mobile site. Titles with a colon are left out by both.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from curate.concepts.building.assembling import Candidate
from curate.concepts.building.presets import Preset
from curate.concepts.building.reading import separated, summed

LONGEST_LINE = 1 << 16
LINES = 65_536
"""Lines that are counted together."""
COUNTS = pa.schema([("kind", pa.string()), ("title", pa.string()), ("views", pa.int64())])
"""kind: `title`, or `line`, where `title` says what became of lines."""


def count_lines(found: pa.Table, language: str, preset: Preset) -> pa.Table:
    """Views by title and fates of lines (COUNTS) of a batch with the column `line`.

    Lines are `counted`, `other_domain`, `colon`, `few_views` (in this hour) or `malformed`; null stands for the rest of a file that
    cannot be read: `cut_off`.
    """
    domains = {language, f"{language}.m"} if preset.mobile_views else {language}
    views, fates = Counter[str](), Counter[str]()
    for line in found["line"].to_pylist():
        fate, title, number = _read(line, domains, preset.hourly_views) if line is not None else ("cut_off", "", 0)
        fates[fate] += 1
        if fate == "counted":
            views[title] += number
    rows = [("line", *item) for item in sorted(fates.items())] + [("title", *item) for item in sorted(views.items())]
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, COUNTS, strict=True)], schema=COUNTS)


def _read(line: str, domains: set[str], least: int) -> tuple[str, str, int]:
    if len(line) > LONGEST_LINE:
        return "malformed", "", 0
    domain, _, rest = line.partition(" ")
    if domain not in domains:
        return ("other_domain" if line.count(" ") == 3 else "malformed"), "", 0
    fields = rest.split(" ")
    if len(fields) != 3 or not fields[1].isascii() or not fields[1].isdigit() or len(fields[1]) > 15:
        return "malformed", "", 0
    title = title_of(fields[0])
    if not title:
        return "malformed", "", 0
    if ":" in title:
        return "colon", "", 0
    return ("counted" if int(fields[1]) >= least else "few_views"), title, int(fields[1])


def title_of(written: str) -> str:
    """A title as people read it: blanks for underscores, and escapes undone where they are UTF-8."""
    try:
        decoded = unquote(written, errors="strict") if "%" in written else written
    except UnicodeDecodeError:
        decoded = written
    return decoded.replace("_", " ").strip()


def count_file(file: str, language: str, preset: Preset) -> pa.Table:
    """Views of one file, .gz or not; where it breaks off, that is a fate of its own: `cut_off`."""
    return summed((count_lines(batch, language, preset) for batch in _batches(file)), COUNTS)


def _batches(file: str) -> Iterator[pa.Table]:
    batch: list[str | None] = []
    for line in separated(file, b"\n", LONGEST_LINE):
        batch.append(line)
        if len(batch) == LINES:
            yield pa.table({"line": pa.array(batch, pa.string())})
            batch = []
    yield pa.table({"line": pa.array(batch, pa.string())})


def count_files(files: Iterable[str], language: str, preset: Preset) -> pa.Table:
    """Views of files in this process."""
    return summed((count_file(file, language, preset) for file in files), COUNTS)


def title_limit(different: int, preset: Preset) -> int:
    """How many titles a preset takes of so many different ones."""
    share = different if preset.title_share is None else int(different * preset.title_share)
    return min(share, preset.titles if preset.titles is not None else share)


def select(counts: pa.Table, preset: Preset) -> list[Candidate]:
    """The titles that a preset takes, the most viewed first."""
    titles = counts.filter(pc.equal(counts["kind"], "title")).sort_by([("views", "descending"), ("title", "ascending")])
    enough = titles.filter(pc.greater_equal(titles["views"], preset.title_views))
    return candidates(enough.slice(0, title_limit(len(titles), preset)))


def candidates(titles: pa.Table) -> list[Candidate]:
    rows = zip(titles["title"].to_pylist(), titles["views"].to_pylist(), strict=True)
    return [(title, "wikipedia-titles", float(views)) for title, views in rows]


def lines_of(counts: pa.Table) -> dict[str, int]:
    """What became of the lines."""
    rows = counts.filter(pc.equal(counts["kind"], "line")).sort_by("title")
    return dict(zip(rows["title"].to_pylist(), rows["views"].to_pylist(), strict=True))
