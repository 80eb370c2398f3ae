"""Networks as ONNX files: what they are fed, and what they may answer."""

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper
from PIL import Image

from curate import schema
from curate.facts.contract import REASON, Picture
from curate.facts.laying import laid
from curate.scores import copies, watermark
from curate.scores.settings import Copies, Watermark
from curate.weights import ModelError


def network(path, columns=3, scale=1.0, rank=4) -> str:
    """Means of the first `columns` channels, times a number: shape (n, columns)."""
    shape = ["n", 3, None, None][:rank]
    taken = [helper.make_tensor("starts", TensorProto.INT64, [1], [0]), helper.make_tensor("ends", TensorProto.INT64, [1], [columns]),
             helper.make_tensor("axes", TensorProto.INT64, [1], [1]), helper.make_tensor("scale", TensorProto.FLOAT, [], [scale])]  # fmt: skip
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["means"], axes=list(range(2, rank)), keepdims=0),
        helper.make_node("Slice", ["means", "starts", "ends", "axes"], ["some"]),
        helper.make_node("Mul", ["some", "scale"], ["out"]),
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", columns])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [pixels], [out], taken), opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
    onnx.save(model, path)
    return str(path)


def scored(path, *images, **more):
    settings = Watermark(network=path, side=16, **more)
    scorer = watermark.load(settings, "cpu", watermark.KIND.identity(settings))
    answers = scorer.answer([scorer.see(Picture(b"", image)) for image in images])
    return scorer.score(pa.table({"uid": ["u"] * len(images)}), answers, np.arange(len(images)))


RED, BLUE = Image.new("RGB", (30, 9), (255, 0, 0)), Image.new("RGB", (5, 50), (0, 0, 255))


def test_pixels_are_normalised_and_outputs_become_probabilities(tmp_path):
    path, mean, std = network(tmp_path / "n.onnx"), (0.5, 0.25, 0.0), (0.5, 0.5, 2.0)
    fed = (np.array([[1, 0, 0], [0, 0, 1]]) - mean) / std
    odds = np.exp(fed) / np.exp(fed).sum(axis=1, keepdims=True)
    how = {"mean": mean, "std": std}
    for output, wanted in (("softmax", odds), ("sigmoid", 1 / (1 + np.exp(-fed)))):
        for place in (0, 2):
            found = scored(path, RED, BLUE, output=output, watermarked=place, **how)["watermark"]
            assert found == pytest.approx(wanted[:, place], abs=1e-5) and found.dtype == np.float32


def test_what_is_no_probability_is_a_status(tmp_path):
    path = network(tmp_path / "n.onnx", scale=3)
    found = scored(path, RED, BLUE, output="none", mean=(0, 0, 0), std=(1, 1, 1))
    assert list(found[REASON]) == ["not_finite", None]
    nothing = scored(network(tmp_path / "nan.onnx", scale=float("nan")), RED)
    assert list(nothing[REASON]) == ["not_finite"]
    assert len(scored(path)["watermark"]) == 0


def test_networks_that_are_missing_or_something_else_are_errors(tmp_path):
    with pytest.raises(ModelError, match=r"no network at .*none\.onnx"):
        scored(str(tmp_path / "none.onnx"), RED)
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(ModelError, match="is not an ONNX network"):
        scored(str(tmp_path / "junk.onnx"), RED)
    with pytest.raises(ModelError, match="`watermarked` is 3"):
        scored(network(tmp_path / "n.onnx"), RED, watermarked=3)
    with pytest.raises(ModelError, match="does not take pixels of shape"):
        scored(network(tmp_path / "flat.onnx", rank=3), RED)
    settings = Watermark(network=network(tmp_path / "n.onnx"))
    with pytest.raises(ModelError, match="is not the network that this run was planned with"):
        watermark.load(settings, "cpu", {"revision": "0"})


def test_an_embedding_for_copies_has_length_one_or_a_status(tmp_path):
    settings = Copies(network=network(tmp_path / "n.onnx"), side=16, mean=(0, 0, 0), std=(1, 1, 2))
    scorer = copies.load(settings, "cpu", copies.KIND.identity(settings))
    images = [Image.new("RGB", (30, 9), (255, 0, 255)), Image.new("RGB", (9, 9))]
    answers = scorer.answer([scorer.see(Picture(b"", image)) for image in images])
    uids, every = pa.chunked_array([["a", "b", "c"]]), np.ones(3, bool)
    columns = scorer.score(pa.table({"uid": uids}), answers, np.array([0, 0, 1]))
    known = schema.load("scores/copies")
    table = known.hold(laid(uids, np.arange(3), every, columns, known))
    vector = table["image_embedding"][0].as_py()
    assert vector == table["image_embedding"][1].as_py() == pytest.approx([2 / 5**0.5, 0, 1 / 5**0.5], abs=1e-3)
    assert table["reason"].to_pylist() == [None, None, "not_finite"] and table["image_embedding"][2].as_py() is None
    nothing = scorer.score(pa.table({"uid": pa.array([], pa.string())}), scorer.answer([]), np.zeros(0, np.int64))
    assert nothing["image_embedding"].type == pa.list_(pa.float16(), 3)
