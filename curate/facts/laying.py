"""Lays the answers about some rows into a table of all rows."""

import numpy as np
import pyarrow as pa

from curate.facts.contract import REASON, Columns, columns_of
from curate.ledger import DROPPED, FAILED, GONE, KEPT
from curate.schema import EMBEDDING, TYPES, Schema

UNDECODABLE, NO_EMBEDDING = "undecodable", "no_embedding"


def laid(
    uid: pa.ChunkedArray, live: np.ndarray, fit: np.ndarray, answers: Columns, known: Schema, unfit: str = UNDECODABLE
) -> pa.Table:
    """The scorer's table, a row for each of `uid`.

    `live`: indices of the rows that entered; `fit`, bool, one for each of them: those that the answers are about; the others fail
    as `unfit`. A reason that the schema lists under `dropped` drops its row. What was not answered, or failed, is null.
    """
    reason = np.full(len(live), unfit, object)
    reason[fit] = answers.get(REASON)
    good = np.array([word is None for word in reason], bool)
    state, reasons = np.full(len(uid), GONE, object), np.full(len(uid), None, object)
    out = np.array([DROPPED if word in known.dropped else FAILED for word in reason], object)
    state[live] = np.where(good, KEPT, out)
    reasons[live] = reason
    # Row -> place among the answers.
    places = np.full(len(uid), -1)
    places[live[fit]] = np.arange(np.count_nonzero(fit))
    places[live[~good]] = -1
    taken = pa.array(places, mask=places < 0)
    table = {"uid": uid, "state": pa.array(state, pa.string()), REASON: pa.array(reasons, pa.string())}
    for name in columns_of(known):
        values = answers[name]
        if not isinstance(values, pa.Array):
            kind = known.columns[name].type
            values = pa.array(values, None if kind == EMBEDDING else TYPES[kind])
        table[name] = values.take(taken)
    return pa.table(table)
