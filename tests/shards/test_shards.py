"""Shards: even, reproducible, with adjacent members, and the accounts right."""

import hashlib
import io
import json
import tarfile

import msgspec
import pyarrow as pa
import pytest
from PIL import Image

from curate import schema
from curate.images.archive import ArchiveWriter, images_of
from curate.images.decoding import ImageError
from curate.shards import balance, samples, writing
from curate.shards.card import balance_of
from curate.store import Dataset, Plan, StoreError
from curate.uid import image_uid, pair_uid


def picture(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def workdir(tmp_path):
    """Six images with two matched texts each and one that the baseline alone drew, in two parts; the last image's bytes
    are missing from its archive. `matches` and `balanced` also have rows that were not fetched, and other row groups."""
    urls = sorted((f"http://a.example/{i}.png" for i in range(6)), key=image_uid)
    for index, chunk in enumerate([urls[:2], urls[2:]]):
        rows = sorted(
            (pair(url, text) for url in chunk for text in (*MATCHED, "only drawn", "not fetched", "nor this")),
            key=lambda row: (row["image_uid"], row["uid"]),
        )
        write_part(tmp_path, f"part-{index:05d}", rows, missing=urls[-1])
    for name in ("images", "selection", "duplicates", "scores/clip", "matches", "balanced"):
        data = Dataset(str(tmp_path), name)
        data.commit(plan_of(name))
    return str(tmp_path)


MATCHED = ("one", "two.")


def pair(url, text):
    uid = pair_uid(url, text)
    matched, number = text in MATCHED, int(uid[:4], 16)
    keep = {"keep_probability": number / 2**16 if matched else None, "entries": [number, number + 7] if matched else []}
    return {"url": url, "image_uid": image_uid(url), "text": text, "uid": uid, "baseline": text == "only drawn"} | keep


def plan_of(name):
    return Plan(dataset=name, stage="test", settings={}, inputs={}, parts=("part-00000", "part-00001"))


def write_groups(root, part, name, table, size):
    with Dataset(str(root), name).write_part(part, plan_of(name).hash) as out:
        for begin in range(0, len(table), size):
            out.write(table.slice(begin, size))


def write_part(root, part, pairs, missing):
    write_matches(root, part, pairs)
    rows = [r for r in pairs if r["text"] in (*MATCHED, "only drawn")]
    images = Dataset(str(root), "images")
    with images.sidecar(f"{part}.tar") as file:
        tar = ArchiveWriter(file)
        for uid in dict.fromkeys(r["image_uid"] for r in rows if r["url"] != missing):
            tar.add(f"{uid}.png", picture(int(uid[:2], 16)))
        tar.close()
    full = [
        r | {"kind": "alt", "lang": "en", "page_url": "http://a.example/", "curated": r["text"] in MATCHED, "state": "kept",
             "reason": None, "http_status": 200, "error": None, "nbytes": 10, "sha256": "0" * 64, "width": 8, "height": 8,
             "format": "png", "phash": "0" * 16}
        for r in rows
    ]  # fmt: skip
    n, uids = len(rows), [r["uid"] for r in rows]
    kept, none = ["kept"] * n, pa.nulls(n, pa.string())
    selected = ["kept" if r["text"] in MATCHED else "dropped" for r in rows]
    why = pa.array([None if r["text"] in MATCHED else "baseline_only" for r in rows], pa.string())
    # The second text of every image is the more similar one.
    score = pa.array([0.1 if r["text"] == "one" else 0.9 for r in rows], pa.float32())
    embedding = pa.nulls(n, pa.list_(pa.float16(), 2))
    tables = {
        "images": pa.Table.from_pylist(full, schema=images_schema()),
        "selection": pa.table({"uid": uids, "state": selected, "reason": why}),
        "duplicates": pa.table({"uid": uids, "state": kept, "reason": none, "representative": [r["image_uid"] for r in rows]}),
        "scores/clip": pa.table({"uid": uids, "state": kept, "reason": none, "similarity_score": score,
                                 "image_embedding": embedding, "text_embedding": embedding}),
    }  # fmt: skip
    for name, table in tables.items():
        write_groups(root, part, name, filled(name, table), 5)


def filled(name, table):
    """With nulls in the columns that shards do not read."""
    for field in schema.load(name).arrow(embedding_width=2):
        if field.name not in table.column_names:
            table = table.append_column(field.name, pa.nulls(len(table), field.type))
    return table


def write_matches(root, part, pairs):
    """`matches` and `balanced`: a text that is not fetched was balanced out or not matched."""
    lost = {"not fetched": ("kept", None, "dropped", "balanced_out"), "nor this": ("dropped", "no_entry", "gone", None)}
    other = {"only drawn": ("dropped", "no_entry", "gone", None)}
    rows = []
    for r in pairs:
        state, reason, balanced, why = (lost | other).get(r["text"], ("kept", None, "kept", None))
        keep = 0.5 if why else r["keep_probability"]
        rows.append({"uid": r["uid"], "state": state, "reason": reason, "lang": "en", "lang_score": 0.9, "entries": r["entries"],
                     "balanced": balanced, "why": why, "keep_probability": keep, "draw": 0.7 if why else keep and keep / 2,
                     "baseline": r["baseline"]})  # fmt: skip
    matches = pa.Table.from_pylist(rows, schema=schema.load("matches").arrow())
    renamed = [row | {"state": row["balanced"], "reason": row["why"]} for row in rows]
    balanced = pa.Table.from_pylist(renamed, schema=schema.load("balanced").arrow())
    for name, table in (("matches", matches), ("balanced", balanced)):
        write_groups(root, part, name, table, 3)


def images_schema():
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


def said_by_balanced(workdir):
    """{uid: (entries, keep probability)} of all texts that were matched, by `matches` and `balanced` themselves."""
    said = {}
    for part in ("part-00000", "part-00001"):
        entries = Dataset(workdir, "matches").read_part(part).to_pylist()
        keep = Dataset(workdir, "balanced").read_part(part).to_pylist()
        for row, odds in zip(entries, keep, strict=True):
            p = odds["keep_probability"]
            said[row["uid"]] = (None if p is None else row["entries"], p)
    return said


@pytest.mark.parametrize("members", [samples.curated, samples.raw])
def test_json_and_index_say_what_matching_and_balancing_said(workdir, tmp_path, members):
    said, inputs = said_by_balanced(workdir), samples.table_inputs(workdir, ["clip"])
    choose = samples.chooser("draw", 0, "clip")
    found = [s for p in ("part-00000", "part-00001") for s in samples.samples_of(p, inputs, members, choose)]
    target = Dataset(str(tmp_path / "out"), "shards")
    plan = Plan(dataset="shards", stage="shard", settings={}, inputs={}, parts=("00000",))
    part = writing.write_shard("00000", found, target, plan)
    index = target.read_part("00000").to_pylist()
    with tarfile.open(target.path("00000.tar")) as tar:
        facts = [json.load(tar.extractfile(name)) for name in tar.getnames() if name.endswith(".json")]
    assert len(facts) == len(index) == 5
    for fact, row in zip(facts, index, strict=True):
        assert (
            (fact["entries"], fact["keep_probability"])
            == said[fact["uid"]]
            == (row["entries"], row["keep_probability"])
        )
        assert list(zip(fact["text_entries"], fact["keep_probabilities"], strict=True)) == [
            said[u] for u in fact["uids"]
        ]
        assert (fact["uids"], fact["texts"], fact["keep_probabilities"]) == (
            row["uids"],
            row["texts"],
            row["keep_probabilities"],
        )
        assert fact["langs"] == ["en"] * len(fact["texts"])
    probabilities = [p for row in index for p in row["keep_probabilities"]]
    expected = balance.recorded(target, [part], online=True).expected_samples
    if members is samples.raw:
        assert probabilities == [None] * 5 and expected is None
    else:
        assert len(set(probabilities)) == 10 and None not in probabilities
        pairs = [row["keep_probabilities"] for row in index]
        assert expected == pytest.approx(sum(a + b - a * b for a, b in pairs))


def test_images_that_are_not_those_of_balance_are_refused(workdir):
    images = Dataset(workdir, "images")
    part = images.read_part("part-00001")
    write_groups(workdir, "part-00001", "images", part.slice(1), 5)
    for name in ("selection", "duplicates", "scores/clip"):
        write_groups(workdir, "part-00001", name, Dataset(workdir, name).read_part("part-00001").slice(1), 5)
    inputs = samples.table_inputs(workdir, ["clip"])
    with pytest.raises(StoreError, match="part-00001: images has other rows than balance kept"):
        list(samples.rows_of("part-00001", inputs, samples.curated))


def test_the_card_says_what_is_left_to_draw():
    said = {
        (kind, online): balance_of(kind, balance.Balance(online=online, expected_samples=12.4))
        for kind, online in (("raw", False), ("curated", False), ("curated", True))
    }
    assert "not balanced yet" in said["curated", True] and "about 12 images" in said["curated", True]
    assert "Do not draw again" in said["curated", False]
    assert "compared with" in said["raw", False]


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


def test_samples_have_the_bytes_of_all_generations(workdir):
    """The image that the first download lacks was fetched by a retry; a second retry fetched nothing."""
    inputs = samples.table_inputs(workdir, ["clip"])
    below = Dataset(workdir, "images")
    stored = list(images_of(below, "part-00001"))
    lost = stored.pop(1)[0]
    with below.sidecar("part-00001.tar") as file:
        tar = ArchiveWriter(file)
        for uid, data in stored:
            tar.add(f"{uid}.png", data)
        tar.close()
    for name, part, uid in (("images-1", "part-00001", lost), ("images-2", "part-00000", None)):
        data = Dataset(workdir, name)
        plan = Plan(
            dataset=name, stage="test", settings={}, inputs={below.name: below.fingerprint}, parts=plan_of(name).parts
        )
        for one in plan.parts:
            with data.sidecar(f"{one}.tar") as file:
                tar = ArchiveWriter(file)
                if one == part and uid:
                    tar.add(f"{uid}.png", picture(int(uid[:2], 16)))
                tar.close()
            with data.write_part(one, plan.hash) as out:
                for table in [below.read_part(one)]:
                    for begin in range(0, len(table), 5):
                        out.write(table.slice(begin, 5))
        data.commit(plan)
        below = data
    assert inputs["images"][0].name == "images" and samples.table_inputs(workdir, [])["images"][0].name == "images-2"
    found = all_samples(workdir)
    # The last image is in no tar.
    assert len(found) == 6 and all(s.data == picture(int(s.image_uid[:2], 16)) for s in found[:5])
    uids = [uid for uid, _ in images_of(below, "part-00001")]
    assert lost in uids and uids == sorted(uids)


def with_faces(workdir, boxes_of) -> list:
    """The samples of a set whose faces were looked for; `boxes_of`: image uid -> boxes, or None where nobody could look."""
    for part in ("part-00000", "part-00001"):
        images = Dataset(workdir, "images").read_part(part)
        rows = []
        for uid, image in zip(images["uid"].to_pylist(), images["image_uid"].to_pylist(), strict=True):
            boxes = boxes_of(image)
            good = boxes is not None
            rows.append({"uid": uid, "state": "kept" if good else "failed", "reason": None if good else "undecodable",
                         "faces": len(boxes) if good else None, "face_bboxes": boxes, "face_scores": [0.9] * len(boxes) if good else None})  # fmt: skip
        faces = Dataset(workdir, "scores/faces")
        plan = Plan(
            dataset=faces.name,
            stage="score",
            settings={"scorer": "faces"},
            inputs={},
            parts=("part-00000", "part-00001"),
        )
        faces.begin(plan)
        with Dataset(workdir, "images").open_part(part) as file:
            groups = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        table, at = pa.Table.from_pylist(rows, schema=schema.load("scores/faces").arrow()), 0
        with faces.write_part(part, plan.hash) as out:
            for size in groups:
                out.write(table.slice(at, size))
                at += size
    inputs, choose = samples.table_inputs(workdir, ["clip"], "faces"), samples.chooser("first", 0, "clip")
    return [s for p in ("part-00000", "part-00001") for s in samples.samples_of(p, inputs, samples.curated, choose)]


def test_faces_are_blurred_and_images_that_nobody_looked_at_are_left_out(workdir, tmp_path):
    order = [sample.image_uid for sample in all_samples(workdir)]
    boxes = {order[0]: [[0.1, 0.1, 0.6, 0.6]], order[1]: [], order[2]: None}
    found = with_faces(workdir, lambda image: boxes.get(image, []))
    target = Dataset(str(tmp_path / "blurred"), "shards")
    plan = Plan(dataset="shards", stage="shard", settings={}, inputs={}, parts=("00000",))
    part = writing.write_shard("00000", found, target, plan)
    assert (part.ledger.kept, part.ledger.failed) == (4, {"faces_unknown": 2, "image_missing": 2})
    with tarfile.open(target.path("00000.tar")) as tar:
        read = {name: tar.extractfile(name).read() for name in tar.getnames()}
    one, other = (json.loads(read[f"{uid}.json"]) for uid in order[:2])
    assert (
        one["face_bboxes"] == boxes[order[0]]
        and one["sha256_blurred"] == hashlib.sha256(read[f"{order[0]}.png"]).hexdigest()
    )
    assert other["face_bboxes"] == [] and "sha256_blurred" not in other
    assert read[f"{order[1]}.png"] == found[1].data
    assert order[2] + ".png" not in read
    assert all("face_bboxes" not in sample.chosen for sample in all_samples(workdir))


def test_an_image_with_a_face_that_does_not_decode_fails(workdir):
    (sample, *_) = with_faces(workdir, lambda image: [[0, 0, 1, 1]])
    with pytest.raises(ImageError):
        list(writing.members(msgspec.structs.replace(sample, data=sample.data[:40])))
