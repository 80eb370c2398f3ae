"""Images at hand beside images of the web: no request, the same checks, one order."""

import csv
import io
import tarfile

import orjson
import pyarrow as pa
import pytest

from curate import schema, uid
from curate.images.archive import images_of
from curate.images.downloading import download_part
from curate.pools import inputs, readers
from curate.pools.candidates import Account
from curate.pools.members import Shelf
from curate.recipe import Extract, Source, build
from curate.store import Dataset, Plan
from tests.hostile_web import huge_png, picture

PART = "part-00000"


def tar(path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))


def shard(folder) -> dict[str, bytes]:
    """A shard with images of all kinds, each with two texts; its members."""
    images = {f"{n:02}.jpg": picture(seed=n) for n in range(20)}
    images |= {"html.jpg": b"<html>no image", "huge.png": huge_png(), "large.jpg": picture(seed=77, size=600), "none.jpg": b"",
               "cut.jpg": picture(seed=5, size=200)[:2000]}  # fmt: skip
    members = {}
    for name, data in images.items():
        about = orjson.dumps({"alt": f"another text of {name}", "sha256": "0" * 64})
        members |= {name: data, name.replace(".jpg", "").replace(".png", "") + ".txt": f"text of {name}".encode()}
        members[name.rpartition(".")[0] + ".json"] = about
    folder.mkdir()
    tar(folder / "s.tar", members)
    return members


def settings(**changes):
    base = {"allow_addresses": ["127.0.0.1"], "timeout": 1, "max_seconds": 2, "max_bytes": 4_000, "threads": 4}
    return build(
        {"name": "t", "extract": {"inputs": ["x"]}, "score": {"models": []}, "download": base | changes}
    ).download


def write(workdir, name: str, stage: str, table: pa.Table, **notes: int) -> Dataset:
    data = Dataset(str(workdir), name)
    plan = Plan(dataset=name, stage=stage, settings={}, inputs={}, parts=(PART,))
    data.begin(plan)
    with data.write_part(PART, plan.hash) as out:
        out.write(table)
        out.note(**notes)
    data.commit(plan)
    return data


def pool(workdir, rows: list[dict]) -> dict[str, Dataset]:
    rows = sorted(rows, key=lambda row: (row["image_uid"], row["uid"]))
    names = [row["uid"] for row in rows]
    return {
        "pairs": write(workdir, "pairs", "extract", pa.Table.from_pylist(rows, schema=schema.load("pairs").arrow()),
                       at_hand=sum(row.get("member") is not None for row in rows)),
        "matches": write(workdir, "matches", "match", pa.Table.from_pylist(
            [{"uid": u, "state": "kept", "reason": None, "lang": "en", "lang_score": 1.0, "entries": []} for u in names],
            schema=schema.load("matches").arrow())),
        "balanced": write(workdir, "balanced", "balance", pa.Table.from_pylist(
            [{"uid": u, "state": "kept", "reason": None, "keep_probability": 1.0, "draw": 0.5, "baseline": False} for u in names],
            schema=schema.load("balanced").arrow())),
    }  # fmt: skip


def read(pattern: str, **how) -> list[dict]:
    """The rows that the readers make of files."""
    source = Source(name="here", inputs=(pattern,), **how)
    found = inputs.expand(Extract(sources=(source,)))
    return [row for file in found for table in readers.read(file, Extract(), Account()) for row in table.to_pylist()]


def shelf(pattern: str, **how) -> Shelf:
    return Shelf.of(inputs.expand(Extract(sources=(Source(name="here", inputs=(pattern,), **how),))))


def web_rows(web, paths) -> list[dict]:
    return [{"uid": uid.pair_uid(web.url(path), "t"), "image_uid": uid.image_uid(web.url(path)), "url": web.url(path), "text": "t",
             "kind": "alt", "source": "warc", "crawl_file": "x.warc.gz", "record_offset": 0} for path in paths]  # fmt: skip


def download(workdir, data, where: Shelf | None, name: str = "images", **changes):
    target = Dataset(str(workdir), name)
    plan = Plan(dataset="images", stage="download", settings={}, inputs={}, parts=(PART,))
    download_part(PART, **data, target=target, plan=plan, settings=settings(**changes), shelf=where)
    return target, target.read_part(PART).to_pylist()


