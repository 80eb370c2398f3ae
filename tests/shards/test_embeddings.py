"""Embeddings beside shards: of each text the encoder's mean over tokens, under the shard's keys."""

import io
import json
import tarfile

import msgspec
import numpy as np
import pytest
import torch

from curate.shards import embeddings
from curate.shards.embeddings import Job, embed_part
from curate.shards.reading import members_of
from curate.shards.reinforcement import Embed
from curate.store import Dataset, Plan
from curate.weights import ModelError
from tests.small_model import COLOURS, SHAPES, write_shards


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BERT of two layers with a vocabulary of words, as transformers saves it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    root = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "a", ",", *COLOURS, *SHAPES]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(root)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(root)
    return root


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("embedded"), shards=1)


def job_of(shards, folder, name="bert", **more) -> Job:
    settings = Embed(name=name, encoder=str(folder), **more)
    identity = settings.identity() | {"revision": embeddings.revision(settings)}
    plan = Plan(dataset=f"embeddings/{name}", stage="shard", settings=identity, inputs={}, parts=("00000",))
    return Job(settings, shards, Dataset(shards.workdir, plan.dataset), plan)


def made(job) -> dict[str, dict[str, np.ndarray]]:
    job.target.remove()
    job.target.begin(job.plan)
    embed_part("00000", job=job)
    with tarfile.open(fileobj=io.BytesIO(job.target.fs.cat_file(job.target.path("00000_text_embeddings.tar")))) as tar:
        return {
            member.name.removesuffix(".npz"): dict(np.load(io.BytesIO(tar.extractfile(member).read())))
            for member in tar
        }


def test_each_text_has_its_own_embedding_under_the_shards_key(shards, folder):
    from transformers import AutoModel, AutoTokenizer

    found = made(job_of(shards, folder, batch_size=3))
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    originals = {key: json.loads(members["json"]) for key, members in members_of(shards, "00000")}
    assert list(found) == list(originals)
    for key, facts in originals.items():
        with torch.inference_mode():
            hidden = model(**tokenizer(facts["text"], return_tensors="pt")).last_hidden_state[0].mean(0)
        alone = (hidden / hidden.norm()).numpy()
        assert found[key]["alt"].dtype == np.float32 and found[key]["alt"][0] == pytest.approx(alone, abs=1e-5)


def test_captions_have_arrays_of_their_own(folder):
    settings = Embed(name="bert", encoder=str(folder), precision="float16")
    encoder = embeddings.load(settings, "cpu", embeddings.revision(settings))
    facts = {
        "text": "red disc",
        "alt_text": "a disc",
        "captions": {"seen": ["red disc"], "rewritten": ["a disc", "blue"]},
    }
    ((_, arrays),) = embeddings.embedded([("k", facts)], encoder, settings)
    assert {name: array.shape for name, array in arrays.items()} == {
        "alt": (1, 12),
        "caption_seen": (1, 12),
        "caption_rewritten": (2, 12),
    }
    assert (arrays["alt"][0] == arrays["caption_rewritten"][0]).all() and arrays["alt"].dtype == np.float16
    assert not (arrays["alt"][0] == arrays["caption_seen"][0]).all()


def test_an_encoder_that_is_not_here_or_changed_or_brings_code_is_refused(shards, folder, tmp_path):
    with pytest.raises(ModelError, match=r"looked for in .*nowhere, and config.json is not there"):
        embeddings.revision(Embed(name="x", encoder=str(tmp_path / "nowhere")))
    job = job_of(shards, folder)
    with pytest.raises(ModelError, match="planned"):
        embed_part(
            "00000", job=Job(**{**vars(job), "plan": msgspec.structs.replace(job.plan, settings={"revision": "other"})})
        )
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text()) | {"auto_map": {"AutoModel": "evil.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="code of its own"):
        made(job_of(shards, tmp_path, "evil"))
