"""Tables in the forms in which the field's pools come: each a real file, read to the pairs that it holds."""

import bz2
import csv
import gzip
import io
import json
import random
from functools import partial

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import schema
from curate.pools import readers, subsets, table_blocks, table_values, tables
from curate.pools.candidates import Account
from curate.pools.inputs import Input, expand
from curate.pools.table_columns import TableError
from curate.recipe import Extract, RecipeError, Source, Table, build
from curate.uid import image_uid, pair_uid, subset
from tests.pools import page_rows
from tests.pools.page_rows import Image, Page

URL = "http://img.example.com/{}.jpg"


def read(path, data: bytes | pa.Table | None = None, table: Table | None = None, **limits):
    """Writes a file and reads it: rows as dicts, and the account, which has to balance."""
    if isinstance(data, pa.Table):
        pq.write_table(data, path, row_group_size=7)
    elif data is not None:
        path.write_bytes(data)
    source = Source(name="here", inputs=("x",), table=table) if table else None
    account = Account()
    file = Input(str(path), path.name, path.stat().st_size, source)
    rows = [row for found in readers.read(file, Extract(**limits), account) for row in held(found).to_pylist()]
    known = schema.load("pairs")
    ledger = account.ledger().check(str(path), known.dropped, known.failed)
    assert ledger.kept == len(rows)
    return rows, account


def held(table: pa.Table) -> pa.Table:
    assert table.schema.equals(schema.load("pairs").arrow())
    table.validate(full=True)
    return table


def facts(row: dict) -> dict:
    found = orjson.loads(row["facts"])
    assert list(found) == sorted(found)
    return found


def test_laion_parquet(tmp_path):
    rows, _ = read(
        tmp_path / "part-00000.snappy.parquet",
        pa.table({
            "SAMPLE_ID": pa.array([1, 2], pa.int64()), "URL": [URL.format(1), URL.format(2)], "TEXT": ["  one ", "two"],
            "HEIGHT": pa.array([3, None], pa.int32()), "WIDTH": pa.array([4, 5], pa.int32()), "LICENSE": ["?", "?"],
            "NSFW": ["UNLIKELY", "NSFW"], "similarity": pa.array([0.3281, float("nan")], pa.float32()),
            "punsafe": [0.5, 1e-7], "pwatermark": [0.25, None], "hash": [-(2**62), 7],
        }),
    )  # fmt: skip
    one, two = rows
    assert (one["url"], one["text"], one["kind"]) == (URL.format(1), "one", "alt")
    assert (one["uid"], one["image_uid"]) == (pair_uid(URL.format(1), "one"), image_uid(URL.format(1)))
    assert (one["source"], one["crawl_file"]) == ("table", "part-00000.snappy.parquet")
    assert [row["record_offset"] for row in rows] == [0, 1]
    assert facts(one) == {"HEIGHT": 3, "LICENSE": "?", "NSFW": "UNLIKELY", "SAMPLE_ID": 1, "WIDTH": 4, "hash": -(2**62),
                          "punsafe": 0.5, "pwatermark": 0.25, "similarity": 0.3281}  # fmt: skip
    assert {"HEIGHT", "pwatermark", "similarity"}.isdisjoint(facts(two)) and facts(two)["punsafe"] == 1e-7


def datacomp(n: int = 20) -> pa.Table:
    random.seed(1)
    return pa.table({
        "uid": [f"{random.getrandbits(128):032x}" for _ in range(n)], "url": [URL.format(i) for i in range(n)],
        "text": [f"text {i}" for i in range(n)], "original_width": [640] * n, "original_height": [480] * n,
        "clip_b32_similarity_score": pa.array([0.25] * n, pa.float32()),
        "clip_l14_similarity_score": pa.array([0.5] * n, pa.float32()),
        "face_bboxes": pa.array([[[0.1, 0.2, 0.3, 0.4]]] * n, pa.list_(pa.list_(pa.float64()))),
        "sha256": [f"{i:064X}" for i in range(n)],
    })  # fmt: skip


