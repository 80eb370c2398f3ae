"""Lines of letters in a picture, without a network: thresholds, connected components, and rows of even ones.

Looked at are the picture and its halves, dark letters and bright ones. A component may be a letter, or a few that touch, by its size,
density, stroke and sharp outline. FEW or more of about one height, stroke and brightness in a row are a line, unless as many things
that are in no row lie around it, as they do in gravel and grass.

That is weaker than a trained detector (FAST, DBNet): words of one or two letters that stand alone, slanted and curved lines, handwriting,
letters on a background as busy as themselves are missed, and even rows of round or upright things (coins) are found. Time is
linear in the pixels, whatever they show.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

SIDE, GROWN, SMALLEST = 640, 2, 40
"""Pixels that the longer side is brought to, how much a small picture may grow for it, and the shorter side of the smallest half."""
LOW, HIGH = 6, 44
"""Pixels of a letter's height at one scale; a taller one is found in a half."""
WINDOW, FAINTEST = 31, 10
"""Side of the square whose mean a pixel is held against, and by how much of 255 it must differ."""
SPREADS, LEVELS = (0.3, 1.0), (40, 80)
"""Ink is darker than the mean around it by so many standard deviations, or as dark as that: a letter that one of these thresholds
joins with what is behind it stands alone with another."""
FEW, MOST = 3, 500
"""Components of a line, at least; lines of a picture, at most."""
REACH, STRAY = 0.6, 0.9
"""Letters' heights that a letter looks for the next to either side; things in no row around a line, for each of its letters, at most."""


@dataclass(frozen=True)
class Components:
    """What is known of connected components; arrays of length n."""

    box: np.ndarray
    """Left, top, width and height in pixels, float64 of shape (n, 4)."""
    luma: np.ndarray
    stroke: np.ndarray
    """Mean width of the strokes in pixels: twice the area over the length of the outline."""
    density: np.ndarray
    """Share of the box that is ink."""
    letter: np.ndarray
    """Whether it may be one: bool."""

    def __getitem__(self, some: np.ndarray) -> "Components":
        return Components(self.box[some], self.luma[some], self.stroke[some], self.density[some], self.letter[some])


def lines(image: Image.Image) -> np.ndarray:
    """Boxes of lines of text, relative to the picture: left, top, right, bottom in 0..1, float64 of shape (n, 4)."""
    import cv2

    scale = min(SIDE / max(image.size), GROWN)
    size = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
    luma = whole = np.asarray(image.resize(size, reducing_gap=2.0).convert("L"))
    found, halved = [np.zeros((0, 4))], 1
    while min(luma.shape) >= SMALLEST:
        for values in (luma, 255 - luma):
            slope = cv2.morphologyEx(values, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
            for ink in inks(values):
                found.append(rows(components(values, slope, ink), luma.shape) * halved)
        luma, halved = cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), 2 * halved
    return np.clip(joined(np.concatenate(found), whole.shape) / (*size, *size), 0, 1)


def inks(values: np.ndarray) -> Iterator[np.ndarray]:
    """What may be dark ink, by each threshold: uint8 of 0 and 1."""
    import cv2

    near = cv2.boxFilter(values, cv2.CV_32F, (WINDOW, WINDOW), borderType=cv2.BORDER_REPLICATE)
    square = cv2.sqrBoxFilter(values, cv2.CV_32F, (WINDOW, WINDOW), borderType=cv2.BORDER_REPLICATE)
    spread = np.sqrt(np.maximum(square - near * near, 0))
    for share in SPREADS:
        yield (near - values > np.maximum(share * spread, FAINTEST)).astype(np.uint8)
    for level in LEVELS:
        yield (values < level).astype(np.uint8)


def components(values: np.ndarray, slope: np.ndarray, ink: np.ndarray) -> Components:
    """Connected components of ink, of 3 pixels of height or more."""
    import cv2

    count, label, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    width, height, area = stats[:, 2:].T.astype(np.float64)
    inside = np.flatnonzero(ink)
    outline = np.flatnonzero(ink & (1 - cv2.erode(ink, np.ones((3, 3), np.uint8))))
    on = label.ravel()[outline]
    length = np.maximum(np.bincount(on, minlength=count), 1)
    sharpness = np.bincount(on, slope.ravel()[outline], count) / length
    luma = np.bincount(label.ravel()[inside], values.ravel()[inside], count) / np.maximum(area, 1)
    stroke, density = 2 * area / length, area / np.maximum(width * height, 1)
    letter = (
        (height >= LOW) & (height <= HIGH) & (width <= 12 * height) & (width >= 0.08 * height)
        & (density >= 0.12) & (stroke <= 1.2 * height) & (sharpness >= 45)
    )  # fmt: skip
    some = height >= 3
    some[0] = False  # what is no ink
    return Components(stats[:, :4].astype(np.float64), luma, stroke, density, letter)[some]


