"""Opens a file of the pool where it is, or says that it is not there."""

import shutil
import tempfile
from contextlib import ExitStack
from typing import BinaryIO, cast

import fsspec

from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.pools.throttling import Patient, ThrottledError, cause, patiently

_GONE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
GONE = (401, 403, 404, 410)
"""Answers of a web server that will not change when it is asked again."""


def opened(file: Input, account: Account, stack: ExitStack) -> BinaryIO | None:
    """The file, seekable, open as long as the stack is; None, and `no_file` in the account, where the storage says that it is not
    there or may not be read. Raises ThrottledError where a server wants fewer requests and waiting does not help, and what else the
    storage raises: a lost connection says nothing about the file.
    """
    try:
        return patiently(file.path, lambda: _opened(file.path, stack))
    except ThrottledError:
        raise
    except Exception as error:
        reason = cause(error)
        if isinstance(reason, _GONE) or getattr(reason, "status", None) in GONE:
            account.failed["no_file"] += 1
            account.broken(file.name, 0, f"{type(reason).__name__}: {reason}")
            return None
        if reason is error:
            raise
        raise ConnectionError(f"{file.path}: {reason!r}") from error


def _opened(path: str, stack: ExitStack) -> BinaryIO:
    data = stack.enter_context(fsspec.open(path, "rb"))
    # Stores that are asked for nothing when a file is opened are asked now.
    data.read(1)
    try:
        data.seek(0)
        return cast(BinaryIO, Patient(data, path)) if "://" in path and not path.startswith("file:") else data
    except ValueError:  # A server that sends no parts of a file sends all of it.
        data = stack.enter_context(fsspec.open(path, "rb"))
    copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    shutil.copyfileobj(data, copy, 1 << 20)
    copy.seek(0)
    return cast(BinaryIO, copy)
