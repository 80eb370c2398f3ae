"""Names and chance: uids as DataComp writes them, draws that depend on nothing but seed, purpose and uid."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curate.draw import draw
from curate.uid import from_subset, image_uid, pair_uid, part_of, subset

URLS = [f"http://a.example/{i}.jpg" for i in range(20_000)]


def test_uids_are_32_hex_digits_and_tell_pairs_apart():
    assert len(image_uid("http://a.example/")) == 32
    # The zero byte keeps the border between URL and text.
    assert pair_uid("http://a/b", "c") != pair_uid("http://a/", "bc")
    assert pair_uid("http://a/", "") != image_uid("http://a/")
    assert pair_uid("http://a/", "\ud800") == pair_uid("http://a/", "\ud800")


def test_a_uid_is_the_hash_of_the_contract():
    # xxh3-128 of the bytes, by another implementation's published test vector for the empty input.
    assert image_uid("") == "99aa06d3014798d86001c324468d497f"


@given(st.lists(st.from_regex(r"[0-9a-f]{32}", fullmatch=True), max_size=50))
def test_subset_files_round_trip_sorted_and_distinct(uids):
    array = subset(uids)
    assert array.dtype == np.dtype("u8,u8")
    assert from_subset(array) == sorted(set(uids))
    assert all(array[i].item() < array[i + 1].item() for i in range(len(array) - 1))


def test_parts_keep_the_order_of_uids_and_are_even():
    uids = sorted(map(image_uid, URLS))
    parts = [part_of(uid, 8) for uid in uids]
    assert parts == sorted(parts)
    assert {len(URLS) / 8 * 0.9 < parts.count(p) < len(URLS) / 8 * 1.1 for p in range(8)} == {True}


def test_draws_are_uniform_and_independent_between_purposes_and_seeds():
    uids = [image_uid(url) for url in URLS]
    one, other, seeded = draw(0, "balance", uids), draw(0, "baseline", uids), draw(1, "balance", uids)
    histogram = np.histogram(one, bins=20, range=(0, 1))[0]
    assert abs(histogram - 1000).max() < 5 * np.sqrt(1000)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03 > abs(np.corrcoef(one, seeded)[0, 1])
    assert one.min() >= 0 and one.max() < 1


def test_a_draw_does_not_depend_on_its_neighbours():
    uids = [image_uid(url) for url in URLS[:100]]
    alone = [float(draw(3, "x", [uid])[0]) for uid in uids]
    assert list(draw(3, "x", uids)) == alone
    assert set(np.array(uids)[np.array(alone) < 0.2]) <= set(np.array(uids)[np.array(alone) < 0.5])
