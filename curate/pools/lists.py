"""Lists of files, as crawls are published: `wat.paths.gz` and its like, and crawls by their names."""

import re
import zlib
from collections.abc import Iterator

import fsspec

from curate import storage
from curate.pools.throttling import ThrottledError, patiently
from curate.recipe import RecipeError

SUFFIXES = (".paths", ".paths.gz", ".txt", ".txt.gz")
"""What lists of paths are called."""
COMMON_CRAWL = "https://data.commoncrawl.org/"
"""Where a crawl that is called by its name is, unless the source names another base (`s3://commoncrawl/`)."""
KINDS = ("wat", "warc")
MAX_BYTES = 2**28
"""Of a list, unpacked; one of 90,000 files has 13 MB."""
_CRAWL = re.compile(r"(CC-[A-Z0-9]+-\d{4}-\d{2})(?:/(\w+))?")
_LOCAL = ("file://", "local://")


def located(where: str, pattern: str, base: str | None) -> tuple[str, str] | None:
    """(path of the list that a pattern means, base of the paths in it); None for a pattern that is no list.

    A crawl (`CC-MAIN-2024-10`, `CC-MAIN-2024-10/warc`) is the list of its WAT or WARC files. Raises RecipeError for another kind.
    """
    crawl = _CRAWL.fullmatch(pattern)
    if crawl is not None:
        kind = crawl[2] or KINDS[0]
        if kind not in KINDS:
            raise RecipeError(
                f"{where}: {pattern!r}: a crawl has no {kind!r} that is read here; known are {', '.join(KINDS)}"
            )
        root = base or COMMON_CRAWL
        return joined(root, f"crawl-data/{crawl[1]}/{kind}.paths.gz"), root
    return (pattern, base or "") if pattern.lower().endswith(SUFFIXES) else None


def paths(where: str, path: str, base: str) -> Iterator[str]:
    """The files that a list names, one a line, relative to a base (a folder, a URL; nothing: the working directory).

    Nothing is asked about the files: 90,000 requests would tell no more than reading them does. Raises RecipeError for a list that
    cannot be read, and for a line of a list from elsewhere that leads to this machine's files or out of its base.
    """
    remote = "://" in path and not path.startswith(_LOCAL)
    for number, line in enumerate(_lines(where, path), 1):
        name = line.strip()
        if not name:
            continue
        whole = name if "://" in name or name.startswith("/") else joined(base, name)
        outside = "::" in name or ".." in name.split("/") or whole.startswith(_LOCAL) or "://" not in whole
        if remote and outside:
            raise RecipeError(
                f"{where}: line {number} of {path}, {name[:200]!r}, is no path below a base on a server; give the source a `base`, "
                "or copy the list here and look at it"
            )
        yield whole


def joined(base: str, name: str) -> str:
    return f"{base.rstrip('/')}/{name.lstrip('/')}" if base else name


def _lines(where: str, path: str) -> list[str]:
    storage.check(path)
    try:
        data = patiently(path, lambda: _read(path))
    except ThrottledError:
        raise
    except FileNotFoundError:
        raise RecipeError(f"{where}: {path!r} is not there, so it matches no file") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise RecipeError(f"{where}: the list {path!r} cannot be read: {str(error)[:200]}") from error
    if len(data) > MAX_BYTES:
        raise RecipeError(f"{where}: the list {path!r} has more than {MAX_BYTES:,} bytes; cut it into several")
    return data.decode("utf-8", "replace").splitlines()


def _read(path: str) -> bytes:
    with fsspec.open(path, "rb", compression="infer") as file:
        return file.read(MAX_BYTES + 1)
