"""A small workdir for tests of shards: six images in two parts, with all that is said of them."""

import io

import pyarrow as pa
from PIL import Image

from curate import schema
from curate.images.archive import ArchiveWriter
from curate.shards import samples
from curate.store import Dataset, Plan
from curate.uid import image_uid, pair_uid


def picture(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(out, "PNG")
    return out.getvalue()


MATCHED = ("one", "two.")


def pair(url, text):
    uid = pair_uid(url, text)
    matched, number = text in MATCHED, int(uid[:4], 16)
    keep = {"keep_probability": number / 2**16 if matched else None, "entries": [number, number + 7] if matched else []}
    return {"url": url, "image_uid": image_uid(url), "text": text, "uid": uid, "baseline": text == "only drawn"} | keep


def plan_of(name):
    return Plan(dataset=name, stage="test", settings={}, inputs={}, parts=("part-00000", "part-00001"))


def write_groups(root, part, name, table, size):
    with Dataset(str(root), name).write_part(part, plan_of(name).hash) as out:
        for begin in range(0, len(table), size):
            out.write(table.slice(begin, size))


def write_part(root, part, pairs, missing):
    write_matches(root, part, pairs)
    rows = [r for r in pairs if r["text"] in (*MATCHED, "only drawn")]
    images = Dataset(str(root), "images")
    with images.sidecar(f"{part}.tar") as file:
        tar = ArchiveWriter(file)
        for uid in dict.fromkeys(r["image_uid"] for r in rows if r["url"] != missing):
            tar.add(f"{uid}.png", picture(int(uid[:2], 16)))
        tar.close()
    full = [
        r | {"kind": "alt", "lang": "en", "page_url": "http://a.example/", "curated": r["text"] in MATCHED, "state": "kept",
             "reason": None, "http_status": 200, "error": None, "nbytes": 10, "sha256": "0" * 64, "width": 8, "height": 8,
             "format": "png", "phash": "0" * 16}
        for r in rows
    ]  # fmt: skip
    n, uids = len(rows), [r["uid"] for r in rows]
    kept, none = ["kept"] * n, pa.nulls(n, pa.string())
    selected = ["kept" if r["text"] in MATCHED else "dropped" for r in rows]
    why = pa.array([None if r["text"] in MATCHED else "baseline_only" for r in rows], pa.string())
    # The second text of every image is the more similar one.
    score = pa.array([0.1 if r["text"] == "one" else 0.9 for r in rows], pa.float32())
    embedding = pa.nulls(n, pa.list_(pa.float16(), 2))
    tables = {
        "images": pa.Table.from_pylist(full, schema=images_schema()),
        "selection": pa.table({"uid": uids, "state": selected, "reason": why}),
        "duplicates": pa.table({"uid": uids, "state": kept, "reason": none, "representative": [r["image_uid"] for r in rows]}),
        "scores/clip": pa.table({"uid": uids, "state": kept, "reason": none, "similarity_score": score,
                                 "image_embedding": embedding, "text_embedding": embedding}),
    }  # fmt: skip
    for name, table in tables.items():
        write_groups(root, part, name, filled(name, table), 5)


def filled(name, table):
    """With nulls in the columns that shards do not read."""
    for field in schema.load(name).arrow(embedding_width=2):
        if field.name not in table.column_names:
            table = table.append_column(field.name, pa.nulls(len(table), field.type))
    return table


def write_matches(root, part, pairs):
    """`matches` and `balanced`: a text that is not fetched was balanced out or not matched."""
    lost = {"not fetched": ("kept", None, "dropped", "balanced_out"), "nor this": ("dropped", "no_entry", "gone", None)}
    other = {"only drawn": ("dropped", "no_entry", "gone", None)}
    rows = []
    for r in pairs:
        state, reason, balanced, why = (lost | other).get(r["text"], ("kept", None, "kept", None))
        keep = 0.5 if why else r["keep_probability"]
        rows.append({"uid": r["uid"], "state": state, "reason": reason, "lang": "en", "lang_score": 0.9, "entries": r["entries"],
                     "balanced": balanced, "why": why, "keep_probability": keep, "draw": 0.7 if why else keep and keep / 2,
                     "baseline": r["baseline"]})  # fmt: skip
    matches = pa.Table.from_pylist(rows, schema=schema.load("matches").arrow())
    renamed = [row | {"state": row["balanced"], "reason": row["why"]} for row in rows]
    balanced = pa.Table.from_pylist(renamed, schema=schema.load("balanced").arrow())
    for name, table in (("matches", matches), ("balanced", balanced)):
        write_groups(root, part, name, table, 3)


def images_schema():
    return schema.load("images").arrow()


def all_samples(workdir, policy="best"):
    inputs = samples.table_inputs(workdir, ["clip"])
    choose = samples.chooser(policy, 0, "clip")
    return [s for p in ("part-00000", "part-00001") for s in samples.samples_of(p, inputs, samples.curated, choose)]
