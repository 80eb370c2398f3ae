"""Shards as pools: what img2dataset and webdataset write, and tars that nobody should have written."""

import io
import json
import subprocess
import tarfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import orjson
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image

from curate import schema
from curate.pools import readers
from curate.pools.beside import MemberError
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.pools.tar_members import read_at
from curate.recipe import Extract, Source
from curate.uid import image_uid, pair_uid


def picture(shade: int = 0, form: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 12), (shade % 256, 80, 120)).save(out, form)
    return out.getvalue()


def tar(*members: tuple[str, bytes], **how) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **how) as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return out.getvalue()


def read_member(path: str, member: str, offset: int, limit: int) -> bytes:
    with open(path, "rb") as opened:
        return read_at(opened, path, member, offset, limit)


def read(path, data: bytes | None = None, source: Source | None = None, **limits):
    """Reads a shard: rows as dicts, and the account, which has to balance. Each row's bytes are where it says."""
    if data is not None:
        path.write_bytes(data)
    account = Account()
    file = Input(str(path), path.name, path.stat().st_size, source)
    rows = [row for table in readers.read(file, Extract(**limits), account) for row in table.to_pylist()]
    known = schema.load("pairs")
    ledger = account.ledger().check(str(path), known.dropped, known.failed)
    assert ledger.kept == len(rows)
    for row in rows:
        found = read_member(str(path), row["member"], row["record_offset"], 10**6)
        assert len(found) == orjson.loads(row["facts"])["nbytes"]
    return rows, ledger


