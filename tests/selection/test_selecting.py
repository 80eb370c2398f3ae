"""Rules in a row: the first one that drops a pair is its reason, and nobody is counted twice."""

import pyarrow as pa

from curate import schema
from curate.ledger import of_states
from curate.recipe import Rule
from curate.selection.columns import Facts
from curate.selection.selecting import competing, needed, select

RULES = (
    Rule(rule="few_words", min=3),
    Rule(rule="small_image", min=200),
    Rule(rule="low_similarity", min=0.3, model="clip"),
)
#        text             width height curated images      duplicates  scores     clip  -> state, reason
ROWS = [
    ("a red house", 640, 480, True, "kept", "kept", "kept", 0.3, "kept", None),
    ("red house", 20, 480, True, "kept", "kept", "kept", 0.1, "dropped", "few_words"),
    ("a red house", 20, 480, True, "kept", "kept", "kept", 0.1, "dropped", "small_image"),
    ("a red house", 640, 480, True, "kept", "kept", "kept", 0.1, "dropped", "low_similarity"),
    ("red", 20, 480, False, "kept", "kept", "kept", 0.1, "dropped", "baseline_only"),
    ("a red house", 640, 480, True, "kept", "dropped", "kept", 0.9, "gone", None),
    ("a red house", 640, 480, True, "kept", "kept", "failed", None, "gone", None),
    ("a red house", None, None, True, "failed", "gone", "gone", None, "gone", None),
    ("red", None, None, False, "dropped", "gone", "gone", None, "gone", None),
]


def tables(rows) -> dict[str, pa.Table]:
    uids = [f"{i:032x}" for i in range(len(rows))]
    column = lambda index, kind: pa.array([row[index] for row in rows], kind)  # noqa: E731
    images = {
        "uid": uids,
        "state": column(4, pa.string()),
        "curated": column(3, pa.bool_()),
        "text": column(0, pa.string()),
        "lang": ["en"] * len(rows),
        "width": column(1, pa.int32()),
        "height": column(2, pa.int32()),
    }
    scores = {"uid": uids, "state": column(6, pa.string()), "similarity_score": column(7, pa.float32())}
    return {
        "images": pa.table(images),
        "duplicates": pa.table({"uid": uids, "state": column(5, pa.string())}),
        "scores/clip": pa.table(scores),
    }


def test_each_pair_keeps_the_first_rule_that_dropped_it():
    out = schema.load("selection").hold(select(tables(ROWS), RULES))
    assert [(row["state"], row["reason"]) for row in out.to_pylist()] == [row[8:] for row in ROWS]
    ledger = of_states(out["state"], out["reason"]).check("selection", schema.load("selection").dropped, ())
    assert (ledger.rows_in, ledger.kept) == (5, 1)


def test_the_order_of_the_rules_is_that_of_the_recipe():
    out = select(tables(ROWS), RULES[::-1])
    assert out["reason"].to_pylist()[:4] == [None, "low_similarity", "low_similarity", "low_similarity"]


def test_a_failed_score_does_not_matter_where_no_rule_compares_it():
    given = tables(ROWS)
    del given["scores/clip"]
    out = select(given, RULES[:2])
    assert out["state"].to_pylist()[6] == "kept"
    assert set(needed(RULES)) - set(needed(RULES[:2])) == {"scores/clip"}


def test_a_top_fraction_is_one_of_the_curated_rows_that_reach_the_stage():
    rows = competing(tables(ROWS), RULES)
    found = Facts(tables(ROWS)).numbers("clip.similarity_score").values[rows]
    assert [round(float(score), 3) for score in found] == [0.3, 0.1, 0.1, 0.1]


def test_no_rows_make_no_rows():
    given = {name: table.slice(0, 0) for name, table in tables(ROWS).items()}
    assert len(schema.load("selection").hold(select(given, RULES))) == 0
