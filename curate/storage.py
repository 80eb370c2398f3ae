"""Where data is kept: any place that fsspec knows, and a word about what is missing for one."""

from functools import cache

import fsspec

from curate import CurateError
from curate.hints import nearest

EXTRAS = {"http": "http", "https": "http", "s3": "s3", "s3a": "s3"}
"""Protocols whose packages an extra of this project brings."""


class StorageError(CurateError, ValueError):
    """A path that this installation cannot reach; the message says what to install."""


def check(path: str) -> None:
    """Raises StorageError when what it takes to reach a path or URL is not installed."""
    for protocol in path.split("::"):
        if "://" in protocol:
            _check(protocol.partition("://")[0], path)


def located(path: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """(filesystem, path in it) of a path or URL. Raises StorageError."""
    check(path)
    return fsspec.core.url_to_fs(path)


def is_local(fs: fsspec.AbstractFileSystem) -> bool:
    """Whether it is this machine's disk, which has renames and whose files other programs can open by their paths."""
    return "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def _check(protocol: str, path: str) -> None:
    problem = _problem(protocol)
    if problem is not None:
        raise StorageError(f"{path[:200]}: {problem}")


@cache
def _problem(protocol: str) -> str | None:
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        install = f"pip install 'curate-pairs[{extra}]'" if extra else f"install it ({str(error)[:200]})"
        return f"{protocol}:// needs a package that is not installed; {install}, and run the same command again"
    except ValueError:
        return f"no storage {protocol!r}: {nearest(protocol, ['file', 'gs', 'hdfs', 'http', 'https', 's3'])}"
    return None
