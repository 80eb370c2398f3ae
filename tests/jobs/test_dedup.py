"""The dedup stage on a real Spark: planted duplicates end where they should, on any number of partitions."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curate import models, schema, uid
from curate.duplicates import nodes, overlap, planted
from curate.images.decoding import decode
from curate.images.inspecting import perceptual_hash
from curate.recipe import RecipeError, build
from curate.store import Dataset, Plan, StoreError
from jobs import components, dedup, engine

PARTS = ("part-00000", "part-00001", "part-00002")
WIDTH = 8


TEACHER = f"local-dir:{Path(__file__).resolve().parents[2] / 'demo' / 'teacher'}"


def recipe(sets=(), seed=0, model="x", **changes):
    settings = {"phash_distance": 4, "semantic_model": "clip", "semantic_epsilon": 0.02} | changes
    return build({"name": "t", "seed": seed, "extract": {"inputs": []}, "score": {"models": [{"name": "clip", "model": model}]},
                  "dedup": settings, "evaluate": {"sets": list(sets)}})  # fmt: skip


def image(name, texts=1, **facts):
    """An image of its own in every respect that `facts` does not say otherwise."""
    draw = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
    alone = {"sha256": f"sha of {name}", "phash": int(draw.integers(0, 2**64, dtype=np.uint64)), "curated": True,
             "size": (10, 10), "similarity": 0.1, "vector": draw.normal(size=WIDTH), "state": "kept", "scored": "kept"}  # fmt: skip
    return [{"url": f"http://x.example/{name}", "text": f"{name} {i}", **alone, **facts} for i in range(texts)]


def turned(vector, angle):
    """The vector turned by an angle in radians."""
    vector = vector / np.linalg.norm(vector)
    other = np.roll(vector, 1) - vector * (vector @ np.roll(vector, 1))
    return np.cos(angle) * vector + np.sin(angle) * other / np.linalg.norm(other)


def write(workdir, rows, groups=8192, scorer=None):
    for row in rows:
        row |= {"uid": uid.pair_uid(row["url"], row["text"]), "image_uid": uid.image_uid(row["url"])}
    rows = sorted(rows, key=lambda row: (row["image_uid"], row["uid"]))
    for name, stage, make in (("images", "download", fetched), ("scores/clip", "score", scored)):
        data = Dataset(str(workdir), name)
        plan = Plan(dataset=name, stage=stage, settings=scorer or {}, inputs={}, parts=PARTS)
        data.begin(plan)
        for index, part in enumerate(PARTS):
            mine = [make(row) for row in rows if uid.part_of(row["image_uid"], len(PARTS)) == index]
            with data.write_part(part, plan.hash) as out:
                for start in range(0, len(mine), groups):
                    arrow = schema.load(name).arrow(embedding_width=len(rows[0]["vector"]))
                    out.write(pa.Table.from_pylist(mine[start : start + groups], schema=arrow))
        data.commit(plan)


def fetched(row):
    kept = row["state"] == "kept"
    facts = {"nbytes": 1, "sha256": row["sha256"], "width": row["size"][0], "height": row["size"][1], "format": "png",
             "phash": f"{row['phash']:016x}"}  # fmt: skip
    return {"uid": row["uid"], "image_uid": row["image_uid"], "url": row["url"], "text": row["text"], "kind": "alt",
            "lang": "en", "page_url": "http://x.example/", "curated": row["curated"], "baseline": True,
            "state": row["state"], "reason": None if kept else "opted_out", "http_status": 200, "error": None,
            **(facts if kept else dict.fromkeys(facts))}  # fmt: skip


def scored(row):
    state = row["scored"] if row["state"] == "kept" else "gone"
    vector = (row["vector"] / np.linalg.norm(row["vector"])).astype(np.float16) if state == "kept" else None
    return {"uid": row["uid"], "state": state, "reason": "not_finite" if state == "failed" else None,
            "similarity_score": row["similarity"] if state == "kept" else None,
            "image_embedding": vector, "text_embedding": vector, "image_length": None, "text_length": None}  # fmt: skip


def run(engines, workdir, **changes):
    dedup.run(engine.Run(recipe(**changes), str(workdir), engines))
    return Dataset(str(workdir), "duplicates")


def ends(duplicates, rows):
    """{text: (state, reason, name of the representative)} of all rows."""
    names = {row["image_uid"]: row["url"].rsplit("/", 1)[1] for row in rows}
    texts = {row["uid"]: row["text"] for row in rows}
    found = pa.concat_tables(duplicates.batches()).to_pylist()
    return {texts[r["uid"]]: (r["state"], r["reason"], names.get(r["representative"])) for r in found}


def contents(data):
    return {f.name: f.read_bytes() for f in sorted(Path(data.root).iterdir())}


def pool():
    far = image("far")[0]
    rows = [
        # The same bytes: the curated one stands for them although another is larger, the more similar before the other.
        *image("exact-baseline", sha256="S", phash=1, curated=False, size=(99, 99)),
        *image("exact-plain", sha256="S", phash=1, similarity=0.2),
        *image("exact-best", texts=2, sha256="S", phash=1, similarity=0.3),
        # A chain of hashes 4 bits apart: its ends are 8 apart, and still one picture. The largest stands for it.
        *image("chain-1", phash=0xFFFF_0000_FFFF_0000, size=(10, 20)),
        *image("chain-2", phash=0xFFFF_0000_FFFF_000F),
        *image("chain-3", phash=0xFFFF_0000_FFFF_00FF, size=(30, 20)),
        *image("chain-3-copy", phash=0xFFFF_0000_FFFF_00FF, sha256="sha of chain-3"),
        # Alike by embedding: cos 0.15 = 0.9888 is above 0.98, cos 0.25 = 0.9689 is not.
        *image("far", texts=2, size=(50, 50)),
        *image("near", vector=turned(far["vector"], 0.15), sha256="N", phash=0x0F0F_0000_1111_2222),
        *image("near-copy", vector=turned(far["vector"], 0.15), sha256="N", phash=0x0F0F_0000_1111_2222, size=(5, 5)),
        *image("not-near", vector=turned(far["vector"], -0.25)),
        # Rows that came to an end before.
        *image("unfetched", state="dropped", sha256="S"),
        *image("unscored", scored="failed", sha256="S", phash=1, size=(999, 999)),
    ]
    half = image("half-opted-out", texts=2)
    half[0]["state"] = "dropped"
    return rows + half


def test_planted_duplicates_end_where_they_should(engines, tmp_path):
    rows = pool()
    write(tmp_path, rows)
    duplicates = run(engines, tmp_path)
    assert ends(duplicates, rows) == {
        "exact-baseline 0": ("dropped", "exact", "exact-best"), "exact-plain 0": ("dropped", "exact", "exact-best"),
        "exact-best 0": ("kept", None, "exact-best"), "exact-best 1": ("kept", None, "exact-best"),
        "chain-1 0": ("dropped", "perceptual", "chain-3"), "chain-2 0": ("dropped", "perceptual", "chain-3"),
        "chain-3 0": ("kept", None, "chain-3"), "chain-3-copy 0": ("dropped", "exact", "chain-3"),
        "far 0": ("kept", None, "far"), "far 1": ("kept", None, "far"), "near 0": ("dropped", "semantic", "far"),
        "near-copy 0": ("dropped", "semantic", "far"), "not-near 0": ("kept", None, "not-near"),
        "unfetched 0": ("gone", None, None), "unscored 0": ("gone", None, None),
        "half-opted-out 0": ("gone", None, None), "half-opted-out 1": ("kept", None, "half-opted-out"),
    }  # fmt: skip
    ledger = duplicates.require().ledger
    assert (ledger.rows_in, ledger.kept) == (14, 7) and ledger.dropped == {"exact": 3, "perceptual": 2, "semantic": 2}

    # Killed after one part, and gone on with on one partition instead of many: the same bytes.
    before = contents(duplicates)
    for file in ("_manifest.json", "part-00001.parquet", "part-00002.parquet"):
        (Path(duplicates.root) / file).unlink()
    spark = engines.spark()
    shuffles = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "1")
    try:
        assert contents(run(engines, tmp_path)) == before
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", shuffles)
    with pytest.raises(StoreError, match=r"phash_distance was 4, is now 2.*--redo dedup"):
        run(engines, tmp_path, phash_distance=2)


def test_evaluation_images_go_and_represent_nobody(engines, tmp_path, picture_bytes):
    (tmp_path / "held").mkdir()
    pictures = {f"{i}.png": picture_bytes("PNG", i) for i in (1, 2)}
    for name, data in pictures.items():
        (tmp_path / "held" / name).write_bytes(data)
    (tmp_path / "held" / "set.csv").write_text("path,label,text\n1.png,one,a one\n2.png,two,a two\n")
    sets = [{"name": "held", "table": str(tmp_path / "held/set.csv"), "images": str(tmp_path / "held")}]
    bits = int(perceptual_hash(pictures["1.png"], 10**6), 16)
    clip = models.load(recipe(model=TEACHER).score.models[0], "cpu")
    compressed, stranger = planted.embedder(clip)(
        [planted.jpeg(decode(pictures["2.png"])), decode(picture_bytes("PNG", 9))]
    )
    rows = [
        *image("same-bytes", sha256=hashlib.sha256(pictures["1.png"]).hexdigest()),
        *image("same-picture", phash=bits ^ 0b1111, size=(90, 90)),
        *image("neighbour", phash=bits ^ 0b11111111),
        *image("compressed", vector=compressed),
        *image("other"),
    ]
    for row in rows:
        row["vector"] = row["vector"] if row["text"] == "compressed 0" else -stranger
    write(tmp_path, rows, scorer={"revision": models.identity(recipe(model=TEACHER).score.models[0])["revision"]})
    changes = {
        "sets": sets,
        "model": TEACHER,
        "semantic_epsilon": 0.0,
        "evaluation_cosine": "calibrated",
        "evaluation_recall": 1.0,
        "evaluation_strangers": 1.0,
    }
    duplicates = run(engines, tmp_path, **changes)
    overlapping = {"same-bytes 0": "sha256", "same-picture 0": "phash", "compressed 0": "embedding"}
    found = ends(duplicates, rows)
    assert {text for text, (_, reason, _) in found.items() if reason == "in_evaluation_set"} == set(overlapping)
    assert found["neighbour 0"] == ("kept", None, "neighbour") and found["other 0"][0] == "kept"
    assert all(found[text] == ("dropped", "in_evaluation_set", None) for text in overlapping)
    texts = {row["uid"]: row["text"] for row in rows}
    ways = {texts[r["uid"]]: r["found_by"] for r in pa.concat_tables(duplicates.batches()).to_pylist() if r["found_by"]}
    assert ways == overlapping
    calibration = duplicates.require().extra["evaluation"]
    assert calibration["pictures"] == 2 and calibration["recall"] == 1.0 and -1 < calibration["cosine"] < 1


def test_everything_off_drops_nothing_and_many_clusters_still_find_copies(engines, tmp_path):
    rows = [row for i in range(60) for row in image(f"{i}", vector=np.eye(WIDTH)[i % 6], phash=i)]
    write(tmp_path / "a", rows)
    write(tmp_path / "b", [dict(row) for row in rows])
    off = run(engines, tmp_path / "a", exact=False, phash_distance=-1, semantic_epsilon=0.0)
    assert off.require().ledger.kept == 60
    clusters = run(engines, tmp_path / "b", exact=False, phash_distance=-1, semantic_clusters=6)
    assert clusters.require().ledger.kept == 6


@pytest.mark.parametrize(("keep", "first"), [("largest", "large"), ("best_score", "good"), ("oldest", "old")])
def test_who_stands_for_others_is_a_rule_of_choice(engines, keep, first):
    spark = engines.spark()
    rows = [("new", True, 5, 0.1, "b"), ("old", True, 4, None, "a"), ("large", True, 9, 0.2, "c"), ("good", True, 5, 0.9, "d"),
            ("best of all", False, 99, 0.99, "0")]  # fmt: skip
    free = spark.createDataFrame([("p", *row, "S", 1) for row in rows], nodes.NODE.rsplit(",", 1)[0])
    same = spark.createDataFrame([(row[0], "best of all") for row in rows[:4]], components.EDGE)
    standing = spark.sql(components.STANDING.format(order=components.ORDER[keep]), free=free, same=same)
    assert {row.best.image_uid for row in standing.collect()} == {first}


def test_the_oldest_is_the_one_that_the_pool_names_first(tmp_path, make_dataset):
    rows = [("2" * 32, "b.warc", 5, '{"date":"2019-05-07"}'), ("1" * 32, "b.warc", 40, None), ("0" * 32, "a.warc", 7, '{"date":""}'),
            ("3" * 32, "c.warc", 1, '{"date":"2024-01-01"}')]  # fmt: skip
    plain = dict.fromkeys(("image_uid", "url", "text", "kind", "source"), "x")
    pairs = [plain | dict(zip(("uid", "crawl_file", "record_offset", "facts"), row, strict=True)) for row in rows]
    data = make_dataset(tmp_path, "pairs", [[pa.Table.from_pylist(pairs, schema=schema.load("pairs").arrow())]])
    uids, starts = [row[0] for row in rows], np.array([0, 2])

    def first(source):
        return nodes.Places("part-00000", source).first(uids, starts).to_pylist()

    by_file = first(nodes.Source(data, None, pairs=data))
    assert by_file[1] < by_file[0] and "b.warc" in by_file[0] and "a.warc" in by_file[1]
    by_date = first(nodes.Source(data, None, pairs=data, date="date"))
    assert by_date[0] < by_date[1] and by_date[1].startswith("2024")
    assert first(nodes.Source(data, None)) == [None, None]


def test_greedy_keeps_both_ends_of_a_chain_whose_middle_is_not_the_best(engines, tmp_path):
    middle = image("middle")[0]
    rows = [*image("middle"), *image("one", size=(20, 20), vector=turned(middle["vector"], 0.15)),
            *image("other", size=(15, 15), vector=turned(middle["vector"], -0.15))]  # fmt: skip
    write(tmp_path, rows)
    found = ends(run(engines, tmp_path, semantic_rule="greedy", phash_distance=-1), rows)
    assert found == {
        "middle 0": ("dropped", "semantic", "one"),
        "one 0": ("kept", None, "one"),
        "other 0": ("kept", None, "other"),
    }


def test_pairs_whose_texts_are_nearly_the_same_go_and_their_images_stay(engines, tmp_path):
    said = "An old wooden bridge over the river in autumn"
    rows = [
        *image("one", text=said, similarity=0.2),
        *image("two", text=said.upper() + "!", similarity=0.3),
        *image("baseline", text=said, similarity=0.9, curated=False),
        *image("other", text="A cat that sleeps", similarity=0.95),
        *image("copy", text=said + ".", similarity=0.8, sha256="sha of other", phash=1),
        *image("two texts", text="Two boats and a dog on the beach"),
        *image("two texts", text=said + " "),
    ]
    rows[3] |= {"phash": 1}
    write(tmp_path, rows)
    found = ends(run(engines, tmp_path, text_similarity=0.8, semantic_epsilon=0.0), rows)
    near = ("dropped", "text_near", "two")
    assert found == {
        said: found[said], rows[1]["text"]: ("kept", None, "two"), "A cat that sleeps": found["A cat that sleeps"],
        rows[4]["text"]: found[rows[4]["text"]], rows[5]["text"]: ("kept", None, "two texts"), rows[6]["text"]: near,
    }  # fmt: skip
    by_image = pa.concat_tables(Dataset(str(tmp_path), "duplicates").batches()).to_pylist()
    reasons = Counter(row["reason"] for row in by_image)
    assert found[said] == near and reasons == {None: 3, "text_near": 3, "exact": 1}


def test_nodes_do_not_depend_on_row_groups(tmp_path):
    rows = pool()
    found = []
    for groups in (8192, 1, 2):
        write(tmp_path / str(groups), rows, groups)
        source = nodes.Source(
            Dataset(str(tmp_path / str(groups)), "images"), Dataset(str(tmp_path / str(groups)), "scores/clip")
        )
        tables = [pa.concat_tables(nodes.nodes(part, source, overlap.Held(), 4)) for part in PARTS]
        vectors = [pa.concat_tables(nodes.vectors(part, source, None)) for part in PARTS]
        found.append([table.to_pylist() for table in (*tables, *vectors)])
    assert found[0] == found[1] == found[2] and sum(map(len, found[0][:3])) == 12
    best = {row["similarity"] for table in found[0][:3] for row in table}
    assert sorted(best) == pytest.approx([0.1, 0.2, 0.3])


def test_settings_that_cannot_be_used_say_what_can(engines, tmp_path):
    with pytest.raises(RecipeError, match=r"dedup.semantic_model: 'clap' is not in score.models: did you mean 'clip'"):
        run(engines, tmp_path, semantic_model="clap")
    for said, changes in (
        ("semantic_model names no model", {"semantic_model": None}),
        ("exact is false, but phash_distance is 4.*set phash_distance to -1", {"exact": False}),
        (
            "keep is best_score, but semantic_model",
            {"semantic_model": None, "semantic_epsilon": 0.0, "keep": "best_score"},
        ),
        ("keep_date is 'd', and keep is largest: set keep to oldest", {"keep_date": "d"}),
    ):
        with pytest.raises(RecipeError, match=said):
            recipe(**changes)