def rows(every: Components, shape: tuple[int, ...]) -> np.ndarray:
    """Boxes of lines among components: letters of heights that differ by less than a factor of 2, for each of such spans."""
    found, low, tall = [np.zeros((0, 4))], float(LOW), every.box[:, 3]
    while low < HIGH:
        mine = (tall >= low) & (tall < 2 * low) & every.letter
        if mine.sum() >= FEW:
            # Dust and what is far larger is nothing that a letter could be confused with.
            others = ~mine & (tall >= 0.4 * low) & (tall < 4 * low)
            found.append(_lines(every[mine], every.box[others], shape))
        low *= 2**0.5
    return np.concatenate(found)


def _lines(letters: Components, others: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    left, top, width, height = letters.box.T
    of, box = _grouped(np.stack([left, top, left + width, top + height], axis=1), REACH, shape)
    number = np.bincount(of)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(of, values) / number

    def spread(values: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum(mean(values**2) - mean(values) ** 2, 0))

    tall, stroke = mean(height), mean(letters.stroke)
    # Letters stand on a line or hang from one, and few by chance do so less exactly than they; blobs and bricks are full where letters are strokes.
    good = (
        (number >= FEW) & (np.minimum(spread(top + height), spread(top)) <= np.minimum(0.02 * number, 0.14) * tall)
        & (spread(letters.luma) <= 22) & (spread(letters.stroke) <= 0.35 * np.maximum(stroke, 1))
        & (stroke <= 0.36 * tall) & (mean(letters.density) <= 0.68)
        & (box[:, 2] - box[:, 0] >= 1.5 * tall) & (box[:, 3] - box[:, 1] <= 0.3 * shape[0])
    )  # fmt: skip
    strays = np.concatenate([others, letters.box[~good[of]]])
    around = box + np.stack([-1.5 * tall, -tall, 1.5 * tall, tall], axis=1)
    return box[good & (_inside(around, strays, shape) <= STRAY * number)]


def _grouped(boxes: np.ndarray, reach: float, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """For each box (left, top, right, bottom) the number of its row, from 0 without gaps, and each row's box.

    The middles of boxes, made longer by `reach` heights on either side, are drawn; those that touch are a row. That is linear in pixels,
    and lines below each other stay apart.
    """
    import cv2

    left, top, right, bottom = boxes.T
    height, drawn = bottom - top, np.zeros(shape, np.uint8)
    sides = np.maximum(np.stack([left - reach * height, right + reach * height], axis=1), 0).astype(np.int64)
    middles = np.stack([top + 0.35 * height, np.ceil(top + 0.65 * height)], axis=1).astype(np.int64)
    for (start, end), (above, below) in zip(sides.tolist(), middles.tolist(), strict=True):
        drawn[above : max(below, above + 1), start : max(end, start + 1)] = 1
    label = cv2.connectedComponents(drawn, connectivity=4)[1]
    _, of = np.unique(label[middles[:, 0], ((left + right) / 2).astype(np.int64)], return_inverse=True)
    edges = np.full((of.max(initial=-1) + 1, 4), np.inf)
    np.minimum.at(edges, of, boxes * (1, 1, -1, -1))
    return of, edges * (1, 1, -1, -1)


def _inside(areas: np.ndarray, strays: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """How many strays have their middle in each area."""
    import cv2

    points = np.zeros(shape, np.uint8)
    middle = (strays[:, :2] + strays[:, 2:] / 2).astype(np.int64)
    points[middle[:, 1], middle[:, 0]] = 1
    table = cv2.integral(points)
    left, top, right, bottom = np.clip(areas, 0, np.tile(shape[1::-1], 2)).astype(np.int64).T
    return table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]


def joined(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Boxes of lines that were found again at another threshold or scale, or word by word, as one each; the largest MOST."""
    if not len(boxes):
        return boxes
    _, box = _grouped(np.minimum(boxes, np.tile(shape[1::-1], 2)), REACH, shape)
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    return box[np.argsort(-area, kind="stable")[:MOST]]
