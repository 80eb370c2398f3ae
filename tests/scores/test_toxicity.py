"""A text classifier in the form of transformers, made here: probabilities by hand, and folders that are none."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from curate.facts.contract import REASON
from curate.scores import toxicity
from curate.scores.settings import Toxicity
from curate.weights import ModelError

transformers = pytest.importorskip("transformers")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "dog", "awful", "nice", "a"]
LABELS = {0: "toxic", 1: "obscene", 2: "neutral"}


def classifier(folder, problem="multi_label_classification"):
    torch.manual_seed(0)
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, max_position_embeddings=32,
        id2label=LABELS, label2id={name: index for index, name in LABELS.items()}, problem_type=problem, initializer_range=1.0,
    )  # fmt: skip
    model = transformers.BertForSequenceClassification(config).eval()
    model.save_pretrained(folder)
    return model


def scored(folder, texts, **more):
    settings = Toxicity(classifier=str(folder), max_tokens=16, **more)
    scorer = toxicity.load(settings, "cpu", toxicity.KIND.identity(settings))
    found = scorer.score(pa.table({"text": pa.array(texts, pa.string())}), {}, np.zeros(0, np.int64))
    assert set(found) == {"toxicity", "category", REASON} and found["toxicity"].dtype == np.float32
    return found


def logits(folder, model, text) -> np.ndarray:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return model(**tokenizer(text, return_tensors="pt")).logits[0].double().numpy()


TEXTS = ["a nice red dog", "awful", "a nice red dog", "", "awful awful dog a a a a a"]


def test_a_text_is_as_toxic_as_its_worst_category(tmp_path):
    model = classifier(tmp_path / "c")
    odds = np.array([1 / (1 + np.exp(-logits(tmp_path / "c", model, text))) for text in TEXTS])
    found = scored(tmp_path / "c", TEXTS, categories=("obscene", "toxic"), batch_size=2)
    assert found["toxicity"] == pytest.approx(odds[:, :2].max(axis=1), abs=1e-5)
    assert list(found["category"]) == [LABELS[int(row[:2].argmax())] for row in odds]
    assert scored(tmp_path / "c", TEXTS)["toxicity"] == pytest.approx(odds.max(axis=1), abs=1e-5)


def test_of_a_classifier_that_picks_one_the_toxic_shares_are_added(tmp_path):
    model = classifier(tmp_path / "c", "single_label_classification")
    odds = np.array(
        [np.exp(row) / np.exp(row).sum() for row in (logits(tmp_path / "c", model, text) for text in TEXTS)]
    )
    found = scored(tmp_path / "c", TEXTS, categories=("toxic", "obscene"))
    assert found["toxicity"] == pytest.approx(odds[:, 0] + odds[:, 1], abs=1e-5)
    with pytest.raises(ModelError, match=r"picks one of toxic, obscene, neutral: say which are toxic"):
        scored(tmp_path / "c", TEXTS)


@pytest.mark.timeout(60)
def test_long_texts_are_cut_and_no_texts_are_no_answers(tmp_path):
    classifier(tmp_path / "c")
    found = scored(tmp_path / "c", ["a" * 500_000, "dog " * 100_000, "dog " * 14])
    assert np.isfinite(found["toxicity"]).all() and found["toxicity"][1] == pytest.approx(
        found["toxicity"][2], abs=1e-6
    )
    assert len(scored(tmp_path / "c", [])["toxicity"]) == 0


def test_folders_that_are_missing_or_something_else_are_errors(tmp_path):
    with pytest.raises(ModelError, match=r"no classifier in .*: config\.json is not there.*huggingface-cli download"):
        scored(tmp_path / "none", TEXTS)
    classifier(tmp_path / "c")
    with pytest.raises(ModelError, match="knows no category 'toxik': did you mean 'toxic'"):
        scored(tmp_path / "c", TEXTS, categories=("toxik",))
    settings = Toxicity(classifier=str(tmp_path / "c"))
    with pytest.raises(ModelError, match="is not the classifier that this run was planned with"):
        toxicity.load(settings, "cpu", {"revision": "0"})
    (tmp_path / "c" / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelError, match="is not a text classifier that loads safely"):
        scored(tmp_path / "c", TEXTS)
