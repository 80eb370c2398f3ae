"""The job over a small workdir: what is in the shards, what its manifest says of their balance, the same bytes again."""

import shutil
from pathlib import Path

import msgspec
import pytest

from curate.recipe import Dedup, Recaption, Score, Select, Shard
from curate.shards.balance import Balance
from curate.shards.policies import Alip
from curate.store import Dataset, StoreError
from curate.training.shards import read_shard
from jobs import engine, shard
from tests.small_captions import write_seen

pytestmark = pytest.mark.usefixtures("same_actors")


@pytest.fixture(scope="module")
def here(tmp_path_factory, small_workdir, small_recipe, engines):
    """A run over a copy of the small workdir, without shards, whose balance says that it let every matched pair pass."""
    workdir = tmp_path_factory.mktemp("shard") / "w"
    shutil.copytree(small_workdir, workdir, ignore=shutil.ignore_patterns("shards", "shards-raw"))
    balanced = Dataset(str(workdir), "balanced")
    manifest = balanced.require()
    plan = msgspec.structs.replace(manifest.plan, settings={"online": True})
    balanced.put("_manifest.json", msgspec.json.encode(msgspec.structs.replace(manifest, plan=plan)))
    one_worker = msgspec.structs.replace(small_recipe, shard=Shard(workers=1))
    return engine.Run(one_worker, str(workdir), engines)


@pytest.fixture(scope="module")
def made(here):
    shard.run(here)
    return here


def contents(workdir):
    return {file.name: file.read_bytes() for file in (Path(workdir) / "shards").iterdir()}


def test_the_same_datasets_make_the_same_bytes(made):
    before = contents(made.workdir)
    made.dataset("shards").remove()
    shard.make_set(made, "curated")
    assert contents(made.workdir) == before and {"00000.tar", "00000.parquet", "_manifest.json"} <= set(before)


def test_the_manifest_and_the_card_say_what_is_left_to_draw(made):
    shards, raw = made.dataset("shards"), made.dataset("shards-raw")
    record = msgspec.convert(shards.require().extra["balance"], Balance)
    rows = shards.read_part("00000").to_pylist()
    assert record.online
    # Every matched text of the small workdir has a keep probability of one half.
    assert record.expected_samples == sum(1 - 0.5 ** len(row["texts"]) for row in rows) > 1
    assert "not balanced yet" in contents(made.workdir)["README.md"].decode()
    assert not msgspec.convert(raw.require().extra["balance"], Balance).online


def test_a_set_that_was_balanced_before_says_so(made, small_workdir):
    assert shard.balanced_online(made)
    assert not shard.balanced_online(engine.Run(made.recipe, small_workdir, made.engines))


def test_the_index_has_the_entries_and_probabilities_of_each_text(made, small_rows):
    entries = {row.uid: row.entries for row in small_rows}
    for row in made.dataset("shards").read_part("00000").to_pylist():
        assert (row["entries"], row["keep_probability"]) == (entries[row["uid"]], 0.5)
        assert row["keep_probabilities"] == [0.5] * len(row["uids"]) and row["uid"] in row["uids"]


def test_without_scores_the_first_text_is_taken(made, tmp_path):
    workdir = tmp_path / "w"
    shutil.copytree(made.workdir, workdir, ignore=shutil.ignore_patterns("shards", "shards-raw", "scores"))
    plain = msgspec.structs.replace(made.recipe, score=Score(models=()), select=Select(), dedup=Dedup())
    shard.run(engine.Run(plain, str(workdir), made.engines))
    assert Dataset(str(workdir), "shards").require().ledger.kept > 0
    assert Dataset(str(workdir), "shards").require().plan.settings["text"] == "first"


def test_captions_travel_and_weigh_by_the_means_of_their_table(made, tmp_path):
    workdir = str(tmp_path / "w")
    shutil.copytree(made.workdir, workdir, ignore=shutil.ignore_patterns("shards", "shards-raw"))
    write_seen(workdir)
    backend = {"backend": "openai", "endpoint": "http://127.0.0.1:1/v1", "model": "m"}
    captioners = [
        {"captioner": "describe", "backend": "openai", "name": "seen"},
        {"captioner": "consistency", "of": "seen", "model": "clip", "name": "agreement"},
    ]
    recaption = msgspec.convert({"backends": [backend], "captioners": captioners}, Recaption)
    weighed = msgspec.structs.replace(made.recipe.shard, captions=Alip(by="agreement"))
    told = msgspec.structs.replace(made.recipe, recaption=recaption, shard=weighed)
    shard.run(engine.Run(told, workdir, made.engines))
    odds = []
    for sample in read_shard(Dataset(workdir, "shards"), "00000"):
        odds += [one for one in sample.odds if len(one) > 1]
        assert [choices[0] for choices in sample.choices] == list(sample.texts)
    # All cosines are at their means, so that alt text and captions have one half each.
    assert len(odds) > 5 and all(one[0] == pytest.approx(0.5) for one in odds)
    assert all(not sample.choices for sample in read_shard(Dataset(workdir, "shards-raw"), "00000"))
    with pytest.raises(StoreError, match=r"captions\.policy was 'alip', is now 'alt'"):
        shard.run(engine.Run(msgspec.structs.replace(told, shard=made.recipe.shard), workdir, made.engines))
