"""Texts made ungrammatical on purpose: one n-gram of words (n <= 3) repeated, removed, inserted, swapped, or all of them shuffled.

The five corruptions are those that the grammar head of CLIP-reward learns from (Cho et al., "Fine-grained Image Captioning with CLIP
Reward", arXiv:2205.13115). Words are what blanks part, so a text in a script without blanks is one word and is left alone.
"""

from collections.abc import Callable, Collection, Sequence

from curate.draw import draw

LONGEST = 3
"""Words of an n-gram, at most."""
TRIES = 8
"""How often a corruption is drawn again that came out as a good text; of `a b` every second shuffle is `a b`."""
Words = list[str]


class Chances:
    """What chance says of one text, by purpose: a hash of (seed, uid)."""

    def __init__(self, seed: int, uid: str, purpose: str):
        self._seed, self._uid, self._purpose = seed, uid, purpose

    def below(self, limit: int, *what: object) -> int:
        """A whole number from 0 on, below `limit`."""
        return int(draw(self._seed, ":".join(map(str, (self._purpose, *what))), [self._uid])[0] * limit)

    def order(self, items: Sequence[Words], *what: object) -> list[Words]:
        """The items in an order drawn by their places."""
        keys = draw(
            self._seed, ":".join(map(str, (self._purpose, *what))), [f"{self._uid}:{i}" for i in range(len(items))]
        )
        return [items[place] for place in keys.argsort(kind="stable")]


def repeat(words: Words, chances: Chances, donor: Words) -> Words:
    """An n-gram stands twice, one behind the other."""
    n, at = _span(words, chances)
    return words[: at + n] + words[at:]


def remove(words: Words, chances: Chances, donor: Words) -> Words:
    """An n-gram is gone; a word stays."""
    n, at = _span(words, chances, spare=1)
    return words[:at] + words[at + n :]


def insert(words: Words, chances: Chances, donor: Words) -> Words:
    """An n-gram of another text, `donor`, stands in between."""
    n, at = _span(donor, chances)
    here = chances.below(len(words) + 1, "here")
    return words[:here] + donor[at : at + n] + words[here:]


def swap(words: Words, chances: Chances, donor: Words) -> Words:
    """Two n-grams that do not overlap stand in each other's place."""
    n = 1 + chances.below(min(LONGEST, len(words) // 2), "n")
    first = chances.below(len(words) - 2 * n + 1, "first")
    second = first + n + chances.below(len(words) - first - 2 * n + 1, "second")
    return (
        words[:first] + words[second : second + n] + words[first + n : second] + words[first : first + n]
        + words[second + n :]
    )  # fmt: skip


def shuffle(words: Words, chances: Chances, donor: Words) -> Words:
    """Cut into n-grams, and those in any order."""
    n = 1 + chances.below(min(LONGEST, len(words) - 1), "n")
    pieces = [words[at : at + n] for at in range(0, len(words), n)]
    return [word for piece in chances.order(pieces, "order") for word in piece]


CORRUPTIONS: dict[str, Callable[[Words, Chances, Words], Words]] = {
    "repeat": repeat,
    "remove": remove,
    "insert": insert,
    "swap": swap,
    "shuffle": shuffle,
}


def one_of_five(seed: int, uid: str, purpose: str) -> str:
    """Which corruption a text gets."""
    return list(CORRUPTIONS)[Chances(seed, uid, purpose).below(len(CORRUPTIONS), "kind")]


def corrupted(
    text: str, kind: str, *, seed: int, uid: str, purpose: str, donors: Sequence[str], good: Collection[str]
) -> str | None:
    """The text with one corruption, blanks made single. None where each try is a good text again, or it has no two words.

    `donors`: texts whose words may be inserted; `good`: texts, folded, that no corruption may be.
    """
    words = text.split()
    if len(words) < 2:
        return None
    for attempt in range(TRIES):
        chances = Chances(seed, uid, f"{purpose}:{kind}:{attempt}")
        donor = donors[chances.below(len(donors), "donor")].split() if kind == "insert" else []
        made = " ".join(CORRUPTIONS[kind](words, chances, donor))
        if folded(made) not in good:
            return made
    return None


def folded(text: str) -> str:
    """A text without what case and blanks make of it: by this two texts are the same."""
    return " ".join(text.casefold().split())


def _span(words: Words, chances: Chances, spare: int = 0) -> tuple[int, int]:
    """An n-gram: its n, and where it begins; `spare` words are not in it."""
    n = 1 + chances.below(min(LONGEST, len(words) - spare), "n")
    return n, chances.below(len(words) - n + 1, "at")
