"""Copies planted among real pictures: what hashes find of them, and where a model's cosine of copies ends."""

import io
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from curate import models
from curate.duplicates import embeddings, hashes, overlap, planted
from curate.images.decoding import decode
from curate.images.inspecting import perceptual_hash
from curate.recipe import Dedup, EvaluationSet, Model, RecipeError, build
from curate.store import Dataset, StoreError

ROOT = Path(__file__).resolve().parents[2]
WWW = ROOT / "demo" / "pool" / "www"


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """Real pictures of 60 pixels at least, whose hashes are far from each other's."""
    found, bits = [], []
    for file in sorted(file for file in WWW.rglob("*") if file.is_file()):
        image = decode(file.read_bytes())
        mark = int(perceptual_hash(encoded(image), 10**7), 16)
        if min(image.size) >= 60 and all((mark ^ other).bit_count() > 12 for other in bits):
            found, bits = [*found, image], [*bits, mark]
        if len(found) == 60:
            break
    assert len(found) == 60
    return found


def grey(images) -> np.ndarray:
    """A model that anybody can follow: the picture in 16 x 16 greys around their mean, of length 1."""
    small = np.stack([np.asarray(i.convert("L").resize((16, 16)), np.float32).ravel() for i in images])
    return embeddings.unit(small - small.mean(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def teacher():
    return models.load(Model(name="clip", model=f"local-dir:{ROOT / 'demo' / 'teacher'}"), "cpu")


def test_every_edit_changes_the_picture_and_little_of_it(pictures):
    for name, edit in planted.EDITS.items():
        one = pictures[0]
        copy = edit(one)
        assert copy.mode == "RGB" and (copy.size != one.size or copy.tobytes() != one.tobytes()), name
        assert grey([edit(picture) for picture in pictures]).shape == (60, 256)
    assert planted.flip(planted.flip(pictures[0])).tobytes() == pictures[0].tobytes()


def test_light_copies_are_found_by_hash_and_nothing_else_is(pictures):
    originals = hashes.parse([perceptual_hash(encoded(picture), 10**7) for picture in pictures])
    half, rest = originals[:30], originals[30:]
    for edit in (planted.scale, planted.jpeg):
        copies = hashes.parse([perceptual_hash(encoded(edit(picture)), 10**7) for picture in pictures[:30]])
        assert hashes.any_close(copies, half, 6).mean() >= 0.9, edit.__name__
        assert not hashes.any_close(copies, rest, 6).any()


@pytest.mark.parametrize("recall", [0.5, 0.8, 1.0])
def test_the_calibrated_cosine_finds_the_share_that_was_asked_and_no_more_than_that_needs(pictures, recall):
    found = planted.calibrate(pictures, grey, recall)
    cosines = np.concatenate([(grey(pictures) * grey(map(edit, pictures))).sum(1) for edit in planted.EDITS.values()])
    assert found.recall >= recall and (cosines > found.cosine).mean() == pytest.approx(found.recall, abs=0.004)
    assert (cosines > found.cosine + 4e-6).mean() < recall + 0.004
    assert found.pictures == 60 and set(found.found) == set(planted.EDITS)
    # Greys are moved by a crop and a mirror, and hardly by compression.
    assert found.found["jpeg"] > max(found.found["crop"], found.found["flip"]) or recall == 1.0


def test_a_looser_threshold_takes_more_strangers_for_copies(pictures):
    strict, loose = planted.calibrate(pictures, grey, 0.5), planted.calibrate(pictures, grey, 1.0)
    assert strict.cosine > loose.cosine and strict.strangers < loose.strangers


def test_a_model_that_takes_strangers_for_copies_is_refused(pictures):
    found = planted.calibrate(pictures, grey, 1.0)
    assert found.strangers > 0.05
    settings = Dedup(semantic_model="grey", evaluation_cosine="calibrated")
    with pytest.raises(
        RecipeError, match=r"grey does not tell copies from other pictures: .*of 60 evaluation images.*allows 5%"
    ):
        planted.checked(found, settings)
    planted.checked(found, msgspec.structs.replace(settings, evaluation_strangers=found.strangers))


def test_edited_evaluation_images_are_found_by_embedding_alone(tmp_path, pictures, teacher, monkeypatch):
    for i in range(20):
        (tmp_path / f"{i}.png").write_bytes(encoded(pictures[i]))
    (tmp_path / "broken.png").write_bytes(b"broken")
    (tmp_path / "set.csv").write_text("path\nbroken.png\n" + "".join(f"{i}.png\n" for i in range(20)))
    sets = [EvaluationSet(name="held", table=str(tmp_path / "set.csv"), images=str(tmp_path))]
    calibration = overlap.calibrated(sets, teacher, 10**7, recall=0.9, seed=0)
    assert calibration == overlap.calibrated(sets, teacher, 10**7, recall=0.9, seed=0)
    assert calibration.recall >= 0.9 and calibration.pictures == 20
    target = Dataset(str(tmp_path), "duplicates")
    monkeypatch.setattr(overlap, "AT_A_TIME", 8)
    chunks = overlap.chunks(sets)
    assert chunks == ["0 held 0 8", "1 held 8 16", "2 held 16 21"]
    marks = [overlap.embed(chunk, sets, lambda: teacher, 10**7, target) for chunk in chunks]
    held = overlap.Held(embedded=overlap.Embedded(target, tuple(marks), calibration.cosine))
    copies = [planted.overlay(picture) for picture in pictures[:20]]
    vectors = planted.embedder(teacher)([*pictures[:20], *copies, *pictures[20:]])
    found = held.found([""] * 80, np.zeros(80, np.uint64), -1, embeddings.unit(vectors.astype(np.float16)))
    assert set(found[:20]) == {"embedding"}
    # A copy may also be near another one of the set.
    assert (found[20:40] == "embedding").mean() >= calibration.found["overlay"] > 0.3
    assert (found[40:] == "embedding").mean() < 0.5  # small pictures and a small model
    assert held.found([], np.zeros(0, np.uint64), -1, vectors[:0]).tolist() == []
    other = overlap.Embedded(target, (marks[0], marks[2], marks[1]), calibration.cosine)
    with pytest.raises(StoreError, match=r"evaluation-embeddings-00001.npy is not what this run wrote"):
        other.close(vectors)


def test_settings():
    said = {"name": "t", "extract": {"inputs": []}, "score": {"models": [{"name": "clip", "model": "x"}]}}
    for cosine in ("calibrated", 0.6, 1, None):
        settings = build(said | {"dedup": {"evaluation_cosine": cosine, "semantic_model": "clip"}}).dedup
        assert settings.evaluation_cosine == cosine
    with pytest.raises(RecipeError, match=r"evaluation_cosine is 0.6, but semantic_model names no model"):
        build(said | {"dedup": {"evaluation_cosine": 0.6}})
    with pytest.raises(RecipeError, match="evaluation_cosine"):
        build(said | {"dedup": {"evaluation_cosine": "measured", "semantic_model": "clip"}})
