"""What a text that is made of another has to keep: numbers, names, placeholders; and whether it says what neither source does.

These are rules, not understanding. Names are told by capitals: a name at the beginning of a sentence is not seen, nor is any in a text
that has a capital on most words (titles, shouting) or in a script without capitals; a month or an adjective with a capital counts as one.
"""

import re
import unicodedata
from collections import Counter

from curate.captions.rejecting import DENSE

_NUMBER = re.compile(r"\d+(?:[.,'’:/\u00a0\u202f]\d+)*|\d{1,3}(?: \d{3})+")
_SPELLED = dict(
    enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
)
_ORDINALS = dict(
    enumerate(["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"], 1)
)
_WORD = re.compile(r"[^\W_]+(?:['’&+-][^\W_]+)*")
_SENTENCE = re.compile(r"[.!?:;|\n…。]\s*[\"'“‘«(\[]?\s*$")
_PLACEHOLDER = re.compile(
    r"https?://[^\s<>\"]{1,500}|www\.[^\s<>\"]{1,500}|[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{1,64}|</?[a-zA-Z][^<>]{0,100}>"
    r"|\{[^{}\s]{0,40}\}|(?<![\d%\w])%(?:\d\$)?[sdif]\b|(?<!\w)[@#]\w{1,60}"
)
CAPITALS = 0.5
"""Share of words after the first with a capital from which on capitals say nothing."""
PREFIX = 5
"""Letters by which words of two texts are held to be the same (`harbour`, `harbours`)."""
_LIGHT = frozenset(
    [
        "this",
        "that",
        "these",
        "those",
        "with",
        "from",
        "into",
        "onto",
        "over",
        "under",
        "near",
        "next",
        "beside",
        "behind",
        "above",
        "below",
        "between",
        "through",
        "across",
        "along",
        "around",
        "about",
        "which",
        "while",
        "where",
        "when",
        "there",
        "their",
        "them",
        "they",
        "have",
        "been",
        "being",
        "were",
        "also",
        "very",
        "some",
        "such",
        "more",
        "most",
        "other",
        "each",
        "both",
        "image",
        "picture",
        "photo",
        "photograph",
        "shows",
        "showing",
        "shown",
        "features",
        "featuring",
        "depicts",
        "depicting",
        "scene",
        "view",
        "seen",
        "displayed",
        "captured",
    ]
)
"""Words that a sentence may need though no source has them."""


def normalised(text: str) -> str:
    """The words of a text alone: NFKC, case folded, one blank between."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def numbers(text: str) -> list[tuple[str, ...]]:
    """The numbers of a text, each as its runs of digits, whatever script they are in: `1,234.5` and `1.234,5` are ("1", "234", "5")."""
    return [tuple(re.findall("[0-9]+", _ascii(number))) for number in _NUMBER.findall(text)]


def _ascii(text: str) -> str:
    return "".join(str(unicodedata.decimal(letter, letter)) for letter in text)


def lost_numbers(source: str, made: str) -> list[str]:
    """Numbers of a source that a text made of it lacks. However they are grouped, `1,234` is `1.234` and `1234`; up to twelve they may
    be spelled in English."""
    there = {"".join(number) for number in numbers(made)} | {run for number in numbers(made) for run in number}
    said = set(normalised(made).split())
    lost = []
    for number in numbers(source):
        whole = "".join(number)
        if whole in there or all(run in there for run in number):
            continue
        value = int(whole) if len(whole) < 3 else -1
        if _SPELLED.get(value) not in said and _ORDINALS.get(value) not in said:
            lost.append(whole)
    return lost


def names(text: str) -> list[str]:
    """Words that are names by their capitals: inside a sentence, all in capitals (two letters and more), or with one inside (`iPhone`), or with
    letters and digits (`A320`)."""
    found = [(word[0], word.start()) for word in _WORD.finditer(text)]
    # The first word has a capital anyway.
    later = [word for word, _ in found if word[0].isalpha()][1:]
    titled = sum(word[0].isupper() for word in later) > CAPITALS * max(len(later), 2)
    told = []
    for word, place in found:
        inner = any(letter.isupper() for letter in word[1:])
        mixed = word[0].isalpha() and any(map(str.isdigit, word)) and any(map(str.isupper, word))
        acronym = inner and word.isupper()
        first = place == 0 or _SENTENCE.search(text[max(place - 8, 0) : place]) is not None
        if mixed or (inner and not acronym) or (not titled and (acronym or (word[0].isupper() and not first))):
            told.append(word)
    return told


def lost_names(source: str, made: str) -> list[str]:
    """Names of a source that a text made of it lacks, whatever the case."""
    there = made.casefold()
    return [name for name in names(source) if name != "I" and name.casefold().removesuffix("'s") not in there]


def lost_placeholders(source: str, made: str) -> list[str]:
    """Placeholders, tags, addresses, @names and #tags of a source that a text made of it does not have as often, letter for letter."""
    here, there = Counter(_PLACEHOLDER.findall(source)), Counter(_PLACEHOLDER.findall(made))
    return list(here - there)


def has_words(text: str) -> bool:
    """Whether a text has words besides names, numbers and placeholders: what has none may be the same in another language."""
    rest = without_placeholders(text)
    told = set(names(rest))
    found = _WORD.findall(rest)
    return any(word[0].isalpha() and not word[0].isupper() and word not in told for word in found)


def kept_share(source: str, made: str) -> float:
    """Share of the words of a source that a text made of it has too, by their first letters; of scripts without blanks, share of their
    letters. 1 where the source has none to look for."""
    there = {word[:PREFIX] for word in _units(made)}
    wanted = [word for word in _units(source) if word not in _LIGHT]
    return sum(word[:PREFIX] in there for word in wanted) / len(wanted) if wanted else 1.0


def _units(text: str) -> list[str]:
    said = normalised(text)
    return DENSE.findall(said) + [word for word in DENSE.sub(" ", said).split() if len(word) > 2]


def copies(made: str, prompt: str, run: int) -> bool:
    """Whether `run` words in a row are a prompt's."""
    said, there = normalised(made).split(), f" {normalised(prompt)} "
    return any(f" {' '.join(said[place : place + run])} " in there for place in range(len(said) - run + 1))


def new_share(made: str, *sources: str) -> float:
    """Share of the words of four letters and more that begin like no word of any source; 1 where a number is in none of them."""
    known = {word for source in sources for word in normalised(source).split()}
    begun = {word[:PREFIX] for word in known}
    heavy = [word for word in normalised(made).split() if len(word) > 3 and word not in _LIGHT]
    if any(lost_numbers(made, " ".join(sources))):
        return 1.0
    return sum(word[:PREFIX] not in begun for word in heavy) / max(len(heavy), 1)


def filled(prompt: str, **texts: str) -> str:
    """A prompt with each `{name}` as the text of that name. In one go, so that a text that says `{alt}` itself is not filled in again."""
    return re.sub(r"\{(\w+)\}", lambda place: texts.get(place[1], place[0]), prompt)


def without_placeholders(text: str) -> str:
    """A text without its placeholders, tags, addresses, @names and #tags."""
    return _PLACEHOLDER.sub(" ", text)
