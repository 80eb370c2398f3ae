"""Named lists of rules: what published filters keep, given the same facts."""

from typing import NamedTuple

from curate.recipe import Rule


class Preset(NamedTuple):
    """Rules under a name."""

    about: str
    """Where they are from, and what of it is left out."""
    rules: tuple[Rule, ...]


_ENGLISH = Rule(rule="language", languages=("en",))
_IMAGE_BASED = (
    _ENGLISH,
    Rule(rule="few_words", min=2),
    Rule(rule="few_characters", min=6),
    Rule(rule="among", column="{clusters}.near_target", values=(True,), label="near_target"),
)
_CLIP_SCORE = (Rule(rule="low_similarity", top_fraction=0.3),)

PRESETS: dict[str, Preset] = {
    "basic": Preset(
        "DataComp's basic filter (Gadre et al., 2023): English by fastText, more than 2 words, more than 5 characters, shorter side at "
        "least 200, aspect at most 3.",
        (
            _ENGLISH,
            Rule(rule="few_words", min=3),
            Rule(rule="few_characters", min=6),
            Rule(rule="small_image", min=200),
            Rule(rule="elongated_image", max=3.0),
        ),
    ),
    "clip_score": Preset(
        "DataComp's CLIP score filter at its best fraction, the top 30 % by L/14. For an absolute threshold (L/14: 0.3, B/32: 0.25) name "
        "it: rules: [{rule: low_similarity, min: 0.3}].",
        _CLIP_SCORE,
    ),
    "dfn": Preset(
        "Data Filtering Networks (Fang et al., 2023): the top 15 % by a network that was trained on trusted pairs, such as `curate "
        "filter-network` makes; name it in `model` where score.models has several. The fraction is one of the whole pool.",
        (Rule(rule="low_similarity", top_fraction=0.15),),
    ),
    "laion2b": Preset(
        "LAION-2B's rules as DataComp has them: cosine by B/32 at least 0.28, English. Theirs asks CLD3 for the language, this one reads "
        "`images.lang`, which is fastText's, so that they differ where the two models do; with CLD3's answer in a column name it: "
        "rules: [{rule: language, languages: [en], column: <dataset>.<column>}].",
        (_ENGLISH, Rule(rule="low_similarity", min=0.28)),
    ),
    "text_based": Preset(
        "DataComp's text-based filter: English by fastText, and the first WordNet synset of some word is one of ImageNet-21k.",
        (_ENGLISH, Rule(rule="present", column="text.imagenet21k", label="imagenet21k")),
    ),
    "image_based": Preset(
        "DataComp's image-based filter: English by fastText, more than 1 word, more than 5 characters, and the image's cluster is nearest "
        "to some image of the target set (ImageNet-1k's train set there).",
        _IMAGE_BASED,
    ),
    "image_based_clip_score": Preset(
        "image_based and clip_score, DataComp's best baseline (DataComp-1B, with L/14). The fraction is one of the whole pool.",
        _IMAGE_BASED + _CLIP_SCORE,
    ),
    "metaclip": Preset(
        "MetaCLIP: `balance` is the filter, and nothing more is dropped here. Beside it goes what came for the raw baseline alone.",
        (),
    ),
    "laion400m": Preset(
        "LAION-400M (Schuhmann et al., 2021): at least 5 characters, at least 5 KB (here 5,000 bytes), cosine by B/32 at least 0.3. Left out: their "
        "removal of illegal content, and of repeated pairs, which `dedup` does.",
        (
            Rule(rule="few_characters", min=5),
            Rule(rule="threshold", column="images.nbytes", min=5000, label="few_bytes"),
            Rule(rule="low_similarity", min=0.3),
        ),
    ),
    "conceptual_captions": Preset(
        "In the manner of Conceptual Captions 3M (Sharma et al., 2018): JPEG with both sides above 400, aspect at most 2, English, no "
        "stock text, words that do not repeat. Left out: parts of speech, capitals, rare words, offensive words and images, image labels that "
        "the text has to name, and names made general.",
        (
            _ENGLISH,
            Rule(rule="among", column="images.format", values=("jpeg",), label="format"),
            Rule(rule="small_image", min=401),
            Rule(rule="elongated_image", max=2.0),
            Rule(rule="few_words", min=3),
            Rule(rule="threshold", column="text.repetition", max=0.5, label="repetition"),
            Rule(rule="file_name"),
            Rule(rule="boilerplate"),
        ),
    ),
}  # fmt: skip
