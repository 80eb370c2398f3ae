"""select on Spark: rules over zipped side tables, exact top fractions, the subset file, and resume."""

import json
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from curate import recipe, schema
from curate.cli import app
from curate.draw import draw
from curate.selection import thresholds
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
    select.run(engine.Run(recipe.load("demo", ["select.why=first", *overrides]), str(workdir), engines))
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


def test_a_top_fraction_within_groups_is_exact_and_many_groups_are_refused(
    selected, engines, tmp_path, make_dataset, monkeypatch
):
    _, rows = selected
    datasets(tmp_path, make_dataset, parts=2)
    rule = "{rule: top_fraction, column: clip.similarity_score, top_fraction: 0.3, per: %s}"
    with monkeypatch.context() as patched, pytest.raises(Exception, match="url has more than 50 values"):
        patched.setattr(thresholds, "MOST_GROUPS", 50)
        run_over(tmp_path, engines, "select.preset=null", "select.rules=[" + rule % "url" + "]")
    Dataset(str(tmp_path), "selection").remove()
    data = run_over(tmp_path, engines, "select.preset=null", "select.rules=[" + rule % "lang" + "]")
    entered = [row for row in rows if expected(row, 0)[0] != "gone" and row["curated"]]
    limits = {}
    for lang in ("en", "de"):
        scores = sorted((row["score"] for row in entered if row["lang"] == lang), reverse=True)
        limits[lang] = float(scores[int(len(scores) * 0.3)])
    (settled,) = data.require().extra["rules"]
    assert settled["min_of"] == limits and limits["en"] != limits["de"]
    kept = {row["uid"] for row in entered if row["score"] >= limits[row["lang"]]}
    assert {uid for uid, (state, _) in decided(data).items() if state == "kept"} == kept


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


QUOTAS = (
    "select.rules=[{rule: quota, column: text, at_most: 9}, {rule: file_name},"
    "{rule: quota, column: height, at_most: 11, best_by: clip.similarity_score, where: {lang: en}}]"
)


def by_quotas(rows: list[dict], seed: int) -> dict[str, str | None]:
    """The reasons that QUOTAS give, written out: each quota takes the first of what the rules before it have kept."""
    entered = [row for row in rows if expected(row, 0)[0] != "gone" and row["curated"]]
    chance = dict(
        zip([row["uid"] for row in entered], draw(seed, "quota", [row["uid"] for row in entered]), strict=True)
    )
    found: dict[str, str | None] = {row["uid"]: None for row in entered}

    def drop(value, order, at_most, inside=lambda row: True):
        by_value = defaultdict(list)
        for row in entered:
            if found[row["uid"]] is None and inside(row):
                by_value[row[value]].append(row)
        for some in by_value.values():
            for row in sorted(some, key=order)[at_most:]:
                found[row["uid"]] = "quota"

    drop("text", lambda row: chance[row["uid"]], 9)
    for row in entered:
        if found[row["uid"]] is None and row["text"] == "IMG_9916.jpg":
            found[row["uid"]] = "file_name"
    drop("height", lambda row: (-row["score"], chance[row["uid"]]), 11, lambda row: row["lang"] == "en")
    return found


def test_quotas_count_the_whole_pool_and_depend_on_no_parts(selected, engines, tmp_path, make_dataset):
    _, rows = selected
    for parts in (3, 2):
        workdir = tmp_path / str(parts)
        datasets(workdir, make_dataset, parts=parts)
        data = run_over(workdir, engines, "select.preset=null", QUOTAS, "seed=5", "select.why=all")
        told = {row["uid"]: row for row in pa.concat_tables(data.batches()).to_pylist()}
        want = by_quotas(rows, 5)
        assert {uid: told[uid]["reason"] for uid in want} == want
        assert 0 < sum(reason == "quota" for reason in want.values()) < len(want)
        assert all((told[uid]["reason"] in (None, "file_name")) or told[uid]["rules"] for uid in want)
    # Killed before a part: what is too many is counted over all parts again.
    before = files(workdir)
    for name in ("_manifest.json", "subset.npy", "part-00001.parquet", "part-00001.npy"):
        (workdir / "selection" / name).unlink()
    run_over(workdir, engines, "select.preset=null", QUOTAS, "seed=5", "select.why=all")
    assert files(workdir) == before
    with pytest.raises(Exception, match="seed was 5, is now 6"):
        run_over(workdir, engines, "select.preset=null", QUOTAS, "seed=6", "select.why=all")


def test_the_ledger_counts_each_rule(selected):
    workdir, rows = selected
    ledger = Dataset(str(workdir), "selection").require().ledger
    by_reason = Counter(expected(row, 0.2)[1] for row in rows)
    del by_reason[None], by_reason["baseline_only"]
    assert ledger.notes == {f"dropped by {reason}": count for reason, count in by_reason.items()}


def test_the_plan_is_what_select_does_and_leaves_nothing(selected, engines, tmp_path):
    workdir, rows = selected
    before = {str(file): file.stat().st_mtime_ns for file in workdir.rglob("*")}
    engines.spark()
    grid, out = "low_similarity.min=0.1:0.4:0.1", tmp_path / "plan.json"
    command = ["plan", "select", "-c", "demo", "-w", str(workdir), "--json", str(out), RULES]
    done = CliRunner().invoke(app, [*command, "--grid", grid, "--grid", "low_similarity.top_fraction=0.25"])
    assert done.exit_code == 0, done.output
    told = json.loads(out.read_text())
    manifest = Dataset(str(workdir), "selection").require()
    assert told["kept"]["rows"] == manifest.ledger.kept
    assert told["entered"]["rows"] == manifest.ledger.rows_in - manifest.ledger.dropped["baseline_only"]
    for point in told["grids"][0]["points"]:
        kept = [row for row in rows if expected(row, point["value"])[0] == "kept"]
        assert (point["rows_with_others"], point["images_with_others"]) == (
            len(kept),
            len({row["image_uid"] for row in kept}),
        )
        entered = [
            row
            for row in rows
            if expected(row, 0)[0] != "gone" and row["curated"] and row["score"] >= np.float32(point["value"])
        ]
        assert (point["rows"], point["images"]) == (len(entered), len({row["image_uid"] for row in entered}))
    scores = sorted((row["score"] for row in rows if expected(row, 0)[0] != "gone" and row["curated"]), reverse=True)
    (top,) = told["grids"][1]["points"]
    # The stricter of `min` and the fraction holds, in the plan as in the stage.
    assert top["threshold"] == max(float(scores[int(len(scores) * 0.25)]), 0.2)
    assert top["rows"] == sum(score >= np.float32(top["threshold"]) for score in scores)
    assert f"{manifest.ledger.kept:,} pairs of" in " ".join(done.output.split())
    assert {str(file): file.stat().st_mtime_ns for file in workdir.rglob("*")} == before