def test_datacomp_keeps_its_uids_and_hashes(tmp_path):
    pool = datacomp()
    rows, _ = read(tmp_path / "0.parquet", pool)
    assert [row["uid"] for row in rows] == pool["uid"].to_pylist()
    assert [row["known_sha256"] for row in rows] == [f"{i:064x}" for i in range(20)]
    assert [row["record_offset"] for row in rows] == list(range(20))
    assert facts(rows[0]) == {"clip_b32_similarity_score": 0.25, "clip_l14_similarity_score": 0.5,
                              "face_bboxes": [[0.1, 0.2, 0.3, 0.4]], "original_height": 480, "original_width": 640}  # fmt: skip


def test_a_uid_that_is_none_is_made(tmp_path):
    pool = pa.table({"uid": ["f" * 31, None, "F" * 32], "url": [URL.format(i) for i in range(3)], "text": ["a"] * 3})
    rows, _ = read(tmp_path / "0.parquet", pool)
    assert [row["uid"] for row in rows] == [pair_uid(URL.format(0), "a"), pair_uid(URL.format(1), "a"), "f" * 32]


def test_coyo_and_img2dataset(tmp_path):
    coyo = {"id": [841814333321], "url": [URL.format(1)], "text": ["a dog"], "width": [200], "image_phash": ["fee1"],
            "clip_similarity_vitb32": [0.2], "watermark_score": [0.1]}  # fmt: skip
    (row,), _ = read(tmp_path / "coyo.parquet", pa.table(coyo))
    assert facts(row)["id"] == 841814333321 and facts(row)["watermark_score"] == 0.1
    written = {"url": [URL.format(1), URL.format(2)], "caption": ["one", None], "key": ["000000000", "000000001"],
               "status": ["success", "failed_to_download"], "error_message": [None, "HTTP Error 404"],
               "original_width": pa.array([9, None], pa.int32()), "exif": ["{\"a\": \"\\\"\"}", None], "sha256": ["ab" * 32, None]}  # fmt: skip
    rows, account = read(tmp_path / "00000.parquet", pa.table(written))
    assert [(row["text"], row["kind"], row["known_sha256"]) for row in rows] == [("one", "caption", "ab" * 32)]
    assert facts(rows[0]) == {"exif": '{"a": "\\""}', "key": "000000000", "original_width": 9, "status": "success"}
    assert account.ledger().dropped == {"empty_text": 1}


@pytest.mark.parametrize("order", [("text", "url"), ("url", "text")])
def test_conceptual_captions_have_no_header(tmp_path, order):
    pairs = [{"url": URL.format(i), "text": f"caption , {i}"} for i in range(50)]
    pairs[0]["url"], pairs[3]["text"] = "http://unusual.example/?a=%zz", "https://in.a.caption/ is a link"
    name = "Train_GCC-training.tsv" if order[0] == "text" else "cc12m.tsv"
    lines = "".join("\t".join(pair[key] for key in order) + "\n" for pair in pairs)
    rows, _ = read(tmp_path / name, lines.encode())
    assert [(row["url"], row["text"]) for row in rows] == [(pair["url"], pair["text"]) for pair in pairs]
    assert {row["kind"] for row in rows} == {"alt"} and rows[0]["facts"] is None


def test_redcaps_annotations(tmp_path):
    annotations = [
        {"image_id": f"p{i}", "author": "someone", "url": URL.format(i), "raw_caption": f"Caption {i}]", "caption": f"caption {i}]",
         "subreddit": 0, "score": i, "created_utc": 1500000000, "permalink": "/r/birds/1", "crosspost_parents": None}
        for i in range(9)
    ]  # fmt: skip
    document = {"info": {"start_date": "2017-07-01", "note": "annotations: ["}, "annotations": annotations}
    for name, indent in (("birds_2017.json", None), ("birds_2018.json", 2)):
        rows, account = read(tmp_path / name, json.dumps(document, indent=indent).encode())
        assert [(row["text"], row["kind"]) for row in rows] == [(f"caption {i}]", "caption") for i in range(9)]
        assert (
            facts(rows[4])["raw_caption"] == "Caption 4]"
            and facts(rows[4])["score"] == 4
            and not account.ledger().failed
        )
    rows, account = read(tmp_path / "cut.json", json.dumps(document).encode()[:-300])
    assert 5 < len(rows) < 9 and account.ledger().failed == {"bad_row": 1}
    bare, _ = read(tmp_path / "list.json", json.dumps(annotations).encode())
    lined, _ = read(tmp_path / "lines.json", b"\n".join(map(orjson.dumps, annotations)) + b"\n")
    assert [row["uid"] for row in bare] == [row["uid"] for row in lined] and len(bare) == 9


