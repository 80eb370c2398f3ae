"""Ranking: rewards worked out by hand, and the whole of it on a small workdir with real embeddings."""

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from curate import models
from curate.captions import rank as ranking
from curate.captions.contract import REASON
from curate.captions.rank import Rank, Ranker
from curate.facts.heads import Head
from curate.recipe import RecipeError
from curate.scores import making
from curate.store import Dataset, Plan
from curate.weights import Model, ModelError
from tests.captions.workdirs import captioned, own, task_of
from tests.endpoint import endpoint, says

VECTORS = {
    "good": [0.6, 0.8],
    "better": [1.0, 0.0],
    "bad": [-0.6, 0.8],
    "as good": [0.6, -0.8],
    "broken": [np.nan, 0.0],
}


class Known:
    """A text tower that knows a few words."""

    def text_embeddings(self, texts):
        assert len(set(texts)) == len(texts)
        return np.array([VECTORS[text] for text in texts], np.float32).reshape(-1, 2)


def ranked(captions, baseline="alt", alt=0.25, first=None, head=None, **more):
    """Columns for a row for each of `captions`, all of an image at (1, 0)."""
    rows = {
        "scores/m.image_embedding": pa.FixedSizeListArray.from_arrays(
            pa.array(np.tile(np.float16([1, 0]), len(captions))), 2
        ),
        "scores/m.similarity_score": pa.array([alt] * len(captions), pa.float32()),
        "scores/m.text_embedding": pa.FixedSizeListArray.from_arrays(
            pa.array(np.tile(np.float16([0.6, 0.8]), len(captions))), 2
        ),
        "captions/c.captions": pa.array(captions, pa.list_(pa.string())),
        "captions/greedy.captions": pa.array([first] * len(captions), pa.list_(pa.string())),
    }
    ranker = Ranker(Rank(of="c", model="m", baseline=baseline, **more), Known(), head)
    return ranker.score(pa.table(rows), {}, np.arange(len(captions)))


def test_rewards_by_hand():
    columns = ranked([["bad", "good", "better"], ["as good", "good"]])
    assert columns["captions"].to_pylist() == [["better", "good", "bad"], ["as good", "good"]]
    # 2.5 max(cos, 0) of 1, 0.6 and -0.6, less 2.5 x 0.25 of the alt text.
    golden = [1.875, 0.875, -0.625], [0.875, 0.875]
    for found, wanted in zip(columns["rewards"].to_pylist(), golden, strict=True):
        assert found == pytest.approx(wanted, abs=1e-6)
    assert columns["best_reward"] == pytest.approx([1.875, 0.875], abs=1e-6) and columns[REASON].tolist() == [
        None,
        None,
    ]


def test_baselines():
    assert ranked([["good", "better"]], "none")["rewards"][0].as_py() == pytest.approx([2.5, 1.5], abs=1e-6)
    # The greedy caption's cosine is 0.6: 2.5 - 1.5. Only its first caption counts.
    greedy = ranked([["good", "better"]], "greedy", first=["good", "better"])
    assert greedy["rewards"][0].as_py() == pytest.approx([1.0, 0.0], abs=1e-6)
    # A baseline that is worse than nothing takes nothing off.
    assert ranked([["better"]], alt=-0.5)["rewards"][0].as_py() == pytest.approx([2.5], abs=1e-6)


def test_grammar_counts_where_there_is_a_head():
    # The head's logit is 10 times the second number: "good" (0.8) is grammatical, "as good" (-0.8) is not.
    head = Head([(np.array([[0.0, 10.0]], np.float32), np.zeros(1, np.float32))], "relu", "t")
    columns = ranked([["as good", "good", "better"]], "none", head=head)
    sure = 1 / (1 + np.exp(-8.0))
    assert columns["captions"].to_pylist() == [["better", "good", "as good"]]
    assert columns["rewards"][0].as_py() == pytest.approx([2.5 + 0.5, 1.5 + sure, 1.5 + 1 - sure], abs=1e-4)
    heavy = ranked([["as good", "good", "better"]], "none", head=head, grammar_weight=4.0)
    assert heavy["captions"].to_pylist() == [["good", "better", "as good"]]
    # The alt text stands at (0.6, 0.8): its own grammar is taken off too.
    alone = ranked([["good"]], alt=0.6, head=head)
    assert alone["rewards"][0].as_py() == pytest.approx([0.0], abs=1e-3)


