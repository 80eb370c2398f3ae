"""HYPE's scores against its formula in NumPy over the whole pool, however the pool is cut and wherever the reference lies."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from curate import lorentz, models, recipe
from curate.draw import draw
from curate.recipe import Model
from curate.scores import derived, references, registry
from curate.scores.derived import Job, TargetError, Targets
from curate.store import Dataset, Plan
from tests.scores.test_derived import CUTS, PAIRS, WIDTH, answered, lengths, pool, written
from tests.test_lorentz import textbook

SPACE = lorentz.Geometry(curvature=0.8, image_scale=0.7, text_scale=0.4)


@pytest.fixture(autouse=True)
def space(monkeypatch):
    """A model of which nothing is asked but its space and width."""
    monkeypatch.setattr(models, "load", lambda *_: SimpleNamespace(geometry=SPACE, width=WIDTH))


def run(root, cuts, reference=None, cosine=None, **plain):
    """Every step of the scorer; the table of all parts as columns by name, in the order of the uids, and the pool's."""
    images, scores = written(root, cuts)
    named = [{"name": name, "model": "ViT-B-32"} for name in ("m", "c")]
    scorer = {"scorer": "hype", "model": "m", "reference": reference} | plain
    settings = recipe.build(
        {"name": "t", "extract": {"inputs": ["x"]}, "score": {"models": named, "scorers": [scorer]}}
    ).score.scorers[0]
    plan = Plan(
        dataset="scores/hype",
        stage="score",
        settings=registry.identity(settings),
        inputs={},
        parts=tuple(images.part_names()),
    )
    target = Dataset(str(root), plan.dataset)
    target.begin(plan)
    loaded = registry.kind(settings).load(settings, "cpu", plan.settings | {"embeddings_of": "r"})
    job = Job("hype", loaded, target, plan, images, scores, Model(name="m", model="x"), "cpu",
              Targets(reference=reference), scores if cosine else None)  # fmt: skip
    derived.start(job)
    for part in plan.parts:
        derived.gather(part, job=job)
    derived.merge(job)
    parts = [derived.score_part(part, job=job) for part in plan.parts]
    derived.tidy(job)
    target.commit(plan, parts)
    rows = [row for part in plan.parts for row in target.read_part(part).to_pylist()]
    return sorted(rows, key=lambda row: row["uid"])


def lifted(vectors, scale):
    """The exponential map at the origin, as it is printed."""
    found = []
    for vector in vectors.astype(np.float64) * scale:
        reach = math.sqrt(SPACE.curvature) * np.linalg.norm(vector)
        found.append(math.sinh(reach) / reach * vector)
    return np.array(found)


def raw():
    """(numbers of the rows that have vectors, their image and text vectors as the model gave them)."""
    numbers, image, text = answered()
    mine = [lengths(n) for n in numbers]
    return numbers, image * [[one["image"]] for one in mine], text * [[one["text"]] for one in mine]


def specificity(x, others):
    """As the paper defines it: x one point, others the reference points."""
    return np.mean([textbook(x, y, SPACE.curvature)[1] - textbook(x, y, SPACE.curvature)[2] for y in others])


def expected(against, chosen):
    """(uid -> the three scores), with `chosen` the numbers of the pairs in the reference set."""
    numbers, image, text = raw()
    points = {"image": lifted(image, SPACE.image_scale), "text": lifted(text, SPACE.text_scale)}
    at, found = {n: i for i, n in enumerate(numbers)}, {}
    for row, n in enumerate(numbers):
        said = []
        for name in ("image", "text"):
            other = name if against == "same" else {"image": "text", "text": "image"}[name]
            others = [points[other][at[m]] for m in chosen if m != n]
            # An image that comes twice, with its two texts, has no direction to itself.
            others = [y for y in others if not np.allclose(y, points[name][row], atol=1e-9)]
            said.append(specificity(points[name][row], others))
        said.append(-textbook(points["image"][row], points["text"][row], SPACE.curvature)[0])
        found[pool()[n][1]] = said
    return found


NAMES = ("image_specificity_score", "text_specificity_score", "negative_distance_score")


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("against", ["other", "same"])
def test_it_is_the_formula_over_a_sample_that_is_drawn_by_hash(tmp_path, cuts, against):
    rows = run(tmp_path, cuts, references=20, against=against, seed=3)
    numbers = raw()[0]
    draws = draw(3, "hype", [pool()[n][1] for n in numbers])
    truth = expected(against, [numbers[i] for i in np.argsort(draws)[:20]])
    for row in rows:
        if row["state"] == "kept":
            assert [row[name] for name in NAMES] == pytest.approx(
                truth[row["uid"]], abs=2e-3
            )  # vectors are kept in float16
            assert row["hype_score"] == pytest.approx(sum(row[name] for name in NAMES), abs=1e-5)
    states = [(row["state"], row["reason"]) for row in rows]
    assert (
        states.count(("kept", None)) == PAIRS - 2 and ("failed", "no_embedding") in states and ("gone", None) in states
    )


