"""Corruptions: each is what its name says, decided by hash alone, and never a good text."""

from collections import Counter

import pytest

from curate.texts.corrupting import CORRUPTIONS, corrupted, folded, one_of_five

TEXT = "a b c d e f g h"
DONORS = ("u v w x y z",)


def made(kind, text=TEXT, n=200, good=(), donors=DONORS):
    return [
        corrupted(text, kind, seed=0, uid=str(i), purpose="t", donors=donors, good={folded(text), *good})
        for i in range(n)
    ]


def spans(words):
    return [(at, n) for n in (1, 2, 3) for at in range(len(words) - n + 1)]


def test_a_repeated_ngram_stands_twice_and_no_more():
    words = TEXT.split()
    wanted = {" ".join(words[: at + n] + words[at:]) for at, n in spans(words)}
    assert set(made("repeat")) == wanted


def test_a_removed_ngram_is_gone():
    words = TEXT.split()
    assert set(made("remove")) == {" ".join(words[:at] + words[at + n :]) for at, n in spans(words)}
    assert set(made("remove", "a b c")) == {"a b", "a c", "b c", "a", "c"}


def test_an_inserted_ngram_is_of_another_text():
    words, donor = TEXT.split(), DONORS[0].split()
    wanted = {
        " ".join(words[:here] + donor[at : at + n] + words[here:])
        for at, n in spans(donor)
        for here in range(len(words) + 1)
    }
    found = set(made("insert", n=2000))
    assert found <= wanted and len(found) > 0.9 * len(wanted)


def test_two_swapped_ngrams_do_not_overlap():
    words = TEXT.split()
    wanted = {
        " ".join(words[:i] + words[j : j + n] + words[i + n : j] + words[i : i + n] + words[j + n :])
        for n in (1, 2, 3)
        for i in range(len(words))
        for j in range(i + n, len(words) - n + 1)
    }
    assert set(made("swap", n=1000)) == wanted


def test_shuffled_ngrams_stay_whole():
    found = made("shuffle", n=600)
    assert all(sorted(text.split()) == TEXT.split() and text != TEXT for text in found)
    pieces = {n: [tuple(TEXT.split()[at : at + n]) for at in range(0, 8, n)] for n in (1, 2, 3)}
    sizes = Counter()
    for text in found:
        joined = f" {text} "
        sizes[max(n for n in pieces if all(f" {' '.join(piece)} " in joined for piece in pieces[n]))] += 1
    assert min(sizes.values()) > 100, sizes


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_no_corruption_is_a_good_text(kind):
    good = {"b a c", "a c", "a b b c", "c a b"}
    found = made(kind, "A b c", good=good, donors=("b",))
    assert all(folded(text) not in good | {"a b c"} for text in found if text is not None)
    assert sum(text is not None for text in found) > 150
    # Of words that are all the same every order is the text itself, and of a single word nothing can be made.
    assert set(made(kind, "one")) == {None}
    assert (set(made(kind, "x x")) == {None}) == (kind in ("swap", "shuffle"))


def test_chance_is_the_seed_and_the_text():
    kinds = [one_of_five(0, str(i), "t") for i in range(2000)]
    assert set(Counter(kinds)) == set(CORRUPTIONS) and min(Counter(kinds).values()) > 330
    assert (
        kinds
        == [one_of_five(0, str(i), "t") for i in range(2000)]
        != [one_of_five(1, str(i), "t") for i in range(2000)]
    )
    assert made("shuffle") == made("shuffle")
