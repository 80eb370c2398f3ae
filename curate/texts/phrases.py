"""Phrases of things in an English caption: candidates for boxes, without a parser.

A phrase is a run of words between function words, verbs in -ing and marks, cut off behind its last noun of WordNet. It serves captions that
models write ("a red apple on a wooden table"); in headlines and lists it finds too much, which a detector then does not see.
"""

import re

from curate.texts import synsets
from curate.texts.stock import listed

MOST_WORDS = 5
"""Of a phrase; of a longer run its last words count, where English has the thing itself."""
LONGEST = 2000
"""Characters of a caption that are looked at."""
FUNCTION_WORDS = listed("function_words.txt")
"""Words that no phrase holds; with them the words that captions speak of the picture itself with."""
ADJECTIVES = listed("adjectives.txt")
"""Words that WordNet knows as nouns too and that name no thing by themselves."""
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|[^\s\w]|\d+")


def phrases(caption: str) -> list[str]:
    """The phrases of a caption, lower-case, in order, each once."""
    found: dict[str, None] = {}
    run: list[str] = []
    for word in [*_WORD.findall(caption[:LONGEST].lower()), "."]:
        ends = not word[0].isalpha() or word in FUNCTION_WORDS
        # "a swimming pool": what a thing is for stands before it; after a noun it is what the noun does.
        if ends or (word.endswith("ing") and len(word) > 4 and run and is_noun(run[-1])):
            if phrase := _cut(run):
                found[phrase] = None
            run = []
        else:
            run.append(word.removesuffix("'s").removesuffix("’s"))
    return list(found)


def _cut(run: list[str]) -> str:
    nouns = [place for place, word in enumerate(run) if is_noun(word)]
    return " ".join(run[: nouns[-1] + 1][-MOST_WORDS:]) if nouns else ""


def is_noun(word: str) -> bool:
    """Whether a word, or what it is a plural of, is a noun of WordNet that names a thing."""
    known = synsets.nouns()
    form = word.lower()
    if form in ADJECTIVES:
        return False
    if form in known.synsets or form in known.bases:
        return True
    return any(
        form.endswith(ending) and form[: len(form) - len(ending)] + base in known.synsets
        for ending, base in synsets.ENDINGS
    )
