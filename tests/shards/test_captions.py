"""Captions in shards: they travel in the json, stand beside the alt text, and training draws among them by the policy's odds."""

import io
import json
import shutil
import tarfile
from collections import Counter

import msgspec
import numpy as np
import pytest

from curate import recipe
from curate.shards import captions, samples, writing
from curate.shards.captions import Texts
from curate.shards.policies import Alip, Alt, Odds, Uniform
from curate.shards.weighing import Means
from curate.store import Dataset, Plan
from curate.training.shards import read_shard
from tests.small_captions import captions_of, write_seen


@pytest.fixture(scope="module")
def workdir(small_workdir, tmp_path_factory):
    root = str(tmp_path_factory.mktemp("captions") / "w")
    shutil.copytree(small_workdir, root, ignore=shutil.ignore_patterns("shards", "shards-raw"))
    write_seen(root)
    return root


def written(workdir, tmp_path, texts: Texts):
    """The shard of the whole curated set: its dataset, and each sample's members."""
    inputs = samples.table_inputs(workdir, ["clip"], None, texts)
    choose = samples.chooser("first", 0, "clip")
    target = Dataset(str(tmp_path), "shards")
    plan = Plan(dataset="shards", stage="shard", settings={}, inputs={}, parts=("00000",))
    target.begin(plan)
    parts = Dataset(workdir, "images").part_names()
    found = (s for part in parts for s in samples.samples_of(part, inputs, samples.curated, choose, texts))
    writing.write_shard("00000", found, target, plan)
    target.commit(plan)
    with tarfile.open(fileobj=io.BytesIO(target.fs.cat_file(target.path("00000.tar")))) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}
    keys = sorted({name.split(".")[0] for name in files})
    return target, [(json.loads(files[f"{key}.json"]), files[f"{key}.txt"].decode()) for key in keys]


UNIFORM = Texts(("seen",), ("found",), Uniform(), {}, 0)


def test_every_caption_travels_and_the_alt_text_stays(workdir, tmp_path):
    target, found = written(workdir, tmp_path, UNIFORM)
    kinds = Counter()
    for facts, txt in found:
        said = captions_of(facts["uid"]) or []
        assert facts["captions"] == ({"seen": said} if said else {})
        boxes = [[text, 0.5, 0.0, 0.25, 0.5, 1.0] for text in said]
        assert facts["regions"] == ({"found": boxes} if said else {})
        assert facts["captions_of_texts"] == [{"seen": s} if (s := captions_of(uid)) else {} for uid in facts["uids"]]
        assert facts["alt_text"] == facts["texts"][facts["uids"].index(facts["uid"])]
        assert facts["text"] == txt and txt in [facts["alt_text"], *said]
        assert facts["text_source"] == ("alt" if txt == facts["alt_text"] else "seen")
        # What open_clip's --json-text-key takes: a string under a key of its own.
        assert [facts.get(key) for key in ("caption_seen", "caption_seen_2")] == [*said, None, None][:2]
        for text, uid, choices, odds in zip(
            facts["texts"], facts["uids"], facts["choices"], facts["odds"], strict=True
        ):
            assert choices == [text, *(captions_of(uid) or [])] and odds == pytest.approx(
                [1 / len(choices)] * len(choices)
            )
        kinds[facts["text_source"]] += 1
    assert min(kinds["alt"], kinds["seen"]) > 0
    index = {row["key"]: row for row in target.read_part("00000").to_pylist()}
    assert {row["text"] for row in index.values()} == {txt for _, txt in found}


def test_training_draws_by_the_odds_anew_each_epoch(workdir, tmp_path):
    target, found = written(workdir, tmp_path, Texts(("seen",), (), Odds(odds={"alt": 0.8, "seen": 0.2}), {}, 0))
    counts, expected = Counter(), Counter()
    draws = np.random.default_rng(0).random((len(found), 400, 2))
    for sample, of_sample in zip(read_shard(target, "00000"), draws, strict=True):
        assert len(sample.choices) == len(sample.texts)
        said = any(len(choices) > 1 for choices in sample.choices)
        for which, drawn in of_sample if said and len(sample.texts) == 1 else ():
            text = sample.text(which, drawn)
            counts[text in sample.texts] += 1
        expected["samples"] += said and len(sample.texts) == 1
    share = counts[True] / counts.total()
    assert expected["samples"] > 5 and abs(share - 0.8) < 4 * (0.16 / counts.total()) ** 0.5
    lists = {
        "uids": ("x", "y"),
        "keep_probabilities": (1.0, 1.0),
        "choices": (("a",), ("b", "c")),
        "odds": ((1.0,), (0.5, 0.5)),
    }
    only = msgspec.structs.replace(sample, texts=("a", "b"), **lists)
    assert only.only([1]).choices == (("b", "c"),) and {only.only([1]).text(0, c) for c in (0.2, 0.7)} == {"b", "c"}


def test_without_captions_a_shard_is_what_it_was(workdir, tmp_path):
    _, found = written(workdir, tmp_path / "a", Texts())
    for facts, txt in found:
        assert facts["text"] == txt == facts["texts"][facts["uids"].index(facts["uid"])]
        assert not {"captions", "choices", "odds", "alt_text"} & set(facts)
    _, carried = written(workdir, tmp_path / "b", Texts(("seen",), (), Alt(), {}, 0))
    assert [txt for _, txt in carried] == [txt for _, txt in found]
    assert any(facts["captions"] for facts, _ in carried)


def test_alip_is_weighed_by_the_means_of_the_whole_table(workdir, tmp_path):
    table = Dataset(workdir, "captions/agreement")
    sums = [msgspec.convert(captions.summed(part, table=table), captions.Sums) for part in table.part_names()]
    assert captions.means_of(sums) == pytest.approx((0.5, 0.2, 0.3))
    texts = Texts(("seen",), (), Alip(by="agreement"), {"agreement": "seen"}, 0, Means(0.6, 0.2, 0.3))
    _, found = written(workdir, tmp_path, texts)
    for facts, _ in found:
        for odds in facts["odds"]:
            # Both sides are at their means, so both weigh 1; the captions share their side.
            assert odds == pytest.approx([1.0] if len(odds) == 1 else [0.5, *[0.5 / (len(odds) - 1)] * (len(odds) - 1)])


def test_the_recipe_says_what_travels(workdir):
    plain = {
        "name": "t", "extract": {"inputs": ["x"]}, "score": {"models": [{"name": "clip", "model": "ViT-B-32"}]},
        "recaption": {
            "backends": [{"backend": "openai", "endpoint": "http://127.0.0.1:1/v1", "model": "m"}],
            "captioners": [
                {"captioner": "describe", "backend": "openai", "name": "seen"},
                {"captioner": "consistency", "of": "seen", "model": "clip", "name": "agreement"},
            ],
        },
        "shard": {"captions": {"policy": "alip", "by": "agreement"}},
    }  # fmt: skip
    texts = Texts.of(recipe.build(plain), curated=True)
    assert (texts.captioners, texts.looked_at) == (("seen",), {"agreement": "seen"})
    assert set(texts.inputs(workdir)) == {"captions_seen", "captions_agreement"}
    assert Texts.of(recipe.build(plain), curated=False) == Texts()
