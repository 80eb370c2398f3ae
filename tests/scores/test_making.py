"""One pass for all scorers of a part: what it opens, decodes and commits."""

import io
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from curate import recipe, schema
from curate.facts import passing
from curate.facts.contract import REASON, Scorer
from curate.facts.passing import Desk, Pictures
from curate.images import decoding
from curate.images.archive import ArchiveWriter, tar_name
from curate.scores import making, registry
from curate.scores.contract import Kind, OfTexts
from curate.scores.making import Task
from curate.scores.pixels import PixelScorer, contrast
from curate.scores.settings import Pixels
from curate.store import Dataset, Plan, StoreError
from tests.small_model import drawn

LEVELS = {"a": None, "b": (90, 90, 90), "c": b"<html>", "d": (255, 255, 255)}
"""Image: None for a picture of something, a plain colour, or bytes that are none."""


def body(what) -> bytes:
    if isinstance(what, bytes):
        return what
    if what is None:
        return drawn("disc", "red")
    out = io.BytesIO()
    Image.new("RGB", (9, 7), what).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def images(tmp_path):
    """`images` of one part: two texts each of a, b, c, then one row that is gone, and d on both sides of a row group's border."""
    data = Dataset(str(tmp_path), "images")
    plan = Plan(dataset="images", stage="download", settings={}, inputs={}, parts=("part-00000",))
    data.begin(plan)
    given = [("a", "kept"), ("a", "kept"), ("b", "kept"), ("b", "kept"), ("c", "kept"), ("c", "kept"), ("cc", "failed"),
             ("d", "kept"), ("d", "kept")]  # fmt: skip
    known = schema.load("images")
    rows = [
        dict.fromkeys(known.columns)
        | {"uid": f"{i:032x}", "image_uid": image, "url": "u", "text": f"text {i}", "kind": "alt", "curated": True,
           "baseline": True, "state": state, "reason": "timeout" if state == "failed" else None}
        for i, (image, state) in enumerate(given)
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=known.arrow())
    with data.sidecar(tar_name("part-00000")) as file:
        tar = ArchiveWriter(file)
        for name, what in LEVELS.items():
            tar.add(f"{name}.png", body(what))
        tar.close()
    with data.write_part("part-00000", plan.hash) as out:
        out.write(table.slice(0, 8))
        out.write(table.slice(8))
    data.commit(plan)
    return data


def task(images, **plain) -> Task:
    described = {"name": "t", "extract": {"inputs": ["x"]}, "score": {"scorers": [plain]}}
    settings = recipe.build(described).score.scorers[0]
    target = Dataset(images.workdir, f"scores/{settings.name}")
    plan = Plan(dataset=target.name, stage="score", settings=registry.identity(settings),
                inputs={"images": images.fingerprint}, parts=("part-00000",))  # fmt: skip
    target.begin(plan)
    return Task(settings, target, plan)


def run(images, *tasks, max_pixels=10**6):
    return making.score_part("part-00000", images=images, tasks=tasks, device="cpu", threads=2, max_pixels=max_pixels)


def test_pixels_are_facts_of_the_image_repeated_for_each_of_its_texts(images):
    one = task(images, scorer="pixels")
    record = run(images, one)["scores/pixels"]
    found = one.target.read_part("part-00000")
    assert found["uid"].equals(images.read_part("part-00000")["uid"])
    assert found["state"].to_pylist() == ["kept"] * 4 + ["failed"] * 2 + ["gone"] + ["kept"] * 2
    assert found["near_constant"].to_pylist() == [False, False, True, True, None, None, None, True, True]
    assert found["frames"].to_pylist() == [1, 1, 1, 1, None, None, None, 1, 1]
    assert record.ledger.rows_in == 8 and record.ledger.failed == {"undecodable": 2}
    with one.target.open_part("part-00000") as file, images.open_part("part-00000") as other:
        assert file.num_row_groups == other.num_row_groups == 2


def test_an_image_may_be_as_large_as_download_says(images):
    # The picture has 24 x 20 pixels, the plain ones 9 x 7; the fourth is none.
    for max_pixels, undecodable in ((62, 8), (63, 4), (479, 4), (480, 2)):
        one = task(images, scorer="pixels", name=f"p{max_pixels}")
        ledger = run(images, one, max_pixels=max_pixels)[f"scores/p{max_pixels}"].ledger
        assert ledger.failed == {"undecodable": undecodable}


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255)])
def test_contrast_of_half_black_and_half_white_is_a_half(colour):
    half = Image.new("RGB", (10, 4), (0, 0, 0))
    half.paste((255, 255, 255), (0, 0, 5, 4))
    assert contrast(passing.Picture(b"", half)) == pytest.approx(0.5)
    assert contrast(passing.Picture(b"", Image.new("RGB", (3, 3), colour))) == 0


