"""The bytes of images that rows of this reader name as `member`: of a package, which is unfolded once for all of them, or of the
article's folder."""

from collections.abc import Iterable, Iterator

import fsspec

from curate.pools.beside import LIMIT, MemberError, read_beside
from curate.pools.pmc import package
from curate.pools.pmc.package import PackageError


def read_members(path: str, wanted: Iterable[str], limit: int = LIMIT) -> Iterator[tuple[str, bytes | MemberError]]:
    """(member, its bytes or what is wrong with it) for each wanted name, once, in the order of the package.

    A package is unfolded once and no further than the last wanted member; one image is in memory at a time.
    """
    names = list(dict.fromkeys(wanted))
    if not path.lower().endswith((".tar.gz", ".tgz", ".tar")):
        for name in names:
            try:
                yield name, read_beside(path, name, limit)
            except MemberError as error:
                yield name, error
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
