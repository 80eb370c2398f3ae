"""Indexes that are kept: shared, safe from others, and made anew when the list changes or the file is damaged."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

from curate import schema
from curate.concepts import cache, entries, index
from curate.recipe import RecipeError

RULES = ["metaclip1", "metaclip2"]
WORDS = ["cat", "a b", "w" * 7, "w" * 8, "w" * 15, "w" * 16, "w" * 300, "a  b", "-", "re-", "猫", "猫の写真", "cat 猫", "é", "\U0010ffff"]  # fmt: skip
TEXTS = pa.array(["the cat 猫の写真", "a b a  b", "re-é", " ".join(WORDS), "", "\U0010ffff" + "w" * 16])


def table(texts: list[str]) -> pa.Table:
    columns = {"source": ["words"] * len(texts), "statistic": [None] * len(texts)}
    return schema.load("entries").hold(
        pa.table({"id": range(len(texts)), "text": pa.array(texts, pa.string()), **columns})
    )


def answers(built: index.Index) -> list[list[int]]:
    return [part.tolist() for part in built.match(TEXTS, np.arange(len(TEXTS)))]


def write_list(folder, texts: list[str]) -> None:
    (folder / "en").mkdir(parents=True, exist_ok=True)
    pq.write_table(table(texts), folder / "en" / "entries.parquet")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder for indexes that is not there yet, and what they are files of."""
    monkeypatch.setenv("CURATE_CACHE", str(tmp_path / "cache"))
    write_list(tmp_path / "lists", ["cat", "house"])
    index._opened.cache_clear()
    return tmp_path


def found(folder, text: str = "the cat is in the house") -> list[int]:
    return index.opened(str(folder / "lists"), "en", "metaclip1").match(pa.array([text]), np.arange(1))[0].tolist()


def files(folder) -> list:
    return sorted((folder / "cache").glob("*.index"))


# -- what is read is what was built


@pytest.mark.parametrize("texts", [WORDS, ["cat"], ["猫"], []])
@pytest.mark.parametrize("rule", RULES)
def test_an_index_on_disk_is_the_one_that_was_built(rule, texts, tmp_path):
    built = index.build(table(texts), rule)
    cache.write(built, tmp_path / "an.index")
    read = cache.read(tmp_path / "an.index", index.Index)
    assert answers(read) == answers(built)
    for part in (read.words, read.characters):
        if part is not None:
            assert not part.trie.edges.flags.writeable and part.trie.edges.ctypes.data % cache.LINE == 0
    assert os.listdir(tmp_path) == ["an.index"]


LAYOUTS = {"metaclip1": "edeaf9b4ff0aa748", "metaclip2": "4e8957af0f3bf28e"}


@pytest.mark.parametrize("rule", RULES)
def test_the_layout_has_another_number_when_the_arrays_are_others(rule, tmp_path):
    """Indexes that are kept outlive the code. When this fails, count LAYOUT up and put the new hash here."""
    cache.write(index.build(table(WORDS), rule), tmp_path / "an.index")
    assert (index.LAYOUT, xxhash.xxh3_64_hexdigest((tmp_path / "an.index").read_bytes())) == (2, LAYOUTS[rule])


# -- damage