def test_how_the_pool_is_cut_changes_no_byte(tmp_path):
    one, other = (run(tmp_path / str(i), cuts, references=15) for i, cuts in enumerate(CUTS))
    assert one == other
    assert one != run(tmp_path / "seed", CUTS[0], references=15, seed=1)


def test_a_small_pool_is_its_own_reference(tmp_path):
    rows = run(tmp_path, CUTS[0])
    truth = expected("other", raw()[0])
    assert [rows[0][name] for name in NAMES] == pytest.approx(truth[rows[0]["uid"]], abs=2e-3)


@pytest.mark.parametrize("file", [True, False])
def test_a_reference_that_lies_elsewhere(tmp_path, file):
    numbers, image, text = raw()
    if file:
        place = str(tmp_path / "reference.npz")
        np.savez(place, image=image[:9], text=text[:9])
        chosen = None
    else:
        written(tmp_path / "other", CUTS[1])
        place, chosen = f"{tmp_path}/other/scores/m", numbers
    rows = {row["uid"]: row for row in run(tmp_path / "w", CUTS[1], reference=place)}
    points = lifted(image, SPACE.image_scale), lifted(text, SPACE.text_scale)
    truth = expected("other", chosen) if chosen else {}
    for place_of, n in list(enumerate(numbers))[20:24]:
        row = rows[pool()[n][1]]
        if chosen is None:
            said = [specificity(points[0][place_of], points[1][:9]), specificity(points[1][place_of], points[0][:9])]
        else:
            said = truth[pool()[n][1]][:2]
        assert [row[name] for name in NAMES[:2]] == pytest.approx(said, abs=2e-3)


def test_the_cosine_of_another_model_is_added_where_it_is_named(tmp_path):
    plain, added = run(tmp_path / "a", CUTS[0]), run(tmp_path / "b", CUTS[0], cosine="c")
    for one, other in zip(plain, added, strict=True):
        if one["state"] == "kept":
            assert other["hype_score"] - one["hype_score"] == pytest.approx(0.5, abs=1e-5)


def test_a_pair_alone_has_no_reference(tmp_path):
    numbers, *_ = raw()
    uids = [pool()[n][1] for n in numbers]
    rows = run(tmp_path, CUTS[0], references=1)
    alone = uids[int(np.argmin(draw(0, "hype", uids)))]
    assert [row["uid"] for row in rows if row["reason"] == "no_reference"] == [alone]


def test_references_are_drawn_in_little_memory_and_a_larger_sample_holds_a_smaller():
    chance = np.random.default_rng(0)
    pieces = [{"draw": chance.random(50), "uid": np.array([f"{i}-{k}" for k in range(50)], "S32")} for i in range(4)]
    held: dict = {}
    for piece in pieces:
        held = references.thinned([held, piece] if held else [piece], 30)
        assert len(held["uid"]) <= 30
    whole = references.thinned(pieces, 30)
    assert whole["uid"].tolist() == held["uid"].tolist()
    assert set(references.thinned(pieces, 10)["uid"].tolist()) < set(whole["uid"].tolist())


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"image": np.zeros((2, WIDTH))}, "no .npz with the arrays image, text"),
        ({"image": np.zeros((2, WIDTH)), "text": np.zeros((3, WIDTH))}, "no pairs"),
        ({"image": np.zeros((2, 3)), "text": np.zeros((2, 3))}, rf"finite numbers of shape \(n, {WIDTH}\)"),
        ({"image": np.full((2, WIDTH), np.nan), "text": np.zeros((2, WIDTH))}, "finite numbers"),
        ({"image": np.zeros((0, WIDTH)), "text": np.zeros((0, WIDTH))}, "no vectors"),
        ({"image": np.array([{}]), "text": np.array([{}])}, "no .npz"),
    ],
)  # fmt: skip
def test_a_reference_that_is_none_is_said(tmp_path, arrays, said):
    place = str(tmp_path / "r.npz")
    np.savez(place, **arrays)
    with pytest.raises(TargetError, match=said):
        references.read(place, 10, 0, WIDTH, "r")


def test_a_reference_of_another_model_or_none_is_said(tmp_path):
    written(tmp_path, CUTS[0])
    with pytest.raises(TargetError, match=r"another model \(r\)"):
        references.read(f"{tmp_path}/scores/m", 10, 0, WIDTH, "another")
    for place, why in (("x.npz", "is not there"), (str(tmp_path), "neither an .npz nor a table")):
        with pytest.raises(TargetError, match=why):
            references.fingerprint(place)


def test_the_cosines_model_has_to_be_one_of_the_recipe():
    with pytest.raises(
        recipe.RecipeError, match=r"hype names the model 'dfn', which is none of score.models: did you mean 'dfm'"
    ):
        recipe.build({"name": "t", "extract": {"inputs": ["x"]}, "score": {
            "models": [{"name": "dfm", "model": "x"}], "scorers": [{"scorer": "hype", "model": "dfm", "cosine": "dfn"}]}})  # fmt: skip
