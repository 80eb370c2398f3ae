"""Captions of labels: a template each, reports kept as they are, and bad templates said when the recipe is read."""

import numpy as np
import pyarrow as pa
import pytest

from curate import recipe
from curate.captions.contract import REASON
from curate.captions.labels import Labeller, Labels
from curate.texts import templates


def said(settings: Labels, labels, kinds=None, column="text") -> dict:
    rows = pa.table({"text": ["some text"] * len(labels), "kind": kinds or ["label"] * len(labels)})
    rows = (
        rows.drop_columns("text").append_column("text", pa.array(labels, pa.string()))
        if column == "text"
        else rows.append_column(column, pa.array(labels, pa.string()))
    )
    return {
        name: list(v) if isinstance(v, np.ndarray) else v.to_pylist()
        for name, v in Labeller(settings).score(rows, {}, np.zeros(0, int)).items()
    }


def test_each_template_is_a_caption_of_the_readable_label():
    found = said(
        Labels(templates=("{label}", "a slide of {label}"), names={"LUAD": "lung cancer"}), ["LUAD", "lymph_node"]
    )
    assert found["captions"] == [["lung cancer", "a slide of lung cancer"], ["lymph node", "a slide of lymph node"]]
    assert found["label"] == ["LUAD", "lymph_node"] and found[REASON] == [None, None]
    assert len(said(Labels(), ["cat"])["captions"][0]) == len(templates.TEMPLATES) == 10


def test_a_report_says_more_than_a_label_and_an_empty_label_says_nothing():
    found = said(Labels(), ["normal", "cat", "", "__", None], ["report", "label", "label", "alt", "alt"])
    assert found[REASON] == ["has_report", None, "no_label", "no_label", "no_label"]
    assert [one is None for one in found["captions"]] == [True, False, True, True, True]
    assert said(Labels(except_kinds=()), ["normal"], ["report"])[REASON] == [None]


def test_the_label_may_be_a_scorers():
    settings = Labels(of="pseudo_labels")
    assert Labeller(settings).tables == {"scores/pseudo_labels": ("label",)}
    assert said(settings, ["zebra"], column="scores/pseudo_labels.label")["captions"][0][1] == "an image of zebra"
    with pytest.raises(recipe.RecipeError, match=r"'pseudo' is none of score: did you mean 'pixels'|there are none"):
        plain = {"captioners": [{"captioner": "labels", "of": "pseudo"}]}
        recipe.build({"name": "t", "extract": {"inputs": ["x"]}, "recaption": plain})


def test_a_template_that_says_nothing_of_the_label_is_refused():
    with pytest.raises(ValueError, match="says nothing of the label"):
        Labels(templates=("a picture",))
