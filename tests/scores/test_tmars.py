"""Text drawn on plain grounds and on photographs is found, pictures without text stay as they are, and what is masked is scored."""

import time
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper
from PIL import Image, ImageDraw, ImageFont

from curate import models, recipe, schema
from curate.facts.contract import Picture
from curate.facts.laying import laid
from curate.recipe import Model, RecipeError
from curate.scores import lettering, registry, tmars
from curate.scores.clip import ClipScorer
from curate.scores.settings import Tmars
from curate.weights import ModelError
from tests.scores.pictures import photograph

FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSansMono", "STIXGeneral")
TEXTS = {14: "Exhibition at the harbour today", 24: "Summer sale in Berlin", 40: "FREE SHIPPING", 72: "Juice 2023"}
GROUNDS = ("white", "black", "navy", "#e0d0a0", "rocket.jpg", "chelsea.png", "coffee.png")
TEXTLESS = ("brick.png", "camera.png", "cell.png", "chelsea.png", "chessboard_GRAY.png", "coffee.png", "grass.png", "gravel.png",
            "horse.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "retina.jpg", "rocket.jpg")  # fmt: skip


@cache
def font(name: str, size: int):
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), size)


def written(text: str, name: str, size: int, ground: str) -> tuple[Image.Image, tuple[int, ...]]:
    """A picture of 512 x 384 with a line of text, and the box of that."""
    photo = "." in ground
    image = photograph(ground).resize((512, 384)) if photo else Image.new("RGB", (512, 384), ground)
    draw, at = ImageDraw.Draw(image), (12, 60)
    box = tuple(map(int, draw.textbbox(at, text, font(name, size))))
    box = max(box[0], 0), box[1], min(box[2], 512), box[3]
    dark = np.asarray(image.convert("L"))[box[1] : box[3], box[0] : box[2]].mean() < 128
    draw.text(at, text, "white" if dark else "black", font(name, size))
    return image, box


def covered(image: Image.Image) -> np.ndarray:
    """Which pixels are masked, as the scorer masks them: bool, shape (height, width)."""
    size = np.array(image.size)
    mask = np.zeros(image.size[::-1], bool)
    for left, top, right, bottom in tmars._whole(tmars._grown(lettering.lines(image) * np.tile(size, 2), 0.1, size)):
        mask[top:bottom, left:right] = True
    return mask


def test_lines_that_are_drawn_are_found():
    shares: dict[bool, list[float]] = {False: [], True: []}
    for ground in GROUNDS:
        for index, (size, text) in enumerate(TEXTS.items()):
            for name in FONTS[index % 2 :: 2]:
                image, (left, top, right, bottom) = written(text, name, size, ground)
                shares["." in ground].append(covered(image)[top:bottom, left:right].mean())
    plain, photographs = shares[False], shares[True]
    assert np.mean(plain) >= 0.95 and np.mean(photographs) >= 0.9, (np.mean(plain), np.mean(photographs))


def test_a_line_is_masked_and_not_its_neighbourhood():
    image, (left, top, right, bottom) = written(TEXTS[24], "DejaVuSans", 24, "white")
    mask = covered(image)
    mask[top - 12 : bottom + 12, left - 12 : right + 12] = False
    assert not mask.any()


def test_pictures_without_text_lose_little():
    shares = {name: covered(photograph(name)).mean() for name in TEXTLESS}
    assert max(shares.values()) <= 0.02 and np.mean(list(shares.values())) <= 0.005, shares


def test_hostile_pictures_take_bounded_time():
    noise = np.random.default_rng(0).integers(0, 256, (640, 640, 3), np.uint8)
    bars = np.full((640, 640, 3), 255, np.uint8)
    bars[:, ::4], bars[::9] = 0, 255  # 11,000 upright strokes
    for pixels in (noise, noise.repeat(6, 0).repeat(6, 1), bars):
        start = time.process_time()
        assert len(lettering.lines(Image.fromarray(pixels))) <= lettering.MOST
        assert time.process_time() - start < 3
    for size in ((1, 1), (1, 50_000), (50_000, 1), (700, 30)):
        assert lettering.lines(Image.new("RGB", size)).shape == (0, 4)


def test_a_box_takes_the_colour_around_it_and_nothing_else_changes():
    image = Image.new("RGB", (200, 100), (200, 40, 10))
    image.paste((0, 0, 255), (100, 0, 200, 100))
    image.paste((255, 255, 255), (20, 40, 80, 60))
    before = image.tobytes()
    filled, share = tmars.masked(image, np.array([[0.1, 0.4, 0.4, 0.6], [0.6, 0.4, 0.9, 0.6]]), 0.1)
    pixels = np.asarray(filled)
    assert (pixels[:, :100] == (200, 40, 10)).all() and (pixels[:, 100:] == (0, 0, 255)).all()
    assert share == pytest.approx(2 * 64 * 24 / 20_000) and image.tobytes() == before


def test_an_image_that_is_all_text_gets_its_mean():
    image = Image.new("RGB", (2000, 60), (100, 0, 0))
    image.paste((200, 0, 0), (0, 0, 1000, 60))
    filled, share = tmars.masked(image, np.array([[0.0, 0.0, 1.0, 1.0]]), 0.1)
    assert share == 1 and np.ptp(np.asarray(filled), axis=(0, 1)).tolist() == [0, 0, 0]
    assert filled.getpixel((5, 5))[0] == pytest.approx(150, abs=1)
    assert tmars.masked(image, np.zeros((0, 4)), 0.1) == (image, 0.0)