def test_a_head_that_is_not_there_says_how_to_train_one(small_run):
    with pytest.raises(ModelError, match=r"no grammar head at .*curate grammar-head"):
        ranking.identity(Rank(of="c", model="m", head="nowhere.safetensors"))


def test_what_is_no_number_fails_alone_and_no_rows_are_no_trouble():
    columns = ranked([["good"], ["broken", "better"]])
    assert columns[REASON].tolist() == [None, "not_finite"]
    assert columns["captions"][0].as_py() == ["good"]
    assert len(ranked([])["captions"]) == 0


def test_tables_that_are_read_and_names_that_none_has(small_run):
    assert Ranker(Rank(of="c", model="m"), Known()).tables == {
        "scores/m": ("image_embedding", "similarity_score", "text_embedding"), "captions/c": ("captions",),
    }  # fmt: skip
    assert Rank(of="c", model="m", baseline="c").captions_of() == ("c",)
    assert Rank(of="c", model="m", baseline="none").captions_of() == ("c",)
    said = {"backend": "openai", "name": "eyes", "endpoint": "http://127.0.0.1:1/v1", "model": "m"}
    drawn = {"captioner": "candidates", "backend": "eyes"}
    clip = {"name": "m", "model": f"local-dir:{small_run}"}
    for rank, message in (
        ({"of": "candidate", "model": "m"}, "'candidate'.*candidates"),
        ({"of": "candidates", "model": "n"}, "'n' is none of score.models"),
        ({"of": "candidates", "model": "m", "baseline": "alts"}, "reads the captions of 'alts'"),
    ):
        with pytest.raises((RecipeError, ValueError), match=message):
            task_of("w", [said], drawn, {"captioner": "rank"} | rank, models=[clip])


def scored(workdir, model):
    """Scores of a real model over the small workdir, in place of those that the fixture made up."""
    images, target = Dataset(workdir, "images"), Dataset(workdir, f"scores/{model.name}")
    target.remove()
    plan = Plan(
        dataset=target.name, stage="score", settings=models.identity(model), inputs={}, parts=tuple(images.part_names())
    )
    target.begin(plan)
    task = making.Task(model, target, plan)
    for part in plan.parts:
        making.score_part(part, images=images, tasks=[task], device="cpu", threads=1, max_pixels=10**6)
    target.commit(plan)


COLOURS = ("red disc", "blue square", "a green line", "black cross")


def test_a_pools_candidates_are_ranked_by_its_own_model(small_workdir, small_run, tmp_path):
    workdir = own(small_workdir, tmp_path)
    model = {"name": "clip", "model": f"local-dir:{small_run}"}
    clip = msgspec.convert(model, Model)
    scored(workdir, clip)
    # One image in ten is talked of not at all.
    said = lambda request, _: says("" if request["seed"] % 10 == 0 else COLOURS[request["seed"] % 4])  # noqa: E731
    with endpoint(said) as (url, _):
        eyes = {"backend": "openai", "name": "eyes", "endpoint": url, "model": "m"}
        candidates = {"captioner": "candidates", "backend": "eyes", "n": 3}
        captioned(task_of(workdir, [eyes], candidates))
    rank = {"captioner": "rank", "of": "candidates", "model": "clip"}
    table, _ = captioned(task_of(workdir, [eyes], candidates, rank, models=[model]))
    loaded = models.load(clip, "cpu")
    texts = dict(zip(COLOURS, loaded.text_embeddings(COLOURS), strict=True))
    drawn, scores = (
        {
            row["uid"]: row
            for name in Dataset(workdir, dataset).part_names()
            for row in Dataset(workdir, dataset).read_part(name).to_pylist()
        }
        for dataset in ("captions/candidates", "scores/clip")
    )
    kept = [row for row in table.to_pylist() if row["state"] == "kept"]
    assert len(kept) > 20
    for row in kept:
        assert sorted(row["captions"]) == sorted(drawn[row["uid"]]["captions"])
        cosines = {c: float(texts[c] @ np.float32(scores[row["uid"]]["image_embedding"])) for c in row["captions"]}
        alt = 2.5 * max(scores[row["uid"]]["similarity_score"], 0)
        rewards = [2.5 * max(cosines[c], 0) - alt for c in row["captions"]]
        assert row["rewards"] == pytest.approx(rewards, abs=2e-3) and row["rewards"] == sorted(row["rewards"])[::-1]
        assert row["best_reward"] == row["rewards"][0]
    left = {(row["state"], row["reason"]) for row in table.to_pylist()}
    assert left <= {("kept", None), ("gone", None), ("dropped", "no_caption")} and ("gone", None) in left
