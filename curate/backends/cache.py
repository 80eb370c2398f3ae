"""What has been answered before, by content: a rerun or a crash asks for nothing twice.

One SQLite file for each part of a dataset and each backend, `<folder>/<mark of the backend>/<part>.sqlite`: a part's requests are looked up
where the part is, and no file grows with the pool. An answer is committed when it comes, so that a process may be killed at any time.
Several processes may have a file open. One that is damaged is put aside, and what was in it is asked again.

On an object store the file is fetched when the part begins and stored again now and then and at the end; what came in between is asked
again after a kill, and of two at work on the same part the last one's answers stay.
"""

import os
import sqlite3
import sys
import tempfile
import time
from contextlib import suppress

import msgspec

from curate import storage
from curate.backends.contract import Answer

ANSWERS = "answers"
"""The folder in a workdir, where nobody names another."""
EVERY = 60.0
"""Seconds between two copies to an object store."""
_DAMAGED = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_IOERR_SHORT_READ}
)
"""SQLITE_ERROR: there is a table of another shape."""
_DECODE = msgspec.msgpack.Decoder(Answer).decode
_ENCODE = msgspec.msgpack.Encoder().encode


class Cache:
    """The answers of one backend to the requests of one part.

    Failures are not kept, since they may pass; but for `failures`: then they are, until they are forgiven, for a backend that is asked
    by one process and whose answers are read by another.
    """

    def __init__(self, folder: str, mark: str, part: str, failures: bool = False):
        self._failures = failures
        self._fs, root = storage.located(folder)
        self._final = f"{root.rstrip('/')}/{mark}/{part}.sqlite"
        self._remote, self._changed, self._stored = not storage.is_local(self._fs), False, time.monotonic()
        self._file = self._fetched() if self._remote else self._final
        os.makedirs(os.path.dirname(self._file), exist_ok=True)
        try:
            self._base = _opened(self._file)
        except sqlite3.DatabaseError as error:
            self._aside(error)

    def _fetched(self) -> str:
        self._folder = tempfile.TemporaryDirectory(prefix="curate-answers-")
        file = os.path.join(self._folder.name, "answers.sqlite")
        with suppress(FileNotFoundError):
            self._fs.get_file(self._final, file)
        return file

    def _aside(self, error: sqlite3.DatabaseError) -> None:
        """Puts a damaged file aside and begins a new one. Raises the error of one that is whole: a full disk, a lock."""
        code = getattr(error, "sqlite_errorcode", 0)
        if not {code, code & 0xFF} & _DAMAGED:
            raise error
        aside = f"{self._final}.damaged"
        print(
            f"curate: {self._final} is damaged ({error}); it is put aside as {aside}, and asked again", file=sys.stderr
        )
        # The log of the old file would be played into the new one.
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.unlink(self._file + suffix)
        with suppress(FileNotFoundError):
            if self._remote:
                os.unlink(self._file)
                self._fs.mv(self._final, aside)
            else:
                os.replace(self._file, aside)
        self._base = _opened(self._file)

    def get(self, key: bytes) -> Answer | None:
        """The answer to a request that was answered before."""
        try:
            row = self._base.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
            if row is None and self._failures:
                row = self._base.execute("SELECT answer FROM failures WHERE key = ?", (key,)).fetchone()
        except sqlite3.DatabaseError as error:
            self._mend(error)
            return None
        with suppress(msgspec.DecodeError):
            return None if row is None else _DECODE(row[0])
        return None

    def put(self, key: bytes, answer: Answer) -> None:
        """Keeps an answer, at once. One that failed only as the class says."""
        if answer.status is not None and not self._failures:
            return
        table, values = "answers" if answer.status is None else "failures", (key, _ENCODE(answer))
        try:
            self._base.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", values)
        except sqlite3.DatabaseError as error:
            self._mend(error)
            self._base.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", values)
        self._changed = True
        if self._remote and time.monotonic() - self._stored > EVERY:
            self._store()

    def forgive(self) -> None:
        """Forgets the failures: they are to be asked again."""
        self._changed |= self._base.execute("DELETE FROM failures").rowcount > 0

    def _mend(self, error: sqlite3.DatabaseError) -> None:
        self._base.close()
        self._aside(error)

    def close(self) -> None:
        if self._remote and self._changed:
            self._store()
        self._base.close()
        if self._remote:
            self._folder.cleanup()

    def _store(self) -> None:
        self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with open(self._file, "rb") as file:
            self._fs.pipe_file(self._final, file.read())
        self._stored = time.monotonic()


def _opened(file: str) -> sqlite3.Connection:
    base = sqlite3.connect(file, timeout=60, isolation_level=None, check_same_thread=False)
    try:
        base.execute("PRAGMA journal_mode=WAL")
        # Survives the end of the process, if not that of the machine, and costs no wait for the disk.
        base.execute("PRAGMA synchronous=OFF")
        for table in ("answers", "failures"):
            base.execute(f"CREATE TABLE IF NOT EXISTS {table} (key BLOB PRIMARY KEY, answer BLOB) WITHOUT ROWID")
            base.execute(f"SELECT key, answer FROM {table} LIMIT 1").fetchone()
    except sqlite3.DatabaseError:
        base.close()
        raise
    return base
