"""select on Spark: rules over zipped side tables, exact top fractions, the subset file, and resume."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curate import recipe, schema
from curate.store import Dataset
from curate.uid import from_subset, image_uid, pair_uid, part_of
from jobs import engine, select

PARTS, PAIRS = 3, 240


def facts(index: int) -> dict:
    """The facts of pair `index`, of which two show one image."""
    url = f"http://a.example/{index // 2}.jpg"
    text = ["a red house on a hill", "IMG_9916.jpg", "photo 3", "cat", "ein rotes Haus am See"][index % 5]
    text = text if index % 5 else f"{text} {index}"
    return {
        "uid": pair_uid(url, text), "image_uid": image_uid(url), "url": url, "text": text, "kind": "alt",
        "lang": "de" if index % 5 == 4 else "en", "page_url": "http://a.example/", "curated": index % 7 != 0, "baseline": True,
        "state": "failed" if index % 11 == 0 else "kept", "reason": "timeout" if index % 11 == 0 else None,
        "width": 64, "height": 64 if index % 13 else 20, "score": np.float32((index * 37 % PAIRS) / PAIRS),
        "twin": index % 17 == 0,
    }  # fmt: skip


def datasets(workdir: Path, commit, parts: int = PARTS) -> list[dict]:
    rows = sorted((facts(i) for i in range(PAIRS)), key=lambda row: (row["image_uid"], row["uid"]))
    images: list[list[dict]] = [[] for _ in range(parts)]
    for row in rows:
        images[part_of(row["image_uid"], parts)].append(row)

    def alive(row: dict, here: bool, reason: str) -> dict:
        gone = row["state"] != "kept"
        state = "gone" if gone else "kept" if here else "dropped"
        return {"uid": row["uid"], "state": state, "reason": reason if state == "dropped" else None}

    arrow = {name: schema.load(name).arrow() for name in ("images", "duplicates")}
    arrow["scores"] = schema.load("scores/clip").arrow(embedding_width=1)

    def halves(name: str, made: list[dict]) -> list[pa.Table]:
        middle = len(made) // 2
        return [pa.Table.from_pylist(half, schema=arrow[name]) for half in (made[:middle], made[middle:])]

    commit(
        workdir,
        "images",
        [halves("images", [{k: row.get(k) for k in arrow["images"].names} for row in part]) for part in images],
    )
    commit(
        workdir,
        "duplicates",
        [halves("duplicates", [alive(row, not row["twin"], "exact") for row in part]) for part in images],
    )
    scored = [[alive(row, True, "") | {"similarity_score": row["score"]} for row in part] for part in images]
    commit(workdir, "scores/clip", [halves("scores", part) for part in scored])
    return rows


def run_over(workdir, engines, *overrides: str) -> Dataset:
    select.run(engine.Run(recipe.load("demo", overrides), str(workdir), engines))
    return Dataset(str(workdir), "selection")


def decided(data: Dataset) -> dict[str, tuple]:
    return {row["uid"]: (row["state"], row["reason"]) for row in pa.concat_tables(data.batches()).to_pylist()}


def files(workdir: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in sorted((workdir / "selection").iterdir())}


def expected(row: dict, minimum: float) -> tuple:
    """The demo's rules, written out."""
    if row["state"] != "kept" or row["twin"]:
        return "gone", None
    reasons = {
        "baseline_only": not row["curated"],
        "language": row["lang"] != "en",
        "small_image": row["height"] < 24,
        "low_similarity": row["score"] < np.float32(minimum),
        "file_name": row["text"] == "IMG_9916.jpg",
        "boilerplate": row["text"] == "photo 3",
    }
    first = next((reason for reason, holds in reasons.items() if holds), None)
    return ("dropped", first) if first else ("kept", None)


RULES = (
    "select.rules=[{rule: language, languages: [en]}, {rule: few_words, min: 1}, {rule: few_characters, min: 1},"
    "{rule: small_image, min: 24}, {rule: elongated_image, max: 5}, {rule: low_similarity, min: 0.2},"
    "{rule: file_name}, {rule: boilerplate}]"
)


@pytest.fixture(scope="module")
def selected(engines, make_dataset, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("select")
    rows = datasets(workdir, make_dataset)
    run_over(workdir, engines, RULES)
    return workdir, rows


def test_each_row_keeps_the_first_rule_that_dropped_it(selected):
    workdir, rows = selected
    data = Dataset(str(workdir), "selection")
    assert decided(data) == {row["uid"]: expected(row, 0.2) for row in rows}
    assert data.part_names() == Dataset(str(workdir), "images").part_names()
    ledger = data.require().ledger
    assert set(ledger.dropped) == {
        "baseline_only",
        "language",
        "small_image",
        "low_similarity",
        "file_name",
        "boilerplate",
    }
    assert ledger.rows_in == sum(expected(row, 0.2)[0] != "gone" for row in rows)


def test_the_subset_file_is_datacomps(selected):
    workdir, rows = selected
    array = np.load(workdir / "selection" / "subset.npy")
    assert array.dtype == np.dtype("u8,u8")
    assert from_subset(array) == sorted(row["uid"] for row in rows if expected(row, 0.2)[0] == "kept")
    assert Dataset(str(workdir), "selection").require().extra["subset"] == len(array)


@pytest.mark.parametrize(
    "lost",
    [
        ["_manifest.json"],  # killed before the manifest
        ["_manifest.json", "subset.npy"],  # killed between the last part and the subset
        ["_manifest.json", "subset.npy", "part-00001.parquet"],  # killed between a part's uids and the part
        ["_manifest.json", "subset.npy", "part-00002.parquet", "part-00002.npy"],
    ],
)
def test_killed_anywhere_it_ends_in_the_same_bytes(selected, engines, tmp_path, lost):
    workdir, _ = selected
    shutil.copytree(workdir, tmp_path / "w")
    for name in lost:
        (tmp_path / "w" / "selection" / name).unlink()
    run_over(tmp_path / "w", engines, RULES)
    assert files(tmp_path / "w") == files(workdir)


def test_a_top_fraction_is_exact_and_is_written_down(selected, engines, tmp_path, make_dataset):
    _, rows = selected
    datasets(tmp_path, make_dataset, parts=2)
    rule = "select.rules=[{rule: low_similarity, top_fraction: 0.3}]"
    data = run_over(tmp_path, engines, "select.preset=null", rule)
    scores = sorted((r["score"] for r in rows if expected(r, 0)[0] != "gone" and r["curated"]), reverse=True)
    threshold = scores[int(len(scores) * 0.3)]
    kept = {
        row["uid"] for row in rows if expected(row, 0)[0] != "gone" and row["curated"] and row["score"] >= threshold
    }
    assert {uid for uid, (state, _) in decided(data).items() if state == "kept"} == kept
    (settled,) = data.require().extra["rules"]
    assert np.float32(settled["min"]) == threshold and "top_fraction" not in settled


def test_decisions_do_not_depend_on_the_parts(selected, engines, tmp_path, make_dataset):
    workdir, _ = selected
    datasets(tmp_path, make_dataset, parts=1)
    data = run_over(tmp_path, engines, RULES)
    assert decided(data) == decided(Dataset(str(workdir), "selection"))
    assert (tmp_path / "selection" / "subset.npy").read_bytes() == (workdir / "selection" / "subset.npy").read_bytes()


def test_other_rules_are_refused_in_the_same_workdir(selected, engines):
    workdir, _ = selected
    with pytest.raises(Exception, match="--redo select"):
        run_over(workdir, engines, "select.rules=[]")
