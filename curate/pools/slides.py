"""Reads whole-slide images: windows of tissue at full resolution, chosen by what they show, each a pair with an image at hand.

PathGen (Sun et al. 2024): windows of 672 pixels of which more than half is tissue; of each slide at most 256, the union of those that a CLIP-like
model retrieves for prompts and the slide's report, and of those that stand for a cluster, k = ceil(sqrt(1.6 n)) of n windows. Without a model
they are drawn by hash. A window is known by (slide, x, y): its member `x,y,side` gives the same pixels again whenever it is read.

OpenSlide reads the slides (.svs, .tiff, .ndpi, .scn, .mrxs, ...). Memory: a thumbnail, and the embeddings of one slide's windows.
"""

import io
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
import numpy as np
import orjson
import pyarrow as pa
from PIL import Image

from curate import CurateError
from curate.draw import draw
from curate.pools import addresses, candidates
from curate.pools.beside import MemberError
from curate.pools.candidates import Account, Row, repaired
from curate.pools.inputs import Input
from curate.recipe import Extract, Slides
from curate.storage import is_local
from curate.uid import image_uid, pair_uid

SUFFIXES = (".svs", ".ndpi", ".scn", ".mrxs", ".vms", ".vmu", ".bif", ".svslide")
"""What slides are called that are told by their names; .tif and .tiff want `reader: slides`."""
THUMBNAIL = 2048
"""Pixels of the longer side of the picture that tissue is looked for in."""
SATURATION = 20
"""Of 255, from which a pixel counts as stained."""
MOST_SIDE = 8192


class SlideError(CurateError, RuntimeError):
    """OpenSlide is not here; the message says how to get it."""


def read(file: Input, settings: Extract, account: Account) -> Iterator[pa.Table]:
    """The chosen windows of a slide, as tables of the schema of `pairs`. Raises SlideError."""
    account.notes["files"] += 1
    yield from candidates.tables(_rows(file, account))


def _rows(file: Input, account: Account) -> Iterator[Row]:
    how = (file.source.slides if file.source else None) or Slides()
    name = file.name.rpartition("/")[2].rpartition(".")[0]
    try:
        with opened(file.path) as slide:
            windows = tissue(slide, how)
            account.notes["windows"] += len(windows)
            chosen = choose(slide, windows, how, name)
    except OSError as error:  # what OpenSlide raises for a broken or foreign file is one too
        account.failed["bad_record"] += 1
        account.broken(file.name, 0, str(error))
        return
    for number, (x, y, why) in enumerate(chosen):
        member = f"{x},{y},{how.side}"
        url = addresses.absolute(addresses.held(file.name, member), None)
        facts = {"slide": name, "x": x, "y": y, "side": how.side, "chosen_by": why}
        account.notes["images"] += 1
        text = repaired(how.text.replace("{slide}", name.replace("_", " "))).strip()
        account.kept += 1
        yield Row(
            pair_uid(url, text), image_uid(url), url, text, "label", None, None, None,
            file.source.name if file.source else "slides", file.name, number, member, None,
            orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode(),
        )  # fmt: skip


@contextmanager
def opened(path: str) -> Iterator[Any]:
    """A slide; one that is not on a disk is copied to one. OSError for what is none."""
    try:
        import openslide
    except ImportError as error:
        raise SlideError(
            f"OpenSlide reads slides, and is not here ({error}): pip install 'curate-pairs[slides]'"
        ) from error
    fs, plain = fsspec.core.url_to_fs(path)
    with tempfile.TemporaryDirectory(prefix="curate-slide-") as folder:
        if not is_local(fs):
            fs.get_file(plain, place := f"{folder}/{plain.rpartition('/')[2]}")
            plain = place
        try:
            slide = openslide.OpenSlide(plain)
        except openslide.OpenSlideError as error:
            raise OSError(f"{path}: no slide that OpenSlide reads: {error}") from error
        try:
            yield slide
        except openslide.OpenSlideError as error:
            raise OSError(f"{path}: {error}") from error
        finally:
            slide.close()