class Web(BaseHTTPRequestHandler):
    def do_GET(self):
        data = picture(int(self.path.strip("/").split(".")[0]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def test_a_shard_of_img2dataset(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")
    from img2dataset.downloader import Downloader
    from img2dataset.resizer import Resizer
    from img2dataset.writer import WebDatasetSampleWriter

    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        import pyarrow as pa

        where = f"http://127.0.0.1:{server.server_port}/"
        table = pa.table({"url": [f"{where}{n}.jpg" for n in range(6)] + [f"{where}no.jpg"],
                          "caption": [*(f"shade {n}" for n in range(5)), "", "gone"], "similarity": [0.5] * 7})  # fmt: skip
        with pa.OSFile(f"{tmp_path}/0.feather", "wb") as file, pa.ipc.new_file(file, table.schema) as out:
            out.write_table(table)
        Downloader(
            sample_writer_class=WebDatasetSampleWriter, resizer=Resizer(image_size=8, resize_mode="no", resize_only_if_bigger=False),
            thread_count=2, save_caption=True, extract_exif=True, output_folder=str(tmp_path), column_list=["caption", "url", "similarity"],
            timeout=5, number_sample_per_shard=10, oom_shard_count=5, compute_hash="sha256", verify_hash_type=None, encode_format="jpg",
            retries=0, user_agent_token=None, disallowed_header_directives=None,
        ).download_shard((0, f"{tmp_path}/0.feather"))  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
    rows, ledger = read(tmp_path / "00000.tar")
    assert sorted((row["url"], row["text"]) for row in rows) == [(f"{where}{n}.jpg", f"shade {n}") for n in range(5)]
    assert ledger.dropped == {"empty_text": 1} and ledger.notes["images"] == 6
    written = {row["url"]: row for row in pq.read_table(tmp_path / "00000.parquet").to_pylist()}
    for row in rows:
        assert (
            row["known_sha256"] == written[row["url"]]["sha256"]
            and row["member"] == written[row["url"]]["key"] + ".jpg"
        )
        facts = orjson.loads(row["facts"])
        assert (facts["status"], facts["similarity"], facts["original_width"]) == ("success", 0.5, 16)
        assert (row["source"], row["kind"], row["crawl_file"]) == ("tar", "caption", "00000.tar")
    # Its table reads too, with the failed one.
    table_rows = [row for table in readers.read(Input(str(tmp_path / "00000.parquet"), "00000.parquet", 1), Extract(), Account())
                  for row in table.to_pylist()]  # fmt: skip
    assert {row["uid"] for row in rows} < {row["uid"] for row in table_rows} and len(table_rows) == 6


def test_a_shard_of_webdataset_without_urls(tmp_path):
    path = tmp_path / "s-000.tar"
    with webdataset.TarWriter(str(path)) as out:
        out.write({"__key__": "a/0001", "png": Image.new("RGB", (4, 4)), "txt": " a text ", "cls": 7})
        out.write(
            {
                "__key__": "b/0001",
                "jpg": Image.new("RGB", (4, 4)),
                "json": {"TEXT": "shouted", "alt": "quiet", "n": [1], "w": 2.5},
            }
        )
    rows, ledger = read(path, source=Source(name="mine", inputs=("x",)))
    assert [(row["text"], row["kind"], row["member"]) for row in rows] == [
        ("a text", "caption", "a/0001.png"), ("quiet", "alt", "b/0001.jpg"), ("shouted", "caption", "b/0001.jpg"),
    ]  # fmt: skip
    assert [row["url"] for row in rows[:2]] == ["held:///s-000.tar/a/0001.png", "held:///s-000.tar/b/0001.jpg"]
    one = rows[0]
    assert (one["uid"], one["image_uid"]) == (pair_uid(one["url"], "a text"), image_uid(one["url"]))
    assert one["source"] == "mine" and orjson.loads(one["facts"])["cls"] == "7"
    assert orjson.loads(rows[1]["facts"]).keys() == {"n", "nbytes", "w"} and not ledger.dropped


@pytest.mark.parametrize("suffix", ["jpg", "JPG", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "Jpeg"])
@pytest.mark.parametrize("text", ["txt", "caption", "TXT", "json"])
def test_suffixes(tmp_path, suffix, text):
    said = b'{"caption": "said"}' if text == "json" else b"\xef\xbb\xbfsaid\n"
    ((row,), _) = read(tmp_path / "t.tar", tar((f"k.{suffix}", picture()), (f"k.{text}", said)))
    assert (row["text"], row["member"]) == ("said", f"k.{suffix}")


def test_keys_are_neither_lost_nor_merged(tmp_path):
    rows, ledger = read(
        tmp_path / "t.tar",
        tar(
            ("x/Photo.v1.jpg", b"1"), ("x/Photo.v1.txt", b"one"), ("x/Photo.v2.jpg", b"2"), ("x/Photo.v2.txt", b"two"),
            ("x/photo.jpg", b"3"), ("x/photo.txt", b"three"), ("y/photo.txt", b"four"), ("y/photo.jpg", b"4"),
            ("z/a.left.png", b"5"), ("z/a.right.png", b"6"), ("z/a.txt", b"both"), ("./z/b.jpg", b"7"), ("./z/b.txt", b"dot"),
            ("z/c.image.jpg", b"8"), ("z/c.original.txt", b"eight"), ("late.txt", b"late"), ("z/._c.jpg", b""), ("README", b""),
            ("late2.jpg", b"9"), ("late.jpg", b"9"), ("late2.txt", b"later"), ("empty.jpg", b"10"), ("empty.txt", b" \n"),
        ),
    )  # fmt: skip
    assert {(row["member"], row["text"]) for row in rows} == {
        ("x/Photo.v1.jpg", "one"), ("x/Photo.v2.jpg", "two"), ("x/photo.jpg", "three"), ("y/photo.jpg", "four"),
        ("z/a.left.png", "both"), ("z/a.right.png", "both"), ("./z/b.jpg", "dot"), ("z/c.image.jpg", "eight"),
    }  # fmt: skip
    # late and late2 stand apart from their texts: counted, with what each half lacks.
    assert ledger.dropped == {"empty_text": 3, "no_image": 2}
    assert ledger.notes["repeated_keys"] == 2 and ledger.notes["other_members"] == 2


def test_it_is_said_where_a_sample_stands_apart_and_what_to_do(tmp_path):
    path, key = tmp_path / "t.tar", "k" * 90
    path.write_bytes(
        tar((f"{key}.jpg", b"1"), ("b.jpg", b"2"), (f"{key}.txt", b"one"), ("b.txt", b"two"), ("c.jpg", b"3"))
    )
    account = Account()
    assert list(readers.read(Input(str(path), "t.tar", None), Extract(), account)) == []
    assert account.notes["repeated_keys"] == account.notes["broken_places"] == 2 and account.notes["broken_files"] == 1
    first, second = account.breaks
    assert first.file == "t.tar" and f"'{key[:60]}' came before: members" in first.error and "'b'" in second.error
    assert first.error.endswith("pack it again with `tar --sort=name`")
    with open(path, "rb") as opened:
        opened.seek(first.offset)
        assert opened.read(3) == b"one"
    # The reader that shards are made for sees them in the same way.
    samples = list(webdataset.WebDataset(str(path), shardshuffle=False))
    assert [set(sample) & {"jpg", "txt"} for sample in samples] == [{"jpg"}, {"jpg"}, {"txt"}, {"txt"}, {"jpg"}]
    # And what is advised helps.
    again = "mkdir x && tar xf t.tar -C x && tar --sort=name -cf sorted.tar -C x ."
    subprocess.run(["sh", "-c", again], cwd=tmp_path, check=True)
    rows, ledger = read(tmp_path / "sorted.tar")
    assert sorted(row["text"] for row in rows) == ["one", "two"] and "repeated_keys" not in ledger.notes


def test_what_json_says(tmp_path):
    about = {"url": "HTTP://A.example:80/x y.jpg#f", "caption": "one", "uid": "AB" * 16, "sha256": "c" * 64, "page_url": "http://p.example",
             "status": "success", "similarity": 0.3, "long": "x" * 2000, "list": [1], "nothing": None, "nbytes": -1}  # fmt: skip
    data = json.dumps(about).encode()
    ((row,), _) = read(tmp_path / "t.tar", tar(("k.jpg", b"12345"), ("k.json", data), ("k.txt", b"one")))
    assert (row["url"], row["uid"], row["known_sha256"]) == ("http://a.example/x%20y.jpg", "ab" * 16, "c" * 64)
    assert row["page_url"] == "http://p.example/"
    assert orjson.loads(row["facts"]) == {"list": [1], "nbytes": 5, "similarity": 0.3, "status": "success"}
    several, _ = read(
        tmp_path / "t.tar", tar(("k.jpg", b"1"), ("k.json", b'{"captions": ["b", "a", 3, "b"], "url": "data:x"}'))
    )
    assert [row["text"] for row in several] == ["b", "a"] and {row["url"] for row in several} == {"held:///t.tar/k.jpg"}
    for bad in (b"{", b"[]", b"\xff", b"[" * 10**5):
        rows, ledger = read(tmp_path / "t.tar", tar(("k.jpg", b"1"), ("k.txt", b"text"), ("k.json", bad)))
        assert [row["text"] for row in rows] == ["text"] and ledger.failed == {"bad_record": 1}


SAMPLES = [part for n in range(8) for part in ((f"{n}.jpg", picture(n)), (f"{n}.txt", f"text {n}".encode()))]


def test_a_sample_of_biomedica(tmp_path):
    about = {
        "image_file_name": "PMC1_f1.jpg", "image_cluster_id": "12", "image_hash": "ab" * 16, "image_label_id": 3,
        "image_primary_label": ["Microscopy"], "image_secondary_label": ["light microscopy", "H\0E"], "image_size": [480, 640],
        "image_context": {"fig1": ["as Figure 1 shows"]}, "article_accession_id": "PMC1", "article_license": "CC BY",
        "article_mesh_terms": [], "article_reference_ids": list(range(17)), "article_text": "t" * 5000, "deep": [["x"]],
    }  # fmt: skip
    data = json.dumps(about).encode()
    ((row,), _) = read(tmp_path / "00001.tar", tar(("1_0.jpg", b"12345"), ("1_0.json", data), ("1_0.txt", b"Owls.")))
    assert (row["text"], row["kind"], row["url"]) == ("Owls.", "caption", "held:///00001.tar/1_0.jpg")
    assert orjson.loads(row["facts"]) == {
        "article_accession_id": "PMC1", "article_license": "CC BY", "image_cluster_id": "12", "image_file_name": "PMC1_f1.jpg",
        "image_hash": "ab" * 16, "image_label_id": 3, "image_primary_label": ["Microscopy"],
        "image_secondary_label": ["light microscopy", "H\ufffdE"], "image_size": [480, 640], "nbytes": 5,
    }  # fmt: skip


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_foreign_names(tmp_path, form):
    stems = ["d" * 90 + "/" + "k" * 60, "ü" * 30] + (
        [] if form == tarfile.USTAR_FORMAT else ["n" * 300, "ü" * 90 + "/ö"]
    )
    parts = [part for stem in stems for part in ((f"{stem}.jpg", stem.encode()), (f"{stem}.txt", b"t"))]
    rows, ledger = read(tmp_path / "t.tar", tar(*parts, format=form))
    assert [row["member"] for row in rows] == [f"{stem}.jpg" for stem in stems] and not ledger.failed
    for row, stem in zip(rows, stems, strict=True):
        assert read_member(str(tmp_path / "t.tar"), row["member"], row["record_offset"], 1000) == stem.encode()


def test_names_that_lead_elsewhere_and_what_is_no_file(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name in ("/etc/a.jpg", "../a.jpg", "a/../../b.jpg", "c\\d.jpg"):
            info = tarfile.TarInfo(name)
            info.size = 3
            file.addfile(info, io.BytesIO(b"abc"))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"l{kind.decode()}.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            file.addfile(info)
        info = tarfile.TarInfo("folder.jpg")
        info.type = tarfile.DIRTYPE
        file.addfile(info)
        for name, data in SAMPLES[:2]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    rows, ledger = read(tmp_path / "t.tar", out.getvalue())
    assert [row["member"] for row in rows] == ["0.jpg"] and ledger.notes["unsafe_members"] == 9 and not ledger.failed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.tar"]


def test_broken_tars_keep_what_can_be_read(tmp_path):
    whole = tar(*SAMPLES)
    with tarfile.open(fileobj=io.BytesIO(whole)) as file:
        starts = {info.name: info.offset for info in file}
    damaged = bytearray(whole)
    damaged[starts["3.jpg"] : starts["3.jpg"] + 512] = b"\xff" * 512
    rows, ledger = read(tmp_path / "t.tar", bytes(damaged))
    assert [row["text"] for row in rows] == [f"text {n}" for n in (0, 1, 2, 4, 5, 6, 7)]
    assert (
        ledger.failed == {"bad_record": 1} and ledger.dropped == {"no_image": 1} and ledger.notes["broken_places"] == 1
    )
    for end in (starts["5.jpg"] + 700, starts["5.jpg"] + 200):
        rows, ledger = read(tmp_path / "t.tar", whole[:end])
        assert [row["text"] for row in rows] == [f"text {n}" for n in range(5)] and ledger.failed == {"bad_record": 1}
    # Cut between two members it lacks its end alone; two tars in one file are read as one.
    assert len(read(tmp_path / "t.tar", whole[: starts["5.jpg"]])[0]) == 5
    both, ledger = read(tmp_path / "t.tar", tar(*SAMPLES[:4]) + tar(*SAMPLES[4:]))
    assert len(both) == 8 and not ledger.failed
    for junk in (b"", b"\0" * 10240, b"no tar at all" * 1000, b"\x1f\x8b" + b"x" * 600):
        rows, ledger = read(tmp_path / "t.tar", junk)
        assert not rows and ledger.failed == ({"bad_record": 1} if junk.strip(b"\0") else {})


def sized(header: bytes, size: bytes) -> bytes:
    """A header that claims another size, with the sum that belongs to it."""
    head = bytearray(header)
    head[124:136] = size
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


@pytest.mark.parametrize("size", [b"%011o\0" % (8**10), b"\x80" + b"\xff" * 11, b"\xff" * 12, b"\xff" * 11 + b"\x00"])
def test_sizes_that_lie(tmp_path, size):
    whole = tar(*SAMPLES)
    lying = sized(whole[:512], size) + whole[512:]
    rows, ledger = read(tmp_path / "t.tar", lying)
    assert ledger.failed["bad_record"] >= 1 and "0.jpg" not in {row["member"] for row in rows}


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_headers_are_bounded(tmp_path, kind):
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, 2**33
    bomb = info.tobuf(tarfile.GNU_FORMAT)
    rows, ledger = read(tmp_path / "t.tar", bomb + tar(*SAMPLES))
    assert len(rows) == 8 and ledger.failed["bad_record"] >= 1
    info.size = 512
    chain = (info.tobuf(tarfile.GNU_FORMAT) + b"13 comment=b\n".ljust(512, b"\0")) * 3000
    rows, ledger = read(tmp_path / "t.tar", chain + tar(*SAMPLES))
    assert len(rows) >= 7 and ledger.failed["bad_record"] >= 1


def test_a_text_is_bounded(tmp_path):
    rows, ledger = read(tmp_path / "t.tar", tar(("a.jpg", b"1"), ("a.txt", b"x" * 3000), ("b.jpg", b"1"), ("b.txt", b"y" * 300)),
                        max_record_bytes=1000, max_text_bytes=100)  # fmt: skip
    assert not rows and ledger.failed == {"bad_record": 1} and ledger.dropped == {"empty_text": 1, "text_too_long": 1}


def test_another_member_at_the_place_is_refused(tmp_path):
    (first, second, *_), _ = read(tmp_path / "t.tar", tar(*SAMPLES))
    path = str(tmp_path / "t.tar")
    for member, offset, why in ((first["member"], second["record_offset"], "'1.jpg' stands before"), ("0.jpg", 700, "no header"),
                                ("0.jpg", 0, "no header"), ("0.jpg", 10**7, "no header")):  # fmt: skip
        with pytest.raises(MemberError, match=why):
            read_member(path, member, offset, 10**6)
    with pytest.raises(MemberError, match="more than the limit of 10"):
        read_member(path, "0.jpg", first["record_offset"], 10)
