"""Each rule at its border, and what a recipe is told about a rule that it misuses."""

import msgspec
import pyarrow as pa
import pytest

from curate import schema
from curate.recipe import Model, RecipeError, Rule, Score, Select, build
from curate.selection.columns import Facts
from curate.selection.judging import judge
from curate.selection.presets import PRESETS
from curate.selection.resolving import resolve
from curate.selection.rules import RULES

ROW = {"text": "a red house on a hill", "lang": "en", "width": 640, "height": 480, "similarity": 0.3}
KINDS = {"lang": pa.string(), "width": pa.int32(), "height": pa.int32(), "similarity": pa.float32()}


def keeps(limits: Rule, **facts) -> bool:
    columns = {name: pa.array([value], KINDS.get(name)) for name, value in (ROW | facts).items()}
    scores = pa.table({"similarity_score": columns.pop("similarity")})
    return judge(limits, Facts({"images": pa.table(columns), "scores/clip": scores})).codes.tolist() == [0]


def score(*names: str) -> Score:
    return Score(models=tuple(Model(name=name, model="ViT-B-32") for name in names))


BORDERS = [
    # DataComp's basic filter says "more than": the last value that it drops, and the first that it keeps.
    ("language", {"lang": "de"}, {"lang": "en"}),
    ("language", {"lang": None}, {"lang": "en"}),
    ("few_words", {"text": "red  house\n"}, {"text": "red house hill"}),
    ("few_words", {"text": "redhousehill"}, {"text": "a\tb\u00a0c"}),
    ("few_characters", {"text": "abcde"}, {"text": "abcdef"}),
    ("few_characters", {"text": "ñandú"}, {"text": "ñandúe"}),
    ("small_image", {"width": 199, "height": 5000}, {"width": 200, "height": 5000}),
    ("small_image", {"width": 5000, "height": 199}, {"width": 200, "height": 200}),
    ("elongated_image", {"width": 601, "height": 200}, {"width": 600, "height": 200}),
    ("elongated_image", {"width": 200, "height": 601}, {"width": 200, "height": 600}),
]


@pytest.mark.parametrize(("name", "out", "within"), BORDERS)
def test_the_basic_preset_at_its_borders(name, out, within):
    limits = next(limits for limits in PRESETS["basic"].rules if limits.rule == name)
    assert not keeps(limits, **out)
    assert keeps(limits, **within)


@pytest.mark.parametrize("score", [0.1, 0.2, 0.25, 0.28, 0.3, 0.7])
def test_a_score_that_equals_the_threshold_is_kept(score):
    # 0.7 in float32 is below 0.7 in float64: compared as floats of different width, the row would be lost.
    limits = Rule(rule="low_similarity", min=score, model="clip")
    assert keeps(limits, similarity=score)
    assert not keeps(limits, similarity=score - 1e-6)


FILE_NAMES = ["IMG_9916.jpg", "DSC01215.JPG", "5582", "IMG_9916", "img-20210403-wa0001", "DSCN0042", "P1010023", "_MG_0412.CR2",
              "photos/cat.png?w=200", "2021-04-03", "Screenshot 2021-04-03 at 10.01.59", "a.webp", "image001.png", "00012 (2)"]  # fmt: skip
NO_FILE_NAMES = ["a house", "house", "Route 66", "cat.", "the file a.jpg of 1999", "B-52 bomber", "3 cats", "COVID-19", "jpg",
                 "Apollo 11", "F1", "m4", "photo of a cat", "5 apples", "Screenshot of the editor", "1" * 300 + ".jpg"]  # fmt: skip


@pytest.mark.parametrize("text", FILE_NAMES)
def test_file_names_are_dropped(text):
    assert not keeps(Rule(rule="file_name"), text=text)


@pytest.mark.parametrize("text", NO_FILE_NAMES)
def test_texts_are_no_file_names(text):
    assert keeps(Rule(rule="file_name"), text=text)


