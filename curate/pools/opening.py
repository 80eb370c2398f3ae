"""Opens a file of the pool where it is, or says that it is not there."""

import shutil
import tempfile
from contextlib import ExitStack
from typing import BinaryIO, cast

import fsspec

from curate.pools.candidates import Account
from curate.pools.inputs import Input

_GONE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
GONE = (401, 403, 404, 410)
"""Answers of a web server that will not change when it is asked again."""


def opened(file: Input, account: Account, stack: ExitStack) -> BinaryIO | None:
    """The file, seekable, open as long as the stack is; None, and `no_file` in the account, where the storage says that it is not
    there or may not be read. Raises what else the storage raises: a lost connection says nothing about the file.
    """
    try:
        data = stack.enter_context(fsspec.open(file.path, "rb"))
        # Stores that are asked for nothing when a file is opened are asked now.
        data.read(1)
        try:
            data.seek(0)
            return data
        except ValueError:  # A server that sends no parts of a file sends all of it.
            data = stack.enter_context(fsspec.open(file.path, "rb"))
    except Exception as error:
        reason = _reason(error)
        if isinstance(reason, _GONE) or getattr(reason, "status", None) in GONE:
            account.failed["no_file"] += 1
            account.broken(file.name, 0, f"{type(reason).__name__}: {reason}")
            return None
        if reason is error:
            raise
        raise ConnectionError(f"{file.path}: {reason!r}") from error
    copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    shutil.copyfileobj(data, copy, 1 << 20)
    copy.seek(0)
    return cast(BinaryIO, copy)


def _reason(error: BaseException) -> BaseException:
    """fsspec says of every URL that it cannot ask about that there is none; the answer, or that there was none, stands behind."""
    while isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    return error
