"""Faces in shards: blurred where they were found, and images that nobody looked at are left out."""

import hashlib
import json
import tarfile

import msgspec
import pyarrow as pa
import pytest

from curate import schema
from curate.images.decoding import ImageError
from curate.shards import samples, writing
from curate.store import Dataset, Plan
from tests.shards.small_sets import all_samples


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
