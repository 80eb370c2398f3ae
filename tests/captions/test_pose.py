"""Poses in words and heat: every visible limb is named, none that is not, and the map peaks at the joints."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.captions import pose
from curate.captions.contract import REASON
from curate.captions.keypoints import JOINTS, LIMBS, PLACE, described, heat_map, main_person, visible_limbs
from curate.captions.pose import Describer, Pose
from curate.weights import ModelError

STANDING = {
    "nose": (50, 10), "left_eye": (52, 8), "right_eye": (48, 8), "left_ear": (54, 9), "right_ear": (46, 9),
    "left_shoulder": (58, 25), "right_shoulder": (42, 25), "left_elbow": (60, 40), "right_elbow": (30, 12),
    "left_wrist": (60, 54), "right_wrist": (28, 2), "left_hip": (55, 55), "right_hip": (45, 55),
    "left_knee": (55, 75), "right_knee": (45, 75), "left_ankle": (55, 95), "right_ankle": (45, 95),
}  # fmt: skip
"""Pixels in an image of 100 x 100, y downwards: the right arm up, the left down."""


def person(points=STANDING, without=()) -> list[float]:
    return [
        value
        for name in JOINTS
        for value in ((*points[name], 2) if name in points and name not in without else (0, 0, 0))
    ]


def joints(**more) -> np.ndarray:
    return main_person([person(**more)], 100, 100)


def test_a_description_names_every_visible_limb_and_no_other():
    assert visible_limbs(joints()) == list(LIMBS)
    for limb, parts in LIMBS.items():
        without = joints(without=parts if limb in ("head", "torso") else parts[1:])
        said = described(without)
        assert limb not in visible_limbs(without)
        for other in LIMBS:
            assert (other in said) == (other != limb), (limb, said)


def test_words_follow_the_geometry():
    said = described(joints())
    assert "head facing the viewer" in said and "torso upright" in said
    assert "left arm hanging down and straight" in said and "right arm raised above the shoulder" in said
    assert "left leg standing on the ground and straight" in said
    bent = STANDING | {"left_wrist": (75, 40)}
    assert "left arm hanging down" not in described(joints(points=bent)) and "sharply bent at the elbow" in described(
        joints(points=bent)
    )
    turned = {"left_eye", "left_ear"}
    assert "turned to the left" in described(joints(without=turned))
    assert "seen from behind" in described(joints(without={"nose"}))
    lying = {name: (y, x) for name, (x, y) in STANDING.items()}
    assert "torso lying" in described(joints(points=lying))


@pytest.mark.parametrize("side", [8, 28, 64])
def test_the_heat_map_peaks_at_the_joints(side):
    found = joints(without={"left_ankle"})
    heat = heat_map(found, side, 0.03)
    cells = {tuple((found[place, :2] * side).astype(int)[::-1]) for place in range(17) if found[place, 2]}
    assert all(heat[cell] == 1 for cell in cells) and heat.max() == 1
    assert {tuple(cell) for cell in np.argwhere(heat == 1)} == cells
    far = np.argwhere(heat == heat.min())[0]
    assert min(np.hypot(*(far - np.array(cell))) for cell in cells) > side / 8
    edge = heat_map(np.array([[1.0, 1.0, 1]]), side, 0.05)
    assert edge[-1, -1] == 1 and heat_map(found * (1, 1, 0), side, 0.05).max() == 0


def test_the_person_with_most_joints_counts_and_joints_outside_do_not():
    few = person(without=set(JOINTS[:9]))
    assert main_person([few, person()], 100, 100)[:, 2].sum() == 17
    assert main_person([person(points=STANDING | {"nose": (150, 10)})], 100, 100)[PLACE["nose"]].tolist() == [0, 0, 0]
    assert main_person([person(points=STANDING | {"nose": (float("nan"), 10)})], 100, 100)[PLACE["nose"], 2] == 0
    assert main_person([], 100, 100) is None and main_person(None, 100, 100) is None
    for bad in ([1.0] * 50, ["x"] * 51, [None] * 51, []):
        assert main_person([bad], 100, 100) == "bad_keypoints"


def test_the_table_is_read_by_image(tmp_path):
    people = {"a": [person()], "b": [], "c": [person(without=set(JOINTS[3:]))], "d": [[1.0, 2.0]], "z": [person()]}
    kind = pa.list_(pa.list_(pa.float64()))
    pq.write_table(
        pa.table({"image_uid": list(people), "keypoints": pa.array(list(people.values()), kind)}),
        tmp_path / "k.parquet",
    )
    settings = Pose(keypoints=str(tmp_path / "k.parquet"))
    rows = pa.table({"image_uid": ["a", "a", "b", "c", "d", "e"], "width": [100] * 6, "height": [100] * 6})
    found = Describer(settings).score(rows, {}, np.zeros(0, int))
    assert list(found[REASON]) == [None, None, "no_person", "few_joints", "bad_keypoints", "no_person"]
    first = found["captions"].to_pylist()
    assert first[0] == first[1] == [described(joints())] and first[2:] == [None] * 4
    assert len(found["heat"][0]) == 28 * 28 and max(found["heat"][0].as_py()) == 255
    assert found["limbs"][0].as_py() == list(LIMBS) and len(found["joints"][0]) == 17
    assert all(
        len(values) == 0 for values in Describer(settings).score(rows.slice(0, 0), {}, np.zeros(0, int)).values()
    )


def test_other_keypoints_are_another_table_and_none_are_said(tmp_path):
    kind = pa.list_(pa.list_(pa.float64()))
    for name, points in (("a", [person()]), ("b", [])):
        pq.write_table(
            pa.table({"image_uid": ["x"], "keypoints": pa.array([points], kind)}), tmp_path / f"{name}.parquet"
        )
    marks = [pose.identity(Pose(keypoints=str(tmp_path / f"{name}.parquet")))["keypoints"] for name in "ab"]
    assert marks[0] != marks[1] and str(tmp_path) not in str(pose.identity(Pose(keypoints=str(tmp_path / "a.parquet"))))
    with pytest.raises(ModelError, match=r"looked for in .*nowhere"):
        pose.identity(Pose(keypoints=str(tmp_path / "nowhere")))
