"""Words of a text: by blanks and marks, and for scripts without blanks by the usual tokenizer of the language."""

import os
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache

from curate.concepts.building.assembling import BuildError
from curate.concepts.rules import PUNCTUATION, stands_close

UNSPACED = ("bo", "dz", "ja", "km", "lo", "my", "ryu", "th", "zh")
"""Languages that are written without blanks (Meta CLIP 2's list)."""
MARKS = PUNCTUATION | {"¿"}
PAIRS = (
    ("(", ")"),
    ("[", "]"),
    ("{", "}"),
    ("“", "”"),
    ("‘", "’"),
    ("（", "）"),
    ("【", "】"),
    ("《", "》"),
    ("〈", "〉"),
    ("「", "」"),
    ("『", "』"),
)


def joiner(language: str) -> str:
    """What stands between two words of a pair."""
    return "" if language in UNSPACED else " "


def words(text: str, language: str) -> Iterator[str | None]:
    """The words of a text in order, None where a mark or something broken parts two that are no neighbours then.

    As Meta CLIP 2 counts them: split at blanks, marks and characters of unspaced scripts alone; in languages without blanks the
    tokenizer splits, and tokens that begin with a mark or have half of a pair of brackets are passed over.
    """
    unspaced = language in UNSPACED
    for token in _tokens(text, language) if unspaced else _characters(text):
        token = token.strip()
        if token:
            yield None if is_marks(token) or (unspaced and is_broken(token)) else token


def is_marks(token: str) -> bool:
    """Whether a token is of marks alone."""
    return all(char in MARKS or unicodedata.category(char).startswith("C") for char in token)


def is_broken(token: str) -> bool:
    """Whether a token begins with a mark or has one of two brackets."""
    return token[0] in MARKS or any((left in token) != (right in token) for left, right in PAIRS)


def _characters(text: str) -> Iterator[str]:
    for piece in text.split():
        start = 0
        for at, char in enumerate(piece):
            if char in MARKS or stands_close(char):
                yield piece[start:at]
                yield char
                start = at + 1
        yield piece[start:]


def _tokens(text: str, language: str) -> Iterator[str]:
    split = tokenizer(language)
    for piece in text.split():
        yield from split(piece)


@lru_cache(maxsize=4)
def tokenizer(language: str) -> Callable[[str], list[str]]:
    """The tokenizer of a language without blanks. Raises BuildError naming what to install, or that there is none."""
    makers = {"zh": _chinese, "ja": _japanese, "ryu": _japanese, "th": _thai}
    if language not in makers:
        known = ", ".join(sorted(makers))
        raise BuildError(
            f"--language {language}: it is written without blanks, and no tokenizer for it is known here (there are {known}); cut "
            "the text into words yourself and bring the list: curate metadata import"
        )
    try:
        return makers[language]()
    except ImportError as error:
        raise BuildError(
            f"--language {language}: its tokenizer needs the package {error.name}: pip install 'curate-pairs[tokenizers]'"
        ) from error


def _chinese() -> Callable[[str], list[str]]:
    import jieba

    jieba.setLogLevel(60)
    found = jieba.Tokenizer()
    # Its cache has one name on a machine, where another user may have put something.
    found.tmp_dir = tempfile.mkdtemp(prefix="curate-jieba-")
    found.initialize()
    for file in os.scandir(found.tmp_dir):
        os.unlink(file.path)
    os.rmdir(found.tmp_dir)
    return found.lcut


def _japanese() -> Callable[[str], list[str]]:
    from janome.tokenizer import Tokenizer

    found = Tokenizer()
    return lambda text: [str(word) for word in found.tokenize(text, wakati=True)]


def _thai() -> Callable[[str], list[str]]:
    from pythainlp.tokenize import word_tokenize

    return lambda text: word_tokenize(text, engine="newmm", keep_whitespace=False)