def test_wit_has_several_texts_a_row(tmp_path):
    names = ["language", "page_url", "image_url", "page_title", "caption_reference_description",
             "caption_attribution_description", "caption_alt_text_description", "original_height"]  # fmt: skip
    text = io.StringIO()
    out = csv.writer(text, delimiter="\t", lineterminator="\n")
    out.writerow(names)
    out.writerow(
        [
            "en",
            "https://en.wikipedia.org/wiki/Owl",
            URL.format(1),
            "Owl",
            'An "owl"\nat night',
            "English: An owl",
            "owl",
            90,
        ]
    )
    out.writerow(["de", "https://de.wikipedia.org/wiki/Eule", URL.format(2), "Eule", "Eule", "", "Eule", ""])
    out.writerow(["de", "https://de.wikipedia.org/wiki/Eule", URL.format(3), "Eule", "", " ", "", 80])
    rows, account = read(tmp_path / "wit_v1.train.all-00000-of-00010.tsv.gz", gzip.compress(text.getvalue().encode()))
    assert sorted((row["record_offset"], row["kind"], row["text"]) for row in rows) == [
        (0, "alt", "owl"), (0, "caption", "English: An owl"), (0, "figcaption", 'An "owl"\nat night'), (1, "alt", "Eule"),
    ]  # fmt: skip
    assert {row["uid"] for row in rows} == {pair_uid(row["url"], row["text"]) for row in rows}
    one = min(rows, key=lambda row: row["record_offset"])
    assert (one["page_url"], one["page_lang"]) == ("https://en.wikipedia.org/wiki/Owl", "en")
    assert facts(one) == {"original_height": 90, "page_title": "Owl"}
    assert account.ledger().dropped == {"empty_text": 1} and account.notes["images"] == 3


@pytest.mark.parametrize("name", ["yfcc100m_dataset", "yfcc100m_dataset-0.bz2", "part.tsv"])
@pytest.mark.parametrize("columns", [25, 23])
def test_yfcc100m_goes_by_places_and_is_written_as_in_a_query(tmp_path, name, columns):
    def line(photo: int, title: str, description: str, video: int = 0) -> str:
        page, image = f"http://www.flickr.com/photos/7@N0/{photo}/", f"http://farm1.staticflickr.com/2/{photo}_a.jpg"
        row = [str(photo), str(photo), "ab" * 16, "7@N0", "a+b", "2004-08-02 15:16:00.0", "1091485000", "Canon+EOS+%22D%22",
               title, description, "owl,night+bird", "", "-3.5", "", "16", page, image, "Attribution License",
               "http://creativecommons.org/licenses/by/2.0/", "2", "1", "a", "b", "jpg", str(video)]  # fmt: skip
        return "\t".join(row if columns == 25 else [row[1], *row[3:]])

    lines = [
        line(1, "The+owl%27s+eyes", "On+100%25+wood%2C%0Aat+night+%E2%98%85"),
        line(2, "IMG_1", ""),
        line(3, "", ""),
    ]
    data = "\n".join(lines).encode() + b"\n"
    path = tmp_path / name
    path.write_bytes(bz2.compress(data) if name.endswith(".bz2") else data)
    account = Account()
    file = Input(str(path), name, None, Source(name="yfcc", inputs=("x",), reader="table"))
    rows = [row for table in readers.read(file, Extract(), account) for row in held(table).to_pylist()]
    assert [
        (row["url"], row["kind"], row["text"]) for row in sorted(rows, key=lambda row: (row["url"], row["kind"]))
    ] == [
        ("http://farm1.staticflickr.com/2/1_a.jpg", "caption", "On 100% wood,\nat night \u2605"),
        ("http://farm1.staticflickr.com/2/1_a.jpg", "title", "The owl's eyes"),
        ("http://farm1.staticflickr.com/2/2_a.jpg", "title", "IMG_1"),
    ]
    assert {row["page_url"] for row in rows} == {f"http://www.flickr.com/photos/7@N0/{photo}/" for photo in (1, 2)}
    said = facts(rows[0])
    assert (said["capture_device"], said["user_tags"], said["longitude"], said["is_video"]) == (
        'Canon EOS "D"',
        "owl,night bird",
        -3.5,
        0,
    )
    assert said["license_name"] == "Attribution License" and account.ledger().dropped == {"empty_text": 1}