def damaged(data: bytes) -> dict[str, bytes]:
    """Files that are not the one that was written."""
    cuts = {f"cut at {at}": data[:at] for at in (0, 1, 8, 15, 16, 17, 64, 400, len(data) // 2, len(data) - 1)}
    places = {"checksum": 3, "length": 8, "length's upper end": 15, "directory": 30, "arrays": -1000, "end": -1}
    flips = {f"a bit of the {what}": data[:at] + bytes([data[at] ^ 4]) + data[at:][1:] for what, at in places.items()}
    return cuts | flips | {"zeros": bytes(len(data)), "longer": data + b"\0"}


def test_a_damaged_file_is_said_to_be_so(tmp_path):
    file = tmp_path / "an.index"
    cache.write(index.build(table(WORDS), "metaclip2"), file)
    for what, data in damaged(file.read_bytes()).items():
        file.write_bytes(data)
        with pytest.raises(cache.Damaged, match=r"an\.index"):
            cache.read(file, index.Index)
            pytest.fail(what)


def test_a_damaged_file_is_made_anew(kept):
    assert found(kept) == [0, 1]
    (file,) = files(kept)
    whole = file.read_bytes()
    for what, data in damaged(whole).items():
        file.unlink()  # What is mapped stays as it is: truncating it would end the process that reads it.
        file.write_bytes(data)
        index._opened.cache_clear()
        assert (found(kept), file.read_bytes() == whole) == ([0, 1], True), what


def test_a_file_under_the_name_of_another_is_made_anew(kept):
    found(kept)
    (first,) = files(kept)
    write_list(kept / "lists", ["house", "cat", "the"])
    assert found(kept, "cat") == [1]
    (second,) = set(files(kept)) - {first}
    second.unlink()
    os.link(first, second)
    index._opened.cache_clear()
    assert found(kept, "cat") == [1]


# -- a list that changes


def test_an_index_is_kept_under_its_lists_fingerprint(kept):
    assert found(kept) == [0, 1]
    (file,) = files(kept)
    assert file.name == f"en-{entries.fingerprint(str(kept / 'lists'), 'en')}-metaclip1-{index.LAYOUT}.index"
    written = file.stat().st_mtime_ns
    index._opened.cache_clear()
    assert found(kept) == [0, 1] and file.stat().st_mtime_ns == written


def test_a_list_that_changes_is_matched_as_it_is_now(kept):
    assert found(kept, "horse house") == [1]
    write_list(kept / "lists", ["horse", "mouse"])
    assert found(kept, "horse house") == [0]
    assert len(files(kept)) == 2


def test_a_list_that_changes_while_it_is_read_is_not_kept_as_the_one_before(kept, monkeypatch):
    before = entries.fingerprint(str(kept / "lists"), "en")
    read = entries.read

    def overtaken(metadata, language):
        data = read(metadata, language)
        write_list(kept / "lists", ["horse"])
        return data

    monkeypatch.setattr(entries, "read", overtaken)
    assert found(kept) == [0, 1]
    assert before in files(kept)[0].name


@pytest.mark.parametrize(
    ("damage", "says"),
    [(b"PAR1", "entries.parquet"), (b"", "entries.parquet"), ("text", "UTF8"), ("null", "nulls"), ("twice", "repeat")],
)
def test_a_list_that_cannot_be_used_is_refused(kept, damage, says):
    file = kept / "lists" / "en" / "entries.parquet"
    if isinstance(damage, bytes):
        file.write_bytes(damage)
    else:
        texts = {
            "text": pa.array([b"cat", b"\xe4\xbd"], pa.binary()).view(pa.string()),
            "null": pa.array(["cat", None]),
            "twice": pa.array(["cat", "cat"]),
        }
        pq.write_table(table(["a", "b"]).set_column(1, "text", texts[damage]), file)
    with pytest.raises((RecipeError, schema.SchemaError), match=says):
        found(kept)
    assert not files(kept)


# -- the folder


def test_the_folder_is_made_for_this_user_alone(kept):
    usual = os.umask(0o002)
    assert found(kept) == [0, 1]
    os.umask(usual)
    assert (kept / "cache").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_can_write_is_refused(kept, mode):
    (kept / "cache").mkdir()
    (kept / "cache").chmod(mode)
    with pytest.raises(cache.CacheError, match=r"can be written by others .*CURATE_CACHE="):
        found(kept)
    (kept / "cache").chmod(0o755)
    assert found(kept) == [0, 1]


def test_a_folder_of_another_user_is_refused(kept, monkeypatch):
    found(kept)
    index._opened.cache_clear()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(cache.CacheError, match=r"belongs to user \d+, and this is user 12345.*CURATE_CACHE="):
        found(kept)


def test_a_folder_that_cannot_be_made_says_so(kept, monkeypatch):
    monkeypatch.setenv("CURATE_CACHE", str(kept / "lists" / "en" / "entries.parquet"))
    with pytest.raises(cache.CacheError, match="CURATE_CACHE"):
        found(kept)


@pytest.mark.parametrize("what", ["*.lock", "*.tmp", "os.replace"])
def test_a_file_that_cannot_be_written_says_so(kept, monkeypatch, what):
    """As on a full or read-only disk."""

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    if what == "os.replace":
        monkeypatch.setattr(os, "replace", refuse)
    else:
        opened = open
        monkeypatch.setattr(
            cache, "open", lambda path, *how: refuse() if path.match(what) else opened(path, *how), raising=False
        )
    with pytest.raises(cache.CacheError, match=r"No space left on device.*CURATE_CACHE="):
        found(kept)
    assert not [name for name in os.listdir(kept / "cache") if not name.endswith(".lock")]


def test_a_file_system_without_locks_serves(kept, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(cache.fcntl, "flock", refuse)
    assert found(kept) == [0, 1]


def test_threads_that_ask_at_once_build_one(kept, monkeypatch):
    built, build, together = [], index.build, Barrier(8)

    def slowly(*asked):
        built.append(asked)
        time.sleep(0.3)
        return build(*asked)

    monkeypatch.setattr(index, "build", slowly)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: (together.wait(), found(kept))[1], range(8))) == [[0, 1]] * 8
    assert len(built) == 1


def test_processes_that_ask_at_once_share_one_file(kept):
    code = "import sys; from curate.concepts import index; print(index.opened(sys.argv[1], 'en', 'metaclip1').words.trie.entries)"
    asked = [sys.executable, "-c", code, str(kept / "lists")]
    running = [subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate()[0].strip() for process in running] == ["2"] * 3
    assert len(files(kept)) == 1 and not list((kept / "cache").glob(".*.tmp"))
