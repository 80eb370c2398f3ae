import numpy as np
import pytest

from curate import models
from curate.evaluation import metrics, sets
from curate.evaluation.sets import EvaluationError, read
from curate.recipe import EvaluationSet, Model


def test_recall_and_zero_shot_equal_hand_made_numbers():
    # Cosines of 3 images with 4 texts, as embeddings: images are rows, texts and classes the axes.
    images = np.array([[0.9, 0.8, 0.1, 0.0], [0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.65]], np.float32)
    axes = np.eye(4, dtype=np.float32)
    pairs = np.array([[0, 1], [1, 0], [1, 3], [2, 0], [2, 2]])  # images 1 and 2 have two right texts, text 0 two images
    own = [np.array([0]), np.array([2]), np.array([0])]
    found = metrics.from_embeddings(images, axes, axes, own, pairs)
    # image 0: class 0 is first. image 1: class 2 is second. image 2: class 0 is fourth.
    assert found["zero_shot_top1"].tolist() == [True, False, False]
    assert found["zero_shot_top5"].tolist() == [True, True, True]
    # image 0: text 1 is second. image 1: text 3 is first. image 2: text 2 is first.
    assert found["image_to_text_recall@1"].tolist() == [False, True, True]
    assert found["image_to_text_recall@5"].tolist() == [True, True, True]
    # text 0: images .9 .1 .5, of which 1 and 2 are right: second. texts 1 and 2: first. text 3: .0 .4 .65: second.
    assert found["text_to_image_recall@1"].tolist() == [False, True, True, False]
    assert metrics.ranks(axes, images, [np.array([i]) for i in (1, 0, 2, 0)]).tolist() == [2, 0, 0, 2]


def test_ranks_count_ties_against_the_model():
    same = np.ones((4, 2), np.float32)
    assert metrics.ranks(same, same, [np.array([i]) for i in range(4)]).tolist() == [3, 3, 3, 3]


def test_a_model_that_says_nothing_is_never_right():
    axes, nothing = np.eye(3, dtype=np.float32), np.full((3, 3), np.nan, np.float32)
    own = [np.array([i]) for i in range(3)]
    for images, texts in ((nothing, axes), (axes, nothing), (nothing, nothing)):
        found = metrics.from_embeddings(images, texts, texts, own, np.array([[i, i] for i in range(3)]))
        assert not any(
            found[f"{name}1"].any() for name in ("zero_shot_top", "image_to_text_recall@", "text_to_image_recall@")
        )
    # One that says nothing of a single wrong candidate has no claim to have it below the right one.
    odd = axes.copy()
    odd[2] = np.nan
    assert metrics.ranks(axes[:2], odd, own[:2]).tolist() == [1, 1]


def test_ranks_do_not_depend_on_blocks(monkeypatch):
    chance = np.random.default_rng(0)
    queries, candidates = chance.normal(size=(50, 8)).astype("f4"), chance.normal(size=(30, 8)).astype("f4")
    right = [chance.choice(30, size=2, replace=False) for _ in range(50)]
    whole = metrics.ranks(queries, candidates, right)
    monkeypatch.setattr(metrics, "_BLOCK", 7)
    assert metrics.ranks(queries, candidates, right).tolist() == whole.tolist()
    scores = queries @ candidates.T
    for row, answers in enumerate(right):
        order = [
            c for c in np.argsort(-scores[row]) if c not in answers or c == answers[np.argmax(scores[row, answers])]
        ]
        assert order.index(answers[np.argmax(scores[row, answers])]) == whole[row]


def test_the_classifier_is_the_normalised_mean_of_normalised_prompts(small_run):
    clip = models.load(Model(name="small", model=f"local-dir:{small_run}"), "cpu")
    found = metrics.classifier(["red {}", "blue"], ["{} square", "a {} disc"], clip)
    prompts = clip.text_embeddings(["red {} square", "a red {} disc"]).astype(np.float64).mean(axis=0)
    assert found[0] == pytest.approx(prompts / np.linalg.norm(prompts), abs=1e-6)
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1], abs=1e-6)


@pytest.fixture
def shapes(tmp_path, make_pairs):
    """An evaluation set of moved pictures; two texts an image, and one text that two images share."""
    rows = ["path,label,text"]
    (tmp_path / "images").mkdir()
    for url, texts, data in make_pairs(shift=3)[:8]:
        name = url.rsplit("/", 1)[1]
        (tmp_path / "images" / name).write_bytes(data)
        rows += [f'{name},{name.split("-")[0]},"{text}"' for text in (*texts, "a picture")]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(rows) + "\n")
    return EvaluationSet(name="shapes", table=str(table), images=str(tmp_path / "images"))


def test_a_sheet_has_each_image_and_text_once(shapes):
    sheet = read(shapes)
    assert len(sheet.paths) == 8 and sheet.classes == ("green", "red") and len(sheet.texts) == 17
    shared = sheet.texts.index("a picture")
    assert sorted(sheet.pairs[sheet.pairs[:, 1] == shared, 0]) == list(range(8))


def test_a_model_is_measured_on_a_set(shapes, small_run):
    clip = models.load(Model(name="small", model=f"local-dir:{small_run}"), "cpu")
    found = metrics.outcomes(read(shapes), clip)
    assert found["zero_shot_top1"].shape == (8,) and found["text_to_image_recall@10"].all()
    assert found["text_to_image_recall@1"].shape == (17,)
    for metric in ("image_to_text_recall@", "text_to_image_recall@"):
        assert found[f"{metric}1"].sum() <= found[f"{metric}5"].sum() <= found[f"{metric}10"].sum()


def test_a_set_that_is_not_whole_is_said(shapes, tmp_path):
    sheet = read(shapes)
    (tmp_path / "images" / sheet.paths[0]).write_bytes(b"<html>")
    with pytest.raises(EvaluationError, match=f"evaluation set shapes: {sheet.paths[0]}: "):
        sets.prints(sheet, 10**6)
    (tmp_path / "images" / sheet.paths[0]).unlink()
    with pytest.raises(EvaluationError, match="is not there"):
        list(sheet.images())


@pytest.mark.parametrize(
    ("table", "said"),
    [("path,label\na,b\n", "lacks text"), ("path,label,text\n", "has no rows"),
     ("path,label,text\na,b,c\na,d,c\n", "two labels, 'b' and 'd'"), (None, "cannot be read")],
)  # fmt: skip
def test_a_bad_table_is_said(tmp_path, table, said):
    file = tmp_path / "bad.csv"
    if table is not None:
        file.write_text(table)
    with pytest.raises(EvaluationError, match=said):
        read(EvaluationSet(name="bad", table=str(file), images="."))