def test_the_tables_of_other_pools(tmp_path):
    relaion = {
        "url": [URL.format(1)],
        "caption": ["c"],
        "similarity": [0.3],
        "hash": [-5],
        "punsafe": [0.1],
        "pwatermark": [0.2],
    }
    aesthetics = {
        "URL": [URL.format(1)],
        "TEXT": ["c"],
        "WIDTH": [1.0],
        "HEIGHT": [2.0],
        "hash": [5],
        "AESTHETIC_SCORE": [6.5],
    }
    multi = {"SAMPLE_ID": [1.0], "URL": [URL.format(1)], "TEXT": ["c"], "NSFW": [None], "LANGUAGE": ["nolang"]}
    sbu = {"image_url": [URL.format(1)], "user_id": ["47889917@N08"], "caption": ["c"]}
    recap = {"url": [URL.format(1)], "re_caption": ["a longer one"], "org_caption": ["c"], "sha256": ["ab" * 32], "key": ["000"],
             "re_clip_score": [0.3]}  # fmt: skip
    expected = {
        "relaion": "similarity",
        "aesthetics": "AESTHETIC_SCORE",
        "multi": "LANGUAGE",
        "sbu": "user_id",
        "recap": "re_caption",
    }
    for name, columns in {
        "relaion": relaion,
        "aesthetics": aesthetics,
        "multi": multi,
        "sbu": sbu,
        "recap": recap,
    }.items():
        (row,), _ = read(tmp_path / f"{name}.parquet", pa.table(columns))
        assert (row["url"], row["text"], row["uid"]) == (URL.format(1), "c", pair_uid(URL.format(1), "c"))
        assert expected[name] in facts(row) and row["known_sha256"] == ("ab" * 32 if name == "recap" else None)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "ndjson"])
@pytest.mark.parametrize("packed", ["", ".gz", ".zst", ".bz2"])
def test_text_formats_say_the_same(tmp_path, kind, packed):
    pairs = [{"url": URL.format(i), "text": f'say "{i}", \u00fc\n', "score": i / 4} for i in range(300)]
    if kind in ("csv", "tsv"):
        text = io.StringIO()
        out = csv.DictWriter(text, list(pairs[0]), delimiter={"csv": ",", "tsv": "\t"}[kind])
        out.writeheader()
        out.writerows(pairs)
        data = b"\xef\xbb\xbf" + text.getvalue().encode()
    else:
        data = b"\n\n".join(map(orjson.dumps, pairs))
    # Two members, as appending to a file makes them.
    half = data.index(b"\n", len(data) // 2)
    zstd = partial(pa.Codec("zstd").compress, asbytes=True)
    pack = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zstd}[packed]
    rows, account = read(tmp_path / f"t.{kind}{packed}", pack(data[:half]) + pack(data[half:]))
    assert [(row["url"], row["text"]) for row in rows] == [(pair["url"], pair["text"].strip()) for pair in pairs]
    assert [facts(row)["score"] for row in rows] == [pair["score"] for pair in pairs] and not account.ledger().failed


def test_rows_are_judged_as_the_images_of_a_page_are(tmp_path):
    addresses = [
        None, "", "  ", URL.format(1), "HTTP://Img.example.com:80/a/../b c.jpg#frag", "//img.example.com/x.jpg", "data:image/gif;base64,R0",
        "https://xn--a.example/", "http://[::1/x", "http://1.2.3/x", "ftp://a.example/b", "http://a.example/" + "x" * 100,
        "https://b\u00fccher.example/\u00fc", "http://a.example", "http://a.example/%2e%2e/x", "javascript:alert(1)",
    ]  # fmt: skip
    sayings = [None, "", "\u3000 \x1f", "fine", "x" * 41, "a\x00b", "\u00a0both ends\u2029"]
    rows = [{"url": url, "alt": text} for url in addresses for text in sayings]
    got, account = read(tmp_path / "t.jsonl", b"\n".join(map(orjson.dumps, rows)), max_text_bytes=40, max_url_bytes=60)
    wanted, expected = [], Account()
    for row in rows:
        url = (row["url"] or "").strip()
        image = Image((url,) if url else (), (("alt", row["alt"]),) if row["alt"] else ())
        page = Page("no address", None, None, None, [image], "table")
        limits = Extract(max_text_bytes=40, max_url_bytes=60)
        wanted += [found.uid for found in page_rows.rows(page, "t", 0, limits, expected)]
    assert [row["uid"] for row in got] == wanted and len(wanted) > 20
    assert account.ledger() == msgspec_with(expected.ledger(), files=1)
    assert set(account.ledger().dropped) == {"no_url", "empty_text", "text_too_long", "url_not_http", "url_too_long"}


