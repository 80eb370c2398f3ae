"""A CoCa in the training stage: it learns to say what it sees, and ends in the same bytes."""

import hashlib

import pytest
import torch

from curate.backends import coca
from curate.backends.contract import Photo, Request, Sampling
from curate.backends.settings import CoCa
from curate.training import captioning
from curate.training.loop import train
from curate.weights import WEIGHTS
from tests.small_coca import write_config
from tests.small_model import COLOURS, SHAPES


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_config(tmp_path_factory.mktemp("config"))


def test_a_captioner_learns_to_say_what_it_sees(tmp_path, config, job_on, make_shards, make_picture):
    make_shards(tmp_path)
    train(job_on(tmp_path, model=config, samples_seen=16 * 150))
    captioner = coca.load(CoCa(model=f"local-dir:{tmp_path / 'runs' / 'curated-0'}"), "cpu")
    requests, right = [], []
    for colour in COLOURS:
        for shape in SHAPES:
            data = make_picture(shape, colour)
            photo = Photo(data, hashlib.sha256(data).hexdigest())
            requests.append(Request("", photo=photo, sampling=Sampling(max_tokens=14)))
            right.append(colour)
    answers = captioner.answers(requests)
    said = [colour in answer.text.split() for colour, answer in zip(right, answers, strict=True)]
    # By chance one in eight names the colour; the texts' form has nothing of chance.
    assert sum(said) >= len(said) / 2
    assert sum(any(shape in answer.text for shape in SHAPES) for answer in answers) >= 0.9 * len(answers)
    assert all(answer.finish == "stop" for answer in answers)


def test_trainings_of_one_seed_end_in_the_same_bytes(tmp_path, config, job_on, make_shards):
    """The projection to the vocabulary is among what a seed draws: open_clip leaves there what lay in memory."""
    make_shards(tmp_path)
    found = set()
    for name in ("a", "b"):
        filler = torch.full((1 << 20,), float(ord(name)))
        del filler
        train(job_on(tmp_path, target=f"runs/{name}", model=config, samples_seen=32, warmup=1))
        found.add(hashlib.sha256((tmp_path / "runs" / name / WEIGHTS).read_bytes()).hexdigest())
    assert len(found) == 1


def test_the_loss_is_the_papers():
    """Of two pairs and three tokens, by hand: the padding is not counted, and the caption weighs twice."""
    image = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    logits = torch.zeros(2, 2, 3)
    logits[0, 0, 1] = 2.0
    outputs = {"image_features": image, "text_features": image, "logit_scale": torch.tensor(1.0), "logits": logits}
    found = captioning.objective(0, 1)(outputs | {"labels": torch.tensor([[1, 0], [2, 1]])})
    contrastive = torch.log(1 + torch.exp(torch.tensor(-1.0)))
    first, other = torch.log(1 + 2 * torch.exp(torch.tensor(-2.0))), torch.log(torch.tensor(3.0))
    assert float(found) == pytest.approx(float(contrastive + 2 * (first + 2 * other) / 3), rel=1e-6)
