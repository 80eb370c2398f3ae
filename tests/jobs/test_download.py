"""The download stage on a real Ray over a real loopback web: rows, bytes, account, resume."""

import hashlib
import tarfile
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate import schema, uid
from curate.images import downloading
from curate.images.agent import ContactError
from curate.images.archive import images_of
from curate.images.rows import regrouped
from curate.images.times import times_name
from curate.recipe import build
from curate.store import Dataset, Plan
from jobs import download, engine

PARTS = ("part-00000", "part-00001")


def recipe(**changes):
    base = {"allow_addresses": ["127.0.0.1"], "timeout": 1, "max_seconds": 2, "user_agent": "testbot"}
    return build({"name": "t", "extract": {"inputs": []}, "score": {"models": []}, "download": base | changes})


def pairs_of(web, wanted=None) -> list[dict]:
    """(path, text, the page's robots, balanced state, baseline) for pages of the hostile web."""
    wanted = wanted or [
        *((f"ok{n}.jpg", "many", None, "kept", False) for n in range(10, 30)),
        ("ok1.jpg", "one", None, "kept", False),
        ("ok1.jpg", "another", None, "dropped", True),
        ("ok1.jpg", "neither", None, "dropped", False),
        ("ok1.jpg", "forbidden here", "noai,nofollow", "kept", True),
        ("ok2.png", "forbidden everywhere", "noimageai", "kept", True),
        ("ok3.webp", "two", "index", "kept", True),
        ("ok4.gif", "not asked for", None, "dropped", False),
        ("404", "gone", None, "kept", False),
        ("html", "soft 404", None, "gone", True),
        ("robots.noai", "opted out by header", None, "kept", False),
        ("moved", "moved", None, "kept", True),
    ]
    rows = []
    for path, text, robots, state, baseline in wanted:
        url = web.url(path)
        rows.append({"uid": uid.pair_uid(url, text), "image_uid": uid.image_uid(url), "url": url, "text": text,
                     "kind": "alt", "page_url": "http://page.example/", "page_robots": robots, "page_lang": None,
                     "source": "warc", "crawl_file": "x.warc.gz", "record_offset": 0,
                     "of_state": state, "baseline": baseline})  # fmt: skip
    return sorted(rows, key=lambda row: (row["image_uid"], row["uid"]))


def write(workdir: Path, name: str, stage: str, parts: dict[str, list[dict]]) -> None:
    data = Dataset(str(workdir), name)
    plan = Plan(dataset=name, stage=stage, settings={}, inputs={}, parts=PARTS)
    data.begin(plan)
    for part, rows in parts.items():
        with data.write_part(part, plan.hash) as out:
            out.write(pa.Table.from_pylist(rows, schema=out._schema.arrow()))
    data.commit(plan)


def pool(workdir: Path, web, wanted=None, known=None) -> dict[str, dict]:
    """`known` is {path: sha256 that the source gives it}."""
    rows = pairs_of(web, wanted)
    for row in rows:
        row["known_sha256"] = (known or {}).get(row["url"].rsplit("/", 1)[1])
    cut = {p: [r for r in rows if uid.part_of(r["image_uid"], 2) == i] for i, p in enumerate(PARTS)}
    own = ("of_state", "baseline")
    write(
        workdir,
        "pairs",
        "extract",
        {p: [{k: v for k, v in r.items() if k not in own} for r in c] for p, c in cut.items()},
    )
    write(workdir, "matches", "match", {p: [
        {"uid": r["uid"], "state": "kept", "reason": None, "lang": "en", "lang_score": 1.0, "entries": []} for r in c
    ] for p, c in cut.items()})  # fmt: skip
    write(workdir, "balanced", "balance", {p: [
        {"uid": r["uid"], "state": r["of_state"], "reason": "balanced_out" if r["of_state"] == "dropped" else None,
         "keep_probability": 1.0, "draw": 0.5, "baseline": r["baseline"]} for r in c
    ] for p, c in cut.items()})  # fmt: skip
    return {row["uid"]: row for row in rows}


def run(engines, workdir, **changes):
    download.run(engine.Run(recipe(**changes), str(workdir), engines))
    return Dataset(str(workdir), "images")


def contents(images: Dataset) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in sorted(Path(images.root).iterdir()) if ".times." not in f.name}


