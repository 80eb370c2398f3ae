"""Banks of examples: captions, and the same in other words, that a model is shown (LaCLIP, Fan et al. 2023, has four banks of 16).

Those that come along are in `banks/`, written for this project. One of your own is a file in UTF-8 with a pair on each line, a tab between;
lines that begin with # are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from curate.draw import draw
from curate.settings import RecipeError
from curate.store import nearest

FOLDER = Path(__file__).parent / "banks"
SHIPPED = ("plain", "rich", "spoken", "headline")
MOST_BYTES = 1 << 20
"""Of a bank."""


@dataclass(frozen=True)
class Bank:
    name: str
    pairs: tuple[tuple[str, str], ...]
    """Caption, the same in other words."""

    @property
    def identity(self) -> dict[str, Any]:
        """What it is, wherever it lies."""
        return {"name": self.name, "pairs": xxhash.xxh3_128_hexdigest(repr(self.pairs).encode())}

    def drawn(self, count: int, seed: int, uid: str, index: int) -> list[tuple[str, str]]:
        """`count` pairs for rewrite number `index` of a pair."""
        order = draw(seed, f"examples:{uid}:{index}", map(str, range(len(self.pairs)))).argsort()
        return [self.pairs[place] for place in order[:count]]


def banks(named: Sequence[str], least: int) -> list[Bank]:
    """The banks of a recipe, by name, or by path where that ends with .tsv. Raises RecipeError for one that is not there, is not text, or
    has fewer than `least` pairs."""
    return [_bank(name, least) for name in named]


def known(name: str) -> None:
    """Raises RecipeError for what is neither the name of a bank nor a path of one."""
    if name not in SHIPPED and not name.endswith(".tsv"):
        raise RecipeError(
            f"no bank of examples {name!r}: {nearest(name, SHIPPED)}; or the path of a file that ends with .tsv"
        )


def _bank(name: str, least: int) -> Bank:
    known(name)
    path = Path(name) if name.endswith(".tsv") else FOLDER / f"{name}.tsv"
    try:
        data = path.read_bytes()[: MOST_BYTES + 1]
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"bank of examples {name}: {error}") from error
    if len(data) > MOST_BYTES:
        raise RecipeError(f"bank of examples {name}: longer than {MOST_BYTES:,} bytes; it is no list of examples")
    pairs = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        pair = [" ".join(half.split()) for half in line.split("\t")]
        if len(pair) != 2 or not all(pair):
            raise RecipeError(
                f"bank of examples {name}, line {number}: a caption, a tab and its rewrite are wanted: {line[:80]!r}"
            )
        pairs.append((pair[0], pair[1]))
    if len(pairs) < least:
        raise RecipeError(f"bank of examples {name}: {len(pairs)} pairs, and {least} are shown at a time")
    return Bank(path.stem, tuple(pairs))
