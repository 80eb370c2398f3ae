"""A CoCa answers by the request alone: the image, the sampling and the seed."""

import hashlib
import json
import shutil

import pytest
import torch

from curate import models
from curate.backends import coca, decoding
from curate.backends.contract import Photo, Request, Sampling
from curate.backends.settings import CoCa
from curate.weights import ModelError
from tests.conftest import ROOT
from tests.small_model import COLOURS, SHAPES, drawn


def photo(shape, colour) -> Photo:
    data = drawn(shape, colour)
    return Photo(data, hashlib.sha256(data).hexdigest())


PHOTOS = [photo(shape, colour) for colour in COLOURS[:4] for shape in SHAPES]
BY_CHANCE = Sampling(max_tokens=12, temperature=1.0, top_p=0.9)
LIKELIEST = Sampling(max_tokens=12)


@pytest.fixture(scope="module")
def settings(small_coca):
    return CoCa(model=f"local-dir:{small_coca}")


@pytest.fixture(scope="module")
def captioner(settings):
    return coca.load(settings, "cpu")


def requests(sampling, seeds=range(3)):
    return [Request("", photo=one, sampling=sampling, seed=seed) for one in PHOTOS[:6] for seed in seeds]


@pytest.mark.parametrize("sampling", [BY_CHANCE, LIKELIEST], ids=["by chance", "likeliest"])
def test_an_answer_hangs_on_its_request_alone(captioner, sampling):
    asked = requests(sampling)
    together = captioner.answers(asked)
    torch.manual_seed(99)
    alone = [captioner.answers([request])[0] for request in reversed(asked)][::-1]
    others = captioner.answers([*requests(LIKELIEST)[:5], *asked, *requests(BY_CHANCE)])[5 : 5 + len(asked)]
    assert together == alone == others
    assert len({answer.text for answer in together}) > 1


def test_another_seed_is_another_draw_and_another_image_another_caption(captioner):
    drawn = {answer.text for answer in captioner.answers(requests(BY_CHANCE, range(8))[:8])}
    assert len(drawn) > 4
    likeliest = captioner.answers(requests(LIKELIEST, range(8))[:8])
    assert len(set(likeliest)) == 1
    images = {answer.text for answer in captioner.answers([Request("", photo=p, sampling=LIKELIEST) for p in PHOTOS])}
    assert len(images) > 4


def test_prompts_are_not_for_it(captioner):
    plain, spoken = (Request(words, words, PHOTOS[0], BY_CHANCE, 1) for words in ("", "Say nothing at all"))
    assert captioner.answers([plain]) == captioner.answers([spoken])


def test_the_likeliest_token_is_the_one_that_the_whole_model_finds_likeliest(captioner, settings):
    """Against a plain loop over the model's own forward pass, with the padding behind the text that it was trained with."""
    clip = models.load(coca.model_of(settings), "cpu")
    words = clip.tokenizer
    for one in PHOTOS[:4]:
        ids = [words.sot_token_id]
        while len(ids) <= 12 and ids[-1] != words.eot_token_id:
            padded = torch.tensor([ids + [0] * (16 - len(ids))])
            with torch.no_grad():
                logits = clip.model(clip.pixels(one.pixels)[None], padded, output_labels=False)["logits"][
                    0, len(ids) - 1
                ]
            logits[[0, words.sot_token_id]] = -torch.inf
            ids.append(int(logits.argmax()))
        answer = captioner.answers([Request("", photo=one, sampling=LIKELIEST)])[0]
        ended = ids[-1] == words.eot_token_id
        assert answer.finish == ("stop" if ended else "length") and answer.completion_tokens == len(ids) - 1
        assert answer.text == captioner._text(ids[1 : -1 if ended else None])


def test_marks_and_what_is_no_word_never_come(captioner):
    steps = decoding.Steps(captioner._clip.model, [519], 520, known=518, least=2)
    images = torch.zeros(2, 8, 32)
    with torch.no_grad():
        first = steps(images, [[], []])
    # The padding, the marks where they are not known as words, and before two tokens the end.
    assert torch.isinf(first[:, [0, 518, 519, 520]]).all() and torch.isfinite(first[:, 1:518]).all()
    assert first.exp().sum(1).tolist() == pytest.approx([1, 1])
    steps = decoding.Steps(captioner._clip.model, [519], 520, known=521, least=2)
    with torch.no_grad():
        first, third = steps(images, [[], []]), steps(images, [[1, 2], [3, 4]])
    assert torch.isinf(first[:, 520]).all() and torch.isfinite(third[:, 520]).all() and torch.isinf(third[:, 519]).all()


def test_beams_of_one_row_do_not_meet_those_of_another(captioner, settings):
    import msgspec

    wide = coca.Captioner(msgspec.structs.replace(settings, beams=4), captioner._clip, {})
    asked = requests(LIKELIEST, [0])
    assert wide.answers(asked) == [wide.answers([request])[0] for request in asked]
    assert [a.text for a in wide.answers(asked)] != [a.text for a in captioner.answers(asked)]