def tissue(slide: Any, how: Slides) -> list[tuple[int, int]]:
    """The corners (x, y) at full resolution of windows that are tissue by more than `min_tissue`, row by row."""
    width, height = slide.dimensions
    small = np.asarray(slide.get_thumbnail((THUMBNAIL, THUMBNAIL)).convert("HSV"))[:, :, 1] >= SATURATION
    sums = np.pad(small.cumsum(0).cumsum(1).astype(np.int64), ((1, 0), (1, 0)))
    found = []
    for y in range(0, height - how.side + 1, how.side):
        top, bottom = (round(v * small.shape[0] / height) for v in (y, y + how.side))
        for x in range(0, width - how.side + 1, how.side):
            left, right = (round(v * small.shape[1] / width) for v in (x, x + how.side))
            area = max((bottom - top) * (right - left), 1)
            stained = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
            if stained > how.min_tissue * area:
                found.append((x, y))
    return found


def choose(slide: Any, windows: list[tuple[int, int]], how: Slides, name: str) -> list[tuple[int, int, str]]:
    """At most `per_slide` windows, and which way each was chosen: `retrieval`, `cluster` or `draw`; row by row."""
    if how.model is None or not windows:
        draws = draw(0, "slides", [f"{name}:{x},{y}" for x, y in windows])
        picked = {int(place): "draw" for place in np.argsort(draws, kind="stable")[: how.per_slide]}
    else:
        from curate import models

        clip = models.load(how.model)
        images = clip.image_embeddings(clip.pixels(patch(slide, x, y, how.side)) for x, y in windows)
        picked = picked_by(images, clip.text_embeddings(how.prompts) if how.prompts else None, how.per_slide)
    return [(*windows[place], picked[place]) for place in sorted(picked)]


def picked_by(images: np.ndarray, prompts: np.ndarray | None, most: int) -> dict[int, str]:
    """Windows by their embeddings (n, width): the better half of `most` by the greatest cosine with a prompt, and those nearest to the
    centre of each cluster, until there are `most`. A window that both choose counts once, as retrieved."""
    from scipy.cluster.vq import kmeans2

    picked: dict[int, str] = {}
    if prompts is not None:
        best = (images @ prompts.T).max(axis=1)
        picked = {int(place): "retrieval" for place in np.argsort(-best, kind="stable")[: -(-most // 2)]}
    k = min(math.ceil(math.sqrt(1.6 * len(images))), len(images))
    centres, cluster = kmeans2(images.astype(np.float64), k, minit="++", seed=0)
    away = ((images - centres[cluster]) ** 2).sum(axis=1)
    # In turns: the nearest of every cluster, then the second nearest.
    turn = np.empty(len(images), np.int64)
    for one in range(k):
        mine = np.flatnonzero(cluster == one)
        turn[mine[np.argsort(away[mine], kind="stable")]] = np.arange(len(mine))
    for place in np.lexsort((away, turn)):
        if len(picked) >= most:
            break
        picked.setdefault(int(place), "cluster")
    return picked


def patch(slide: Any, x: int, y: int, side: int) -> Image.Image:
    """The pixels of a window, RGB; what a scanner left out is white."""
    region = slide.read_region((x, y), 0, (side, side))
    white = Image.new("RGB", region.size, "white")
    white.paste(region, mask=region.getchannel("A"))
    return white


def read_member(slide: Any, member: str, limit: int) -> bytes:
    """A window as PNG, by its member. Raises MemberError for what is no window of the slide."""
    numbers = member.split(",")
    if len(numbers) != 3 or not all(n.isascii() and n.isdigit() and len(n) < 10 for n in numbers):
        raise MemberError(f"{member!r} is no window x,y,side of a slide")
    x, y, side = map(int, numbers)
    width, height = slide.dimensions
    if not 0 < side <= MOST_SIDE or x + side > width or y + side > height:
        raise MemberError(f"the window {member} is not inside a slide of {width} x {height}")
    out = io.BytesIO()
    patch(slide, x, y, side).save(out, "PNG")
    if len(out.getvalue()) > limit:
        raise MemberError(f"the window {member} has more than {limit} bytes", "too_many_bytes")
    return out.getvalue()
