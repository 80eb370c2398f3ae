"""Rules over any column: every kind at its border, conditions, missing values, and sets of rules."""

import pyarrow as pa
import pytest

from curate.recipe import Branch, Model, RecipeError, Rule, Score, build
from curate.scores.settings import Clusters, Text
from curate.selection.columns import DERIVED, Facts
from curate.selection.selecting import needed, select
from tests.selection.pool import SCORE, rules, tables


def reasons(given: list[dict], *own: Rule, preset: str | None = None) -> list:
    out = select(tables(given), rules(*own, preset=preset))
    return [row["reason"] for row in out.to_pylist()]


def threshold(column: str, **limits) -> Rule:
    return Rule(rule="threshold", column=column, **limits)


@pytest.mark.parametrize(
    ("column", "limits", "dropped", "kept"),
    [
        ("text.words", {"min": 3}, [2, -5], [3, 4]),
        ("text.words", {"min": 2.5}, [2], [3]),
        ("text.words", {"above": 2.5}, [2], [3]),
        ("text.words", {"above": 3}, [3], [4]),
        ("text.words", {"max": 2.5}, [3], [2]),
        ("text.words", {"below": 2.5}, [3], [2]),
        ("text.words", {"below": 3}, [3], [2]),
        ("text.words", {"min": 2, "max": 4}, [1, 5], [2, 4]),
        ("text.words", {"min": 1e300}, [2**31 - 1], []),
        ("text.words", {"max": 1e300}, [], [2**31 - 1]),
        ("images.nbytes", {"min": 2**53}, [2**53 - 1], [2**53, 2**62]),
        # 0.7 in float32 lies below 0.7 in float64, 0.1 above: limits are rounded as the scores were.
        ("clip.similarity_score", {"min": 0.7}, [0.69999], [0.7]),
        ("clip.similarity_score", {"above": 0.7}, [0.7], [0.70001]),
        ("clip.similarity_score", {"max": 0.1}, [0.10001], [0.1]),
        ("clip.similarity_score", {"below": 0.1}, [0.1], [0.09999]),
        ("pixels.near_constant", {"max": 0}, [True], [False]),
        ("pixels.near_constant", {"min": 1}, [False], [True]),
    ],
)
def test_a_threshold_on_any_type_of_number(column, limits, dropped, kept):
    name = column.removeprefix("images.")
    found = reasons([{name: value} for value in dropped + kept], threshold(column, **limits))
    assert found == ["threshold"] * len(dropped) + [None] * len(kept)


def test_columns_that_are_made_when_they_are_read():
    rows = [{"width": 3, "height": 9}, {"width": 9, "height": 3}, {"url": "HTTP://u:p@Photos.Example:80/a?x=http://b/"}]
    assert reasons(rows, threshold("aspect", max=2.999)) == ["threshold"] * 2 + [None]
    assert reasons(rows, threshold("images.shorter_side", above=3)) == ["threshold"] * 2 + [None]
    one_host = Rule(rule="among", column="host", values=("photos.example",))
    assert reasons(rows, one_host) == ["among"] * 2 + [None]
    assert needed(rules(one_host))["images"] == ["state", "curated", "url"]


def test_values_of_any_type():
    rows = [{"format": "png"}, {"format": "jpeg"}, {"format": None}]
    assert reasons(rows, Rule(rule="among", column="images.format", values=("png", "gif"))) == [
        None,
        "among",
        "missing",
    ]
    assert reasons(rows, Rule(rule="none_of", column="images.format", values=("png",))) == ["none_of", None, "missing"]
    frames = [{"pixels.frames": 1}, {"pixels.frames": 2}]
    assert reasons(frames, Rule(rule="among", column="pixels.frames", values=(1,))) == [None, "among"]


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_missing_value_is_dropped_with_a_reason_of_its_own_or_kept(value):
    rows = [{"clip.similarity_score": value}, {"clip.similarity_score": 0.1}]
    assert reasons(rows, threshold("clip.similarity_score", min=0.2)) == ["missing", "threshold"]
    assert reasons(rows, threshold("clip.similarity_score", min=0.2, missing="keep")) == [None, "threshold"]
    assert reasons([{"text.imagenet21k": None}, {}], Rule(rule="present", column="text.imagenet21k")) == [
        "present",
        None,
    ]