def test_an_answer_ends_before_what_it_stops_at(captioner):
    free = captioner.answers(requests(BY_CHANCE, [5]))
    long = next(place for place, answer in enumerate(free) if len(answer.text) > 8)
    letter = free[long].text[3]
    how = Sampling(max_tokens=12, temperature=1.0, top_p=0.9, stop=(letter,))
    cut = captioner.answers(requests(how, [5]))
    assert cut[long].finish == "stop" and cut[long].completion_tokens < free[long].completion_tokens
    for whole, part in zip(free, cut, strict=True):
        assert part.text == whole.text.partition(letter)[0].strip()


def test_tokens_are_counted_and_cut(captioner):
    short = captioner.answers(requests(Sampling(max_tokens=3), [0]))
    assert {answer.completion_tokens for answer in short} == {3} and {answer.finish for answer in short} == {"length"}
    assert {answer.prompt_tokens for answer in short} == {1}
    longest = captioner.answers(requests(Sampling(max_tokens=500), [0]))
    assert max(answer.completion_tokens for answer in longest) <= 15


def test_captions_begin_with_the_prefix_and_end_late_enough(captioner, settings):
    import msgspec

    told = msgspec.structs.replace(settings, prefix="a Red thing", min_tokens=4)
    other = coca.Captioner(told, captioner._clip, {})
    answers = other.answers(requests(BY_CHANCE))
    assert all(answer.text.startswith("a Red thing") and answer.completion_tokens > 4 for answer in answers)
    assert {answer.prompt_tokens for answer in answers} == {1 + len(captioner._clip.tokenizer.encode("a Red thing"))}
    assert [a.text.removeprefix("a Red thing").strip() for a in answers] != [
        a.text for a in captioner.answers(requests(BY_CHANCE))
    ]
    with pytest.raises(ModelError, match=r"room for .* tokens after the prefix's"):
        coca.Captioner(msgspec.structs.replace(settings, prefix="a very long thing " * 5), captioner._clip, {})


def test_images_that_are_none_and_requests_without_one_fail_alone(captioner):
    broken = Photo(b"GIF89a but not", "0" * 64)
    good = Request("", photo=PHOTOS[0], sampling=LIKELIEST)
    answers = captioner.answers([Request("", photo=broken), good, Request("what is it?")])
    assert [answer.status for answer in answers] == ["undecodable", None, "rejected"]
    assert answers[1] == captioner.answers([good])[0]
    assert [a.status for a in captioner.answers([Request("", photo=broken)])] == ["undecodable"]


def test_the_demos_captioner_names_what_it_was_trained_on():
    """The checkpoint that ships, on pictures of the pool whose labels it knows."""
    known = {"emoji.example/noto/1f3a9": "top hat", "emoji.example/noto/1f4bb": "laptop", "emoji.example/noto/1f407": "rabbit",
             "stamps.example/img/food/vegetables/broccoli": "broccoli", "emoji.example/noto/1f955": "carrot",
             "emoji.example/noto/1f1ef-1f1f5": "japan"}  # fmt: skip
    requests = []
    for name in known:
        data = (ROOT / "demo" / "pool" / "www" / f"{name}.png").read_bytes()
        requests.append(Request("", photo=Photo(data, hashlib.sha256(data).hexdigest())))
    answers = coca.load(CoCa(model=f"local-dir:{ROOT / 'demo' / 'captioner'}"), "cpu").answers(requests)
    named = [word in answer.text.lower() for word, answer in zip(known.values(), answers, strict=True)]
    assert sum(named) >= 4 and all(answer.finish == "stop" for answer in answers)


def test_the_identity_is_the_models_and_not_the_folders(small_coca, settings, tmp_path):
    import msgspec

    known = coca.identity(settings)
    assert known["revision"].startswith("sha256:") and known["preprocessing"]["size"] == 16
    moved = tmp_path / small_coca.rpartition("/")[2]
    shutil.copytree(small_coca, moved)
    assert coca.identity(CoCa(name="other", model=f"local-dir:{moved}", batch_size=3)) == known
    assert coca.identity(msgspec.structs.replace(settings, beams=2)) != known
    config = json.loads((moved / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["mean"] = [0.4] * 3
    (moved / "open_clip_config.json").write_text(json.dumps(config))
    assert coca.identity(CoCa(model=f"local-dir:{moved}")) != known
    assert coca.load(settings, "cpu").identity == known


def test_what_is_no_captioner_is_said(small_run, tmp_path, monkeypatch):
    with pytest.raises(ModelError, match=r"is no CoCa: .*multimodal_cfg.*coca_ViT-B-32"):
        coca.identity(CoCa(model=f"local-dir:{small_run}"))
    with pytest.raises(ModelError, match=r"needs `pretrained`"):
        coca.identity(CoCa(model="coca_ViT-L-14"))
    with pytest.raises(ModelError, match=r"neither a file nor a tag.*laion2b_s13b_b90k"):
        coca.identity(CoCa(model="coca_ViT-L-14", pretrained="laion2b_s13b_b90"))
    with pytest.raises(
        ModelError, match=r"not on this machine: looked for .*CoCa.*open_clip.create_model\('coca_ViT-L-14'"
    ):
        coca.identity(CoCa(model="coca_ViT-L-14", pretrained="mscoco_finetuned_laion2b_s13b_b90k"))
    with pytest.raises(ModelError, match=r"no open_clip_config\.json in"):
        coca.identity(CoCa(model=f"local-dir:{tmp_path}"))
