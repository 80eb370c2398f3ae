"""Generations of `images`: a retry puts `images-1` on top of `images`, `images-2` on top of that, and changes neither.

Each has a row for every row of the one below it, in the same parts and row groups; its tars hold only what was fetched for
it. So tables are read from the newest generation alone, and bytes from all of them.
"""

import re
from collections.abc import Iterator

import msgspec

from curate.store import PLAN, Dataset, Plan

FIRST = "images"


def current(workdir: str, name: str) -> Dataset:
    """The dataset that goes by a name: of `images` its newest generation, any other as it is called."""
    return newest(workdir) if name == FIRST else Dataset(workdir, name)


def newest(workdir: str) -> Dataset:
    """The newest committed generation; `images` itself when there is none, so that `require` names the stage to run.

    One that was made from another download than the one below it is no generation of it: see `stale`.
    """
    here = Dataset(workdir, FIRST)
    while here.manifest() is not None:
        above = following(here)
        manifest = above.manifest()
        if manifest is None or not _made_from(manifest.plan, here):
            break
        here = above
    return here


def following(images: Dataset) -> Dataset:
    """The generation that comes next after one, whether it is there or not."""
    return Dataset(images.workdir, f"{FIRST}-{_number(images) + 1}")


def of(images: Dataset) -> list[Dataset]:
    """A generation and all below it, the oldest first: whose tars together hold its images."""
    number = _number(images)
    below = [FIRST, *(f"{FIRST}-{n}" for n in range(1, number))] if number else []
    return [*(Dataset(images.workdir, name) for name in below), images]


def above(workdir: str) -> Iterator[Dataset]:
    """What was begun on top of `images`, read or not, the oldest first."""
    here = following(Dataset(workdir, FIRST))
    while here.fs.exists(here.path(PLAN)):
        yield here
        here = following(here)


def stale(workdir: str) -> Iterator[Dataset]:
    """Generations, begun or done, of a download that has been replaced since. Nobody reads them."""
    here = newest(workdir)
    above = following(here)
    if above.fs.exists(above.path(PLAN)) and _made_from(plan_of(above), here):
        return
    while above.fs.exists(above.root):
        yield above
        above = following(above)


def _made_from(plan: Plan, images: Dataset) -> bool:
    return plan.inputs.get(images.name) == images.fingerprint


def plan_of(images: Dataset) -> Plan:
    """What a generation that was begun is, or is going to be."""
    return msgspec.json.decode(images.fs.cat_file(images.path(PLAN)), type=Plan)


def _number(images: Dataset) -> int:
    found = re.fullmatch(rf"{FIRST}-(\d+)", images.name)
    return int(found[1]) if found else 0
