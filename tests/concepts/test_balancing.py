"""Balancing: the formula on golden values, and the draw as statistics over seeds."""

import math

import numpy as np
import pyarrow as pa
import pytest

from curate import schema
from curate.concepts.balancing import balance, chosen_texts, entry_probability, keep_probability, odds
from curate.concepts.counting import CountError
from curate.draw import draw
from curate.ledger import of_states
from curate.recipe import Balance
from curate.uid import pair_uid

NOTHING = np.zeros(0, np.int64)
COUNTS = {"en": np.array([1, 5, 50, 500, 5000, 0])}


def matches(n: int = 3000) -> pa.Table:
    """Rows that match the entries 0..4 alone or together, and every fifth that matched nothing."""
    lists = [[i % 5] if i % 2 else sorted({i % 5, (i // 5) % 5}) for i in range(n)]
    states = ["dropped" if i % 5 == 4 else "kept" for i in range(n)]
    return pa.table(
        {
            "uid": [pair_uid("http://a.example/", str(i)) for i in range(n)],
            "state": states,
            "lang": ["en"] * n,
            "entries": pa.array(
                [e if s == "kept" else [] for e, s in zip(lists, states, strict=True)], pa.list_(pa.int32())
            ),
        }
    )


def decided(table: pa.Table, counts: dict[str, np.ndarray], asked: Balance, seed: int, chosen=None) -> pa.Table:
    """The stage's work, with one t for all languages, held to its schema."""
    out = balance(table, lambda lang: odds(counts.get(lang, NOTHING), asked.t), asked, seed, chosen)
    return schema.load("balanced").hold(out)


def test_the_union_of_a_tenth_and_three_tenths():
    p = keep_probability(np.array([0, 1, 0]), np.array([0, 2, 3]), np.array([0.1, 0.3]))
    np.testing.assert_allclose(p, [0.37, 0.1], rtol=1e-15)


def test_entries_up_to_t_keep_everything():
    np.testing.assert_array_equal(entry_probability(np.array([0, 1, 20, 40, 200]), 20), [1, 1, 1, 0.5, 0.1])


def test_counts_beyond_32_and_53_bits_and_thresholds_beyond_all_counts():
    counts = np.array([2**31 + 5, 2**53 + 1, 2**62, 1, 0])
    expected = [20_000 / (2**31 + 5), 20_000 / (2**53 + 1), 20_000 / 2**62, 1, 1]
    np.testing.assert_allclose(entry_probability(counts, 20_000), expected, rtol=1e-15)
    np.testing.assert_array_equal(odds(counts, 10**18 - 1), [1, 1, (10**18 - 1) / 2**62, 1, 0])
    assert (
        entry_probability(np.array([2**31 + 5]), 2**31 + 5) == 1 > entry_probability(np.array([2**31 + 5]), 2**31 + 4)
    )


def test_rows_are_kept_where_the_draw_is_below_the_probability():
    table = matches()
    out = decided(table, COUNTS, Balance(t=20), seed=3)
    for before, row in zip(table.to_pylist(), out.to_pylist(), strict=True):
        if before["state"] != "kept":
            assert (row["state"], row["draw"], row["keep_probability"]) == ("gone", None, None)
            continue
        expected = 1 - math.prod(1 - 20 / max(20, COUNTS["en"][entry]) for entry in before["entries"])
        assert row["keep_probability"] == pytest.approx(expected, rel=1e-12)
        assert row["state"] == ("kept" if row["draw"] < row["keep_probability"] else "dropped")
    ledger = of_states(out["state"], out["reason"])
    assert ledger.rows_in == table["state"].to_pylist().count("kept") and set(ledger.dropped) == {"balanced_out"}


def test_a_draw_that_is_the_probability_is_not_below_it():
    table = matches()
    draws = dict(zip(table["uid"].to_pylist(), draw(3, "balance", table["uid"].to_pylist()).tolist(), strict=True))
    row = next(
        row
        for row in table.to_pylist()
        if row["state"] == "kept" and len(row["entries"]) == 1 and draws[row["uid"]] > 0.5
    )
    at = draws[row["uid"]]
    one = table.filter(pa.compute.equal(table["uid"], row["uid"]))
    for probability, state in ((at, "dropped"), (np.nextafter(at, 1), "kept")):
        (out,) = balance(one, lambda lang, p=probability: np.full(5, p), Balance(), 3).to_pylist()
        assert (out["keep_probability"], out["draw"], out["state"]) == (probability, at, state)


def test_inclusion_frequency_is_the_probability_within_four_sigma():
    table, seeds = matches(500), 400
    kept = np.zeros(len(table))
    for seed in range(seeds):
        out = decided(table, COUNTS, Balance(t=20), seed)
        kept += np.array([state == "kept" for state in out["state"].to_pylist()])
    p = np.nan_to_num(np.array(out["keep_probability"].to_pylist(), dtype=float))
    z = (kept - seeds * p)[(p > 0) & (p < 1)] / np.sqrt(seeds * p * (1 - p))[(p > 0) & (p < 1)]
    assert (kept[p == 1] == seeds).all() and (kept[p == 0] == 0).all()
    assert np.abs(z).max() < 4.5  # of some 300 rows; a single one stays within 4 sigma
    assert abs(z.sum()) / math.sqrt(len(z)) < 4  # and all of them together
    assert 0.8 < z.std() < 1.2


def test_a_smaller_threshold_keeps_a_subset():
    table, previous = matches(), set()
    for t in (1, 2, 3, 7, 20, 100, 499, 501, 10_000):
        out = decided(table, COUNTS, Balance(t=t), seed=0)
        kept = {row["uid"] for row in out.to_pylist() if row["state"] == "kept"}
        assert previous <= kept
        previous = kept
    assert len(previous) == table["state"].to_pylist().count("kept")


def test_decisions_do_not_depend_on_how_the_rows_are_cut():
    table, settings = matches(), Balance(t=20, baseline_fraction=0.4)
    whole = decided(table, COUNTS, settings, 1)
    order = np.random.default_rng(0).permutation(len(table))
    pieces = [decided(table.take(order[i : i + 77]), COUNTS, settings, 1) for i in range(0, len(table), 77)]
    assert pa.concat_tables(pieces).sort_by("uid").equals(whole.combine_chunks().sort_by("uid"))


def test_the_baseline_is_drawn_from_all_rows_and_apart_from_the_balance():
    table = matches()
    out = decided(table, COUNTS, Balance(t=20, baseline_fraction=0.25), 0)
    drawn = np.array(out["baseline"].to_pylist())
    state = np.array(out["state"].to_pylist())
    for group in ("kept", "dropped", "gone"):
        n = (state == group).sum()
        assert abs(drawn[state == group].sum() - n / 4) < 4 * math.sqrt(n * 3 / 16)
    assert decided(table, COUNTS, Balance(t=20, baseline_fraction=0.0), 0)["baseline"].to_pylist() == [False] * len(
        table
    )
    assert decided(table, COUNTS, Balance(t=20, baseline_fraction=1.0), 0)["baseline"].to_pylist() == [True] * len(
        table
    )


def test_counts_of_another_pool_are_refused():
    with pytest.raises(
        CountError, match=r"entry 2 of 'en' matches a text but has no count.*stage match.*remove_counts"
    ):
        decided(matches(), {"en": np.array([1, 5])}, Balance(), 0)
    with pytest.raises(CountError, match="no count"):
        decided(matches(), {}, Balance(), 0)


def test_every_matched_pair_passes_where_training_draws():
    table = matches()
    out, offline = decided(table, COUNTS, Balance(t=20, online=True), 0), decided(table, COUNTS, Balance(t=20), 0)
    assert set(out["state"].to_pylist()) == {"kept", "gone"}
    for column in ("keep_probability", "draw", "baseline"):
        assert out[column].equals(offline[column])


# -- one text per image


def images(n: int = 400) -> tuple[pa.ChunkedArray, pa.ChunkedArray, np.ndarray]:
    """Images with one to five texts each, some of which matched."""
    chance = np.random.default_rng(0)
    sizes = chance.integers(1, 6, n)
    image_uids = [f"{i:032x}" for i in range(n) for _ in range(sizes[i])]
    uids = [pair_uid(image, str(row)) for row, image in enumerate(image_uids)]
    return pa.chunked_array([image_uids]), pa.chunked_array([uids]), chance.random(len(uids)) < 0.7


def test_each_image_with_a_match_has_one_text_and_it_matched():
    image_uids, uids, matched = images()
    chosen = chosen_texts(image_uids, uids, matched, 0)
    assert not (chosen & ~matched).any()
    names = np.array(image_uids.to_pylist())
    assert sorted(names[chosen].tolist()) == sorted(set(names[matched].tolist()))


def test_texts_of_an_image_are_chosen_equally_often():
    image_uids, uids, matched = images(200)
    seeds = 300
    times = sum(chosen_texts(image_uids, uids, matched, seed).astype(int) for seed in range(seeds))
    names = np.array(image_uids.to_pylist())
    for image in set(names[matched]):
        mine = times[(names == image) & matched]
        share = 1 / len(mine)
        assert mine.sum() == seeds
        assert (np.abs(mine - seeds * share) <= 4.5 * math.sqrt(seeds * share * (1 - share))).all()


def test_the_choice_does_not_depend_on_the_balance_or_on_other_images():
    image_uids, uids, matched = images()
    whole = chosen_texts(image_uids, uids, matched, 5)
    names = np.array(image_uids.to_pylist())
    border = int(np.flatnonzero(names[1:] != names[:-1])[150]) + 1
    halves = [
        chosen_texts(image_uids[cut], uids[cut], matched[cut], 5) for cut in (slice(0, border), slice(border, None))
    ]
    assert np.concatenate(halves).tolist() == whole.tolist()
    assert chosen_texts(image_uids[:0], uids[:0], matched[:0], 5).tolist() == []


def test_the_others_are_dropped_for_that():
    table = matches(300)
    matched = np.array([state == "kept" for state in table["state"].to_pylist()])
    chosen = matched & (np.arange(300) % 2 == 0)
    out = decided(table, COUNTS, Balance(t=20), 0, chosen)
    plain = decided(table, COUNTS, Balance(t=20), 0)
    reasons = np.array([reason or "" for reason in out["reason"].to_pylist()])
    assert ((reasons == "other_text") == (matched & ~chosen)).all()
    assert out.filter(pa.array(chosen)).equals(plain.filter(pa.array(chosen)))
