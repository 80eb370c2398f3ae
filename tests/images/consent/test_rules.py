"""The rule table: what ships, tables of one's own, and what is wrong in them said with the nearest name."""

import pytest
import yaml

from curate import recipe
from curate.images.consent.rules import RulesError, load, table
from curate.recipe import RecipeError

GOOD = {"name": "x", "read": "response_header", "field": "X-Use", "syntax": "value", "when": "response",
        "forbids": ["no"], "allows": ["yes"], "source": "a test"}  # fmt: skip


def write(tmp_path, *rows, top=None):
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(top if top is not None else {"rules": list(rows)}))
    return str(file)


def settings(**changes):
    return recipe.build({"name": "t", "extract": {"inputs": []}, "score": {"models": []}, "download": changes}).download


def test_the_table_that_ships_names_its_sources_and_covers_the_places():
    rules = load()
    assert {rule.read for rule in rules} == {"robots_txt", "well_known", "response_header", "page_meta"}
    assert all(rule.source and rule.forbids for rule in rules)
    assert {"robots_txt", "x_robots_tag", "content_usage_robots", "tdm_file", "meta_robots"} <= {r.name for r in rules}
    assert table().rules == tuple(rule for rule in rules if rule.heeded)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fields": "x"}, r"rules\[1\]: unknown key 'fields': did you mean 'field'"),
        ({"read": "response_headers"}, "read: 'response_headers' .*did you mean 'response_header'"),
        ({"syntax": "dictionry"}, "did you mean 'dictionary'"),
        ({"when": "before"}, "response_header is read 'response', not 'before'"),
        ({"syntax": "tdmrep"}, "cannot stand in response_header, which takes directives, dictionary, value"),
        ({"name": "Not A Name"}, "name"),
        ({"forbids": "no"}, "forbids"),
        ({"name": "y"}, "'y' names 2 rules"),
        ({"read": "well_known", "syntax": "tdmrep", "when": "before"}, "is no path"),
        ({"read": "page_meta", "when": "page"}, "allows"),
    ],
)
def test_errors_name_the_rule_the_value_and_the_nearest_name(tmp_path, change, says):
    with pytest.raises(RecipeError, match=says) as error:
        settings(consent_rules=write(tmp_path, GOOD | {"name": "y"}, GOOD | change))
    assert "rules.yaml" in str(error.value) and "download" in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "- a", "rules: 3", "rules: []\nmore: 1", "rules: [3]", "rules: [", "\0", "a: " + "[" * 5000]
)
def test_a_file_that_is_no_table_is_said_to_be_none(tmp_path, text):
    (tmp_path / "rules.yaml").write_text(text)
    with pytest.raises(RulesError, match=r"rules\.yaml"):
        load(str(tmp_path / "rules.yaml"))
    with pytest.raises(RulesError, match=r"nowhere\.yaml"):
        load(str(tmp_path / "nowhere.yaml"))


def test_rules_are_switched_off_by_name():
    names = {rule.name for rule in table(off=["tdm_file"]).rules}
    assert "tdm_file" not in names and "tdm_header" in names
    with pytest.raises(RecipeError, match="no rule 'robots_text': did you mean 'robots_txt'"):
        settings(consent_off=["robots_text"])
    with pytest.raises(RecipeError, match=r"consent.*ignore"):
        settings(consent="ignore")


def test_directives_of_the_recipe_stand_in_place_of_the_tables():
    changed = {rule.name: rule.forbids for rule in table(directives=[" NoIndex", "noai"]).rules}
    assert changed["x_robots_tag"] == changed["meta_robots"] == ("noindex", "noai", "none")
    assert changed["tdm_header"] == ("1",)


def test_a_table_is_known_by_what_is_in_it(tmp_path):
    one = table(write(tmp_path, GOOD)).fingerprint
    assert (
        one
        == table(write(tmp_path, GOOD)).fingerprint
        != table(write(tmp_path, GOOD | {"forbids": ["never"]})).fingerprint
    )
    assert table().fingerprint != table(off=["tdm_file"]).fingerprint
    assert settings(consent_rules=write(tmp_path, GOOD)).identity() == settings().identity()
