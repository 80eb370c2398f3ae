"""Scores from embeddings: against a few lines of NumPy over the whole pool, however the pool is cut."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from scipy.special import logsumexp

from curate import models, recipe, schema
from curate.draw import draw
from curate.recipe import Model
from curate.scores import derived, registry
from curate.scores.cliploss import ClipLossScorer
from curate.scores.derived import Job, TargetError, Targets
from curate.scores.settings import ClipLoss
from curate.store import Dataset, Plan, part_name
from tests.small_model import drawn

WIDTH, PAIRS = 8, 120
NAMES = ("red disc", "green line", "blue cross")


def pool():
    """(image_uid, uid, image vector, text vector): 60 images of two texts each, near three directions."""
    chance = np.random.default_rng(5)
    centres = np.eye(WIDTH)[:3]
    found = []
    for image in range(PAIRS // 2):
        vector = centres[image % 3] + 0.3 * chance.normal(size=WIDTH)
        for text in range(2):
            words = vector + 0.5 * chance.normal(size=WIDTH)
            found.append((f"{image:032x}", f"{image * 2 + text:031x}f", half(vector), half(words)))
    return found


def lengths(number) -> dict[str, float]:
    """Of the model's own vectors of a pair."""
    return {"image": 1.5 + number // 2 % 4, "text": 0.5 + number % 5 / 4}


def half(vector) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype(np.float16)


def dataset(root, name, stage, parts, settings=None) -> Dataset:
    data = Dataset(str(root), name)
    plan = Plan(
        dataset=name, stage=stage, settings=settings or {}, inputs={}, parts=tuple(map(part_name, range(len(parts))))
    )
    data.begin(plan)
    for part, groups in zip(plan.parts, parts, strict=True):
        with data.write_part(part, plan.hash) as out:
            for table in groups:
                out.write(table)
    data.commit(plan)
    return data


def written(root, cuts):
    """`images` and `scores/m` of the pool; `cuts`: pairs in each row group of each part. The third pair was not embedded, the seventh
    not fetched. Several parts hold the images in another order than one does, as parts by hash would."""
    rows, at, images, scores = pool(), 0, [], []
    order = sorted(range(PAIRS), key=lambda n: (n // 2 % 3 if len(cuts) > 1 else 0, n))
    for part in cuts:
        images.append([])
        scores.append([])
        for size in part:
            numbers = order[at : at + size]
            some = [rows[n] for n in numbers]
            at += size
            state = ["failed" if n == 6 else "kept" for n in numbers]
            known = schema.load("images")
            plain = [
                dict.fromkeys(known.columns) | {"uid": r[1], "image_uid": r[0], "url": "u", "text": "t", "kind": "alt", "curated": True,
                 "baseline": True, "state": s, "reason": "timeout" if s == "failed" else None}
                for r, s in zip(some, state, strict=True)
            ]  # fmt: skip
            images[-1].append(pa.Table.from_pylist(plain, schema=known.arrow()))
            told = ["failed" if n == 2 else "gone" if n == 6 else "kept" for n in numbers]
            good = [s == "kept" for s in told]
            vectors = {
                name: pa.array(
                    [r[i] if g else None for r, g in zip(some, good, strict=True)], pa.list_(pa.float16(), WIDTH)
                )
                for name, i in (("image_embedding", 2), ("text_embedding", 3))
            }
            scores[-1].append(pa.table({
                "uid": [r[1] for r in some], "state": told, "reason": ["not_finite" if s == "failed" else None for s in told],
                "similarity_score": pa.array([0.5 if g else None for g in good], pa.float32()), **vectors,
                **{f"{kind}_length": pa.array([lengths(n)[kind] if g else None for n, g in zip(numbers, good, strict=True)], pa.float32())
                   for kind in ("image", "text")},
            }))  # fmt: skip
    assert at == PAIRS
    return dataset(root, "images", "download", images), dataset(
        root, "scores/m", "score", scores, {"revision": "r", "scorer": "clip"}
    )


CUTS = ([[PAIRS]], [[30, 10], [50], [7, 3, 20]])


def run(root, cuts, targets=None, **plain) -> pa.Table:
    """Every step of a scorer; the table of all parts, in the order of the uids."""
    images, scores = written(root, cuts)
    section = {"models": [{"name": "m", "model": "ViT-B-32"}], "scorers": [plain | {"model": "m"}]}
    sets = [{"name": "shapes", "table": "t.csv", "images": "i"}]
    settings = recipe.build(
        {"name": "t", "extract": {"inputs": ["x"]}, "score": section, "evaluate": {"sets": sets}}
    ).score.scorers[0]
    plan = Plan(
        dataset=f"scores/{settings.name}",
        stage="score",
        settings=registry.identity(settings),
        inputs={},
        parts=tuple(images.part_names()),
    )
    target = Dataset(str(root), plan.dataset)
    target.begin(plan)
    scorer = registry.kind(settings).load(settings, "cpu", plan.settings)
    job = Job(
        settings.word,
        scorer,
        target,
        plan,
        images,
        scores,
        Model(name="m", model="ViT-B-32"),
        "cpu",
        targets or Targets(),
    )
    derived.start(job)
    for part in plan.parts if derived.gathers(job) else ():
        derived.gather(part, job=job)
    if derived.gathers(job):
        derived.merge(job)
    parts = [derived.score_part(part, job=job) for part in plan.parts]
    derived.tidy(job)
    target.commit(plan, parts)
    return pa.concat_tables([target.read_part(part) for part in plan.parts]).sort_by("uid").combine_chunks()


@pytest.fixture
def embeds(monkeypatch):
    """A model for the steps that embed targets: the vectors are given by the files' names and the prompts."""

    class Known:
        def image_embeddings(self, pixels):
            return np.stack(list(pixels)).astype(np.float32)

        def text_embeddings(self, texts):
            return np.stack([np.eye(WIDTH)[NAMES.index(text)] for text in texts]).astype(np.float32)

        def pixels(self, image):
            return np.eye(WIDTH)[image.getpixel((0, 0))[0] // 100]

    monkeypatch.setattr(models, "load", lambda *_: Known())


def shades(folder, *values) -> Targets:
    files = []
    for value in values:
        files.append(str(folder / f"{value}.png"))
        Image.new("RGB", (4, 4), (value, 0, 0)).save(files[-1])
    return Targets(images=tuple(files))


def answered():
    """Vectors of the rows that have any, in float32 of length 1, and their indices."""
    rows = [n for n in range(PAIRS) if n not in (2, 6)]
    image, text = (np.array([pool()[n][i] for n in rows], np.float64) for i in (2, 3))
    return (
        rows,
        image / np.linalg.norm(image, axis=1, keepdims=True),
        text / np.linalg.norm(text, axis=1, keepdims=True),
    )


def formula(image, text, temperature) -> np.ndarray:
    """s-CLIPLoss of a whole batch, as it is written."""
    logits = image @ text.T / temperature
    return np.diag(image @ text.T) - temperature / 2 * (logsumexp(logits, axis=1) + logsumexp(logits.T, axis=1))


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("temperature", [0.01, 0.07])
def test_s_cliploss_of_a_pool_no_larger_than_a_batch_is_the_formula(tmp_path, cuts, temperature):
    found = run(tmp_path, cuts, scorer="s_cliploss", temperature=temperature, repeats=2)
    rows, image, text = answered()
    score = np.array([found["s_cliploss_score"][n].as_py() for n in rows])
    assert score == pytest.approx(formula(image, text, temperature), abs=2e-4)
    assert (score <= 0).all() and score.std() > 0.01
    assert found["state"].to_pylist()[:7] == ["kept", "kept", "failed", "kept", "kept", "kept", "gone"]
    assert found["reason"].to_pylist()[2] == "no_embedding" and found["s_cliploss_score"].null_count == 2


@pytest.mark.parametrize(("pool", "batches"), [(40, 1), (64, 1), (65, 3), (200, 3)])
def test_a_pool_no_larger_than_a_batch_is_drawn_once(pool, batches):
    settings = ClipLoss(model="clip", batch=64, repeats=3)
    scorer, vectors = ClipLossScorer(settings, "cpu"), np.eye(8, dtype=np.float32)[np.arange(pool) % 8]
    uids = [f"{i:032x}" for i in range(pool)]
    rows = derived.Rows(uids, uids, vectors, vectors)
    started = scorer.start(None, Targets(), pool)
    ready = scorer.merge([scorer.gather(iter([rows]), started)], started)
    assert sum(name.startswith("uid") for name in ready) == batches and len(ready["uid0"]) == min(pool, 64)
    one = scorer.score(rows, ready)["s_cliploss_score"]
    # With the same batch three times over the mean says the same.
    again = scorer.score(
        rows, {f"{name[:-1]}{r}": values for name, values in ready.items() if name[-1] == "0" for r in range(3)}
    )
    if batches == 1:
        assert one == pytest.approx(again["s_cliploss_score"], abs=1e-6)


def test_s_cliploss_in_smaller_batches_does_not_depend_on_the_parts(tmp_path):
    one, other = (run(tmp_path / str(i), cuts, scorer="s_cliploss", batch=40, repeats=3) for i, cuts in enumerate(CUTS))
    assert one["s_cliploss_score"].to_pylist() == pytest.approx(
        other["s_cliploss_score"].to_pylist(), abs=1e-5, nan_ok=True
    )
    rows, image, text = answered()
    whole, score = formula(image, text, 0.01), np.array([one["s_cliploss_score"][n].as_py() for n in rows])
    assert (score >= whole - 1e-4).all() and (score <= 0).all()  # fewer rivals, a smaller loss
    assert np.corrcoef(score, whole)[0, 1] > 0.9
    # The batch of a row is the row and the 40 rows with the least draws.
    uids = [pool()[n][1] for n in rows]
    expected = np.zeros(len(rows))
    for repeat in range(3):
        sample = np.argsort(draw(0, f"s_cliploss/{repeat}", uids))[:40]
        for row in range(len(rows)):
            batch = np.array([row, *sample[sample != row]])
            expected[row] += formula(image[batch], text[batch], 0.01)[0] / 3
    assert score == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("cuts", CUTS)
def test_normsim_is_the_norm_of_the_cosines_and_of_infinite_order_their_maximum(tmp_path, embeds, cuts):
    found = run(tmp_path, cuts, shades(tmp_path, 0, 150), scorer="normsim", target="x")
    rows, image, _ = answered()
    cosines = image[:, :2]
    for name, value in (
        ("normsim_2_score", np.sqrt((cosines**2).sum(axis=1))),
        ("normsim_inf_score", cosines.max(axis=1)),
    ):
        assert [found[name][n].as_py() for n in rows] == pytest.approx(value, abs=1e-3)
    opposite = [n for n in range(len(rows)) if cosines[n].max() < 0]
    assert opposite and all(found["normsim_inf_score"][rows[n]].as_py() < 0 for n in opposite)


def test_clusters_are_the_same_however_the_pool_is_cut_and_know_the_target(tmp_path, embeds):
    tables = []
    for index, cuts in enumerate(CUTS):
        (tmp_path / str(index)).mkdir()
        tables.append(
            run(tmp_path / str(index), cuts, shades(tmp_path, 100), scorer="clusters", clusters=3, target="x")
        )
    found = tables[0]
    assert found["cluster"].to_pylist() == tables[1]["cluster"].to_pylist()
    rows, image, _ = answered()
    direction = image[:, :3].argmax(axis=1)
    cluster = np.array([found["cluster"][n].as_py() for n in rows])
    near = np.array([found["near_target"][n].as_py() for n in rows])
    agree = np.mean(
        [(cluster == np.bincount(cluster[direction == d]).argmax())[direction == d].mean() for d in range(3)]
    )
    assert len(set(cluster)) == 3 and agree > 0.8
    assert (near == (cluster == np.bincount(cluster[direction == 1]).argmax())).all()


def test_without_a_target_nothing_is_said_about_it(tmp_path):
    found = run(tmp_path, CUTS[0], scorer="clusters", clusters=2)
    assert found["near_target"].null_count == PAIRS and found["cluster"].null_count == 2


@pytest.mark.parametrize("each", [5, 1000])
def test_of_each_class_exactly_the_k_most_confident_images_are_chosen(tmp_path, embeds, each):
    targets = Targets(prompts={name: (name,) for name in NAMES})
    tables = []
    for index, cuts in enumerate(CUTS):
        tables.append(
            run(tmp_path / str(index), cuts, targets, scorer="pseudo_labels", classes="shapes", each=each, scale=3.0)
        )
    found = tables[0]
    assert found.equals(tables[1])
    rows, image, _ = answered()
    logits = 3 * image[:, :3]
    confidence = np.exp(logits.max(axis=1) - logsumexp(logits, axis=1))
    assert [found["confidence"][n].as_py() for n in rows] == pytest.approx(confidence, abs=1e-5)
    label = [NAMES[i] for i in logits.argmax(axis=1)]
    assert [found["label"][n].as_py() for n in rows] == label
    by_image = {pool()[n][0]: (label[i], confidence[i]) for i, n in enumerate(rows)}
    for name in NAMES:
        mine = sorted(
            (image for image in by_image if by_image[image][0] == name), key=lambda image: -by_image[image][1]
        )
        chosen = {pool()[n][0] for n in rows if found["label"][n].as_py() == name and found["chosen"][n].as_py()}
        assert chosen == set(mine[:each]) and len(chosen) == min(each, len(mine)) > 0


def test_a_target_that_is_no_image_is_named(tmp_path, embeds):
    (tmp_path / "bad.png").write_bytes(b"<html>")
    with pytest.raises(TargetError, match=r"bad\.png cannot be embedded as a target"):
        run(tmp_path, CUTS[0], Targets(images=(str(tmp_path / "bad.png"),)), scorer="normsim", target="x")


def test_targets_are_embedded_by_the_model_itself(tmp_path, small_run):
    clip = models.load(Model(name="small", model=f"local-dir:{small_run}"), "cpu")
    for name, shape in (("a", "disc"), ("b", "cross")):
        (tmp_path / f"{name}.png").write_bytes(drawn(shape, "red"))
    found = derived.embedded_images(clip, Targets(images=(str(tmp_path / "a.png"), str(tmp_path / "b.png"))))
    assert found.shape == (2, 16) and np.linalg.norm(found, axis=1) == pytest.approx(1) and not np.allclose(*found)
    with pytest.raises(TargetError, match=r"a\.png cannot be embedded as a target: 24 x 20 is more than 479 pixels"):
        derived.embedded_images(clip, Targets(images=(str(tmp_path / "a.png"),), max_pixels=479))
    classes = derived.embedded_classes(clip, {"one": ("red disc", "a disc"), "two": ("blue",)})
    assert classes.shape == (2, 16) and np.linalg.norm(classes, axis=1) == pytest.approx(1)


@pytest.mark.parametrize(
    ("scorer", "said"),
    [
        (
            {"scorer": "normsim", "model": "n", "target": "x"},
            "normsim names the model 'n', which is none of score.models",
        ),
        ({"scorer": "pseudo_labels", "model": "m", "classes": "shape"}, "did you mean 'shapes'"),
        ({"scorer": "s_cliploss"}, "missing required field `model`"),
    ],
)
def test_names_that_stand_for_nothing_are_said_before_anything_runs(scorer, said):
    section = {"models": [{"name": "m", "model": "ViT-B-32"}], "scorers": [scorer]}
    sets = [{"name": "shapes", "table": "t.csv", "images": "i"}]
    with pytest.raises(recipe.RecipeError, match=said):
        recipe.build({"name": "t", "extract": {"inputs": ["x"]}, "score": section, "evaluate": {"sets": sets}})
