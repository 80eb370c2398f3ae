"""Tables of captions beside the small workdir's images, written through the store."""

import pyarrow as pa

from curate import schema
from curate.store import Dataset, Plan

SAID = {0: None, 1: ["a rewritten one"], 2: ["a rewritten two", "another two"]}
"""By the uid's last digit modulo 3: a pair's captions."""


def captions_of(uid: str) -> list[str] | None:
    said = SAID[int(uid[-1], 16) % 3]
    return said and [f"{text} of {uid}" for text in said]


def write_captions(workdir: str, name: str, word: str, columns) -> Dataset:
    """A table of captions beside `images`: `columns` gives a pair's values, or None where it has none."""
    data, images = Dataset(workdir, f"captions/{name}"), Dataset(workdir, "images")
    plan = Plan(
        dataset=data.name, stage="recaption", settings={"captioner": word}, inputs={}, parts=tuple(images.part_names())
    )
    data.begin(plan)
    known = schema.load(f"captions/{word}")
    for part in plan.parts:
        with images.open_part(part) as file, data.write_part(part, plan.hash) as out:
            for group in range(file.num_row_groups):
                rows = []
                for row in file.read_row_group(group, columns=["uid", "state"]).to_pylist():
                    values = columns(row["uid"]) if row["state"] == "kept" else None
                    state = "gone" if row["state"] != "kept" else "kept" if values else "dropped"
                    row = {"uid": row["uid"], "state": state, "reason": "no_caption" if state == "dropped" else None}
                    rows.append(dict.fromkeys(known.columns) | row | (values or {}))
                if "no_caption" not in known.dropped:
                    rows = [row | {"reason": "empty"} if row["reason"] else row for row in rows]
                out.write(pa.Table.from_pylist(rows, schema=known.arrow()))
    data.commit(plan)
    return data


def write_seen(root: str) -> None:
    """Captions `seen` of two thirds of the pairs, and what the table `agreement` says of them."""
    write_captions(root, "seen", "describe", lambda uid: {"captions": said} if (said := captions_of(uid)) else None)

    def facts(uid):
        said = captions_of(uid)
        cosines = {"similarities": [0.3] * len(said), "agreements": [0.5] * len(said)} if said else None
        return cosines and {"alt_similarity": 0.2} | cosines

    write_captions(root, "agreement", "consistency", facts)

    def boxes(uid):
        said = captions_of(uid)
        return said and {"regions": said, "boxes": [[0.0, 0.25, 0.5, 1.0]] * len(said), "box_scores": [0.5] * len(said)}

    write_captions(root, "found", "regions", boxes)
