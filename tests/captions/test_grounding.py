"""Objects that a caption names and that are not there are denied: by CLIP against other things, by a detector that has no box."""

import numpy as np
import pyarrow as pa
import pytest
import xxhash

from curate import recipe
from curate.captions.grounding import PROMPT, Checker, Grounding, vocabulary
from curate.facts.contract import column


class Compass:
    """A model whose space is drawn: the image looks along the first axis, as do the words of SEEN; all others lie all around."""

    SEEN = ("red apple", "table")

    def text_embeddings(self, texts):
        found = np.zeros((len(texts), 16), np.float32)
        for row, text in enumerate(texts):
            name = text.removeprefix(PROMPT.format(""))
            if name in self.SEEN:
                found[row, 0] = 1
            else:
                found[row] = np.random.default_rng(xxhash.xxh32_intdigest(name.encode())).normal(size=16)
                found[row, 0] = -abs(found[row, 0]) if name == "zebra" else found[row, 0]
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


def checked(captions, detector=None, **more) -> list[dict]:
    settings = Grounding(of="seen", model="clip", others=64, **({"detector": "found"} if detector else {}), **more)
    image = np.zeros((len(captions), 16), np.float32)
    image[:, 0] = 1
    rows = {
        "captions/seen.captions": pa.array(captions, pa.list_(pa.string())),
        "scores/clip.image_embedding": column(image),
    }
    if detector:
        for name, values in zip(("phrases", "regions"), detector, strict=True):
            rows[f"captions/found.{name}"] = pa.array(values, pa.list_(pa.string()))
    found = Checker(settings, Compass()).score(pa.table(rows), {}, np.zeros(0, int))
    plain = {
        name: values.to_pylist() if isinstance(values, pa.Array) else values.tolist() for name, values in found.items()
    }
    return [{name: values[row] for name, values in plain.items()} for row in range(len(captions))]


def test_clip_denies_what_is_less_like_the_image_than_most_things():
    there, wrong = checked([["a red apple on a table"], ["a red apple", "a zebra on a table"]])
    assert there["objects"] == ["red apple", "table"] and there["above"] == [0, 0]
    assert (there["denied"], there["hallucinated"], there["hallucinations"]) == ([], False, 0)
    assert wrong["objects"] == ["red apple", "zebra", "table"]
    assert (wrong["denied"], wrong["hallucinated"], wrong["hallucinations"]) == (["zebra"], True, 1)
    (loose,) = checked([["a zebra on a table"]], most_above=1.0)
    assert loose["denied"] == [] and loose["above"][0] > 0.5


def test_a_detector_denies_what_it_was_asked_for_and_did_not_find():
    captions = [["a red apple and a zebra"]] * 2
    boxes = ([["red apple", "zebra"], ["red apple"]], [["zebra"], None])
    assert [one["denied"] for one in checked(captions, boxes, denied_by="detector")] == [["red apple"], ["red apple"]]
    assert [one["denied"] for one in checked(captions, boxes, denied_by="both")] == [[], []]
    assert checked(captions, boxes, denied_by="either")[1]["denied"] == ["red apple", "zebra"]


def test_captions_without_things_deny_nothing_and_no_rows_are_no_answers():
    (one,) = checked([["so very blue"]])
    assert (one["objects"], one["hallucinated"]) == ([], False)
    assert checked([]) == []


def test_things_to_compare_with_are_always_the_same():
    assert vocabulary(64) == vocabulary(128)[:64] and len(set(vocabulary(512))) == 512


def test_a_judge_that_is_not_named_is_said():
    with pytest.raises(ValueError, match="wants a `detector`"):
        Grounding(of="seen", model="clip", denied_by="either")
    seen = {"captioner": "consistency", "of": "x", "model": "y"}
    with pytest.raises(recipe.RecipeError, match="none of those before it"):
        recipe.build({"name": "t", "extract": {"inputs": ["x"]}, "recaption": {"captioners": [seen]}})