def msgspec_with(ledger, **notes):
    import msgspec

    return msgspec.structs.replace(ledger, notes=dict(sorted((ledger.notes | notes).items())))


@given(st.from_regex(r"https?://[a-z0-9.-]{1,12}\.[a-z]{1,3}(/[ -~]{0,12}){0,3}(\?[ -~]{0,8})?", fullmatch=True))
def test_a_url_that_is_taken_as_it_stands_is_what_a_parser_says(url):
    (found,), (problem,) = table_values.urls(pa.array([url]), 10**6)
    try:
        assert (found.as_py(), problem) == (table_values.absolute(url, None), 0)
    except ValueError:
        assert table_values.PROBLEMS[problem] == "bad_url"


SEGMENT = st.sampled_from(
    ["", ".", "..", "...", ".a", "a.", "%2e", "a%2E", "%zz", "a:b@c", "~", "-", "'", "a^b", "|", "x,y;z=1"]
)


@given(
    st.sampled_from(["a.b", "a.1", "xn--a.b", "a_b.c", "-a.b", "1.2.3.4", "0x1.b", "a..b", "a.b:80", "a.b."]),
    st.lists(SEGMENT),
)
def test_dots_and_signs_in_a_url_are_what_a_parser_says(host, segments):
    test_a_url_that_is_taken_as_it_stands_is_what_a_parser_says.hypothesis.inner_test(
        "/".join([f"http://{host}", *segments])
    )


def test_most_urls_need_no_parser(monkeypatch):
    monkeypatch.setattr(table_values, "absolute", None)
    urls = [URL.format(1), "https://a-b.example.co.uk/wp-content/uploads/2019/x_y-300x200.jpg?w=1&h=2,3"]
    assert table_values.urls(pa.array(urls), 1000)[0].to_pylist() == urls


def test_bad_rows_cost_themselves(tmp_path):
    lines = [orjson.dumps({"url": URL.format(i), "text": f"t{i}"}) for i in range(6)]
    lines[1:1] = [b"{", b"[1]", b"\xff\xfe", b'{"url": 5, "text": "number"}', b'{"url": ["x"], "text": "list"}']
    lines += [
        b'{"url": "http://a.example/", "text": "half \\ud800 pair"}',
        b'{"url":"http://a.example/","text":"' + b"x" * 3000 + b'"}',
    ]
    lines += [b"[" * 5000, orjson.dumps({"url": URL.format(9), "text": "t9", "more": {"a": 1}})]
    rows, account = read(tmp_path / "t.jsonl", b"\n".join(lines))
    assert [row["text"] for row in rows if len(row["text"]) == 2] == ["t0", "t1", "t2", "t3", "t4", "t5", "t9"]
    assert "half \ufffd pair" in {row["text"] for row in rows}
    assert account.ledger().failed == {"bad_row": 4, "bad_url": 1} and account.ledger().dropped == {"no_url": 1}

    table = b"url,text,n\nhttp://a.example/1,one,1\nhttp://a.example/2,two\nhttp://a.example/3,three,3,3\nh\xff,four,\xff\nhttp://a.example/5,f\xe9,5\n"
    rows, account = read(tmp_path / "t.csv", table)
    assert [row["text"] for row in rows] == ["one", "f\ufffd"] and account.ledger().failed == {
        "bad_row": 2,
        "bad_url": 1,
    }