def test_an_image_is_decoded_once_for_all_scorers_and_once_more_where_a_row_group_ends(images, monkeypatch):
    decoded, lock = [], Lock()

    def counting(data, *limits):
        with lock:
            decoded.append(data)
        return decoding.decode(data, *limits)

    monkeypatch.setattr(passing, "decode", counting)
    run(images, task(images, scorer="pixels"), task(images, scorer="pixels", name="strict", near_constant=0.4))
    assert sorted(map(len, decoded)) == sorted(len(body(LEVELS[name])) for name in ("a", "b", "c", "d", "d"))


def test_a_killed_pass_makes_again_only_what_was_not_committed(images):
    both = task(images, scorer="pixels"), task(images, scorer="pixels", name="strict", near_constant=0.4)
    run(images, both[0])
    file = both[0].target.path("part-00000.parquet")
    before = images.fs.stat(file)["mtime"]
    assert set(run(images, *both)) == {"scores/pixels", "scores/strict"}
    assert images.fs.stat(file)["mtime"] == before
    strict = both[1].target.read_part("part-00000")["near_constant"].to_pylist()
    assert strict == [True] * 4 + [None] * 3 + [True] * 2


def test_scorers_of_texts_never_open_the_tar(images, monkeypatch):
    images.fs.rm_file(images.path("part-00000.tar"))
    length = OfTexts(lambda rows, settings: {"frames": np.array([len(text) for text in rows["text"].to_pylist()], np.int32),
                                             "contrast": np.zeros(len(rows), np.float32), "near_constant": np.zeros(len(rows), bool), "sharpness": np.zeros(len(rows), np.float32)}, None)  # fmt: skip
    monkeypatch.setitem(registry.KINDS, "pixels", Kind(needs="texts", load=lambda *_: length))
    one = task(images, scorer="pixels")
    run(images, one)
    assert one.target.read_part("part-00000")["frames"].to_pylist() == [6] * 6 + [None] + [6] * 2
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError):
        run(images, task(images, scorer="pixels", name="again"))


def test_every_scorer_that_needs_nothing_brought_fills_its_table(images):
    tables = {}
    for word in ("faces", "brisque", "pixels", "text"):
        one = task(images, scorer=word)
        run(images, one)
        tables[word] = one.target.read_part("part-00000")
        assert tables[word].schema.equals(schema.load(f"scores/{word}").arrow())
        assert one.target.committed("part-00000", one.plan.hash).ledger.failed == (
            {} if word == "text" else {"undecodable": 2}
        )
    assert tables["faces"]["face_bboxes"].to_pylist() == [[]] * 4 + [None] * 3 + [[]] * 2
    assert tables["brisque"]["brisque"].null_count == 9  # all are smaller than 32 pixels
    assert tables["text"]["words"].to_pylist() == [2] * 6 + [None] + [2] * 2


class Choosy(Scorer):
    """Refuses white pictures, and rows with an odd number."""

    reads = ("text",)
    batch_size = 2

    def see(self, picture):
        if picture.pixels.getpixel((0, 0)) == (255, 255, 255):
            raise ValueError("white")
        return picture.pixels.width

    def answer(self, seen):
        assert len(seen) <= self.batch_size
        return {"frames": np.array(seen, np.int32)}

    def score(self, rows, images, image_of):
        odd = np.array([int(text.split()[1]) % 2 for text in rows["text"].to_pylist()], bool)
        answers = {"frames": images["frames"][image_of], "contrast": np.zeros(len(rows), np.float32)}
        answers["sharpness"] = answers["contrast"]
        return answers | {"near_constant": odd, REASON: np.where(odd, "undecodable", None)}


def test_a_scorer_refuses_rows_and_pictures_for_itself_alone(images):
    rows = images.read_part("part-00000")
    desks = [
        Desk(Choosy(), True, schema.load("scores/pixels")),
        Desk(PixelScorer(Pixels()), True, schema.load("scores/pixels")),
    ]
    archive = iter([(name, body(what)) for name, what in LEVELS.items()])
    with ThreadPoolExecutor(2) as pool:
        choosy, plain = passing.score(rows, desks, Pictures(archive), pool)
    assert choosy["frames"].to_pylist() == [24, None, 9, None, None, None, None, None, None]
    assert choosy["state"].to_pylist() == [
        "kept",
        "failed",
        "kept",
        "failed",
        "failed",
        "failed",
        "gone",
        "failed",
        "failed",
    ]
    assert plain["frames"].to_pylist() == [1, 1, 1, 1, None, None, None, 1, 1]


def test_a_tar_that_lacks_an_image_is_damage(images):
    rows = images.read_part("part-00000")
    with ThreadPoolExecutor(2) as pool, pytest.raises(StoreError, match="image b is not in its part's tar"):
        list(
            passing.score(
                rows,
                [Desk(PixelScorer(Pixels()), True, schema.load("scores/pixels"))],
                Pictures(iter([("a", body(None))])),
                pool,
            )
        )
