"""What is said of a word that is not known."""

import difflib
from collections.abc import Sequence


def nearest(word: str, known: Sequence[str]) -> str:
    """A hint for a word that is not known: the nearest one, and the list of all."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.4)
    return (f"did you mean {close[0]!r}? " if close else "") + f"known are {', '.join(sorted(known))}"