def test_rows_bytes_account_and_resume(engines, tmp_path, hostile_web):
    known = pool(tmp_path, hostile_web)
    images = run(engines, tmp_path)
    rows = pa.concat_tables(images.batches()).to_pylist()
    said = {(known[r["uid"]]["url"].rsplit("/", 1)[1], r["text"]): r for r in rows}
    assert {key: r["reason"] for key, r in said.items() if key[1] != "many"} == {
        ("ok1.jpg", "one"): None, ("ok1.jpg", "another"): None, ("ok1.jpg", "forbidden here"): "opted_out",
        ("ok2.png", "forbidden everywhere"): "opted_out", ("ok3.webp", "two"): None, ("404", "gone"): "http_4xx",
        ("html", "soft 404"): "not_an_image", ("robots.noai", "opted out by header"): "opted_out",
        ("moved", "moved"): None,
    }  # fmt: skip
    assert [r["uid"] for r in rows] == [u for u in known if u in {r["uid"] for r in rows}], "in the order of pairs"
    assert all(r["curated"] == (known[r["uid"]]["of_state"] == "kept") for r in rows)
    assert all(
        r["baseline"] == known[r["uid"]]["baseline"] and (r["lang"], r["source"]) == ("en", "warc") for r in rows
    )
    ledger = images.require().ledger
    assert ledger.rows_in == len(rows) == 29 and ledger.kept == 24
    assert ledger.dropped == {"opted_out": 3} and ledger.failed == {"http_4xx": 1, "not_an_image": 1}
    # Each image was asked for once, those that every page forbids never.
    assert hostile_web.asked["/ok1.jpg"] == 2  # once itself, once through the redirect
    assert not hostile_web.asked["/ok2.png"] and not hostile_web.asked["/ok4.gif"]
    for part in images.part_names():
        table = images.read_part(part, ["image_uid", "state", "sha256", "nbytes"]).to_pylist()
        stored = list(images_of(images, part))
        kept = list(dict.fromkeys(r["image_uid"] for r in table if r["state"] == "kept"))
        assert [image for image, _ in stored] == kept
        facts = {r["image_uid"]: r for r in table if r["state"] == "kept"}
        for image, data in stored:
            assert facts[image]["sha256"] == hashlib.sha256(data).hexdigest() and facts[image]["nbytes"] == len(data)

    with tarfile.open(images.path("part-00000.tar")) as tar:
        assert all(m.name.split(".")[1] in ("jpg", "webp") and m.mtime == 0 for m in tar.getmembers())
    assert pq.read_table(images.path("part-00000.parquet"))["state"].null_count == 0

    # The same command fetches nothing; one that lost a part ends in the same bytes, on any number of workers.
    before, asked = contents(images), hostile_web.asked.total()
    run(engines, tmp_path)
    assert hostile_web.asked.total() == asked
    (Path(images.root) / "_manifest.json").unlink()
    (Path(images.root) / "part-00001.parquet").unlink()
    (Path(images.root) / ".part-00001.tar.0.tmp").write_bytes(b"left by a killed run")
    assert contents(run(engines, tmp_path, workers=1, concurrency=1)) == before


def test_texts_of_an_image_on_both_sides_of_a_row_group_share_one_fetch(tmp_path, hostile_web, monkeypatch):
    pool(tmp_path, hostile_web)
    sources = {name: Dataset(str(tmp_path), name) for name in ("pairs", "matches", "balanced")}
    made = {}
    for size in (8192, 1, 2, 3):
        monkeypatch.setattr(downloading, "regrouped", lambda tables, n=size, f=regrouped: f(tables, n))
        target = Dataset(str(tmp_path), f"images/{size}")
        plan = Plan(dataset="images", stage="download", settings={}, inputs={}, parts=PARTS)
        hostile_web.asked.clear()
        for part in PARTS:
            downloading.download_part(part, **sources, target=target, plan=plan, settings=recipe().download)
        monkeypatch.undo()
        assert hostile_web.asked["/ok1.jpg"] == 2 and hostile_web.asked["/ok10.jpg"] == 1
        tars = [Path(target.path(f"{part}.tar")).read_bytes() for part in PARTS]
        made[size] = (tars, [target.read_part(part).combine_chunks() for part in PARTS])
    assert all(made[size] == made[8192] for size in made)


def test_regrouped_keeps_the_rows_and_the_size():
    tables = [
        pa.table({"n": pa.array(range(start, start + n), pa.int64())})
        for start, n in ((0, 0), (0, 3), (3, 0), (3, 9), (12, 1))
    ]
    groups = list(regrouped(iter(tables), 5))
    assert [len(group) for group in groups] == [5, 5, 3] and pa.concat_tables(groups)["n"].to_pylist() == [*range(13)]
    assert list(regrouped(iter(tables[:1]), 5)) == []


@pytest.mark.parametrize("lacking", ["pairs", "balanced"])
def test_a_missing_input_names_the_stage_to_run(engines, tmp_path, hostile_web, lacking):
    pool(tmp_path, hostile_web)
    Dataset(str(tmp_path), lacking).remove()
    with pytest.raises(RuntimeError, match=r"'extract'|'balance'"):
        run(engines, tmp_path)


