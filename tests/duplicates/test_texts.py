"""Texts: who shares a band is who is similar, and what is called near is near."""

import numpy as np
import pyarrow as pa
import pytest

from curate.duplicates import texts, verdicts

CAPTIONS = [f"{a} {b} {c}" for a in ("an old", "a wooden", "some very small") for b in ("church near the", "bridge over the", "boats on the")
            for c in ("river in autumn", "harbour at night", "market square")]  # fmt: skip


def sets(captions) -> list[frozenset[str]]:
    """5-grams by the definition."""
    plain = [" ".join(caption.lower().split()) for caption in captions]
    return [frozenset(one[i : i + 5] for i in range(len(one) - 4)) for one in plain]


def packed(captions) -> list[bytes]:
    hashes, starts = texts.grams(captions)
    return [np.unique((m >> np.uint64(32)).astype(np.uint32)).tobytes() for m in np.split(hashes, starts[1:-1])]


def test_grams_are_those_of_the_definition_and_of_no_two_texts_at_once():
    made = [frozenset(np.frombuffer(one, np.uint32).tolist()) for one in packed(CAPTIONS)]
    for i, j in ((0, 1), (0, 5), (3, 20), (7, 7)):
        want = sets(CAPTIONS)
        assert texts.jaccard(made[i], made[j]) == pytest.approx(len(want[i] & want[j]) / len(want[i] | want[j]))
    assert packed(CAPTIONS[3:5]) == packed(CAPTIONS)[3:5]
    assert packed(["ＡＢＣ  def\tghi", "abc def ghi", "ab", "ab ", "", "🐈🐈\ud800x"])[0] == packed(["abc DEF ghi"])[0]
    assert len(packed(["", "a", "ab"])) == len(set(packed(["", "a", "ab"]))) == 3


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.8, 0.9, 1.0])
def test_bands_let_the_similar_meet(similarity):
    bands, wide = texts.bands_for(similarity)
    assert bands * wide <= texts.PERMUTATIONS and 1 - (1 - similarity**wide) ** bands >= texts.MEET
    # As many rows as that allows: one more and the bands would be too few.
    assert (
        wide == texts.PERMUTATIONS
        or 1 - (1 - similarity ** (wide + 1)) ** (texts.PERMUTATIONS // (wide + 1)) < texts.MEET
    )


def test_similar_texts_share_a_key_and_others_hardly_ever():
    draw = np.random.default_rng(0)
    letters = list("abcdefghijklmnop ")
    base = ["".join(draw.choice(letters, 60)) for _ in range(300)]
    copies = [text[:-3] + "xyz" for text in base]
    keys = texts.keys(*texts.grams([*base, *copies]), 0.8)
    meets = (keys[:300] == keys[300:]).any(axis=1)
    near = [len(a & b) / len(a | b) for a, b in zip(sets(base), sets(copies), strict=True)]
    assert min(near) > 0.8 and meets.mean() >= 0.99
    assert (keys[:300] == np.roll(keys[300:], 1, axis=0)).any(axis=1).mean() < 0.01
    assert (keys == texts.keys(*texts.grams([*base, *copies]), 0.8)).all()


def test_a_bucket_ties_each_to_the_first_that_is_near():
    captions = [
        "a red boat on the lake",
        "A red boat on the lake",
        "a red boat on the lake!",
        "a red boat on the lakes",
        "a blue house",
    ]
    bucket = pa.table({"uid": list("abcde"), "grams": packed(captions)})
    assert {(r["a"], r["b"]) for r in texts.near(bucket, 0.8).to_pylist()} == {("b", "a"), ("c", "a"), ("d", "a")}
    assert {(r["a"], r["b"]) for r in texts.near(bucket, 0.97).to_pylist()} == {("b", "a")}


def test_a_pair_that_has_two_uids_is_one_and_an_image_goes_before_its_texts():
    images = pa.table(
        {
            "uid": list("abcdefg"),
            "image_uid": ["1", "1", "1", "2", "2", "3", "3"],
            "text": ["x", "x", "y", "x", "z", "w", "w"],
        }
    )
    alive = pa.chunked_array([[True, True, True, True, True, False, True]])
    again = verdicts.Again()
    of_images, of_pairs = (
        {"2": ("perceptual", "1", None)},
        {"c": ("text_near", "9", None), "d": ("text_near", "9", None)},
    )

    def ends(first, last):
        part = images.slice(first, last - first)
        found = verdicts.decide(part, alive.slice(first, last - first), of_images, of_pairs, again).to_pylist()
        return [(row["state"], row["reason"], row["representative"]) for row in found]

    want = [("kept", None, "1"), ("dropped", "exact", "1"), ("dropped", "text_near", "9"), ("dropped", "perceptual", "1"),
            ("dropped", "perceptual", "1"), ("gone", None, None), ("kept", None, "3")]  # fmt: skip
    assert ends(0, 1) + ends(1, 5) + ends(5, 7) == want
