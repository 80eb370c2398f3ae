import numpy as np
import pytest

from curate import recipe as recipes
from curate.report import faults
from curate.report.trace import Traced
from curate.report.truth import auc, normal, truth


def test_planted_faults_are_found_where_they_ended(small_workdir, small_recipe):
    account = truth(small_workdir, small_recipe.report.truth, "clip")
    kinds = {row["noise"]: row for row in account["faults"]}
    for kind in ("junk-alt", "exact-dup", "near-dup", "broken", "opt-out", "mismatch", "tiny"):
        assert kinds[kind]["as_expected"] == kinds[kind]["planted"] > 0, kinds[kind]
    assert kinds["copy"]["as_expected"] is None
    assert kinds["exact-dup"]["ends"] == [
        {"stage": "dedup", "reason": "exact", "rows": 2},
        {"stage": "select", "reason": "kept", "rows": 1},
    ]
    assert kinds["broken"]["ends"] == [{"stage": "download", "reason": "http_4xx", "rows": 2}]
    assert kinds["opt-out"]["ends"] == [{"stage": "download", "reason": "opted_out", "rows": 1}]
    assert kinds["tiny"]["ends"] == [{"stage": "extract", "reason": "empty_text", "rows": 1}]
    found = account["mismatch_auc"]
    assert found["value"] == 1.0 and (found["mismatched"], found["right"]) == (3, 6)
    assert abs(found["median_right"] - 0.4) < 1e-6


def planted(kind, name="x-0.png", **states):
    traced = Traced("uid", image_uid=f"image {name}", sha256="same", states=states)
    return {"url": f"http://a.example/{kind}/{name}", "alt": "a", "noise": kind, "trace": traced}


KEPT = ("kept", None)


@pytest.mark.parametrize("kind, states, good", [
    ("junk-alt", {"images": KEPT, "selection": ("dropped", "file_name")}, True),
    ("junk-alt", {"images": KEPT, "selection": KEPT}, False),
    ("tiny", {"images": KEPT, "selection": ("gone", None)}, True),
    ("opt-out", {"images": ("dropped", "opted_out")}, True),
    ("opt-out", {"images": KEPT}, False),
    ("opt-out", {}, True),
])  # fmt: skip
def test_one_row(kind, states, good):
    assert faults.judge(kind, [planted(kind, **states)], None) == [good]


@pytest.mark.parametrize("name, state, good", [
    ("gone-0.jpg", ("failed", "http_4xx"), True), ("gone-1.jpg", ("failed", "http_5xx"), True),
    ("gone-0.jpg", ("failed", "timeout"), False), ("gone-0.jpg", KEPT, False),
    ("loop-0.jpg", ("failed", "redirect_loop"), True), ("truncated-0.jpg", ("failed", "truncated"), True),
    ("empty-0.jpg", ("failed", "empty_body"), True), ("soft404-0.jpg", ("failed", "not_an_image"), True),
    ("soft404-0.jpg", ("failed", "undecodable"), False), ("moved-0.jpg", KEPT, True),
    ("wrongtype-0.jpg", ("failed", "not_an_image"), False), ("never-heard-of-0.jpg", KEPT, False),
])  # fmt: skip
def test_broken_files_have_their_status(name, state, good):
    assert faults.judge("broken", [planted("broken", name, images=state)], None) == [good]


def test_one_image_of_a_group_may_survive_and_no_second():
    def group(*states):
        rows = [
            planted("near-dup", f"000-{c}.jpg", images=KEPT, duplicates=s) for c, s in zip("abcd", states, strict=False)
        ]
        return faults.judge("near-dup", rows, None)

    out = ("dropped", "perceptual")
    assert group(KEPT, out, out) == [True, True, True]
    assert group(out, out) == [True, True]
    assert group(KEPT, KEPT, out) == [True, False, True]
    other = planted("near-dup", "001-a.jpg", images=KEPT, duplicates=KEPT)
    first = planted("near-dup", "000-a.jpg", images=KEPT, duplicates=KEPT)
    assert faults.judge("near-dup", [first, other], None) == [True, True]
    # By bytes, files of any name are one group.
    assert faults.judge("exact-dup", [first, other], None) == [True, False]


def test_auc_is_the_chance_of_the_right_order():
    assert auc(np.array([0.1, 0.2]), np.array([0.3, 0.4])) == 1.0
    assert auc(np.array([0.3]), np.array([0.3])) == 0.5
    assert auc(np.array([0.1, 0.5]), np.array([0.3, 0.4])) == 0.5
    assert auc(np.array([0.9]), np.array([0.3, 0.4])) == 0.0


def test_urls_as_pairs_writes_them():
    assert normal("HTTP://A.example:80/x y#top") == "http://a.example/x%20y"
    assert normal("not a url") == "not a url"


def test_a_truth_that_is_not_there_or_not_one_is_said(small_workdir, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pytest.raises(recipes.RecipeError, match="there is no table at"):
        truth(small_workdir, str(tmp_path / "none.parquet"), "clip")
    pq.write_table(pa.table({"url": ["x"], "alt": ["y"]}), tmp_path / "other.parquet")
    with pytest.raises(recipes.RecipeError, match="no column 'noise'"):
        truth(small_workdir, str(tmp_path / "other.parquet"), "clip")