@pytest.fixture(scope="module")
def small(small_run):
    return Model(name="small", model=f"local-dir:{small_run}", batch_size=3)


def scored(small, *images: Image.Image, text="red disc", **how) -> pa.Table:
    settings = Tmars(model="small", **how)
    scorer = tmars.load(settings, "cpu", registry.identity(settings, small), small)
    answers = scorer.answer([scorer.see(Picture(b"", image)) for image in images])
    uids, known = pa.chunked_array([pa.array(["u"] * len(images), pa.string())]), schema.load("scores/tmars")
    rows = pa.table({"uid": uids, "text": pa.array([text] * len(images), pa.string())})
    columns = scorer.score(rows, answers, np.arange(len(images)))
    return known.hold(laid(uids, np.arange(len(images)), np.ones(len(images), bool), columns, known))


def test_text_is_gone_for_the_model_and_the_rest_is_seen_as_it_is(small):
    """What is written does not count; without text the score is that of the scorer `clip`."""
    ground = Image.new("RGB", (512, 384), "white")
    bare, rocket = scored(small, ground, photograph("rocket.jpg"))["similarity_score"].to_pylist()
    image, _ = written("red disc, red disc", "DejaVuSans-Bold", 48, "white")
    found = scored(small, image)
    assert found["text_boxes"].to_pylist() == [1] and 0.05 < found["text_share"][0].as_py() < 0.2
    clip = ClipScorer(models.load(small, "cpu"))
    shown = clip.answer([clip.see(Picture(b"", one)) for one in (image, photograph("rocket.jpg"))])
    plain = clip.score(pa.table({"text": pa.chunked_array([["red disc"] * 2])}), shown, np.arange(2))
    unmasked, plain_rocket = plain["similarity_score"]
    assert found["similarity_score"][0].as_py() == pytest.approx(bare, abs=1e-5)
    assert abs(unmasked - bare) > 1e-3 and plain_rocket == pytest.approx(rocket, abs=1e-6)
    assert scored(small).num_rows == 0


def network(path, rank=4) -> str:
    """A detector that calls red what is text: a map of a quarter of the resolution."""
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, None, None])
    out = helper.make_tensor_value_info("map", TensorProto.FLOAT, [None] * rank)
    constants = [helper.make_tensor("starts", TensorProto.INT64, [1], [0]), helper.make_tensor("ends", TensorProto.INT64, [1], [1]),
                 helper.make_tensor("axes", TensorProto.INT64, [1], [1])]  # fmt: skip
    nodes = [helper.make_node("Slice", ["pixels", "starts", "ends", "axes"], ["red"])]
    last = {4: ("AveragePool", {"kernel_shape": [4, 4], "strides": [4, 4]}), 2: ("Flatten", {})}[rank]
    nodes.append(helper.make_node(last[0], ["red"], ["map"], **last[1]))
    graph = helper.make_graph(nodes, "g", [pixels], [out], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return str(path)


def test_a_network_says_where_text_is(small, tmp_path):
    plain = {"mean": (0, 0, 0), "std": (1, 1, 1), "side": 256, "margin": 0.0}
    image = Image.new("RGB", (640, 320), (0, 90, 0))
    bare = scored(small, image)["similarity_score"][0].as_py()
    image.paste((255, 90, 0), (40, 80, 240, 160))
    image.paste((255, 90, 0), (440, 200, 640, 320))
    found = scored(small, image, detector=network(tmp_path / "n.onnx"), **plain)
    assert found["text_boxes"].to_pylist() == [2]
    assert found["text_share"][0].as_py() == pytest.approx((200 * 80 + 200 * 120) / 204_800, abs=1e-6)
    assert found["similarity_score"][0].as_py() == pytest.approx(bare, abs=1e-5)
    with pytest.raises(ModelError, match=r"answers shape \(1, 65536\); a map of shape"):
        scored(small, image, detector=network(tmp_path / "flat.onnx", rank=2), **plain)


def test_the_manifest_says_which_detector_and_model(small, tmp_path):
    classical = registry.identity(Tmars(model="small"), small)
    assert classical["detector"] == "classical" and "side" not in classical and "revision" not in classical
    assert classical["clip"]["revision"] == models.identity(small)["revision"]
    settings = Tmars(model="small", detector=network(tmp_path / "n.onnx"))
    identity = registry.identity(settings, small)
    assert identity["detector"] == "n.onnx" and len(identity["revision"]) == 64 and identity["side"] == 640
    network(tmp_path / "n.onnx", rank=2)
    with pytest.raises(ModelError, match="is not the network that this run was planned with"):
        tmars.load(settings, "cpu", identity, small)
    with pytest.raises(ModelError, match="is not the"):
        tmars.load(Tmars(model="small"), "cpu", classical | {"clip": {"revision": "sha256:0"}}, small)
    with pytest.raises(ModelError, match=r"no detector at .*clasical.*or 'classical', which needs none"):
        registry.identity(Tmars(model="small", detector="clasical"), small)


def test_the_recipe_names_one_of_its_models():
    plain = {"name": "t", "extract": {"inputs": ["x"]}, "score": {"scorers": [{"scorer": "tmars", "model": "b32"}]}}
    with pytest.raises(RecipeError, match=r"tmars names the model 'b32', which is none of score\.models"):
        recipe.build(plain)
