"""What has been answered is kept: by two at once, on any store, past a kill; and a damaged file costs its answers alone."""

import multiprocessing
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from curate.backends.cache import Cache
from curate.backends.contract import Answer

PART = "part-00000"


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def answer(number: int) -> Answer:
    return Answer(f"caption {number} " * 5, "stop", number, 2)


def fill(folder: str, numbers: range, end: bool = False) -> None:
    cache = Cache(folder, "m", PART)
    for number in numbers:
        cache.put(key(number), answer(number))
    if end:
        os.kill(os.getpid(), signal.SIGKILL)
    cache.close()


def known(folder, numbers) -> list[int]:
    with closing(Cache(str(folder), "m", PART)) as cache:
        found = {number: cache.get(key(number)) for number in numbers}
    assert all(one is None or one == answer(number) for number, one in found.items())
    return [number for number, one in found.items() if one is not None]


def test_two_may_write_at_once(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=fill, args=(str(tmp_path), range(n, 1500 + n))) for n in (0, 500, 1000)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert known(tmp_path, range(3000)) == list(range(2500))


def test_nothing_is_lost_when_its_writer_is_killed(tmp_path):
    writer = multiprocessing.get_context("fork").Process(target=fill, args=(str(tmp_path), range(300), True))
    writer.start()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL and len(known(tmp_path, range(300))) == 300


def _other_shape(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as base:
        base.execute("CREATE TABLE answers (words TEXT)")


DAMAGES = {
    "half": lambda file: os.truncate(file, file.stat().st_size // 2), "words": lambda file: file.write_bytes(b"no database" * 1000), "header": lambda file: os.truncate(file, 60),
    "holes": lambda file: file.write_bytes(file.read_bytes()[:4096] + b"\xff" * (file.stat().st_size - 4096)), "shape": _other_shape,
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_put_aside_with_a_note_and_the_work_goes_on(tmp_path, capsys, name):
    fill(str(tmp_path), range(500))
    file = tmp_path / "m" / f"{PART}.sqlite"
    DAMAGES[name](file)
    damaged = file.read_bytes()
    assert len(known(tmp_path, range(500))) < 500
    fill(str(tmp_path), range(500, 1000))
    assert known(tmp_path, range(500, 1000)) == list(range(500, 1000))
    said = capsys.readouterr().err
    assert "is damaged" in said and str(file) in said and "put aside" in said
    assert (tmp_path / "m" / f"{PART}.sqlite.damaged").read_bytes()[:16] == damaged[:16]


def test_an_answer_that_cannot_be_read_is_asked_again(tmp_path):
    fill(str(tmp_path), range(5))
    with closing(sqlite3.connect(tmp_path / "m" / f"{PART}.sqlite")) as base:
        base.execute("UPDATE answers SET answer = x'00ff' WHERE key = ?", (key(2),))
        base.commit()
    assert known(tmp_path, range(5)) == [0, 1, 3, 4]


def test_a_file_that_cannot_be_written_is_no_damage(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / f"{PART}.sqlite").mkdir()
    with pytest.raises(sqlite3.OperationalError):
        Cache(str(tmp_path), "m", PART)


def test_on_an_object_store_answers_are_there_for_the_next_and_a_damaged_object_is_none(capsys):
    import fsspec

    folder, store = "memory://answers-of-tests", fsspec.filesystem("memory")
    try:
        fill(folder, range(200))
        fill(folder, range(200, 300))
        assert known(folder, range(400)) == list(range(300))
        store.pipe_file(f"/answers-of-tests/m/{PART}.sqlite", b"no database" * 99)
        assert known(folder, range(300)) == []
        assert "is damaged" in capsys.readouterr().err
        assert store.cat_file(f"/answers-of-tests/m/{PART}.sqlite.damaged").startswith(b"no database")
        fill(folder, range(10))
        assert known(folder, range(300)) == list(range(10))
    finally:
        store.rm("/answers-of-tests", recursive=True)


def test_on_an_object_store_answers_are_stored_now_and_then(monkeypatch):
    import fsspec

    from curate.backends import cache as module

    folder, store = "memory://answers-now-and-then", fsspec.filesystem("memory")
    monkeypatch.setattr(module, "EVERY", 0.0)
    try:
        with closing(Cache(folder, "m", PART)) as cache:
            cache.put(key(1), answer(1))
            assert known(folder, [1]) == [1]
    finally:
        store.rm("/answers-now-and-then", recursive=True)
