"""balance on Spark, over the bundled pool: nested in t, independent of parts, and the head is cut."""

import shutil

import msgspec
import pyarrow as pa
import pytest

from curate import recipe
from curate.concepts import balancing, counting
from curate.concepts.counting import CountError
from curate.recipe import Balance
from curate.store import Dataset, StoreError
from jobs import balance, engine, match, plan_balance


def balanced(source, target, engines, *overrides: str):
    """`balanced` of a workdir that has been matched, made in a copy of it."""
    shutil.copytree(source, target)
    run = engine.Run(recipe.load("demo", overrides), str(target), engines)
    balance.run(run)
    return Dataset(str(target), "balanced")


def rows(data: Dataset) -> dict[str, dict]:
    return {row["uid"]: row for row in pa.concat_tables(data.batches()).to_pylist()}


@pytest.fixture(scope="module")
def matched(pool_pairs, engines, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("balance") / "w"
    shutil.copytree(pool_pairs, workdir)
    match.run(engine.Run(recipe.load("demo"), str(workdir), engines))
    return workdir


def test_the_side_table_is_what_the_library_says(matched, engines, tmp_path):
    data = balanced(matched, tmp_path / "w", engines, "balance.t=5", "balance.baseline_fraction=0.5", "seed=9")
    matches = Dataset(str(matched), "matches")
    counts = counting.of_language(Dataset(str(matched), "counts"), "en")
    whole = pa.concat_tables(matches.batches())
    expected = balancing.balance(whole, lambda lang: balancing.odds(counts, 5), Balance(t=5, baseline_fraction=0.5), 9)
    assert pa.concat_tables(data.batches()).to_pylist() == expected.to_pylist()
    assert data.part_names() == matches.part_names()
    ledger = data.require().ledger
    assert ledger.rows_in == matches.require().ledger.kept == ledger.kept + ledger.dropped["balanced_out"]


def test_the_demos_threshold_cuts_the_head_and_spares_the_tail(matched, engines, tmp_path):
    data = balanced(matched, tmp_path / "w", engines)
    t = recipe.load("demo").balance.t
    kept = {uid for uid, row in rows(data).items() if row["state"] == "kept"}
    before = counting.of_language(Dataset(str(matched), "counts"), "en")
    matches = pa.concat_tables(Dataset(str(matched), "matches").batches())
    chosen = matches.filter(pa.array([uid in kept for uid in matches["uid"].to_pylist()]))
    tally = counting.Tally()
    tally.add(chosen)
    after = counting.dense(tally.table())
    head = int(before.argmax())
    assert after[head] < 0.8 * before[head]
    tail = (before > 0) & (before <= t)
    assert (after[tail[: len(after)].nonzero()] == before[tail.nonzero()]).all()


def test_a_smaller_threshold_keeps_a_subset_and_the_seed_changes_the_draw(matched, engines, tmp_path):
    kept = {}
    for t in (1, 2, 20):
        table = rows(balanced(matched, tmp_path / str(t), engines, f"balance.t={t}"))
        kept[t] = {uid for uid, row in table.items() if row["state"] == "kept"}
    assert kept[1] < kept[2] < kept[20]
    other = rows(balanced(matched, tmp_path / "seed", engines, "balance.t=1", "seed=1"))
    assert {uid for uid, row in other.items() if row["state"] == "kept"} != kept[1]


def test_decisions_do_not_depend_on_the_parts(matched, engines, tmp_path, make_dataset):
    whole = rows(balanced(matched, tmp_path / "three", engines, "balance.t=1"))
    one = tmp_path / "one"
    pairs = pa.concat_tables(Dataset(str(matched), "pairs").batches())
    make_dataset(one, "pairs", [[pairs]])
    run = engine.Run(recipe.load("demo", ["balance.t=1"]), str(one), engines)
    match.run(run)
    balance.run(run)
    assert rows(Dataset(str(one), "balanced")) == whole


def test_one_text_of_an_image_stays_wherever_row_groups_end(matched, engines, tmp_path, make_dataset):
    alone = rows(balanced(matched, tmp_path / "w", engines, "balance.t=1000000", "balance.one_text_per_image=true"))
    pairs = pa.concat_tables(Dataset(str(matched), "pairs").batches())
    images = dict(zip(pairs["uid"].to_pylist(), pairs["image_uid"].to_pylist(), strict=True))
    kept = [images[uid] for uid, row in alone.items() if row["state"] == "kept"]
    matched_images = {images[uid] for uid, row in alone.items() if row["state"] != "gone"}
    assert len(kept) == len(set(kept)) and set(kept) == matched_images
    assert any(row["reason"] == "other_text" for row in alone.values())
    # The same rows in row groups of seven: images with several texts then straddle them.
    small = tmp_path / "small"
    make_dataset(small, "pairs", [[pairs.slice(at, 7) for at in range(0, len(pairs), 7)]])
    run = engine.Run(recipe.load("demo", ["balance.t=1000000", "balance.one_text_per_image=true"]), str(small), engines)
    match.run(run)
    balance.run(run)
    assert rows(Dataset(str(small), "balanced")) == alone


def another_crawl(matched, target) -> None:
    """The counts of a crawl that happens to have as many matches of each entry."""
    source, copy = Dataset(str(matched), "counts"), Dataset(str(target), "counts")
    done = source.require()
    plan = msgspec.structs.replace(done.plan, inputs={"matches": "of another crawl"})
    copy.begin(plan)
    for part in plan.parts:
        counting.write(source.read_part(part), copy, plan, part)
    copy.commit(plan, extra=done.extra)


def test_another_pools_counts_count_and_are_an_input(matched, engines, tmp_path):
    another_crawl(matched, tmp_path / "other")
    twice = balanced(matched, tmp_path / "w", engines, "balance.t=4", f"balance.add_counts=[{tmp_path / 'other'}]")
    half = balanced(matched, tmp_path / "half", engines, "balance.t=2")
    # With all counts doubled, and t doubled, every probability is what it was.
    assert rows(twice) == rows(half)
    assert twice.require().extra == {"t": {"en": 4}, "tail_share": None}
    run = engine.Run(recipe.load("demo", ["balance.t=4"]), str(tmp_path / "w"), engines)
    with pytest.raises(Exception, match=r"add_counts 1 was .*--redo balance"):
        balance.run(run)


def test_the_workdirs_own_counts_are_not_added_to_themselves(matched, engines, tmp_path):
    with pytest.raises(CountError, match=r"one pool would be added 2 times.*the workdir's own count by themselves"):
        balanced(matched, tmp_path / "w", engines, f"balance.add_counts=[{matched}]")
    assert Dataset(str(tmp_path / "w"), "balanced").manifest() is None


def test_a_crawl_that_was_added_is_taken_off_again(matched, engines, tmp_path):
    another_crawl(matched, tmp_path / "other")
    other = tmp_path / "other"
    back = balanced(
        matched,
        tmp_path / "w",
        engines,
        "balance.t=4",
        f"balance.add_counts=[{other}]",
        f"balance.remove_counts=[{other}]",
    )
    assert rows(back) == rows(balanced(matched, tmp_path / "plain", engines, "balance.t=4"))


def test_a_workdir_is_not_balanced_without_its_own_counts(matched, engines, tmp_path):
    with pytest.raises(CountError, match=r"are themselves taken off again.*leave .* out of balance.remove_counts"):
        balanced(matched, tmp_path / "w", engines, f"balance.remove_counts=[{matched}]")


def test_counts_of_other_matches_decide_nothing(matched, engines, tmp_path):
    shutil.copytree(matched, tmp_path / "other")
    manifest = tmp_path / "other" / "matches" / "_manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    with pytest.raises(StoreError, match="counted from other matches"):
        balanced(tmp_path / "other", tmp_path / "w", engines)


def test_parts_and_pools_without_rows_are_balanced_like_any(matched, engines, tmp_path, make_dataset):
    how = ("balance.t=1", "balance.one_text_per_image=true")
    pairs = pa.concat_tables(Dataset(str(matched), "pairs").batches())
    found = []
    for name, parts in (("some", [[], [pairs], []]), ("none", [[], []])):
        make_dataset(tmp_path / name, "pairs", parts)
        run = engine.Run(recipe.load("demo", how), str(tmp_path / name), engines)
        match.run(run)
        balance.run(run)
        expected = plan_balance.plan(run, [1, 5])["thresholds"]
        done = Dataset(str(tmp_path / name), "balanced")
        assert [part.rows for part in done.require().parts] == [len(pairs) if part else 0 for part in parts]
        found.append((done, expected[0]["expected"]))
    (some, expected), (none, nothing) = found
    assert rows(some) == rows(balanced(matched, tmp_path / "w", engines, *how)) and expected > 0
    assert (none.require().ledger.rows_in, none.require().extra["t"], nothing) == (0, {}, 0)
