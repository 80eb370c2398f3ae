"""Whole-slide images: tissue alone, chosen by what it shows, and (slide, x, y) gives the same pixels again."""

import io
import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from curate import schema
from curate.pools import inputs, members, readers, slides
from curate.pools.beside import MemberError
from curate.pools.candidates import Account
from curate.recipe import Extract, Slides, Source
from curate.weights import Model

SIDE = 64


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    """A tiled TIFF of 8 x 6 windows on white; those of an inner block are stained, each in its own shade, one only by a third."""
    pixels = np.full((6 * SIDE, 8 * SIDE, 3), 255, np.uint8)
    for row in range(1, 4):
        for column in range(1, 6):
            shade = (120 + 20 * row, 40 + 8 * column, 150)
            block = pixels[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
            block[:] = shade
            block[::7, ::5] = (200, 20, 90)
    pixels[4 * SIDE : 4 * SIDE + SIDE // 3, SIDE : 2 * SIDE] = (150, 60, 150)
    path = tmp_path_factory.mktemp("slides") / "case_7.tiff"
    tifffile.imwrite(path, pixels, tile=(128, 128), photometric="rgb", compression=None)
    return path, pixels


def read(path, **settings):
    source = Source(name="wsi", inputs=(str(path),), reader="slides", slides=Slides(side=SIDE, **settings))
    extract = Extract(sources=(source,))
    account, pairs, rows = Account(), schema.load("pairs"), []
    files = list(inputs.expand(extract))
    for file in files:
        rows += [row for table in readers.read(file, extract, account) for row in pairs.hold(table).to_pylist()]
    return [row | {"facts": json.loads(row["facts"])} for row in rows], account, files


def test_windows_of_tissue_are_taken_and_no_others(slide):
    rows, account, _ = read(slide[0])
    places = {(row["facts"]["x"] // SIDE, row["facts"]["y"] // SIDE) for row in rows}
    assert places == {(column, row) for row in range(1, 4) for column in range(1, 6)}
    assert account.ledger().kept == len(rows) == 15 and account.notes["windows"] == 15
    assert {row["text"] for row in rows} == {"a histopathology slide, case 7"} and {row["source"] for row in rows} == {
        "wsi"
    }
    assert len({row["image_uid"] for row in rows}) == 15
    assert len(read(slide[0], min_tissue=0.3)[0]) == 16


def test_the_place_gives_the_same_pixels_again(slide):
    rows, _, files = read(slide[0])
    shelf = members.Shelf.of(files)
    for row in rows[:5]:
        ((_, data),) = shelf.read(row["crawl_file"], [(row["member"], row["record_offset"])], 10**7)
        x, y = row["facts"]["x"], row["facts"]["y"]
        again = np.asarray(Image.open(io.BytesIO(data)))
        assert (again == slide[1][y : y + SIDE, x : x + SIDE]).all()
        assert row["member"] == f"{x},{y},{SIDE}"


@pytest.mark.parametrize(
    "member", ["", "1,2", "0,0,0", "0,0,99999", "-1,0,64", "500,0,64", "a,b,c", "0,0,64,1", "٣,0,64"]
)
def test_what_is_no_window_is_said(slide, member):
    with slides.opened(str(slide[0])) as opened, pytest.raises(MemberError, match=r"no window|not inside"):
        slides.read_member(opened, member, 10**7)
    with slides.opened(str(slide[0])) as opened, pytest.raises(MemberError, match="more than 10 bytes"):
        slides.read_member(opened, "0,0,64", 10)


def test_fewer_are_drawn_by_hash_and_lie_in_more(slide):
    few, more = ({row["uid"] for row in read(slide[0], per_slide=number)[0]} for number in (4, 9))
    assert len(few) == 4 and len(more) == 9 and few < more


def test_a_model_retrieves_and_clusters(slide, small_run):
    model = Model(name="small", model=f"local-dir:{small_run}")
    rows, _, _ = read(slide[0], per_slide=6, model=model, prompts=("a red disc", "blue square"))
    ways = [row["facts"]["chosen_by"] for row in rows]
    assert len(rows) == 6 and ways.count("retrieval") == 3 and ways.count("cluster") == 3
    assert rows == read(slide[0], per_slide=6, model=model, prompts=("a red disc", "blue square"))[0]
    assert {row["facts"]["chosen_by"] for row in read(slide[0], per_slide=5, model=model)[0]} == {"cluster"}


def test_the_union_of_what_is_retrieved_and_what_stands_for_a_cluster():
    chance = np.random.default_rng(0)
    centres = np.eye(8, dtype=np.float32)[:4]
    images = np.repeat(centres, 10, axis=0) + chance.normal(0, 0.05, (40, 8)).astype(np.float32)
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    picked = slides.picked_by(images, np.eye(8, dtype=np.float32)[:1], 12)
    retrieved = {place for place, why in picked.items() if why == "retrieval"}
    assert retrieved == set(np.argsort(-images[:, 0], kind="stable")[:6].tolist()) and len(picked) == 12
    assert {place // 10 for place in picked} == {0, 1, 2, 3}
    assert len(slides.picked_by(images[:3], None, 12)) == 3


def test_a_broken_slide_costs_itself_alone(slide, tmp_path):
    (tmp_path / "broken.tiff").write_bytes(slide[0].read_bytes()[:300])
    (tmp_path / "text.tiff").write_bytes(b"no slide at all")
    (tmp_path / "whole.tiff").write_bytes(slide[0].read_bytes())
    rows, account, _ = read(tmp_path / "*.tiff")
    assert len(rows) == 15 and account.failed["bad_record"] == 2 and len(account.breaks) == 2
    shelf = members.Shelf({"x": (str(tmp_path / "text.tiff"), "slides")})
    ((_, answer),) = shelf.read("x", [("0,0,64", 0)], 10**7)
    assert isinstance(answer, MemberError)
