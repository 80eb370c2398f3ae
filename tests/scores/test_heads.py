"""Heads on embeddings, whatever file brings them: normalised input, bounded answers, and no head for another model."""

import pickle
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.numpy import save_file

from curate import recipe, schema
from curate.facts import heads
from curate.recipe import Model, RecipeError
from curate.scores import aesthetics, safety, stored
from curate.scores.settings import Aesthetics, Safety
from curate.weights import ModelError

MODEL = Model(name="l14", model="ViT-L-14", pretrained="openai")
rng = np.random.default_rng(0)
WEIGHT, BIAS = rng.normal(0, 1, (1, 8)).astype(np.float32), np.array([2.0], np.float32)


def linear(path, **more) -> str:
    arrays = {"weight": WEIGHT, "bias": BIAS} | more
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".safetensors":
        save_file(
            {name: value for name, value in arrays.items() if name != "model"},
            path,
            {"model": str(more["model"])} if "model" in more else None,
        )
    else:
        torch.save({name: torch.from_numpy(value) for name, value in arrays.items()}, path)
    return str(path)


def table(embeddings, state=None) -> tuple[pa.Table, pa.Table]:
    """A row group of `images` and of the model's table, from vectors (or None)."""
    width = next(len(vector) for vector in embeddings if vector is not None)
    n = len(embeddings)
    column = pa.array(
        [None if vector is None else np.asarray(vector, np.float16) for vector in embeddings],
        pa.list_(pa.float16(), width),
    )
    uids = [f"{i:032x}" for i in range(n)]
    states = ["kept" if vector is not None else "failed" for vector in embeddings]
    images = pa.table({"uid": uids, "state": state or ["kept"] * n})
    return images, pa.table({"uid": uids, "state": states, "image_embedding": column, "text_embedding": column})


def scored(kind, settings, embeddings, state=None, model=MODEL) -> pa.Table:
    scorer = kind.load(settings, "cpu", kind.identity(settings), model)
    images, source = table(embeddings, state)
    known = schema.load(f"scores/{settings.word}")
    return known.hold(stored.score(images, source, scorer=scorer, known=known))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth"])
def test_a_linear_head_is_a_product_with_the_vector_at_length_one(tmp_path, suffix):
    settings = Aesthetics(model="l14", head=linear(tmp_path / f"head{suffix}"))
    vectors = rng.normal(0, 1, (5, 8)).astype(np.float16)
    found = scored(aesthetics.KIND, settings, list(vectors))["aesthetics"].to_numpy()
    wide = vectors.astype(np.float64)
    assert found == pytest.approx(wide / np.linalg.norm(wide, axis=1, keepdims=True) @ WEIGHT[0] + 2, abs=1e-5)


def test_scores_cannot_leave_the_heads_bound_whatever_is_stored(tmp_path):
    settings = Aesthetics(model="l14", head=linear(tmp_path / "head.npz"))
    along = WEIGHT[0] / np.linalg.norm(WEIGHT)
    found = scored(aesthetics.KIND, settings, [along, 30 * along, 1000 * along, -0.01 * along])["aesthetics"].to_numpy()
    most = np.linalg.norm(WEIGHT) + 2
    assert found == pytest.approx([most, most, most, 2 - np.linalg.norm(WEIGHT)], rel=2e-3)
    head = heads.load(settings.head, "none", MODEL, heads.identity(settings))
    assert head.bound == pytest.approx(most)


def test_vectors_without_a_direction_and_rows_without_a_vector_have_a_status(tmp_path):
    settings = Aesthetics(model="l14", head=linear(tmp_path / "head.npz"))
    found = scored(
        aesthetics.KIND,
        settings,
        [[0] * 8, [np.nan] * 8, [np.inf] + [0] * 7, None, [1] * 8, None],
        ["kept"] * 5 + ["gone"],
    )
    assert found["reason"].to_pylist() == ["not_finite"] * 3 + ["no_embedding", None, None]
    assert found["state"].to_pylist() == ["failed"] * 4 + ["kept", "gone"] and found["aesthetics"].null_count == 5


def test_nothing_alive_is_nothing_scored(tmp_path):
    settings = Aesthetics(model="l14", head=linear(tmp_path / "head.npz"))
    assert scored(aesthetics.KIND, settings, [[1] * 8, None], ["gone", "failed"])["state"].to_pylist() == [
        "gone",
        "gone",
    ]


def test_layers_follow_their_numbers_and_what_stands_between_them(tmp_path):
    sizes = [8, 6, 5, 4, 3, 3, 3, 3, 3, 3, 3, 1]
    pieces = [
        (rng.normal(0, 1, (b, a)).astype(np.float32), rng.normal(0, 1, b).astype(np.float32))
        for a, b in pairwise(sizes)
    ]
    arrays = {
        f"layers.{2 * i}.{kind}": value
        for i, (w, b) in enumerate(pieces)
        for kind, value in (("weight", w), ("bias", b))
    }
    save_file(dict(sorted(arrays.items())), tmp_path / "head.safetensors")
    vector = rng.normal(0, 1, 8)
    plain = relu = vector / np.linalg.norm(vector)
    for index, (weight, bias) in enumerate(pieces):
        plain, relu = weight @ plain + bias, weight @ (np.maximum(relu, 0) if index else relu) + bias
    settings = Safety(model="l14", head=str(tmp_path / "head.safetensors"))
    for activation, wanted in (("none", plain), ("relu", relu)):
        head = heads.load(settings.head, activation, MODEL, heads.identity(settings))
        assert head(vector[None].astype(np.float32))[0] == pytest.approx(wanted, rel=1e-4)
        assert abs(wanted[0]) <= head.bound
    values = np.abs(head(rng.normal(0, 1, (500, 8))))
    assert np.isfinite(values).all() and values.max() <= head.bound


