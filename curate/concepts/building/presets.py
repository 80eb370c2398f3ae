"""How much of each source an entry list takes: the published thresholds and caps, by name."""

from collections.abc import Mapping
from typing import Any

import msgspec

from curate.hints import nearest
from curate.recipe import RecipeError


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """Thresholds, shares and caps; an entry has to pass all that are set."""

    unigram_count: int = 0
    """Least times that a word stands in the corpus."""
    unigram_share: float | None = None
    """Share of the different words, the most frequent first."""
    unigrams: int | None = None
    """Most words."""
    bigram_pmi: float = 30.0
    """Least pointwise mutual information of a word pair."""
    bigram_share: float | None = None
    """Most pairs, as a share of the words that were taken."""
    bigrams: int | None = None
    title_views: int = 0
    """Least views of an article."""
    hourly_views: int = 1
    """Least views of an article in an hour, for that hour to count."""
    mobile_views: bool = False
    """Whether views on the mobile site count."""
    title_share: float | None = None
    """Share of the titles, the most viewed first."""
    titles: int | None = None
    longest: int | None = None
    """Most characters of an entry."""


PRESETS: Mapping[str, Preset] = {
    # Xu et al., Demystifying CLIP Data, 2023.
    "metaclip1": Preset(unigram_count=100, bigram_pmi=30, title_views=70, hourly_views=50),
    # Chuang et al., Meta CLIP 2, 2025: each language as much as English had at most, and the same shares.
    "metaclip2": Preset(
        unigram_share=0.10, unigrams=251_465, bigram_pmi=30, bigram_share=0.40, bigrams=100_646, title_share=0.76,
        titles=61_235, mobile_views=True, longest=256,
    ),
}  # fmt: skip


def preset(name: str, **changes: Any) -> Preset:
    """A preset by its name, with some of its values changed (those that are not None). Raises RecipeError for an unknown name."""
    if name not in PRESETS:
        raise RecipeError(f"no preset {name!r} of metadata: {nearest(name, list(PRESETS))}")
    return msgspec.structs.replace(PRESETS[name], **{key: value for key, value in changes.items() if value is not None})