def test_a_score_that_failed_is_no_row_of_this_stage_unless_missing_is_kept():
    rows = [{"pixels.state": "failed", "pixels.frames": None}]
    strict = threshold("pixels.frames", max=1)
    (out,) = select(tables(rows), rules(strict)).to_pylist()
    assert (out["state"], out["reason"]) == ("gone", None)
    lenient = threshold("pixels.frames", max=1, missing="keep")
    for rule in (lenient, Rule(rule="any", branches=(Branch(rules=(lenient,)), Branch(rules=(SHORT,))))):
        (out,) = select(tables(rows), rules(rule)).to_pylist()
        assert out["state"] == "kept"
    (out,) = select(
        tables(rows), rules(Rule(rule="any", branches=(Branch(rules=(lenient,)), Branch(rules=(strict,)))))
    ).to_pylist()
    assert out["state"] == "gone"


def test_a_rule_may_hold_for_some_rows_alone():
    rows = [{"lang": lang, "clip.similarity_score": value} for lang in ("en", "de", None) for value in (0.2, 0.3)]
    english = Rule(rule="low_similarity", min=0.25, where={"lang": "en"})
    others = Rule(rule="low_similarity", min=0.35, where={"lang": ("de", "fr")})
    assert reasons(rows, english, others) == ["low_similarity", None, "low_similarity", "low_similarity", None, None]
    labels = [row["rule"] for row in select(tables(rows), rules(english, others)).to_pylist()]
    assert labels[0] == "low_similarity where lang en" and labels[2] == "low_similarity where lang de, fr"


def test_limits_by_the_values_of_a_column():
    rows = [{"lang": lang, "clip.similarity_score": 0.3} for lang in ("en", "de", "fr", None)]
    by_lang = {"per": "lang", "min_of": {"en": 0.3, "de": 0.31}}
    assert reasons(rows, threshold("clip.similarity_score", **by_lang)) == [None, "threshold", None, None]
    assert reasons(rows, threshold("clip.similarity_score", min=0.4, **by_lang)) == [
        None,
        "threshold",
        "threshold",
        "threshold",
    ]
    words = [{"format": kind, "text.words": 3} for kind in ("png", "gif")]
    assert reasons(words, threshold("text.words", per="images.format", max_of={"png": 2.5})) == ["threshold", None]
    kinds = [{"pixels.near_constant": flag, "text.words": 3} for flag in (True, False)]
    assert reasons(kinds, threshold("text.words", per="pixels.near_constant", min_of={"true": 4})) == [
        "threshold",
        None,
    ]


SHORT, DIM = Rule(rule="few_words", min=3), Rule(rule="low_similarity", min=0.25)
ROWS = [{"text": text, "clip.similarity_score": value} for text in ("a red house", "house") for value in (0.3, 0.1)]


def test_any_names_what_dropped_the_row_in_each_branch():
    one = Rule(
        rule="any",
        label="either",
        branches=(Branch(rules=(SHORT,)), Branch(rules=(DIM, Rule(rule="small_image", min=9999)))),
    )
    out = select(tables(ROWS), rules(one)).to_pylist()
    assert [row["reason"] for row in out] == [None, None, "any", "any"]
    assert [row["rule"] for row in out[2:]] == ["either: few_words | small_image", "either: few_words | low_similarity"]


def test_not_drops_what_a_branch_keeps():
    one = Rule(rule="not", branches=(Branch(rules=(SHORT, DIM)),))
    out = select(tables(ROWS), rules(one)).to_pylist()
    assert [row["reason"] for row in out] == ["not", None, None, None]
    assert out[0]["rule"] == "not(few_words & low_similarity)"
    two = Rule(rule="not", label="no", branches=(Branch(rules=(SHORT,)), Branch(rules=(DIM,))))
    out = select(tables(ROWS), rules(two)).to_pylist()
    assert [row["rule"] for row in out] == ["no: few_words", "no: few_words", "no: low_similarity", None]


