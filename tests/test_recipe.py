"""The recipe is a typed value; what is wrong in it is said with the place and the nearest valid name."""

import copy

import pytest

from curate import recipe
from curate.house import folder
from curate.recipe import RecipeError

SMALL = {"name": "small", "extract": {"inputs": ["a.warc.gz"]}, "score": {"models": [{"name": "clip", "model": "m"}]}}


def with_value(path, value):
    data = copy.deepcopy(SMALL)
    place = data
    for key in path[:-1]:
        place = place[key] if isinstance(place, list) else place.setdefault(key, {})
    place[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["blance"], {}, "did you mean 'balance'"),
        (["balance", "treshold"], 3, "balance.*unknown key 'treshold'"),
        (["balance", "basline_fraction"], 0.3, "did you mean 'baseline_fraction'"),
        (["score", "models", 0, "modell"], "x", r"models\[0\].*did you mean 'model'"),
        (["train", "weight_decay"], float("nan"), "train: weight_decay: nan is no number"),
        (["download", "retry_wait"], float("inf"), "download: retry_wait: inf is no number"),
        (
            ["select"],
            {"rules": [{"rule": "small_image", "min": float("nan")}]},
            r"select: rules\[0\]: min: nan is no number",
        ),
        (["balance", "t"], 0, "balance.t.*>= 1.*got 0"),
        (["balance", "t"], "many", "balance.t.*`int`.*'many'"),
        (["match", "rule"], "metaclip9", "match: rule: 'metaclip9' is none of its words: did you mean 'metaclip[12]'"),
        (
            ["dedup", "evaluation_cosine"],
            "calibrate",
            "evaluation_cosine: 'calibrate' is none.*did you mean 'calibrated'",
        ),
        (["train", "sets"], ["raw", "curate"], "train: sets: 'curate' is none of its words: did you mean 'curated'"),
        (["name"], "Two Words", "name: Expected a name of lower-case letters.*got 'Two Words'"),
        (
            ["recaption", "backends"],
            [{"backend": "openai", "endpoint": "http://me:key@host/v1", "model": "m"}],
            r"backends\[0\].endpoint: Expected a URL without user.*me:key",
        ),
        (
            ["recaption"],
            {
                "backends": [{"backend": "llama"}],
                "captioners": [{"captioner": "rewrite", "backend": "llama", "banks": ["plan"]}],
            },
            "no bank of examples 'plan': did you mean 'plain'",
        ),
        (
            ["recaption"],
            {
                "captioners": [
                    {"captioner": "rank", "of": "a", "model": "clip"},
                    {"captioner": "rank", "name": "a", "of": "b", "model": "clip"},
                ]
            },
            "reads the captions of 'a'.*'a' stands behind it",
        ),
        (
            ["select"],
            {"rules": [{"rule": "threshold", "column": "x", "min": 3, "max": 1}]},
            r"rules\[0\]: .*min is 3 and max is 1",
        ),
        (
            ["select"],
            {"rules": [{"rule": "threshold", "column": "x", "above": 1, "max": 1}]},
            "above is 1 and max is 1",
        ),
        (["shard"], {"captions": {"policy": "odds", "odds": {"alt": 0}}}, "shard.captions: odds: all are 0$"),
    ],
)
def test_errors_name_the_place_the_value_and_the_nearest_key(path, value, says):
    with pytest.raises(RecipeError, match=says):
        recipe.build(with_value(path, value))


def test_limits_that_one_value_meets_are_limits():
    rule = {"rule": "threshold", "column": "images.width", "min": 1, "max": 1}
    assert recipe.build(with_value(["select"], {"rules": [rule]})).select.rules[0].max == 1


def test_t_of_a_language_that_is_not_matched_is_said_before_a_crawl_is_read():
    data = with_value(["match", "languages"], ["en", "de"])
    data["balance"] = {"t_of": {"dee": 5}}
    with pytest.raises(RecipeError, match=r"balance\.t_of: 'dee' .*did you mean 'de'"):
        recipe.build(data)
    data["match"]["languages"] = ["all"]  # Which languages that is, only the folder of the lists knows.
    assert recipe.build(data).balance.t_of == {"dee": 5}


def test_runtime_settings_are_not_part_of_the_identity():
    one = recipe.build(with_value(["download", "threads"], 3))
    two = recipe.build(with_value(["download", "threads"], 9))
    three = recipe.build(with_value(["download", "timeout"], 9))
    assert one.download.identity() == two.download.identity() != three.download.identity()


def test_overrides_are_dotted(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text("name: r\nextract: {inputs: [x]}\nscore: {models: []}\n")
    assert recipe.load(str(file), ["balance.t=7", "extract.inputs=[a, b]"]).balance.t == 7
    with pytest.raises(RecipeError, match=r"section\.key=value"):
        recipe.load(str(file), ["balance.t"])


def test_every_recipe_that_ships_loads():
    for file in folder("recipes").iterdir():
        assert recipe.load(file.name).name == file.name.removesuffix(".yaml")
    with pytest.raises(RecipeError, match="did you mean 'demo'"):
        recipe.load("demoo")
