import msgspec

from curate.ledger import Ledger
from curate.report.funnel import _checks, _stage, funnel, merged
from curate.report.summary import _ways
from curate.store import Manifest, Plan


def test_every_row_is_accounted_for(small_workdir, small_recipe, small_rows):
    account = funnel(small_workdir, small_recipe)
    stages = {stage["dataset"]: stage for stage in account["stages"]}
    assert stages["pairs"]["kept"] == stages["matches"]["rows_in"] == len(small_rows)
    assert stages["pairs"]["dropped"] == [
        {"name": "repeated", "rows": 5, "about": "the same URL and text stood elsewhere in the pool; one row is kept"}
    ]
    assert all(stage["balances"] for stage in stages.values())
    assert all(check["holds"] for check in account["checks"])
    alone = sum(row.match is not None or row.balance is not None for row in small_rows)
    assert account["baseline"]["baseline_only"] == alone > 0
    assert stages["images"]["rows_in"] == stages["balanced"]["kept"] + alone
    assert account["missing"] == []


def manifest(inputs=(), **account):
    plan = Plan(dataset="any", stage="any", settings={}, inputs=dict.fromkeys(inputs, "mark"), parts=())
    return Manifest(plan=plan, parts=(), ledger=Ledger(**account))


def broken(manifests):
    return [check["text"] for check in _checks(manifests, None) if not check["holds"]]


def test_a_sum_that_does_not_hold_is_found():
    good = {"pairs": manifest(rows_in=5, kept=4, dropped={"repeated": 1}), "matches": manifest(rows_in=4, kept=4)}
    assert broken(good) == []
    assert broken(good | {"matches": manifest(rows_in=3, kept=3)}) == ["matches: rows in = pairs kept"]
    assert broken(good | {"matches": manifest(rows_in=4, kept=3)}) == ["matches: rows in = kept + dropped + failed"]


def test_rows_without_a_score_do_not_enter_what_compares_scores():
    road = {
        "images": manifest(rows_in=9, kept=9),
        "scores/clip": manifest(rows_in=9, kept=8, failed={"undecodable": 1}),
        "duplicates": manifest(["images", "scores/clip"], rows_in=8, kept=8),
        "selection": manifest(["images", "duplicates", "scores/clip"], rows_in=8, kept=8),
    }
    assert broken(road) == []
    assert broken(road | {"duplicates": manifest(["images"], rows_in=8, kept=8)}) == [
        "duplicates: rows in = images kept"
    ]
    assert broken(road | {"selection": manifest(["scores/clip"], rows_in=7, kept=7)}) == [
        "selection: rows in = duplicates kept"
    ]
    # Dedup without scores, and rules with them: one row may be lost in between.
    rules_only = road | {"duplicates": manifest(["images"], rows_in=9, kept=9)}
    assert broken(rules_only) == []


def test_an_empty_workdir_has_an_empty_funnel(tmp_path, small_recipe):
    account = funnel(str(tmp_path), small_recipe)
    assert account["stages"] == [] and account["baseline"] is None
    assert "pairs" in account["missing"]


def test_rules_are_counted_beside_reasons_in_their_order():
    notes = {
        "dropped by words >= 3": 4, "dropped by either: a | b": 2, "dropped by either: a | c": 1, "would drop words >= 3": 6,
        "would drop either": 3, "rows of something": 9,
    }  # fmt: skip
    made = manifest(rows_in=9, kept=1, dropped={"any": 3, "threshold": 4, "baseline_only": 1}, notes=notes)
    made = msgspec.structs.replace(made, extra={"rules": [{"label": "words >= 3"}, {"label": "either"}]})
    stage = _stage("selection", made)
    assert stage["rules"] == [
        {"rule": "words >= 3", "rows": 4, "alone": 6}, {"rule": "either", "rows": 0, "alone": 3},
        {"rule": "either: a | b", "rows": 2, "alone": None}, {"rule": "either: a | c", "rows": 1, "alone": None},
    ]  # fmt: skip
    assert stage["notes"] == {"rows of something": 9} and stage["balances"]
    assert [(way["name"], way["rows"]) for way in _ways(stage)] == [
        ("words >= 3", 4), ("either: a | b", 2), ("either: a | c", 1), ("baseline_only", 1)
    ]  # fmt: skip
    # Selections that counted no rules are told by their reasons.
    assert [way["name"] for way in _ways(stage | {"rules": []})] == ["threshold", "any", "baseline_only"]


def test_tables_that_tell_the_same_stand_as_one():
    def stage(dataset, kept=9, rows_in=9, **more):
        return {
            "dataset": dataset,
            "stage": dataset.split("/")[0],
            "rows_in": rows_in,
            "kept": kept,
            "notes": {},
        } | more

    stages = [
        stage("images"),
        stage("scores/a"),
        stage("scores/b"),
        stage("scores/c", kept=8),
        stage("scores/d"),
        stage("scores/e"),
        stage("shards"),
    ]
    assert [one["tables"] for one in merged(stages)] == [
        ["images"], ["scores/a", "scores/b"], ["scores/c"], ["scores/d", "scores/e"], ["shards"],
    ]  # fmt: skip
    assert "tables" not in stages[1]