def test_a_stray_quote_costs_its_line(tmp_path):
    lines = [f'{URL.format(i)},"said ""{i}""\nand more",x' for i in range(4000)]
    lines[1000] = f'{URL.format("stray")},"never closed,x'
    lines[2000] = f'{URL.format("inch")},a 5" pipe,x'
    rows, account = read(tmp_path / "t.csv", ("url,text,more\n" + "\n".join(lines)).encode(), max_text_bytes=100)
    # The stray quote meets the next one; what stands between is one value, which is too wide for its row.
    assert len(rows) >= 3990 and account.failed["bad_row"] >= 1 and 'a 5" pipe' in {row["text"] for row in rows}
    plain = [f"{URL.format(i)},text {i},x" for i in range(4000)]
    plain[1000] = lines[1000]
    rows, account = read(tmp_path / "p.csv", ("url,text,more\n" + "\n".join(plain)).encode(), max_text_bytes=100)
    assert len(rows) == 3999 and account.ledger().failed == {"bad_row": 1}


CELL = st.text(alphabet='ab,"\n\r \t', max_size=6)


@given(st.lists(st.tuples(CELL, CELL), max_size=12), st.integers(1, 30))
def test_csv_in_blocks_is_csv_whole(cells, size):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(cells)
    data = text.getvalue().encode()

    class Slow(io.BytesIO):
        def read(self, _size=-1):
            return super().read(size)

    account = Account()
    found = list(table_blocks.delimited(b"", Slow(data), ["a", "b"], ",", Extract(), account))
    rows = [(a.decode(), b.decode()) for table in found for a, b in zip(*table.to_pydict().values(), strict=True)]
    assert rows == cells
    assert not account.ledger().failed


def test_blocks_are_small_and_lines_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(table_blocks, "BLOCK", 512)
    lines = [orjson.dumps({"url": URL.format(i), "text": "t" * (5000 if i == 50 else 9)}) for i in range(100)]
    seen = []
    real = table_blocks.lines

    def spied(*args):
        for block in real(*args):
            seen.append(len(block))
            yield block

    monkeypatch.setattr("curate.pools.table_files.lines", spied)
    rows, account = read(tmp_path / "t.jsonl", b"\n".join(lines), max_record_bytes=1000)
    assert len(rows) == 99 and account.failed["bad_row"] == 1 and max(seen) < 1600


