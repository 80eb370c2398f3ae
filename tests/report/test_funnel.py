from curate.ledger import Ledger
from curate.report.funnel import _checks, funnel


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


def test_a_sum_that_does_not_hold_is_found():
    good = {"pairs": Ledger(rows_in=5, kept=4, dropped={"repeated": 1}), "matches": Ledger(rows_in=4, kept=4)}
    assert all(check["holds"] for check in _checks(good, None))
    lost = good | {"matches": Ledger(rows_in=3, kept=3)}
    assert [check["text"] for check in _checks(lost, None) if not check["holds"]] == ["matches: rows in = pairs kept"]
    short = good | {"matches": Ledger(rows_in=4, kept=3)}
    assert [c["text"] for c in _checks(short, None) if not c["holds"]] == ["matches: rows in = kept + dropped + failed"]


def test_an_empty_workdir_has_an_empty_funnel(tmp_path, small_recipe):
    account = funnel(str(tmp_path), small_recipe)
    assert account["stages"] == [] and account["baseline"] is None
    assert "pairs" in account["missing"]
