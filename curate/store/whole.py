"""Files that appear whole or not at all, on a disk and on an object store."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from curate.storage import is_local


@contextmanager
def fresh(fs: Any, final: str) -> Iterator[BinaryIO]:
    """A new file at `final`. It is there, whole, when the block ended well; otherwise nothing is, or what was there before."""
    if not is_local(fs):
        # An object store has no rename, but a PUT is whole: the object appears when the block ends. It does so even
        # when the block fails, since closing is what sends it; then it has to go again.
        try:
            with fs.open(final, "wb") as out:
                yield out
        except BaseException:
            if fs.exists(final):
                fs.rm_file(final)
            raise
        return
    os.makedirs(os.path.dirname(final), exist_ok=True)
    temporary = f"{os.path.dirname(final)}/.{os.path.basename(final)}.{uuid.uuid4().hex}.tmp"
    try:
        with open(temporary, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, final)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
