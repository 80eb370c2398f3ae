"""Texts that say nothing of their image: names of files, and words that pages put on any image."""

import re
from functools import cache
from importlib.resources import files

IMAGE_SUFFIX = r"\.(jpe?g|jfif|png|gif|webp|avif|heic|heif|bmp|tiff?|svg|ico|psd|eps|raw|cr2|nef|arw|dng|pdf)"
FILE_NAME = re.compile(
    rf"""\s*(
        \S+{IMAGE_SUFFIX}([?\#]\S*)?                                      # cat-2.jpg, a/b/cat.png?w=200
      | (img|image|dsc[a-z]?|dcim|pict?|p|pxl|mvi|gopr|sam|scan|wp|vid|mg|dji|cimg|imag|photo|foto)?[-_]?\d+([-_ ().]+(wa)?\d+)*\)?
                                                                          # IMG_9916, DSCN0042, P1010023, 5582, 2021-04-03
      | _?(img|dsc[a-z]?|dscn|pict|mg)[-_ ]+\w*\d\w*                      # _MG_0412, IMG 9916a
      | (screen[ ]?shot|whatsapp[ ]image|bildschirmfoto|captura)\b.*\d.*  # Screenshot 2021-04-03 at 10.01.59
    )\s*""",
    re.IGNORECASE | re.VERBOSE,
)


def is_file_name(text: str) -> bool:
    """Whether the whole text is a file's name; file systems end them at 255 bytes, which also bounds the search."""
    return len(text) <= 255 and FILE_NAME.fullmatch(text) is not None


def is_boilerplate(text: str) -> bool:
    """Whether the text is a stock word, for which case, marks around it and a trailing number do not count."""
    return bare(text) in stock_words()


def bare(text: str) -> str:
    """The case-folded text without marks around it and a number after it, its words parted by one blank."""
    word = re.sub(r"^[\W_]+|[\W\d_]+$", "", text.casefold())
    return re.sub(r"[\s_-]+", " ", word)


@cache
def stock_words() -> frozenset[str]:
    """The stock words, and the empty text."""
    return frozenset({""} | {bare(line) for line in listed("boilerplate.txt")})


def listed(file: str) -> frozenset[str]:
    """The lines of a list of this folder, without its remarks."""
    lines = (files("curate.texts") / file).read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))
