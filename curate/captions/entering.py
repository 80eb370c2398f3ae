"""Which rows of a row group are captioned, and why the others are not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import schema
from curate.captions.settings import Captioner
from curate.draw import draw
from curate.facts.contract import REASON
from curate.ledger import DROPPED, FAILED, GONE, KEPT
from curate.schema import Schema

NOT_DRAWN, NO_CAPTION, NO_EMBEDDING = "not_drawn", "no_caption", "no_embedding"
IMAGES = ("image_uid", "text", "state", "curated", "sha256")
"""Columns of `images` that are read for every captioner."""


@dataclass(frozen=True)
class Entered:
    """Of a row group: who enters, and what stands for the others."""

    mask: np.ndarray
    """bool, (rows,)"""
    state: np.ndarray
    """object, (rows,): of those that do not enter `gone`, `dropped` or `failed`."""
    reason: np.ndarray
    """object, (rows,): of those that do not enter their reason or status, or None."""


def entering(tables: Mapping[str, pa.Table], settings: Captioner, seed: int) -> Entered:
    """Who enters: pairs that balance kept and that were fetched, that dedup did not drop, whose image is drawn, and that have what the
    captioner reads. What was fetched for the raw baseline alone is gone: nobody pays for captions that no set will have.

    `tables`: by dataset, each with `state`.
    """
    images = tables["images"]
    state, reason = np.full(len(images), GONE, object), np.full(len(images), None, object)
    mask = _kept(images) & _kept(tables["duplicates"]) & images["curated"].to_numpy(zero_copy_only=False)

    def leave(out: np.ndarray, into: str, why: str) -> None:
        nonlocal mask
        state[mask & out], reason[mask & out] = into, why
        mask = mask & ~out

    if settings.sample < 1:
        leave(~(draw(seed, "recaption", images["image_uid"].to_pylist()) < settings.sample), DROPPED, NOT_DRAWN)
    for name, table in tables.items():
        if name.partition("/")[2] in settings.may_lack():
            continue
        if schema.family(name) == schema.CAPTIONS:
            leave(~_kept(table), DROPPED, NO_CAPTION)
        elif schema.family(name) == schema.SCORES:
            leave(~_kept(table), FAILED, NO_EMBEDDING)
    return Entered(mask, state, reason)


def _kept(table: pa.Table) -> np.ndarray:
    return pc.equal(table["state"], KEPT).to_numpy(zero_copy_only=False)


def laid(uid: pa.ChunkedArray, entered: Entered, answers: Sequence[dict], known: Schema) -> pa.Table:
    """The table of a row group: `answers`, one for each row that entered, beside what stands for the others.

    A row whose answer gives a reason is dropped or failed, as the schema says of the reason; its other columns stay as they are.
    """
    state, reason = entered.state.copy(), entered.reason.copy()
    places = np.flatnonzero(entered.mask)
    for place, answer in zip(places, answers, strict=True):
        why = answer.get(REASON)
        state[place], reason[place] = KEPT if why is None else FAILED if why in known.failed else DROPPED, why
    table = {"uid": uid, "state": pa.array(state, pa.string()), REASON: pa.array(reason, pa.string())}
    for name in (name for name in known.columns if name not in table):
        values = np.full(len(state), None, object)
        for place, answer in zip(places, answers, strict=True):
            values[place] = answer.get(name)
        table[name] = pa.array(values.tolist(), schema.TYPES[known.columns[name].type])
    return pa.table(table)
