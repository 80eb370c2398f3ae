"""The bytes of images that rows of this reader name as `member`: of a package, which is unfolded once for all of them, or of the
article's folder."""

import os
import stat
from collections.abc import Iterable, Iterator

import fsspec

from curate.pools.pmc import files, package
from curate.pools.pmc.beside import is_local
from curate.pools.pmc.package import PackageError

LIMIT = 64 * 2**20


class MemberError(ValueError):
    """A member that is not there, is no file of its own, or is larger than asked for; the message says which."""


def open_member(path: str, member: str, offset: int = 0, limit: int = LIMIT) -> bytes:
    """The bytes of one image: `member` in the package at `path`, or beside the article there. Raises MemberError.

    Of a package, ask for all that is wanted at once: see `read_members`.
    """
    data = next((data for _, data in read_members(path, [member], limit)), None)
    if isinstance(data, bytes):
        return data
    raise data or MemberError(f"{path}: has no member {member!r}")


def read_members(path: str, wanted: Iterable[str], limit: int = LIMIT) -> Iterator[tuple[str, bytes | MemberError]]:
    """(member, its bytes or what is wrong with it) for each wanted name, once, in the order of the package.

    A package is unfolded once and no further than the last wanted member; one image is in memory at a time.
    """
    names = list(dict.fromkeys(wanted))
    if not path.lower().endswith((".tar.gz", ".tgz", ".tar")):
        for name in names:
            yield name, _beside(path, name, limit)
        return
    missing = set(names)
    problem = "the package has no such member"
    fs, plain = fsspec.core.url_to_fs(path)
    with fs.open(plain, "rb") as opened:
        try:
            for member in package.members(opened, int(fs.size(plain)), limit, {}):
                if member.name in missing:
                    missing.discard(member.name)
                    yield member.name, _read(path, member, limit)
                if not missing:
                    break
        except PackageError as error:
            problem = f"the package is broken before it: {error}"
    for name in names:
        if name in missing:
            yield name, MemberError(f"{path}: {name}: {problem}")


def _read(path: str, member: package.Member, limit: int) -> bytes | MemberError:
    try:
        return member.read()
    except PackageError as error:
        return MemberError(f"{path}: {error}")


def _beside(path: str, name: str, limit: int) -> bytes | MemberError:
    if files.safe(name) != name or "/" in name:
        return MemberError(f"{path}: {name!r} is no name of a file beside it")
    fs, plain = fsspec.core.url_to_fs(path)
    file = f"{plain.rpartition('/')[0]}/{name}"
    try:
        if is_local(fs) and not stat.S_ISREG(os.lstat(file).st_mode):
            return MemberError(f"{file}: is a link, or no file")
        with fs.open(file, "rb") as opened:
            data = opened.read(limit + 1)
    except (FileNotFoundError, IsADirectoryError) as error:
        return MemberError(f"{file}: {error}")
    return MemberError(f"{file}: more than {limit} bytes") if len(data) > limit else data
