"""Facts about captions: cosines of the right vectors, words that are new, and the best caption of each pair."""

import numpy as np
import pyarrow as pa
import pytest

from curate import models, schema
from curate.captions import consistency
from curate.captions.consistency import Comparer, Consistency, first_best, novelty
from curate.captions.contract import REASON
from curate.facts.contract import column
from curate.recipe import Model


@pytest.fixture(scope="module")
def model(small_run):
    return models.load(Model(name="small", model=f"local-dir:{small_run}"), "cpu")


def rows_of(model, pairs, image):
    texts = [text for text, _ in pairs]
    return pa.table(
        {
            "text": texts,
            "captions/seen.captions": pa.array([said for _, said in pairs], pa.list_(pa.string())),
            "scores/small.image_embedding": column(image),
            "scores/small.text_embedding": column(model.text_embeddings(texts)),
        }
    )


def test_facts_are_cosines_of_the_right_vectors(model):
    pairs = [("a red disc", ["red disc", "a blue line there"]), ("white cross", ["a white cross"])]
    image = np.random.default_rng(0).normal(size=(2, 16)).astype(np.float32)
    image /= np.linalg.norm(image, axis=1, keepdims=True)
    comparer = Comparer(Consistency(of="seen", model="small"), model)
    found = comparer.score(rows_of(model, pairs, image), {}, np.zeros(0, np.int64))
    table = {
        name: (values.to_pylist() if isinstance(values, pa.Array) else list(values)) for name, values in found.items()
    }
    for row, (text, said) in enumerate(pairs):
        alt, caption = model.text_embeddings([text])[0], model.text_embeddings(said)
        assert table["similarities"][row] == pytest.approx(caption @ image[row], abs=2e-3)
        assert table["agreements"][row] == pytest.approx(caption @ alt, abs=2e-3)
        assert table["alt_similarity"][row] == pytest.approx(alt @ image[row], abs=2e-3)
        best = int(np.argmax(table["similarities"][row]))
        assert table["best"][row] == best and table["best_similarity"][row] == pytest.approx(
            table["similarities"][row][best]
        )
        assert table["gain"][row] == pytest.approx(
            table["best_similarity"][row] - table["alt_similarity"][row], abs=1e-6
        )
        assert table["novelties"][row] == [novelty(one, text) for one in said]
    assert table[REASON] == [None, None]
    known = schema.load("captions/consistency").columns
    assert set(found) - {REASON} == set(known) - {"uid", "state", "reason"}


def test_no_rows_are_no_answers(model):
    rows = rows_of(model, [("a", ["b"])], np.ones((1, 16), np.float32)).slice(0, 0)
    found = Comparer(Consistency(of="seen", model="small"), model).score(rows, {}, np.zeros(0, np.int64))
    assert all(len(values) == 0 for values in found.values())


def test_novelty_counts_words_without_case():
    assert novelty("A red CAR", "car, red") == pytest.approx(1 / 3)
    assert novelty("", "car") == novelty("...", "car") == 0 and novelty("Straße", "STRASSE") == 0


def test_the_best_of_each_run_is_the_first_of_equals_and_nan_is_never_best():
    assert first_best(np.array([1, 3, 3, 2.0, 5, 5]), np.array([4, 1, 1])).tolist() == [1, 4, 5]
    assert first_best(np.array([np.nan, 1.0, 2.0]), np.array([2, 1])).tolist() == [0, 2]
    assert first_best(np.zeros(0), np.zeros(0, int)).tolist() == []


def test_it_is_loaded_with_the_model_that_was_planned(small_run):
    plain = Model(name="small", model=f"local-dir:{small_run}")
    settings = Consistency(of="seen", model="small")
    planned = {"models": {"small": {"revision": models.identity(plain)["revision"]}}}
    assert consistency.load(settings, "cpu", planned, plain).tables.keys() == {"captions/seen", "scores/small"}
    with pytest.raises(models.ModelError, match="planned"):
        consistency.load(settings, "cpu", {"models": {"small": {"revision": "another"}}}, plain)
