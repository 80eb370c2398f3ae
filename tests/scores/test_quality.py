"""Quality by opposite texts: the formula by hand, on stored embeddings of a small trained model."""

import numpy as np
import pyarrow as pa
import pytest

from curate import models, schema
from curate.recipe import Model
from curate.scores import quality, registry, stored
from curate.scores.settings import Quality
from curate.weights import ModelError
from tests.scores.test_heads import table


@pytest.fixture(scope="module")
def model(small_run):
    return Model(name="small", model=f"local-dir:{small_run}")


def scored(model, settings, vectors) -> pa.Table:
    scorer = quality.load(settings, "cpu", registry.identity(settings, model), model)
    images, source = table(vectors)
    known = schema.load("scores/quality")
    return known.hold(stored.score(images, source, scorer=scorer, known=known))


def test_quality_is_the_mean_probability_of_the_good_texts(model):
    pairs = (("red square", "blue disc"), ("a green line", "white cross"))
    texts = models.load(model, "cpu").text_embeddings([text for pair in pairs for text in pair]).astype(np.float64)
    vectors = np.random.default_rng(0).normal(0, 1, (6, 16)).astype(np.float16)
    unit = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    odds = np.exp(100 * unit @ texts.T).reshape(6, 2, 2)
    wanted = (odds[:, :, 0] / odds.sum(axis=2)).mean(axis=1)
    found = scored(model, Quality(model="small", pairs=pairs), list(vectors))
    assert found["quality"].to_numpy() == pytest.approx(wanted, abs=1e-4)
    turned = tuple((bad, good) for good, bad in pairs)
    again = scored(model, Quality(model="small", pairs=turned), list(vectors))
    assert again["quality"].to_numpy() == pytest.approx(1 - wanted, abs=1e-4)


def test_a_picture_is_good_by_the_text_that_is_its_own(model):
    from tests.small_model import drawn

    clip = models.load(model, "cpu")
    import io

    from PIL import Image

    pictures = [Image.open(io.BytesIO(drawn("disc", colour))) for colour in ("red", "blue")]
    vectors = clip.image_embeddings([clip.pixels(picture) for picture in pictures])
    red, blue = scored(model, Quality(model="small", pairs=(("red disc", "blue disc"),)), list(vectors))[
        "quality"
    ].to_pylist()
    assert red > 0.9 and blue < 0.1


def test_what_has_no_embedding_or_no_direction_has_a_status(model):
    found = scored(model, Quality(model="small"), [[0] * 16, None, [1] * 16])
    assert found["reason"].to_pylist() == ["not_finite", "no_embedding", None]
    assert 0 <= found["quality"][2].as_py() <= 1


def test_another_model_than_the_one_whose_embeddings_are_stored_is_refused(model):
    with pytest.raises(ModelError, match="is not the file that this run was planned with"):
        quality.load(Quality(model="small"), "cpu", {"embeddings_of": "sha256:0"}, model)