def test_all_is_the_rules_of_its_branches():
    both = Rule(rule="all", branches=(Branch(preset="basic"), Branch(preset="image_based", rules=(DIM,))))
    score = Score(models=SCORE.models, scorers=SCORE.scorers[:2])
    with pytest.raises(RecipeError, match="add 'clusters' under `score`"):
        rules(both, score=score)
    one = Rule(
        rule="all",
        branches=(Branch(preset="basic"), Branch(rules=(Rule(rule="few_words", min=2), DIM)), Branch(rules=(SHORT,))),
    )
    # `few_words` of both presets: the same one once, another one told apart.
    assert [rule.label for rule in rules(one)] == ["language", "few_words", "few_characters", "small_image", "elongated_image",
                                                  "few_words (>= 2)", "low_similarity"]  # fmt: skip


def test_sets_of_presets_are_sets_of_rows():
    rows = [{"text": text, "lang": lang, "clip.similarity_score": value, "text.imagenet21k": wnid}
            for text in ("a red house", "ab c", "house") for lang in ("en", "de") for value in (0.27, 0.3) for wnid in ("n1", None)]  # fmt: skip
    branches = (Branch(preset="basic"), Branch(preset="laion2b"), Branch(preset="text_based"))
    kept = [
        {i for i, reason in enumerate(reasons(rows, preset=branch.preset)) if reason is None} for branch in branches
    ]
    assert len(set(map(frozenset, kept))) == 3

    def of(kind: str) -> set[int]:
        found = reasons(rows, Rule(rule=kind, branches=branches))
        return {i for i, reason in enumerate(found) if reason is None}

    assert of("any") == kept[0] | kept[1] | kept[2]
    assert of("all") == kept[0] & kept[1] & kept[2]
    assert of("not") == set(range(len(rows))) - of("any")


def test_all_rules_that_would_drop_a_row_on_demand():
    rows = [
        {},
        {"text": "house", "clip.similarity_score": 0.1},
        {"text": "house", "curated": False},
        {"state": "failed", "width": None},
    ]
    out = select(tables(rows), rules(SHORT, DIM), why="all")
    assert out["rules"].to_pylist() == [[], ["few_words", "low_similarity"], None, None]
    assert out["reason"].to_pylist() == [None, "few_words", "baseline_only", None]
    assert select(tables(rows), rules(SHORT, DIM))["rules"].null_count == 4
    assert select(tables(rows), (), why="all")["rules"].to_pylist() == [[], [], None, None]


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (threshold("txt.words", min=1), "wants the side table scores/txt.* add 'txt' under `score`.* did you mean 'text'"),
        (threshold("text.word", min=1), "scores/text has no column 'word': did you mean 'words'"),
        (threshold("widht", min=1), "images has no column 'widht': did you mean 'width'"),
        (threshold("words_", min=1), "did you mean 'words'"),
        (threshold("clip.image_embedding", min=1), "is embedding; rules compare numbers"),
        (threshold("images.format", min=1), "is a string; compare it with the rule `among`"),
        (threshold("text.words"), "needs min or max or above or below"),
        (threshold("text.words", min=float("nan")), "has to be a finite number"),
        (threshold("text.words", min_of={"en": 1}), "`per` names no column"),
        (threshold("text.words", min=1, per="lang"), "has `per`, and neither"),
        (threshold("text.words", min=1, where={"lnag": "en"}), "did you mean 'lang'"),
        (Rule(rule="among", values=("a",)), "'among' needs column"),
        (Rule(rule="among", column="text.words", values=("3",)), "text.words is of type int32, and '3' is none"),
        (Rule(rule="none_of", column="file_name", values=(0,)), "file_name is of type bool, and 0 is none"),
        (Rule(rule="among", column="lang", values=(True,)), "lang is of type string, and True is none"),
        (threshold("text.words", min=1, where={"lang": ("en", 3)}), "lang is of type string, and 3 is none"),
        (Rule(rule="any", branches=(Branch(rules=(SHORT,)),), where={"lagn": "en"}), "did you mean 'lang'"),
        (Rule(rule="language", languages=("en",), column="text.words"), "text.words is of type int32, and 'en' is none"),
        (Rule(rule="tresholt", column="text.words"), "did you mean 'threshold'"),
        (Rule(rule="all", branches=(Branch(preset="basic"),), where={"lang": "en"}), "'all' does not use where"),
        (Rule(rule="any", branches=(Branch(preset="basick"),)), "no preset 'basick': did you mean 'basic'"),
        (Rule(rule="any", branches=(Branch(rules=(Rule(rule="quota", column="host", at_most=1),)),)), "cannot stand in a branch"),
        (Rule(rule="quota", column="host", at_most=1, best_by="clip.similarity"), "did you mean 'similarity_score'"),
    ],
)  # fmt: skip
def test_bad_settings_stop_with_the_nearest_valid_name(own, message):
    with pytest.raises(RecipeError, match=message):
        rules(own)


