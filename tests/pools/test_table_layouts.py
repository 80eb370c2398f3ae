"""Tables of pools that people have: each is read by what its columns are called, or by their places."""

import bz2
import csv
import gzip
import io
import json

import orjson
import pyarrow as pa
import pytest

from curate.pools import readers
from curate.pools.candidates import Account
from curate.pools.inputs import Input
from curate.recipe import Extract, Source
from curate.uid import image_uid, pair_uid
from tests.pools.reading_tables import URL, datacomp, facts, held, read


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


def test_datacomp_keeps_its_uids_and_hashes(tmp_path):
    pool = datacomp()
    rows, _ = read(tmp_path / "0.parquet", pool)
    assert [row["uid"] for row in rows] == pool["uid"].to_pylist()
    assert [row["known_sha256"] for row in rows] == [f"{i:064x}" for i in range(20)]
    assert [row["record_offset"] for row in rows] == list(range(20))
    assert facts(rows[0]) == {"clip_b32_similarity_score": 0.25, "clip_l14_similarity_score": 0.5,
                              "face_bboxes": [[0.1, 0.2, 0.3, 0.4]], "original_height": 480, "original_width": 640}  # fmt: skip


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