@pytest.mark.parametrize("engine", ["curate", "img2dataset"])
def test_images_at_hand_go_with_those_of_the_web(tmp_path, hostile_web, engine):
    members = shard(tmp_path / "pool")
    rows = read(f"{tmp_path}/pool/*.tar") + web_rows(hostile_web, [f"ok{n}.jpg" for n in range(30, 45)] + ["404"])
    where = {row["image_uid"]: row["member"] for row in rows if row.get("member")}
    # A pool may move: its files are known by their names.
    (tmp_path / "pool").rename(tmp_path / "moved")
    hostile_web.asked.clear()
    engines = {"curate": {}, "img2dataset": {"engine": "img2dataset"}}[engine]
    images, got = download(tmp_path, pool(tmp_path, rows), shelf(f"{tmp_path}/moved/*.tar"), **engines)
    assert len(got) == len(rows) == 2 * 25 + 16
    said = {where[row["image_uid"]]: row["reason"] for row in got if row["image_uid"] in where}
    bad = {"html.jpg": "not_an_image", "huge.png": "too_many_pixels", "large.jpg": "too_many_bytes", "none.jpg": "empty_body",
           "cut.jpg": "truncated"}  # fmt: skip
    assert said == {f"{n:02}.jpg": None for n in range(20)} | bad
    at_hand = [row for row in got if row["image_uid"] in where]
    assert {row["http_status"] for row in at_hand} == {None}
    consent = ("/robots.txt", "/.well-known/tdmrep.json")
    assert sum(n for path, n in hostile_web.asked.items() if path not in consent) == 16
    stored = list(images_of(images, PART))
    assert [image for image, _ in stored] == list(
        dict.fromkeys(row["image_uid"] for row in got if row["state"] == "kept")
    )
    assert {where[image]: data for image, data in stored if image in where} == {
        n: members[n] for n in said if said[n] is None
    }
    assert sum(image not in where for image, _ in stored) == 15
    kept = [row for row in at_hand if row["state"] == "kept"]
    assert all(row["width"] == 32 and row["phash"] and row["sha256"] != "0" * 64 for row in kept)


def test_what_stands_elsewhere_is_not_at_hand(tmp_path):
    shard(tmp_path / "pool")
    pattern = f"{tmp_path}/pool/*.tar"
    rows = read(pattern)
    data, where = pool(tmp_path, rows), shelf(pattern)
    other = {f"other{n}.jpg": picture(seed=n) for n in range(60)}
    tar(tmp_path / "pool" / "s.tar", other)
    _, got = download(tmp_path, data, where, "images/other")
    assert {row["reason"] for row in got} == {"not_at_hand"} and "/pool/s.tar: " in got[0]["error"]
    (tmp_path / "pool" / "s.tar").unlink()
    _, got = download(tmp_path, data, where, "images/gone")
    assert {row["reason"] for row in got} == {"not_at_hand"} and {row["state"] for row in got} == {"failed"}
    tar(tmp_path / "pool" / "t.tar", other)
    _, got = download(tmp_path, data, shelf(pattern), "images/renamed")
    assert "s.tar is none of the files" in got[0]["error"]


def test_a_page_that_forbids_it_forbids_what_is_at_hand(tmp_path):
    shard(tmp_path / "pool")
    pattern = f"{tmp_path}/pool/*.tar"
    rows = [row | {"page_robots": "noai"} for row in read(pattern)]
    _, got = download(tmp_path, pool(tmp_path, rows), shelf(pattern))
    assert {row["reason"] for row in got} == {"opted_out"}


def test_images_beside_a_table_and_in_packages(tmp_path):
    for name in ("mel", "nv"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        (tmp_path / "classes" / name / "a.jpg").write_bytes(picture(seed=len(name)))
    with open(tmp_path / "classes" / "table.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [["image", "label"], ["mel/a.jpg", "mole"], ["nv/a.jpg", "naevus"], ["nv/b.jpg", "lost"]]
        )
    pattern, how = f"{tmp_path}/classes/table.csv", {"reader": "labels"}
    images, got = download(tmp_path, pool(tmp_path, read(pattern, **how)), shelf(pattern, **how))
    ends = {(row["text"].split()[-1], row["reason"]) for row in got}
    assert ("mole", None) in ends and ("lost", "not_at_hand") in ends and ("lost", None) not in ends
    assert sorted(data for _, data in images_of(images, PART)) == sorted(picture(seed=n) for n in (2, 3))


def test_every_reader_that_names_members_can_give_them():
    from curate.pools.members import READ

    assert set(READ) == set(readers.READERS) - {"archive", "table"}


def test_an_image_at_hand_is_not_asked_for_unless_its_page_forbids_what_another_allows(tmp_path, hostile_web):
    urls = [hostile_web.url(f"ok{n}.jpg") for n in (50, 51)]
    members = {}
    for n, url in enumerate(urls):
        members |= {f"{n}.jpg": picture(seed=n), f"{n}.json": orjson.dumps({"url": url, "caption": f"held {n}"})}
    tar(tmp_path / "s.tar", members)
    rows = [row | {"page_robots": "noai" if row["url"] == urls[1] else None} for row in read(f"{tmp_path}/s.tar")]
    rows += web_rows(hostile_web, ["ok50.jpg", "ok51.jpg"])
    hostile_web.asked.clear()
    images, got = download(tmp_path, pool(tmp_path, rows), shelf(f"{tmp_path}/s.tar"))
    assert (hostile_web.asked["/ok50.jpg"], hostile_web.asked["/ok51.jpg"]) == (0, 1)
    assert {(row["url"] == urls[1], row["text"]): row["reason"] for row in got} == {
        (False, "held 0"): None, (False, "t"): None, (True, "held 1"): "opted_out", (True, "t"): None,
    }  # fmt: skip
    stored = dict(images_of(images, PART))
    assert stored[uid.image_uid(urls[0])] == members["0.jpg"] and stored[uid.image_uid(urls[1])] != members["1.jpg"]
