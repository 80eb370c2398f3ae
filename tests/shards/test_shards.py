"""Shards: even, reproducible, with adjacent members, and the accounts right."""

import io
import json
import tarfile

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from curate.images.archive import ArchiveWriter, images_of
from curate.shards import balance, samples, writing
from curate.shards.card import balance_of
from curate.store import Dataset, Plan, StoreError
from tests.shards.small_sets import all_samples, picture, plan_of, write_groups


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


def test_grey_of_16_bits_is_packed_as_other_loaders_can_show_it(workdir):
    grey, plain = io.BytesIO(), io.BytesIO()
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (8, 1))
    Image.fromarray(ramp).save(grey, "PNG")
    Image.fromarray((ramp >> 8).astype(np.uint8)).save(plain, "PNG")
    sample = all_samples(workdir)[0]
    for data, same in ((grey, False), (plain, True)):
        suffix, written = next(writing.members(msgspec.structs.replace(sample, data=data.getvalue())))
        assert suffix == "png" and (written == data.getvalue()) is same
        shown = np.asarray(Image.open(io.BytesIO(written)).convert("RGB"))
        assert np.array_equal(shown[..., 0], ramp >> 8)


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
