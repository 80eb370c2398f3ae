"""Reads articles of PubMed Central: figures with their captions, and what the article says around them.

A file is an article (`.nxml`, or JATS as `.xml`) with its images beside it, or a package of articles (`PMC1234567.tar.gz`,
or any tar of such folders). See `jats` for what a figure is, `facts` for what a row says of it.
"""

from collections.abc import Iterator

import fsspec
import pyarrow as pa

from curate.pools import candidates, files
from curate.pools.beside import names_beside
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.pools.pages import BadRecord
from curate.pools.pmc import jats, package, tables
from curate.pools.pmc.package import PackageError
from curate.pools.pmc.rows import Rows
from curate.recipe import Extract

ARTICLES = (".nxml", ".xml")
PACKAGES = (".tar.gz", ".tgz", ".tar")
MAX_WAITING = 1000
"""Articles of one folder of a package that wait for the names of its images."""
MAX_IMAGES = 200_000
"""Images of one folder of a package whose names are kept."""

Parsed = list[tuple[str, list[jats.Article] | BadRecord]]
"""XML files in order: the name in the package, and what was read or went wrong."""


def read(file: Input, settings: Extract, account: Account) -> Iterator[pa.Table]:
    """One pass over an article or a package: tables of the schema of `pairs`; the account is whole when it is done.

    Images beside the articles may be among a source's inputs, so that they count as part of the pool; they are passed over.
    """
    account.notes["files"] += 1
    name = file.path.lower()
    rows = Rows(file, settings, account)
    if name.endswith(ARTICLES):
        found = _article(file, settings, account, rows)
    elif name.endswith(PACKAGES):
        found = _package(file, settings, account, rows)
    else:
        account.notes["other_files"] += 1
        return
    yield from candidates.tables(found)


def _article(file: Input, settings: Extract, account: Account, rows: Rows) -> Iterator[candidates.Row]:
    with fsspec.open(file.path, "rb") as opened:
        data = opened.read(settings.max_record_bytes + 1)
    parsed = _parsed(data, settings.max_record_bytes)
    name = file.path.rpartition("/")[2]
    # The accession may stand in the folder's name alone, as in PMC's cloud: PMC1234567.1/PMC1234567.1.xml.
    yield from _of_folder(
        [("/".join(file.path.split("/")[-2:]), parsed)], names_beside(file.path), 0, name, account, rows
    )


def _package(file: Input, settings: Extract, account: Account, rows: Rows) -> Iterator[candidates.Row]:
    """Articles are read when they come, and become rows when their folder ends and all its images are known by name."""
    waiting: Parsed = []
    images: list[str] = []
    at, offset = "", 0
    limit = settings.max_record_bytes
    with fsspec.open(file.path, "rb") as opened:
        try:
            for member in package.members(opened, file.length(opened), limit, account.notes):
                if files.folder(member.name) != at or len(waiting) == MAX_WAITING:
                    yield from _of_folder(waiting, images, offset, file.name, account, rows)
                    images = images if files.folder(member.name) == at else []
                    waiting, at, offset = [], files.folder(member.name), member.offset
                if member.name.lower().endswith(ARTICLES):
                    large = member.size > limit
                    found = BadRecord(package.too_large(member.size, limit)) if large else _parsed(member.read(), limit)
                    waiting.append((member.name, found))
                elif files.is_image(member.name) and len(images) < MAX_IMAGES:
                    images.append(member.name)
        except PackageError as error:
            account.failed["bad_record"] += 1
            account.broken(file.name, error.offset, str(error))
    yield from _of_folder(waiting, images, offset, file.name, account, rows)


def _parsed(data: bytes, limit: int) -> list[jats.Article] | BadRecord:
    try:
        return list(jats.articles(data, limit))
    except BadRecord as error:
        return error


def _of_folder(
    parsed: Parsed, images: list[str], offset: int, file: str, account: Account, rows: Rows
) -> Iterator[candidates.Row]:
    """The rows of the articles of one folder. Where a package has `.nxml`, its `.xml` files are supplements."""
    known = files.index(images)
    article_files = [item for item in parsed if item[0].lower().endswith(".nxml")] or parsed
    account.notes["other_records"] += len(parsed) - len(article_files)
    for name, found in article_files:
        account.notes["records"] += 1
        if isinstance(found, BadRecord):
            account.failed["bad_record"] += 1
            account.broken(file, offset, f"{name}: {found}")
            continue
        if not found:
            account.notes["other_records"] += 1
        for article in found:
            account.notes["articles"] += 1
            yield from rows.of(article, name, known)


__all__ = ["read", "tables"]
