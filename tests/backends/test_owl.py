"""The detector as a backend: boxes of the right phrases inside the image, the surest of overlapping ones, hostile answers refused."""

import hashlib
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from curate.backends import owl
from curate.backends.contract import Photo, Request
from curate.backends.settings import Owl
from curate.weights import ModelError
from tests.backends.small_owl import small_owl  # noqa: F401


def photo(size=(60, 30), colour="red") -> Photo:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return Photo(out.getvalue(), hashlib.sha256(out.getvalue()).hexdigest())


@pytest.fixture(scope="module")
def detector(small_owl):  # noqa: F811
    return owl.load(Owl(model=str(small_owl), floor=0.0, iou=1.0, most=1000), "cpu")


def test_boxes_are_those_of_transformers_own_reading(detector):
    """Scores, phrases and boxes agree with the processor's own post-processing, which works in pixels of the image."""
    shot, phrases = photo(), ["red disc", "a cat", "line"]
    (answer,) = detector.answers([Request("\n".join(phrases), photo=shot)])
    found = owl.read(answer.text, len(phrases))
    inputs = detector._processor(text=[phrases], images=[shot.pixels], return_tensors="pt")
    with torch.inference_mode():
        out = detector._model(**inputs)
    theirs = detector._processor.post_process_grounded_object_detection(out, threshold=0.0, target_sizes=[(30, 60)])[0]
    order = np.argsort(-theirs["scores"].numpy(), kind="stable")
    boxes = theirs["boxes"].numpy()[order] / [60, 30, 60, 30]
    clipped = np.clip(boxes, 0, 1).round(5)
    alive = (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
    assert len(found) == alive.sum() > 5
    assert [box.phrase for box in found] == theirs["labels"].numpy()[order][alive].tolist()
    assert np.allclose([box.score for box in found], theirs["scores"].numpy()[order][alive], atol=1e-4)
    assert np.allclose([box[2:] for box in found], clipped[alive], atol=1e-4)
    assert answer.finish == "stop" and answer.prompt_tokens > 6


def test_an_answer_hangs_on_its_request_alone(detector):
    one, other = Request("red disc\na cat", photo=photo()), Request("dog", photo=photo((20, 50), "blue"))
    together = detector.answers([one, other])
    assert together == [*detector.answers([one]), *detector.answers([other])]


def test_requests_that_cannot_be_answered_are_statuses(detector):
    broken = Photo(b"broken", "0" * 64)
    statuses = [
        a.status for a in detector.answers([Request("cat", photo=broken), Request("", photo=photo()), Request("cat")])
    ]
    assert statuses == ["undecodable", "rejected", "rejected"]


def test_of_overlapping_boxes_the_surest_stays():
    boxes = np.array(
        [[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.48], [0.4, 0.4, 1.2, 0.9], [0.3, 0.3, 0.3, 0.9], [0.6, 0.6, 0.7, 0.7]]
    )
    scores = np.array([0.5, 0.9, 0.4, 0.99, 0.01])
    found = owl.kept(boxes, scores, np.arange(5), Owl(model="x", iou=0.7, floor=0.05))
    assert [box.phrase for box in found] == [1, 2] and found[1][2:] == (0.4, 0.4, 1.0, 0.9)
    assert len(owl.kept(boxes, scores, np.arange(5), Owl(model="x", iou=0.7, floor=0.05, most=1))) == 1


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[[0,0.5,0,0,1]]", "[[3,0.5,0,0,1,1]]", "[[-1,0.5,0,0,1,1]]", "[[0,2,0,0,1,1]]", "[[0,0.5,0,0,1.5,1]]",
     "[[0,0.5,0.5,0,0.5,1]]", '[["0",0.5,0,0,1,1]]', "[[0,NaN,0,0,1,1]]"],
)  # fmt: skip
def test_what_is_no_box_is_refused(text):
    with pytest.raises(ValueError, match="no box"):
        owl.read(text, 3)


def test_a_detector_that_is_not_here_or_none_is_said(tmp_path, small_owl):  # noqa: F811
    with pytest.raises(ModelError, match=r"no config.json in .*OWLv2"):
        owl.identity(Owl(model=str(tmp_path)))
    for file in small_owl.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    with pytest.raises(ModelError, match="model_type is 'bert'; known are owlv2, owlvit"):
        owl.identity(Owl(model=str(tmp_path)))
    assert (
        "model" not in owl.Owl(model=str(small_owl)).identity() and owl.identity(Owl(model=str(small_owl)))["revision"]
    )
