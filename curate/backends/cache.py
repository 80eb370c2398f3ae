"""What has been answered before, by content: a rerun or a crash asks for nothing twice.

One SQLite file for each part of a dataset and each backend, `<folder>/<mark of the backend>/<part>.sqlite`: a part's requests are looked up
where the part is, and no file grows with the pool. An answer is committed when it comes. On an object store the file is
fetched when the part begins and stored again now and then and at the end; what came in between is asked again after a kill.
"""

import os
import sqlite3
import tempfile
import time
from contextlib import suppress

import msgspec

from curate import storage
from curate.backends.contract import Answer

EVERY = 60.0
"""Seconds between two copies to an object store."""


class Cache:
    """The answers of one backend to the requests of one part. Failures are not kept: they may pass."""

    def __init__(self, folder: str, mark: str, part: str):
        self._fs, root = storage.located(folder)
        self._final = f"{root.rstrip('/')}/{mark}/{part}.sqlite"
        protocols = (self._fs.protocol,) if isinstance(self._fs.protocol, str) else self._fs.protocol
        self._remote, self._changed, self._stored = "file" not in protocols, False, time.monotonic()
        self._file = self._fetched() if self._remote else self._final
        os.makedirs(os.path.dirname(self._file), exist_ok=True)
        self._base = sqlite3.connect(self._file, timeout=60, isolation_level=None, check_same_thread=False)
        self._base.execute("PRAGMA journal_mode=WAL")
        # Survives the end of the process, if not that of the machine, and costs no wait for the disk.
        self._base.execute("PRAGMA synchronous=OFF")
        self._base.execute("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer BLOB) WITHOUT ROWID")

    def _fetched(self) -> str:
        self._folder = tempfile.TemporaryDirectory(prefix="curate-answers-")
        file = os.path.join(self._folder.name, "answers.sqlite")
        with suppress(FileNotFoundError):
            self._fs.get_file(self._final, file)
        return file

    def get(self, key: bytes) -> Answer | None:
        """The answer to a request that was answered before."""
        row = self._base.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else msgspec.msgpack.decode(row[0], type=Answer)

    def put(self, key: bytes, answer: Answer) -> None:
        self._base.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, msgspec.msgpack.encode(answer)))
        self._changed = True
        if self._remote and time.monotonic() - self._stored > EVERY:
            self._store()

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