def test_a_score_may_be_called_as_the_recipe_likes():
    score = Score(
        models=(Model(name="b32", model="ViT-B-32"), Model(name="l14", model="ViT-L-14")), scorers=(Text(name="said"),)
    )
    own = (
        threshold("said.words", min=1),
        Rule(rule="low_similarity", min=0.3, model="l14"),
        Rule(rule="low_similarity", min=0.2, model="b32"),
    )
    found = rules(*own, preset="laion2b", score=score)
    # Both stand where the preset's rule stood.
    assert [rule.label for rule in found] == ["language", "low_similarity l14", "low_similarity b32", "said.words >= 1"]
    assert set(needed(found)) == {"images", "duplicates", "scores/said", "scores/l14", "scores/b32"}
    assert rules(preset="laion2b", score=score, model="b32")[1].model == "b32"


def test_presets_take_the_clusters_that_the_recipe_names():
    score = Score(models=SCORE.models, scorers=(Clusters(name="k9", model="clip", target="fluent"),))
    assert rules(preset="image_based", clusters="k9", score=score)[3].column == "k9.near_target"
    with pytest.raises(RecipeError, match=r"add 'clusters' under `score`, or name another: .*k9"):
        rules(preset="image_based", score=score)


@pytest.mark.parametrize("preset", ["image_based", "image_based_clip_score"])
def test_a_column_that_no_row_can_have_is_refused_with_the_setting(preset):
    score = Score(models=SCORE.models, scorers=(Clusters(name="k9", model="clip"),))
    said = r"k9\.near_target is missing in every row, since the scorer 'k9' of score\.scorers names no `target`"
    with pytest.raises(RecipeError, match=said):
        rules(preset=preset, clusters="k9", score=score)
    with pytest.raises(RecipeError, match=said):
        rules(Rule(rule="any", branches=(Branch(preset=preset),)), clusters="k9", score=score)
    with pytest.raises(RecipeError, match=said):
        rules(Rule(rule="few_words", min=1, where={"k9.near_target": True}), score=score)
    # The cluster itself is there without a target.
    assert rules(Rule(rule="quota", column="k9.cluster", at_most=3), score=score)
    # It is said as the recipe is read.
    plain = {"name": "t", "extract": {"inputs": ["x"]}, "select": {"preset": preset}, "score": {
        "models": [{"name": "clip", "model": "ViT-B-32"}], "scorers": [{"scorer": "clusters", "model": "clip"}]}}  # fmt: skip
    with pytest.raises(RecipeError, match="names no `target`"):
        build(plain)


def test_no_rows_make_no_rows():
    given = {name: table.slice(0, 0) for name, table in tables([{}]).items()}
    every = (SHORT, DIM, Rule(rule="any", branches=(Branch(preset="basic"),)), threshold("text.words", min=1))
    assert len(select(given, rules(*every), why="all")) == 0
    assert isinstance(select(given, rules(*every))["state"].type, pa.DictionaryType)


def test_columns_that_are_made_have_the_type_that_they_say():
    facts = Facts(tables([{}]))
    for name, made in DERIVED.items():
        assert str(facts.column(name).type) == made.type.replace("float64", "double"), name
