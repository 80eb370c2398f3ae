"""Head and tail in the report: by the counts that balance decided by, whatever of them is still there."""

import math
import shutil

import msgspec
import numpy as np
import pytest

from curate.concepts import counting
from curate.concepts.entries import fingerprint
from curate.report import entries
from curate.report.collect import collect
from curate.report.page import render
from curate.store import MANIFEST, Dataset, Manifest, Plan
from tests.small_workdir import Row, picture, write_workdir


def other_counts(workdir, numbers: list[int]) -> Dataset:
    """The counts of another pool, English alone."""
    target = Dataset(str(workdir), "counts")
    plan = Plan(dataset="counts", stage="match", settings={}, inputs={}, parts=("part-00000",))
    target.begin(plan)
    counting.write(counting.rows_of("en", np.array(numbers)), target, plan, "part-00000")
    matched = {"rule": "metaclip1"}
    target.commit(plan, extra={"languages": counting.placed(target, plan.parts), "matched": matched})
    return target


def changed(workdir, name: str, change) -> None:
    """The manifest of a dataset with what `change` makes of it."""
    data = Dataset(str(workdir), name)
    data.put(MANIFEST, msgspec.json.encode(change(data.require())))


def planned(manifest: Manifest, **what) -> Manifest:
    return msgspec.structs.replace(manifest, plan=msgspec.structs.replace(manifest.plan, **what))


@pytest.fixture
def workdir(small_workdir, tmp_path):
    return shutil.copytree(small_workdir, tmp_path / "w")


@pytest.fixture
def with_another(workdir, small_recipe, tmp_path):
    """A workdir that was balanced by another pool's counts too, and the recipe that names it."""
    other = other_counts(tmp_path / "other", [0, 0, 0, 100, 0, 5, 0])
    changed(workdir, "balanced", lambda old: planned(old, inputs={"add_counts 1": other.fingerprint}))
    balance = msgspec.structs.replace(small_recipe.balance, add_counts=(str(tmp_path / "other"),))
    return workdir, msgspec.structs.replace(small_recipe, balance=balance)


def test_the_tail_is_that_of_all_counts_that_decided(with_another, small_rows):
    workdir, recipe = with_another
    (account,) = entries.entries(str(workdir), recipe)
    own = np.bincount([e for row in small_rows if row.match is None for e in row.entries], minlength=5)
    assert own[3] <= 7, "by the workdir's own counts entry 3 is in the tail"
    head = own + np.array([0, 0, 0, 100, 0]) > 7
    assert head[3] and account["entries_in_head"] == head.sum()
    assert account["tail_share_before"] == own[~head].sum() / own.sum()
    assert account["counts_of"] == "all pools"


def test_a_pool_that_is_gone_or_changed_is_said(with_another, small_recipe, tmp_path):
    workdir, recipe = with_another
    assert entries.entries(str(workdir), small_recipe)[0]["counts_of"] == "this pool", "the recipe does not name it"
    shutil.rmtree(tmp_path / "other")
    assert entries.entries(str(workdir), recipe)[0]["counts_of"] == "this pool"
    other_counts(tmp_path / "other", [0, 0, 0, 99])
    (account,) = entries.entries(str(workdir), recipe)
    assert account["counts_of"] == "this pool"
    facts, thumbnails = collect(str(workdir), recipe)
    assert "at most t = 7 matches in this pool (other pools" in render(facts, thumbnails)


def test_the_page_has_t_and_the_expected_and_the_real_size(workdir, small_recipe, small_rows):
    matched = [row for row in small_rows if row.match is None]
    expected, sigma = round(len(matched) / 2), round(math.sqrt(len(matched) / 4))
    kept = sum(row.balance is None for row in matched)

    def page() -> str:
        facts, thumbnails = collect(str(workdir), small_recipe)
        return render(facts, thumbnails)

    cells = [7, len(matched), f"{expected} ± {sigma}", kept]
    row = "<td>en</td>" + "".join(f'<td class="n">{cell}</td>' for cell in cells)
    assert row in page() and "Every language's t was given." in page() and "mean size of an epoch" not in page()
    assert "<td>all</td>" not in page()
    facts, thumbnails = collect(str(workdir), small_recipe)
    two = {"entries": facts["entries"] + [facts["entries"][0] | {"lang": "de", "pairs_kept": 1000}]}
    assert f'<td class="n">{1000 + kept:,}</td>' in render(facts | two, thumbnails).split("<td>all</td>")[1]
    changed(workdir, "balanced", lambda old: planned(old, settings={"online": True}))
    changed(workdir, "balanced", lambda old: msgspec.structs.replace(old, extra=old.extra | {"tail_share": 0.0612}))
    assert "mean size of an epoch" in page() and "leaves 6.1 % of its matches in the tail" in page()


def test_a_list_that_changed_since_gives_no_texts_rather_than_wrong_ones(workdir, small_recipe):
    def texts() -> set:
        return {row["text"] for row in entries.entries(str(workdir), small_recipe)[0]["top"]}

    right = {"metadata/en": fingerprint(small_recipe.match.metadata, "en")}
    changed(workdir, "matches", lambda old: planned(old, inputs=right))
    assert "cat" in texts()
    changed(workdir, "matches", lambda old: planned(old, inputs={"metadata/en": "of another list"}))
    assert texts() == {None}


def test_texts_that_another_one_displaced_are_not_expected(tmp_path, small_recipe):
    url = "http://photos.example/one.png"
    rows = [Row("a cat", url, picture(1)), Row("another cat", url, picture(1), balance="other_text")]
    rows += [Row("a third cat", "http://photos.example/two.png", picture(2), balance="balanced_out")]
    write_workdir(str(tmp_path), sorted(rows, key=lambda row: (row.image, row.uid)))
    (account,) = entries.entries(str(tmp_path), small_recipe)
    sizes = {name: account[f"pairs_{name}"] for name in ("matched", "expected", "sigma", "kept")}
    assert sizes == {"matched": 3, "expected": 1.0, "sigma": 0.5**0.5, "kept": 1}