@pytest.mark.timeout(5)
def test_no_text_makes_the_file_name_rule_slow():
    for text in (
        "1" * 255 + "x",
        "1-" * 127 + "x",
        "a.jpg?" * 42 + " x",
        "screenshot " + "a " * 120,
        "." * 16_000,
    ):
        assert keeps(Rule(rule="file_name"), text=text)


STOCK = ["image", "photo", "Picture 15", "untitled", "IMG", "thumbnail", "Logo.", "icon", "[banner]", "spacer", "placeholder",
         "Tracking Pixel", "tracking_pixel", "IMAGE #3", "...", "Bild 4", "画像", "फ़ोटो", "*", "photo-2"]  # fmt: skip
NO_STOCK = [
    "image of a cat",
    "cat",
    "photo album cover",
    "company logo of Acme",
    "3d",
    "X",
    "imaged",
    "icons of Russia",
    "क्या",
]


@pytest.mark.parametrize("text", STOCK)
def test_stock_words_are_dropped(text):
    assert not keeps(Rule(rule="boilerplate"), text=text)


@pytest.mark.parametrize("text", NO_STOCK)
def test_texts_with_something_to_say_are_kept(text):
    assert keeps(Rule(rule="boilerplate"), text=text)


def test_every_rule_is_a_reason_of_the_schema():
    assert set(schema.load("selection").dropped) == set(RULES) - {"all"} | {"baseline_only", "missing"}


def test_a_recipes_rule_replaces_the_presets_in_its_place_and_others_follow():
    own = (Rule(rule="boilerplate"), Rule(rule="few_words", min=1), Rule(rule="low_similarity", min=0.2))
    rules = resolve(Select(preset="basic", rules=own), score("clip"))
    assert [limits.rule for limits in rules] == ["language", "few_words", "few_characters", "small_image", "elongated_image",
                                                 "boilerplate", "low_similarity"]  # fmt: skip
    assert rules[1].min == 1
    assert rules[-1].model == "clip"
    assert resolve(Select(preset=None, rules=own[:1]), score()) == (
        msgspec.structs.replace(own[0], label="boilerplate"),
    )


@pytest.mark.parametrize(
    ("select", "models", "message"),
    [
        (Select(preset="basik"), [], "no preset 'basik': did you mean 'basic'"),
        (Select(rules=(Rule(rule="few_word", min=1),)), [], "unknown rule 'few_word': did you mean 'few_words'"),
        (Select(rules=(Rule(rule="few_words"),)), [], "'few_words' needs min"),
        (Select(rules=(Rule(rule="few_words", min=1, max=2),)), [], "does not use max; it takes min"),
        (Select(rules=(Rule(rule="file_name", min=1),)), [], "does not use min; it takes no limits"),
        (Select(rules=(Rule(rule="file_name"), Rule(rule="file_name"))), [], "'file_name' stands twice"),
        (Select(rules=(Rule(rule="low_similarity", model="clip"),)), ["clip"], "needs min or min_of or top_fraction"),
        (Select(rules=(Rule(rule="low_similarity", min=0.3, model="klip"),)), ["clip"], "did you mean 'clip'"),
        (Select(preset="clip_score"), ["b32", "l14"], "name its model; score.models has b32, l14"),
        (Select(preset="clip_score"), [], "name its model; score.models has none"),
    ],
)
def test_a_rule_that_is_misused_is_said_with_what_would_be_right(select, models, message):
    with pytest.raises(RecipeError, match=message):
        resolve(select, score(*models))


def test_the_whole_recipe_is_refused_when_it_is_read():
    data = {"name": "x", "extract": {"inputs": ["a"]}, "score": {"models": [{"name": "clip", "model": "ViT-B-32"}]}}
    assert build(data | {"select": {"preset": "clip_score"}}).select.preset == "clip_score"
    with pytest.raises(RecipeError, match="did you mean 'few_words'"):
        build(data | {"select": {"rules": [{"rule": "few_word", "min": 2}]}})


def test_presets_are_plain_values():
    for _, rules in PRESETS.values():
        assert msgspec.convert(msgspec.to_builtins(rules), tuple[Rule, ...]) == rules
