import hashlib
import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from curate.duplicates.hashes import any_close
from curate.evaluation import overlap, sets
from curate.evaluation.sets import EvaluationError
from curate.images.inspecting import perceptual_hash
from curate.recipe import EvaluationSet
from curate.uid import image_uid


def noise(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), np.uint8)
    return Image.fromarray(pixels).resize((48, 48), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


@pytest.fixture
def sheet(tmp_path):
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(encoded(noise(i), "PNG"))
    (tmp_path / "t.csv").write_text("path,label,text\n" + "".join(f"{i}.png,l{i},t{i}\n" for i in range(4)))
    return sets.read(EvaluationSet(name="held", table=str(tmp_path / "t.csv"), images=str(tmp_path)))


def pair(number: int, data: bytes):
    return f"http://x.example/{number}", [f"text {number}"], data


def images_of(pairs) -> list[pa.Table]:
    rows = [{"image_uid": image_uid(url), "phash": perceptual_hash(data, 10**6)} for url, _, data in pairs]
    return [pa.Table.from_pylist([*rows, {"image_uid": "failed", "phash": None}])]


def checked(tmp_path, sheet, make_shards, pairs, distance=4):
    prints = sets.prints(sheet, 10**6)
    alike = overlap.look_alikes(images_of(pairs), prints, distance, any_close)
    return overlap.check("held", make_shards(tmp_path / "w", shards=2, pairs=pairs), prints, alike)


def clean(n=6):
    return [pair(i, encoded(noise(100 + i), "PNG")) for i in range(n)]


def test_a_clean_training_set_has_no_overlap(tmp_path, sheet, make_shards):
    assert checked(tmp_path, sheet, make_shards, clean()) == {"sha256": 0, "phash": 0, "training_images": 6}


def test_the_same_bytes_are_found_and_named(tmp_path, sheet, make_shards):
    planted = [*clean(), pair(7, encoded(noise(2), "PNG"))]
    with pytest.raises(EvaluationError, match=r"1 of its images by sha256.*http://x.example/7 is 2.png.*--redo dedup"):
        checked(tmp_path, sheet, make_shards, planted, distance=-1)


def test_the_same_picture_in_other_bytes_is_found_unless_that_is_turned_off(tmp_path, sheet, make_shards):
    jpeg = encoded(noise(3).resize((40, 40)), "JPEG")
    assert hashlib.sha256(jpeg).hexdigest() not in sets.prints(sheet, 10**6).sha256
    planted = [*clean(), pair(7, jpeg)]
    with pytest.raises(EvaluationError, match=r"0 of its images by sha256 and 1 by perceptual hash.*looks like 3.png"):
        checked(tmp_path, sheet, make_shards, planted)
    assert checked(tmp_path / "off", sheet, make_shards, planted, distance=-1)["training_images"] == 7


def test_a_look_alike_that_was_fetched_but_not_trained_on_is_no_overlap(tmp_path, sheet, make_shards):
    prints = sets.prints(sheet, 10**6)
    fetched = [*clean(), pair(7, encoded(noise(3), "JPEG"))]
    alike = overlap.look_alikes(images_of(fetched), prints, 4, any_close)
    assert alike == {image_uid("http://x.example/7"): "3.png"}
    shards = make_shards(tmp_path / "w", shards=2, pairs=clean())
    assert overlap.check("held", shards, prints, alike)["training_images"] == 6
