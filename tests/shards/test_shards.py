"""Shards: even, reproducible, with adjacent members, and the accounts right."""

import io
import json
import tarfile

import pyarrow as pa
import pytest
from PIL import Image

from curate.images.archive import ArchiveWriter, images_of
from curate.shards import samples, writing
from curate.store import Dataset, Plan
from curate.uid import image_uid, pair_uid


def picture(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def workdir(tmp_path):
    """Six images with two texts each, in two parts; the last image's bytes are missing from its archive."""
    urls = sorted((f"http://a.example/{i}.png" for i in range(6)), key=image_uid)
    for index, chunk in enumerate([urls[:2], urls[2:]]):
        part = f"part-{index:05d}"
        rows = sorted(
            (
                {"url": u, "image_uid": image_uid(u), "text": t, "uid": pair_uid(u, t)}
                for u in chunk
                for t in ("one", "two.")
            ),
            key=lambda r: (r["image_uid"], r["uid"]),
        )
        write_part(tmp_path, part, rows, missing=urls[-1])
    for name in ("images", "selection", "duplicates", "scores/clip"):
        data = Dataset(str(tmp_path), name)
        data.commit(plan_of(name))
    return str(tmp_path)


def plan_of(name):
    return Plan(dataset=name, stage="test", settings={}, inputs={}, parts=("part-00000", "part-00001"))


def write_part(root, part, rows, missing):
    n = len(rows)
    images = Dataset(str(root), "images")
    with images.sidecar(f"{part}.tar") as file:
        tar = ArchiveWriter(file)
        for uid in dict.fromkeys(r["image_uid"] for r in rows if r["url"] != missing):
            tar.add(f"{uid}.png", picture(int(uid[:2], 16)))
        tar.close()
    full = [
        r | {"kind": "alt", "lang": "en", "page_url": "http://a.example/", "curated": True, "baseline": True, "state": "kept",
             "reason": None, "http_status": 200, "error": None, "nbytes": 10, "sha256": "0" * 64, "width": 8, "height": 8,
             "format": "png", "phash": "0" * 16}
        for r in rows
    ]  # fmt: skip
    uids = [r["uid"] for r in rows]
    kept, none = ["kept"] * n, pa.nulls(n, pa.string())
    # The second text of every image is the more similar one.
    score = pa.array([0.1 if r["text"] == "one" else 0.9 for r in rows], pa.float32())
    embedding = pa.nulls(n, pa.list_(pa.float16(), 2))
    tables = {
        "images": pa.Table.from_pylist(full, schema=images_schema()),
        "selection": pa.table({"uid": uids, "state": kept, "reason": none}),
        "duplicates": pa.table({"uid": uids, "state": kept, "reason": none, "representative": [r["image_uid"] for r in rows]}),
        "scores/clip": pa.table({"uid": uids, "state": kept, "reason": none, "similarity_score": score,
                                 "image_embedding": embedding, "text_embedding": embedding}),
    }  # fmt: skip
    for name, table in tables.items():
        with Dataset(str(root), name).write_part(part, plan_of(name).hash) as out:
            out.write(table)


def images_schema():
    from curate import schema

    return schema.load("images").arrow()


def all_samples(workdir, policy="best"):
    inputs = samples.table_inputs(workdir, ["clip"])
    choose = samples.chooser(policy, 0, "clip")
    return [s for p in ("part-00000", "part-00001") for s in samples.samples_of(p, inputs, samples.curated, choose)]


def test_a_sample_is_an_image_with_all_its_texts(workdir):
    found = all_samples(workdir)
    assert len(found) == 6
    assert all(len(s.rows) == 2 for s in found)
    assert [s.data is None for s in found] == [False] * 5 + [True]
    assert {s.chosen["text"] for s in found} == {"two."}
    assert all(s.data == picture(int(s.image_uid[:2], 16)) for s in found[:5])


def test_text_policies(workdir):
    assert all(s.chosen["uid"] == min(r["uid"] for r in s.rows) for s in all_samples(workdir, "first"))
    drawn = [s.chosen["uid"] for s in all_samples(workdir, "draw")]
    assert drawn == [s.chosen["uid"] for s in all_samples(workdir, "draw")]


def test_a_shard_accounts_for_every_pair_and_repeats_its_bytes(workdir, tmp_path):
    bytes_of = []
    for name in ("a", "b"):
        target = Dataset(str(tmp_path / name), "shards")
        plan = Plan(dataset="shards", stage="shard", settings={}, inputs={}, parts=("00000",))
        part = writing.write_shard("00000", all_samples(workdir), target, plan)
        writing.finish(target, [part], "card")
        assert part.ledger.rows_in == 12
        assert (part.ledger.kept, part.ledger.dropped, part.ledger.failed) == (
            5,
            {"other_text": 5},
            {"image_missing": 2},
        )
        bytes_of.append(
            {
                f: target.fs.cat_file(f)
                for f in sorted(target.fs.find(target.root))
                if f.endswith((".tar", ".parquet", ".json"))
            }
        )
    assert list(bytes_of[0].values()) == list(bytes_of[1].values())
    with tarfile.open(tmp_path / "a" / "shards" / "00000.tar") as tar:
        names = tar.getnames()
        facts = json.load(tar.extractfile(names[1]))
    assert names[:3] == [names[0].split(".")[0] + s for s in (".png", ".json", ".txt")]
    assert names == [n.lower() for n in names]
    assert facts["texts"] and facts["clip_similarity_score"] == pytest.approx(0.9)
    assert json.loads((tmp_path / "a" / "shards" / "sizes.json").read_text()) == {"00000.tar": 5}


def test_counting_agrees_with_reading(workdir):
    inputs = samples.table_inputs(workdir, ["clip"])
    for part in ("part-00000", "part-00001"):
        here = list(samples.samples_of(part, inputs, samples.curated, samples.chooser("first", 0, None)))
        assert samples.count(part, inputs, samples.curated) == len(here)


@pytest.mark.parametrize("counts", [{"a": 5, "b": 0, "c": 11}, {"a": 1}, {}, {"a": 256, "b": 256}])
@pytest.mark.parametrize("limit", [1, 3, 256])
def test_slices_cover_every_sample_once_and_evenly(counts, limit):
    cut = samples.slices(counts, limit)
    covered = [(part, first + i) for shard in cut for part, first, size in shard for i in range(size)]
    assert covered == [(part, i) for part, n in counts.items() for i in range(n)]
    sizes = [sum(size for _, _, size in shard) for shard in cut]
    assert all(0 < size <= limit for size in sizes)
    assert not sizes or max(sizes) - min(sizes) <= 1


def test_raw_leaves_out_evaluation_images_only():
    images = pa.table({"baseline": [True, True, True, False], "state": ["kept", "kept", "failed", "kept"]})
    duplicates = pa.table({"reason": pa.array(["in_evaluation_set", "exact", None, None], pa.string())})
    assert samples.raw(images=images, duplicates=duplicates).to_pylist() == [False, True, False, False]


def test_the_archive_streams_in_order(workdir):
    uids = [uid for uid, _ in images_of(Dataset(workdir, "images"), "part-00001")]
    assert uids == sorted(uids)
