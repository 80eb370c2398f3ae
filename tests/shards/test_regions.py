"""Region-text rows: the boxes of each sample under its key, and a mask that spares texts which say the same."""

import io
import json

import numpy as np
import pytest

from curate import models, recipe
from curate.images.archive import ArchiveWriter
from curate.recipe import Model
from curate.shards.regions import Job, export_part, ignored, similar
from curate.shards.reinforcement import ExportRegions
from curate.store import Dataset, Plan

BOX = [0.0, 0.25, 0.5, 1.0]
SAMPLES = {
    "a": {"found": [["red disc", 0.9, *BOX], ["a line", 0.4, *BOX]]},
    "b": {},
    "c": {"found": [["red disc", 0.7, *BOX]], "other": [["white cross", 0.5, *BOX]]},
}


@pytest.fixture
def job(tmp_path, small_run):
    shards = Dataset(str(tmp_path), "shards")
    plan = Plan(dataset="shards", stage="shard", settings={}, inputs={}, parts=("00000",))
    shards.begin(plan)
    with shards.sidecar("00000.tar") as out:
        tar = ArchiveWriter(out)
        for key, regions in SAMPLES.items():
            tar.add(f"{key}.png", b"image")
            tar.add(f"{key}.json", json.dumps({"uid": key * 32, "regions": regions}).encode())
        tar.close()
    model, settings = Model(name="small", model=f"local-dir:{small_run}"), ExportRegions(model="small")
    identity = {"model": models.identity(model)}
    planned = Plan(dataset="regions", stage="shard", settings=identity, inputs={}, parts=("00000",))
    target = Dataset(str(tmp_path), "regions")
    target.begin(planned)
    return Job(settings, model, shards, target, planned)


def test_a_row_for_each_box_and_a_reason_for_each_sample_without(job):
    part = export_part("00000", job=job)
    assert (part.ledger.rows_in, part.ledger.kept, part.ledger.dropped) == (3, 2, {"no_region": 1})
    rows = job.target.read_part("00000").to_pylist()
    assert [(row["key"], row["captioner"], row["text"], row["score"]) for row in rows] == [
        ("a", "found", "red disc", 0.9), ("a", "found", "a line", 0.4), ("c", "found", "red disc", 0.7), ("c", "other", "white cross", 0.5),
    ]  # fmt: skip
    assert {tuple(row["box"]) for row in rows} == {tuple(BOX)} and {row["shard"] for row in rows} == {"00000.tar"}
    texts = sorted({row["text"] for row in rows})
    assert [texts[row["text_id"]] for row in rows] == [row["text"] for row in rows]
    pairs = np.load(io.BytesIO(job.target.fs.cat_file(job.target.path("00000_similar.npy"))))
    clip = models.load(job.model, "cpu").text_embeddings(texts)
    cosines = clip @ clip.T
    assert {tuple(pair) for pair in pairs.tolist()} == {
        (i, j) for i in range(3) for j in range(i + 1, 3) if cosines[i, j] > 0.9
    }


def test_pairs_above_the_limit_are_found_in_blocks(monkeypatch):
    monkeypatch.setattr("curate.shards.regions.BLOCK", 7)
    vectors = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = [(i, j) for i in range(40) for j in range(i + 1, 40) if vectors[i] @ vectors[j] > 0.9]
    found = similar(vectors, 0.9)
    assert sorted(map(tuple, found.tolist())) == expected and len(expected) > 10 and found.dtype == np.int32
    assert similar(vectors[:0], 0.9).shape == (0, 2)


def test_the_mask_spares_equal_and_similar_texts_and_no_row_itself():
    mask = ignored(np.array([5, 2, 5, 9, 3]), np.array([[2, 9], [3, 4], [5, 7]], np.int32))
    assert np.argwhere(mask).tolist() == [[0, 2], [1, 3], [2, 0], [3, 1]]
    assert not ignored(np.array([1, 2]), np.zeros((0, 2), np.int32)).any()


def test_rows_without_a_finder_are_refused():
    plain = {"name": "t", "extract": {"inputs": ["x"]}, "score": {"models": [{"name": "clip", "model": "ViT-B-32"}]}}
    with pytest.raises(recipe.RecipeError, match="wants a captioner `regions`"):
        recipe.build(plain | {"shard": {"regions": {"model": "clip"}}})
    with pytest.raises(recipe.RecipeError, match="'clap' is not in the recipe: did you mean 'clip'"):
        recipe.build(plain | {"shard": {"regions": {"model": "clap"}}})
