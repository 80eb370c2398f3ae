"""Pools that are lists: of paths, of crawls by name, on a web server that sends parts of files."""

import gzip
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from curate.pools import inputs, readers, throttling
from curate.pools.candidates import Account
from curate.pools.inputs import identity
from curate.recipe import Extract, RecipeError, Source
from tests.archives import archive, page

FILES = [f"crawl-data/CC-MAIN-2024-10/segments/17{i}/wat/CC-MAIN-{i:05d}.warc.wat.gz" for i in range(40)]


@contextmanager
def server(files: dict[str, bytes | int], parts: bool = True, throttled=None):
    """A web server of files, or of statuses; (its URL, the requests it got). `parts`: it answers Range. `throttled`: is asked with
    the requests so far for (status, body, headers) in place of an answer, or None."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            found = files.get(self.path.partition("?")[0].lstrip("/"), 404)
            status, body = (found, b"") if isinstance(found, int) else (200, found)
            refused = throttled(asked) if throttled else None
            status, body, fields = refused or (status, body, {})
            length = len(body)
            span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if parts else None
            if span and status == 200:
                start, end = int(span[1]), min(int(span[2] or length), length - 1)
                status, body = 206, body[start : end + 1]
            self.send_response(status)
            for name, value in fields.items():
                self.send_header(name, value)
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{end}/{length}")
            if parts:
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Length", str(len(body)))
            else:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{web.server_port}/", asked
    finally:
        web.shutdown()
        web.server_close()


def crawl(**how) -> Source:
    return Source(name="crawl", **how)


def names(source: Source, seed: int = 0) -> list[str]:
    return [file.name for file in inputs.expand(Extract(sources=(source,)), seed)]


def test_a_list_names_files_below_a_base_and_asks_nobody_about_them(tmp_path):
    (tmp_path / "wat.paths.gz").write_bytes(
        gzip.compress("\n".join([*FILES[:3], "", "https://other.example/x.warc.gz"]).encode())
    )
    source = crawl(inputs=(f"{tmp_path}/wat.paths.gz",), base="https://nowhere.example/")
    files = inputs.expand(Extract(sources=(source,)))
    assert [file.path for file in files] == [
        *(f"https://nowhere.example/{name}" for name in FILES[:3]),
        "https://other.example/x.warc.gz",
    ]
    assert {file.size for file in files} == {None}
    assert identity(files).startswith("4 files of 0 bytes and 4 of unknown size, ")
    moved = inputs.expand(Extract(sources=(crawl(inputs=source.inputs, base="s3://commoncrawl"),)))
    assert moved[0].path == f"s3://commoncrawl/{FILES[0]}"
    assert identity(moved) == identity(files)


@pytest.mark.parametrize("name", ["a.paths", "a.txt"])
def test_paths_of_a_list_without_a_base_count_from_here(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.warc.gz").write_bytes(archive(page("<img src=a.jpg alt=here>")))
    (tmp_path / name).write_text("x.warc.gz\n")
    (file,) = inputs.expand(Extract(inputs=(name,)))
    assert file.path == f"file://{tmp_path}/x.warc.gz"
    assert texts(file)[0] == ["here"]


def texts(file) -> tuple[list[str], Account]:
    account = Account()
    tables = readers.read(file, Extract(sources=(file.source,) if file.source else ()), account)
    return [text for table in tables for text in table["text"].to_pylist()], account


@pytest.mark.parametrize("parts", [True, False])
def test_a_crawl_is_read_by_its_name_from_a_web_server(parts):
    body = "x" * 50_000
    data = archive(*(page(f'<img src={i}.jpg alt="number {i}">', f"<p>{body}") for i in range(3)))
    found: dict[str, bytes | int] = {FILES[0]: data, FILES[1]: data[:-40]}
    found["crawl-data/CC-MAIN-2024-10/warc.paths.gz"] = gzip.compress("\n".join(FILES[:4]).encode())
    found[FILES[3]] = 403
    with server(found, parts) as (url, asked):
        files = inputs.expand(Extract(sources=(crawl(inputs=("CC-MAIN-2024-10/warc",), base=url),)))
        assert {request.split("/")[-1] for request in asked} == {"warc.paths.gz"}
        read = [texts(file) for file in files]
    whole = ["number 0", "number 1", "number 2"]
    assert [found for found, _ in read] == [whole, whole[:2], [], []]
    assert [dict(account.failed) for _, account in read] == [{}, {"bad_record": 1}, {"no_file": 1}, {"no_file": 1}]
    assert [account.breaks[0].file for _, account in read[1:]] == [file.name for file in files[1:]]
    assert read[2][1].breaks[0].offset == 0


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_that_has_no_time_says_nothing_about_its_files(status, monkeypatch):
    monkeypatch.setattr(throttling, "FIRST", 0.001)
    with server({"x.warc.gz": status}) as (url, _):
        (file,) = inputs.expand(Extract(inputs=(f"{url}x.warc.gz?signature=1",)))
        assert file.name == "x.warc.gz"
        with pytest.raises(ConnectionError, match=f"x.warc.gz.*{status}"):
            texts(file)


def test_a_server_that_is_not_there_is_no_missing_file():
    with server({}) as (url, _):
        pass
    with pytest.raises(ConnectionError):
        texts(inputs.expand(Extract(inputs=(f"{url}x.warc.gz",)))[0])


def test_so_many_files_are_drawn_by_the_seed_and_a_larger_number_takes_the_same_and_more(tmp_path):
    (tmp_path / "wat.paths").write_text("\n".join(FILES))

    def drawn(number: int | None, seed: int = 0, base: str = "https://a.example/") -> set[str]:
        found = names(crawl(inputs=(f"{tmp_path}/wat.paths",), base=base, files=number), seed)
        assert len(found) == len(set(found))
        return set(found)

    assert [len(drawn(number)) for number in (1, 7, 20, 40)] == [1, 7, 20, 40]
    assert drawn(1) < drawn(7) < drawn(20) < drawn(40) == drawn(None)
    assert drawn(7) == drawn(7, base="s3://elsewhere/deep/") != drawn(7, seed=1)
    # Every file has its chance.
    assert set.union(*(drawn(7, seed) for seed in range(60))) == drawn(None)
    with pytest.raises(RecipeError, match="source crawl: files=41, and it has only 40"):
        drawn(41)


def test_a_draw_does_not_depend_on_other_sources(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for i in range(20):
            (tmp_path / folder / f"{i}.warc.gz").write_bytes(b"")
    one, two = (Source(name=name, inputs=(f"{tmp_path}/{name}/*",), files=5) for name in ("one", "two"))
    alone = {file.path for file in inputs.expand(Extract(sources=(one,)))}
    both = {file.path for file in inputs.expand(Extract(sources=(one, two)))}
    assert alone < both and len(both) == 10


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("CC-MAIN-2024-10/wet", r"sources\[0\].inputs\[0\]: .*no 'wet' that is read here; known are wat, warc"),
        ("nowhere.paths.gz", "'nowhere.paths.gz' is not there"),
        ("broken.paths.gz", "broken.paths.gz' cannot be read"),
        ("empty.txt", "matches no file"),
    ],
)
def test_a_list_that_is_none_is_an_error_that_names_it(tmp_path, monkeypatch, pattern, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.paths.gz").write_bytes(gzip.compress(b"x.warc.gz\n" * 1000)[:-20])
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(RecipeError, match=message):
        names(crawl(inputs=(pattern,)))


@pytest.mark.parametrize(
    "line", ["/etc/passwd", "file:///etc/passwd", "../x.warc.gz", "a/../../x.warc.gz", "simplecache::file://x"]
)
def test_a_list_from_elsewhere_leads_nowhere_on_this_machine(line):
    with server({"a.paths": f"x.warc.gz\n{line}\n".encode()}) as (url, _):
        with pytest.raises(RecipeError, match=r"line 2 of .*is no path below a base on a server"):
            names(crawl(inputs=(f"{url}a.paths",), base=url))