def test_spark_keeps_failures_and_makes_the_same_bytes_as_ray(engines, tmp_path, hostile_web):
    made = {}
    for launcher in ("ray", "spark"):
        pool(tmp_path / launcher, hostile_web)
        made[launcher] = contents(run(engines, tmp_path / launcher, launcher=launcher, retries=0))
    assert made["ray"] == made["spark"]
    ledger = Dataset(str(tmp_path / "spark"), "images").require().ledger
    assert ledger.failed == {"http_4xx": 1, "not_an_image": 1}


def test_both_engines_make_the_same_rows(tmp_path, hostile_web):
    pool(tmp_path, hostile_web)
    sources = {name: Dataset(str(tmp_path), name) for name in ("pairs", "matches", "balanced")}
    made = []
    for name in ("curate", "img2dataset"):
        target, plan = Dataset(str(tmp_path), f"images/{name}"), Plan(dataset="images", stage="download", settings={}, inputs={}, parts=PARTS)  # fmt: skip
        for part in PARTS:
            downloading.download_part(part, **sources, target=target, plan=plan, settings=recipe(engine=name).download)
        tables = [target.read_part(part).drop_columns(["error"]).combine_chunks() for part in PARTS]
        made.append((tables, [Path(target.path(f"{part}.tar")).read_bytes() for part in PARTS]))
    assert made[0] == made[1]


def test_a_part_that_is_there_is_not_fetched_again(tmp_path, hostile_web):
    pool(tmp_path, hostile_web)
    sources = {name: Dataset(str(tmp_path), name) for name in ("pairs", "matches", "balanced")}
    target = Dataset(str(tmp_path), "images")
    plan = Plan(dataset="images", stage="download", settings={}, inputs={}, parts=PARTS)
    fetch = partial(
        downloading.download_part, PARTS[0], **sources, target=target, plan=plan, settings=recipe().download
    )
    record = fetch()
    asked = hostile_web.asked.total()
    assert fetch() == record and hostile_web.asked.total() == asked > 0


def test_times_stand_beside_the_part_and_in_no_manifest(tmp_path, hostile_web):
    pool(tmp_path, hostile_web)
    sources = {name: Dataset(str(tmp_path), name) for name in ("pairs", "matches", "balanced")}
    target = Dataset(str(tmp_path), "images")
    plan = Plan(dataset="images", stage="download", settings={}, inputs={}, parts=PARTS)
    target.begin(plan)
    for part in PARTS:
        downloading.download_part(part, **sources, target=target, plan=plan, settings=recipe().download)
        times = pq.read_table(target.path(times_name(part)))
        assert times.schema.equals(schema.load("times").arrow())
        rows = target.read_part(part, ["image_uid", "redirects"]).to_pylist()
        answered = list(dict.fromkeys(r["image_uid"] for r in rows if r["redirects"] is not None))
        assert times["image_uid"].to_pylist() == answered
        assert all(0 < seconds < 5 for seconds in times["elapsed"].to_pylist())
        assert dict(zip(times["image_uid"].to_pylist(), times["requests"].to_pylist(), strict=True)) == {
            r["image_uid"]: 1 + r["redirects"] for r in rows if r["redirects"] is not None
        }
    assert b"times" not in target.fs.cat_file(target.path("_plan.json"))


def test_a_known_hash_that_differs_is_told_row_by_row(tmp_path, hostile_web, picture_bytes):
    right, other = hashlib.sha256(picture_bytes("JPEG", 10)).hexdigest(), "f" * 64
    known = {"ok10.jpg": right.upper(), "ok11.jpg": other}
    pool(tmp_path, hostile_web, known=known)
    sources = {name: Dataset(str(tmp_path), name) for name in ("pairs", "matches", "balanced")}
    for choice, state in (("keep", "kept"), ("drop", "dropped")):
        target = Dataset(str(tmp_path), f"images/{choice}")
        plan = Plan(dataset="images", stage="download", settings={}, inputs={}, parts=PARTS)
        rows = []
        for part in PARTS:
            settings = recipe(sha256_mismatch=choice).download
            downloading.download_part(part, **sources, target=target, plan=plan, settings=settings)
            rows += target.read_part(part).to_pylist()
            kept = list(
                dict.fromkeys(r["image_uid"] for r in target.read_part(part).to_pylist() if r["state"] == "kept")
            )
            assert [image for image, _ in images_of(target, part)] == kept
        said = {r["url"].rsplit("/", 1)[1]: (r["state"], r["sha256_matches"]) for r in rows}
        assert said["ok10.jpg"] == ("kept", True) and said["ok12.jpg"] == ("kept", None)
        assert said["ok11.jpg"] == (state, False if choice == "keep" else None)


def test_nobody_in_particular_asks_nobody(engines, tmp_path):
    with pytest.raises(ContactError, match=r"download.contact is not set.*mailto:"):
        run(engines, tmp_path, allow_addresses=[])
