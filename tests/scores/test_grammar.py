"""The grammar head: held-out texts stay out, it learns something from the demo's teacher and nothing from wrong labels, and it knows
whose embeddings it takes."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from curate import models, recipe
from curate.facts import heads
from curate.recipe import GrammarHead, Model, RecipeError
from curate.scores import grammar, grammar_training, registry
from curate.scores.grammar_training import GrammarError, corruptions, embedded, fit, learn, measure, parted
from curate.scores.settings import Grammar
from curate.texts.corrupting import CORRUPTIONS, folded
from curate.texts.sentences import of_file, sample
from curate.weights import ModelError
from tests.conftest import ROOT

SETTINGS = GrammarHead()
TEACHER = Model(name="clip", model=f"local-dir:{ROOT}/demo/teacher")
WIDTH = 128
BOUND = 0.53
"""AUROC on the demo's held-out corruptions. By its card the teacher is a tiny model that was trained on labels of a word or two, most of
the captions are in languages that it never learned, and of the order of words its embeddings keep little: 0.55 to 0.58, where 0.5 is
chance and chance has a standard deviation of 0.016."""


class Bag:
    """Embeds a text as a picture of its words and of their order, so that there is something to be learned; and notes what it saw."""

    def __init__(self):
        self.seen = []

    def text_embeddings(self, texts):
        self.seen.append(list(texts))
        return np.array([self._one(text.split()) for text in texts], np.float32)

    @staticmethod
    def _one(words):
        found = np.zeros(64)
        for before, after in zip(["^", *words], [*words, "$"], strict=True):
            found[hash_of(before + after) % 64] += 1
        return found / np.linalg.norm(found)


def hash_of(text):
    return sum(ord(letter) * 31**place for place, letter in enumerate(text))


def sentences(n):
    subjects, verbs = ("cat", "dog", "hen", "cow", "pig"), ("sees", "likes", "finds", "hears")
    made = [f"the {i}th {subjects[i % 5]} {verbs[i % 4]} a {subjects[i // 5 % 5]} today" for i in range(n)]
    return {folded(text): text for text in made}


def test_what_is_held_out_is_never_learned_from():
    texts, clip = sentences(400), Bag()
    settings = GrammarHead(draws=2, epochs=1)
    _, told = learn(texts, clip, "t", settings, seed=3)
    learned, held = parted(texts, settings.held_out, 3)
    assert not set(learned) & set(held) and {**learned, **held} == texts and 40 < len(held) < 130
    # In the order in which `learn` asks: what is learned from comes first.
    good, wrong, *tests, right = [{folded(text) for text in some} for some in clip.seen]
    tested = set().union(*tests)
    assert good == set(learned) and right == set(held) and len(tests) == len(CORRUPTIONS)
    assert not (good | wrong) & (right | tested) and not tested & set(texts)
    # Nothing of a held-out text reaches the training by an insertion either: its number is in none of those texts.
    numbers = {next(word for word in name.split() if word.endswith("th")) for name in held}
    assert not any(numbers & set(text.split()) for text in good | wrong)
    assert told["training_texts"] == len(good) and told["held_out"].texts == len(held)


def test_too_few_texts_are_refused():
    with pytest.raises(GrammarError, match=r"held out of 30, and at least 20 are wanted"):
        learn(sentences(30), Bag(), "t", SETTINGS, seed=0)


def test_order_is_learned_where_embeddings_tell_it():
    head, told = learn(sentences(600), Bag(), "t", SETTINGS, seed=0)
    assert told["held_out"].auroc > 0.9 and min(told["held_out"].auroc_of.values()) > 0.8, told["held_out"]
    again, _ = learn(dict(reversed(sentences(600).items())), Bag(), "t", SETTINGS, seed=0)
    assert all(
        (one == other).all()
        for a, b in zip(head.layers, again.layers, strict=True)
        for one, other in zip(a, b, strict=True)
    )


def test_auroc_counts_pairs():
    good, bad = np.array([0.9, 0.5, 0.5]), np.array([0.1, 0.5])
    assert grammar_training.auroc(good, bad) == pytest.approx((6 - 0.5 * 2) / 6)
    assert grammar_training.auroc(bad, good) == pytest.approx(1 / 6)


@pytest.fixture(scope="module")
def vectors():
    """Embeddings by the demo's teacher of its own language's captions and their corruptions: (good, bad, held good, held bad by kind)."""
    found = sample(of_file(f"{ROOT}/demo/pool/captions.parquet", "caption", {}), seed=0, most=10_000, min_words=3)
    clip = models.load(TEACHER, "cpu")
    learned, held = parted(found.texts, 0.2, 0)
    wrong = [
        bad
        for turn in range(SETTINGS.draws)
        for some in corruptions(learned, 0, f"grammar {turn}", found.texts).values()
        for bad in some
    ]
    tests = corruptions(held, 0, "grammar test", {*found.texts, *map(folded, wrong)}, CORRUPTIONS)
    good, bad, right = (embedded(clip, list(texts)) for texts in (learned.values(), wrong, held.values()))
    return good, bad, right, {kind: embedded(clip, some) for kind, some in tests.items()}


def test_the_demos_teacher_tells_some_corruptions_and_none_by_wrong_labels(vectors):
    good, bad, right, tests = vectors
    found = measure(fit(good, bad, SETTINGS, 0, "t"), right, tests)
    # Little, since a small tower hardly tells the order of words; the same embeddings, with labels by chance, tell nothing.
    assert found.auroc > BOUND, found
    every = np.concatenate([good, bad])
    chances = []
    for seed in range(3):
        mixed = np.random.default_rng(seed).permutation(every)
        chances.append(measure(fit(mixed[: len(good)], mixed[len(good) :], SETTINGS, 0, "t"), right, tests).auroc)
    assert np.mean(chances) < BOUND - 0.01 and found.auroc > max(chances), chances


# -- the scorer


def written(folder, tower, outputs=1):
    path = folder / "head.safetensors"
    rng = np.random.default_rng(0)
    arrays = {"layers.0.weight": rng.normal(0, 1, (7, WIDTH)), "layers.0.bias": rng.normal(0, 1, 7),
              "layers.2.weight": rng.normal(0, 1, (outputs, 7)), "layers.2.bias": rng.normal(0, 1, outputs)}  # fmt: skip
    save_file(
        {name: value.astype(np.float32) for name, value in arrays.items()}, path, {"tower": tower} if tower else {}
    )
    return Grammar(model="clip", head=str(path))


def loaded(settings, model=TEACHER):
    return grammar.KIND.load(settings, "cpu", registry.identity(settings, model), model)


def test_grammaticality_is_the_heads_probability(tmp_path):
    settings = written(tmp_path, models.identity(TEACHER)["revision"])
    head = grammar.head_of(settings.head, TEACHER, registry.identity(settings, TEACHER))
    vectors = np.random.default_rng(1).normal(0, 1, (5, WIDTH)).astype(np.float32)
    vectors[4] = 0
    found = grammar.grammaticality(vectors, head)
    (w, b), (v, c) = head.layers
    unit = vectors[:4] / np.linalg.norm(vectors[:4], axis=1, keepdims=True)
    assert found[:4] == pytest.approx(1 / (1 + np.exp(-(np.maximum(unit @ w.T + b, 0) @ v[0] + c))), rel=1e-4)
    assert found.dtype == np.float32 and found.shape == (5,) and np.isnan(found[4])
    assert grammar.grammaticality(vectors[:0], head).shape == (0,)


def test_a_head_goes_through_its_file_unchanged(tmp_path):
    head, _ = learn(sentences(300), Bag(), "a-tower", SETTINGS, seed=0)
    (tmp_path / "head.safetensors").write_bytes(grammar_training.encoded(head))
    settings = Grammar(model="clip", head=str(tmp_path / "head.safetensors"))
    identity = heads.identity(settings) | {"embeddings_of": "a-tower"}
    read = grammar.head_of(settings.head, TEACHER, identity)
    vectors = Bag().text_embeddings(["the 3rd cat sees a dog", "a a cat the"])
    assert (
        grammar.grammaticality(vectors, read) == grammar.grammaticality(vectors, head)
    ).all() and read.tower == "a-tower"


def test_a_head_of_another_tower_is_refused(tmp_path):
    loaded(written(tmp_path, models.identity(TEACHER)["revision"]))
    with pytest.raises(
        ModelError,
        match=r"revision sha256:000, and model 'clip' of score\.models has sha256:[0-9a-f]+: train one for it",
    ):
        loaded(written(tmp_path, "sha256:000"))


@pytest.mark.parametrize(("tower", "outputs"), [(None, 1), ("right", 2)])
def test_other_heads_are_no_grammar_heads(tmp_path, tower, outputs):
    tower = tower and models.identity(TEACHER)["revision"]
    with pytest.raises(ModelError, match="is no grammar head"):
        loaded(written(tmp_path, tower, outputs))


def test_a_head_that_is_missing_is_told_with_how_to_train_one(tmp_path):
    settings = Grammar(model="clip", head=str(tmp_path / "none.safetensors"))
    with pytest.raises(
        ModelError,
        match=r"no grammar head at .*none\.safetensors\. Train one .*curate grammar-head .*grammar_head\.model=clip",
    ):
        registry.identity(settings, TEACHER)
    with pytest.raises(RecipeError, match=r"'clpi', which is none of score\.models"):
        recipe.build({"name": "t", "extract": {"inputs": ["x"]}, "score": {
            "models": [{"name": "clip", "model": "ViT-B-32"}], "scorers": [{"scorer": "grammar", "model": "clpi", "head": "x"}]}})  # fmt: skip
