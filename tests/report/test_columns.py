"""What the report says of every column of facts, against what the small workdir was written from."""

import shutil
from collections import Counter

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from curate import recipe as recipes
from curate import schema
from curate.report import collect, columns, figures, page
from curate.store import Dataset, Plan

RULES = [{"rule": "few_characters", "min": 5}, {"rule": "threshold", "column": "images.nbytes", "min": 10, "max": 10**9},
         {"rule": "any", "branches": [{"rules": [{"rule": "small_image", "min": 30, "where": {"lang": "en"}}]}]},
         {"rule": "low_similarity", "min": 0.1}, {"rule": "file_name"}]  # fmt: skip


def columns_of(workdir, recipe) -> dict[str, dict]:
    return {column["column"]: column for table in columns.columns(workdir, recipe) for column in table["columns"]}


@pytest.fixture(scope="module")
def inside(small_rows):
    """The rows that compete: neither taken out before select nor there for the baseline alone."""
    states = [(row, *row.states()["selection"]) for row in small_rows]
    return [row for row, state, reason in states if state != "gone" and reason != "baseline_only"]


def test_columns_with_a_rule_are_counted_by_what_became_of_their_rows(small_workdir, small_recipe, inside):
    asked = recipes.build(msgspec.to_builtins(small_recipe) | {"select": {"rules": RULES}})
    found = columns_of(small_workdir, asked)
    # The similarity has its own account, and rules inside of others come last.
    assert list(found) == ["images.characters", "images.nbytes", "images.file_name", "images.shorter_side"]
    layers = {"selected": [row for row in inside if not row.select], "other": [row for row in inside if row.select]}
    counts = {layer: len(rows) for layer, rows in layers.items()}
    (table,) = columns.columns(small_workdir, asked)
    assert table["rows"] == counts and all(counts.values())
    characters, named = found["images.characters"], found["images.file_name"]
    for layer, rows in layers.items():
        assert sum(characters[layer]) == len(rows)
        assert characters["medians"][layer] == np.median([len(row.text) for row in rows])
    assert named["kind"] == "truth" and named["yes"] == {"selected": 0, "other": 3}
    assert named["no"] == {"selected": counts["selected"], "other": counts["other"] - 3}
    assert (characters["rules"], named["rules"]) == (["few_characters"], ["file_name"])
    assert characters["thresholds"] == [5.0] and found["images.nbytes"]["thresholds"] == [10.0, 1e9]
    for name in ("characters", "nbytes", "shorter_side"):
        account = found[f"images.{name}"]
        assert account["edges"][0] <= min(account["thresholds"]) and max(account["thresholds"]) <= account["edges"][-1]
    # Small as the pool is, its one text of 10,000 characters is within the share that counts.
    assert characters["edges"][-1] <= 10_000 == characters["greatest"]
    assert "images.nbytes" in figures.figures(collect.collect(small_workdir, asked)[0])


def test_before_select_has_run_nothing_is_selected(small_workdir, small_recipe, inside, tmp_path):
    workdir = shutil.copytree(small_workdir, tmp_path / "early")
    shutil.rmtree(workdir / "selection")
    (table,) = columns.columns(str(workdir), small_recipe)
    assert table["decided"] is False and table["rows"] == {"selected": 0, "other": len(inside)}


VALUES = {
    "text": lambda row: {"characters": len(row.text), "words": len(row.text.split()), "letters": 0.5, "repetition": None,
                         "file_name": row.select == "file_name", "emails": 0},
    "pseudo_labels": lambda row: {"label": word(row), "confidence": row.score},
}  # fmt: skip


def word(row) -> str | None:
    return row.text.split()[1] if row.text.startswith("a ") else None


@pytest.fixture
def with_facts(small_workdir, small_recipe, small_rows, tmp_path):
    """(workdir, recipe) with tables of the scorers text and pseudo_labels beside the others."""
    workdir = shutil.copytree(small_workdir, tmp_path / "scored")
    alive = {row.uid: row for row in small_rows if row.states()["images"][0] == "kept"}
    images = Dataset(small_workdir, "images")
    for name, facts in VALUES.items():
        data, known = Dataset(str(workdir), f"scores/{name}"), schema.load(f"scores/{name}")
        plan = Plan(dataset=data.name, stage="score", settings={"scorer": name}, inputs={}, parts=images.part_names())
        data.begin(plan)
        for part in plan.parts:
            uids = images.read_part(part, ["uid"])["uid"].to_pylist()
            told = [facts(alive[uid]) | {"state": "kept"} if uid in alive else {"state": "gone"} for uid in uids]
            rows = [{column: one.get(column) for column in known.columns} for one in told]
            rows = [row | {"uid": uid} for row, uid in zip(rows, uids, strict=True)]
            with data.write_part(part, plan.hash) as out:
                out.write(pa.Table.from_pylist(rows, schema=known.arrow()))
        data.commit(plan)
    plain = msgspec.to_builtins(small_recipe)
    more = [{"scorer": "text"}, {"scorer": "pseudo_labels", "model": "clip", "classes": "shapes"}]
    plain |= {"score": plain["score"] | {"scorers": more}}
    plain |= {"evaluate": {"sets": [{"name": "shapes", "table": "shapes.csv", "images": "."}]}}
    return str(workdir), recipes.build(plain)


def test_every_column_of_every_scorer_is_told_by_its_kind(with_facts, inside):
    found = columns_of(*with_facts)
    kinds = {
        "characters": "numbers",
        "letters": "constant",
        "repetition": "nothing",
        "file_name": "truth",
        "emails": "constant",
    }
    assert {name: found[f"text.{name}"]["kind"] for name in kinds} == kinds
    assert (found["text.letters"]["value"], found["text.emails"]["value"]) == (0.5, 0)
    assert found["text.repetition"]["missing"] == len(inside)
    # Whole numbers have a bin each.
    words, counts = found["text.words"], Counter(len(row.text.split()) for row in inside)
    assert words["bin_width"] == 1 and words["above_zero"] == len(inside)
    edges = words["edges"][:-1]
    drawn = {round(low + 0.5): a + b for low, a, b in zip(edges, words["selected"], words["other"], strict=True)}
    assert drawn == {number: counts[number] for number in drawn} and sum(drawn.values()) == len(inside)
    label, labels = found["pseudo_labels.label"], Counter(word(row) for row in inside if word(row))
    assert {row["name"]: row["rows"] for row in label["top"]}.items() <= labels.items()
    assert label["top"][0]["rows"] == max(labels.values()) and label["distinct"] == len(labels)
    assert label["missing"] == len(inside) - sum(labels.values())


def test_the_page_shows_them_and_names_each_scorers_model(with_facts):
    facts, thumbnails = collect.collect(*with_facts)
    shown = page.render(facts, thumbnails)
    assert "The same for all" in shown and "Histogram of pseudo_labels.confidence" in shown
    assert [model["score"] for model in facts["models"]] == ["language", "clip", "text", "pseudo_labels"]


def test_the_sample_of_values_ends(small_workdir, small_recipe, monkeypatch):
    monkeypatch.setattr(columns, "ROWS", 1)
    asked = recipes.build(msgspec.to_builtins(small_recipe) | {"select": {"rules": RULES[:1]}})
    account, images = columns_of(small_workdir, asked)["images.characters"], Dataset(small_workdir, "images")
    sizes = [len(images.read_part(part, ["uid"])) for part in images.part_names()]
    assert 0 < account["rows"] <= max(sizes) < sum(sizes)