def test_broken_files_keep_what_stood_before(tmp_path):
    data = gzip.compress(
        b"".join(
            orjson.dumps({"url": URL.format(i), "text": random.randbytes(9).hex()}) + b"\n" for i in range(200_000)
        )
    )
    rows, account = read(tmp_path / "t.jsonl.gz", data[: len(data) // 2])
    assert 50_000 < len(rows) < 150_000 and account.failed["bad_record"] == 1
    assert account.breaks[0].file == "t.jsonl.gz" and account.breaks[0].offset > 0

    path = tmp_path / "t.parquet"
    pq.write_table(datacomp(21), path, row_group_size=7, compression="gzip", use_dictionary=False)
    damaged = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(1).column(1)
    damaged[column.data_page_offset : column.data_page_offset + column.total_compressed_size] = (
        b"\xff" * column.total_compressed_size
    )
    rows, account = read(path, bytes(damaged))
    assert [row["record_offset"] for row in rows] == [*range(7), *range(14, 21)]
    assert account.ledger().failed == {"bad_record": 1, "bad_row": 7} and account.breaks[0].offset == 7
    rows, account = read(path, b"PAR1 is no table")
    assert not rows and account.ledger().failed == {"bad_record": 1}


def test_parquet_strings_are_not_trusted(tmp_path):
    bad = pa.array([b"caf\xe9", b"fine"], pa.binary())
    binary = pa.StringArray.from_buffers(2, *bad.buffers()[1:])
    rows, account = read(
        tmp_path / "t.parquet", pa.table({"url": [URL.format(1), URL.format(2)], "text": binary, "n": binary})
    )
    assert [row["text"] for row in rows] == ["caf\ufffd", "fine"] and account.notes["texts_repaired"] == 1
    encoded = pa.table(
        {"url": pa.array([URL.format(1)] * 3).dictionary_encode(), "text": pa.array(list("abc"), pa.large_string())}
    )
    assert len(read(tmp_path / "d.parquet", encoded)[0]) == 3


def test_columns_that_are_not_known_are_an_error_at_once_or_named(tmp_path):
    table = pa.table({"link": [URL.format(1)], "my_captions": ["one"], "alt2": ["two"]})
    with pytest.raises(
        TableError, match=r"no column for url; it has link, my_captions, alt2.*columns: \{url: <column>\}"
    ):
        read(tmp_path / "t.parquet", table)
    with pytest.raises(TableError, match=r"no column for text.*Did you mean .*'my_captions'"):
        read(tmp_path / "t.parquet", table, table=Table(columns={"url": "link"}))
    with pytest.raises(TableError, match=r"table.columns.url: no column 'lnk': did you mean 'link'"):
        read(tmp_path / "t.parquet", table, table=Table(columns={"url": "lnk"}))
    (row,), _ = read(tmp_path / "t.parquet", table, table=Table(columns={"url": "link", "text": "my_captions"}))
    assert (row["text"], row["source"], facts(row)) == ("one", "here", {"alt2": "two"})
    rows, _ = read(
        tmp_path / "t.parquet", table, table=Table(columns={"url": "link", "figcaption": "my_captions", "alt": "alt2"})
    )
    assert {(row["kind"], row["text"]) for row in rows} == {("figcaption", "one"), ("alt", "two")}
    with pytest.raises(TableError, match="no column for url"):
        read(tmp_path / "t.csv", b"link;my_captions\nx;y\n")
    rows, _ = read(
        tmp_path / "n.tsv", b"7\thttp://a.example/\tsaid\n", table=Table(columns={"url": "f1", "text": "f2"})
    )
    assert [(row["text"], facts(row)) for row in rows] == [("said", {"f0": 7})]
    with pytest.raises(RecipeError, match=r"'txt' is no column that is taken: did you mean 'text'"):
        build({"name": "t", "score": {"models": []}, "extract": {"sources": [
            {"name": "a", "inputs": ["x"], "table": {"columns": {"txt": "b"}}}]}})  # fmt: skip


@pytest.mark.parametrize("own", [True, False])
def test_only_pairs_of_the_subset_are_kept(tmp_path, own):
    pool = datacomp(40) if own else datacomp(40).drop_columns(["uid"])
    names = pool["uid"].to_pylist() if own else [pair_uid(URL.format(i), f"text {i}") for i in range(40)]
    np.save(tmp_path / "s.npy", subset([*names[::3], "0" * 32, "f" * 32]))
    rows, account = read(tmp_path / "0.parquet", pool, table=Table(subset=str(tmp_path / "s.npy")))
    assert [row["uid"] for row in rows] == names[::3]
    assert account.ledger().dropped == {"not_in_subset": 40 - len(names[::3])}


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3))),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1),
)
def test_a_uid_is_found_by_both_of_its_words(inside, asked):
    def hexes(pairs):
        return [f"{a << 62:016x}{b << 62:016x}" for a, b in pairs]

    found = subsets.Subset.__new__(subsets.Subset)
    found.path, found._words = "x", subset(hexes(inside)).view("u8").reshape(-1, 2)
    answer = found.has(subsets.words(pa.array(hexes(asked))))
    assert answer.tolist() == [pair in inside for pair in asked]


def test_a_subset_file_is_refused_where_it_is_none(tmp_path):
    good, where = subset([f"{random.getrandbits(128):032x}" for _ in range(1000)]), tmp_path / "s.npy"

    def said(array) -> str:
        np.save(where, array)
        subsets.load.cache_clear()
        source = Source(name="a", inputs=("x",), table=Table(subset=str(where)))
        with pytest.raises(TableError) as error:
            readers.check([Input("x.parquet", "x.parquet", 0, source)])
        return str(error.value)

    assert "not sorted: record 1 is less" in said(good[::-1]) and "np.sort(np.load(p))" in said(good[::-1])
    assert "dtype uint64, shape (1000,)" in said(good["f0"])
    assert "no subset file" in said(good.astype(">u8,>u8"))
    np.save(where, good)
    subsets.load.cache_clear()
    mark = tables.mark(Input("x", "x", 0, Source(name="a", inputs=("x",), table=Table(subset=str(where)))))
    assert mark is not None and mark.startswith("1000 uids, ")


def test_a_table_goes_by_its_name(tmp_path):
    for name in ("a.parquet", "b.CSV", "c.tsv.gz", "d.ndjson.zst"):
        (tmp_path / name).write_bytes(b"")
    assert {readers.kind(file) for file in expand(Extract(inputs=(f"{tmp_path}/*",)))} == {"table"}
    assert read(tmp_path / "b.CSV")[0] == []