@pytest.mark.parametrize("model", ["ViT-B-32", "ViT-L-14"])
def test_a_file_may_say_which_model_it_is_for(tmp_path, model):
    settings = Aesthetics(model="l14", head=linear(tmp_path / "a.npz", model=np.array(model)))
    other = Aesthetics(model="l14", head=linear(tmp_path / "b.safetensors", model=np.array(model)))
    for one in (settings, other):
        if model == "ViT-L-14":
            scored(aesthetics.KIND, one, [[1] * 8])
        else:
            with pytest.raises(
                ModelError, match=r"a head for embeddings of ViT-B-32, and model 'l14' of score\.models is ViT-L-14"
            ):
                scored(aesthetics.KIND, one, [[1] * 8])


def test_a_head_of_another_width_is_refused(tmp_path):
    with pytest.raises(ModelError, match="takes embeddings of 8 dimensions, and those of model 'l14' have 16"):
        scored(aesthetics.KIND, Aesthetics(model="l14", head=linear(tmp_path / "head.npz")), [[1] * 16])


def hostile(path, what) -> str:
    if what == "pickle":
        torch.save({"weight": torch.zeros(1, 8), "x": print}, path)
    elif what == "npz":
        np.savez(path.with_suffix(".npz"), weight=np.array([object()], object))
        return str(path.with_suffix(".npz"))
    elif what == "call":
        path.write_bytes(pickle.dumps(print))
    else:
        path.write_bytes(b"garbage")
    return str(path)


@pytest.mark.parametrize("what", ["pickle", "npz", "call", "garbage"])
def test_files_that_hold_more_than_tensors_are_refused(tmp_path, what):
    with pytest.raises(ModelError, match="not a file of tensors that loads safely"):
        scored(aesthetics.KIND, Aesthetics(model="l14", head=hostile(tmp_path / "head.pth", what)), [[1] * 8])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"weight": WEIGHT[0]}, "has no layer"),
        ({"weight": WEIGHT, "bias": np.zeros(2, np.float32)}, "do not follow each other"),
        ({"a.weight": WEIGHT, "b.weight": np.zeros((1, 7), np.float32)}, "do not follow each other"),
        ({"weight": WEIGHT * np.nan}, "not finite"),
        ({"weight": np.zeros((2, 8), np.float32)}, "has one output, and this one has 2"),
    ],
)
def test_heads_that_are_none_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "head.npz", **arrays)
    with pytest.raises(ModelError, match=message):
        scored(aesthetics.KIND, Aesthetics(model="l14", head=str(tmp_path / "head.npz")), [[1] * 8])


def test_a_missing_or_another_head_is_an_error(tmp_path):
    settings = Aesthetics(model="l14", head=str(tmp_path / "none.npz"))
    with pytest.raises(ModelError, match=r"no head at .*none\.npz"):
        aesthetics.KIND.identity(settings)
    identity = heads.identity(Aesthetics(model="l14", head=linear(tmp_path / "none.npz")))
    assert identity["head"] == "none.npz"
    linear(tmp_path / "none.npz", bias=BIAS + 1)
    with pytest.raises(ModelError, match="is not the head that this run was planned with"):
        aesthetics.load(settings, "cpu", identity, MODEL)


def test_unsafe_is_a_probability_by_the_outputs_that_are_named(tmp_path):
    weight, bias = rng.normal(0, 3, (3, 8)).astype(np.float32), rng.normal(0, 1, 3).astype(np.float32)
    np.savez(tmp_path / "head.npz", weight=weight, bias=bias)
    vectors = list(rng.normal(0, 1, (4, 8)).astype(np.float16))
    logits = np.array([v.astype(float) / np.linalg.norm(v.astype(float)) for v in vectors]) @ weight.T + bias
    settings = {"model": "l14", "head": str(tmp_path / "head.npz"), "unsafe": (0, 2)}
    found = scored(safety.KIND, Safety(**settings), vectors)["unsafe"].to_numpy()
    assert found == pytest.approx(1 / (1 + np.exp(-logits[:, [0, 2]].max(axis=1))), abs=1e-4)
    odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = scored(safety.KIND, Safety(output="softmax", embedding="text", **settings), vectors)["unsafe"].to_numpy()
    assert found == pytest.approx(odds[:, 0] + odds[:, 2], abs=1e-4)
    with pytest.raises(ModelError, match="has 3 outputs, from 0 on, and `unsafe` names 3"):
        scored(safety.KIND, Safety(**settings | {"unsafe": (3,)}), vectors)


def test_a_scorer_of_embeddings_names_a_model_of_the_recipe():
    models = [{"name": "b32", "model": "ViT-B-32", "pretrained": "openai"}]
    described = {
        "name": "t",
        "extract": {"inputs": ["x"]},
        "score": {"models": models, "scorers": [{"scorer": "aesthetics", "model": "b23", "head": "x"}]},
    }
    with pytest.raises(
        RecipeError, match=r"aesthetics names the model 'b23', which is none of score\.models: did you mean 'b32'"
    ):
        recipe.build(described)
