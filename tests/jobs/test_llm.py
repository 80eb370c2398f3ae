"""A model that Ray Data runs is asked in rounds. Here its processor is Ray's own for HTTP, since vLLM wants a GPU; all else is as it is."""

import json
from collections import Counter

import msgspec
import pytest

from curate import recipe
from curate.backends import protocol
from curate.backends.contract import Answer, Request, Sampling
from curate.backends.settings import RayLLM
from curate.captions.replaying import waiting
from curate.store import Dataset
from jobs import engine, llm, recaption
from tests.captions.workdirs import own, task_of
from tests.endpoint import endpoint, says
from tests.jobs.test_recaption import plain, question


def told(request) -> str:
    words = question(request)
    return f"a caption of {len(words)} by {words[:20]}"


def by_http(url):
    """What `llm.vllm` gives, of Ray's processor for endpoints."""

    def build(settings):
        from ray.data.llm import HttpRequestProcessorConfig, build_processor

        config = HttpRequestProcessorConfig(url=f"{url}/chat/completions", batch_size=settings.batch_size, concurrency=1)  # fmt: skip

        def answer(row):
            import orjson

            body = orjson.dumps(row["http_response"], option=orjson.OPT_SERIALIZE_NUMPY)
            return llm.answered(row, protocol.read(body))

        return build_processor(config, preprocess=lambda row: {"payload": json.loads(row["request"])}, postprocess=answer)  # fmt: skip

    return build


def run(workdir, engines, backend, captioner, url) -> Dataset:
    plainly = plain(url) | {"recaption": {"backends": [backend], "captioners": [captioner]}}
    recaption.run(engine.Run(recipe.build(plainly), str(workdir), engines))
    return Dataset(str(workdir), f"captions/{captioner['name']}")


def rows(data: Dataset) -> list[dict]:
    return [row for part in data.part_names() for row in data.read_part(part).to_pylist()]


def test_the_tables_are_those_of_an_endpoint_and_nothing_is_asked_twice(small_workdir, tmp_path, engines, monkeypatch, capsys):  # fmt: skip
    workdir = own(small_workdir, tmp_path)
    captioner = {"captioner": "describe", "lengths": ["short", "long"]}
    with endpoint(lambda request, _: says(told(request))) as (url, seen):
        asks = plain(url)["recaption"]["backends"][0]
        one = run(workdir, engines, asks, captioner | {"name": "one", "backend": "openai"}, url)
        questions, _ = Counter(map(question, seen)), seen.clear()
        monkeypatch.setattr(llm, "vllm", by_http(url))
        capsys.readouterr()
        asks = {"backend": "ray_llm", "model": "eyes", "batch_size": 8}
        other = run(workdir, engines, asks, captioner | {"name": "other", "backend": "ray_llm"}, url)
        assert Counter(map(question, seen)) == questions and set(questions.values()) == {1}
        assert f"asked ray_llm {len(questions):,} times" in capsys.readouterr().out
        assert rows(one) == rows(other) and any(row["state"] == "kept" for row in rows(one))
        assert one.require().extra == other.require().extra
    assert [
        list(waiting(part, task_of(workdir, [asks], captioner | {"backend": "ray_llm"}), False))
        for part in other.part_names()
    ] == [[], []]


def test_without_vllm_the_run_stops_before_anything_is_asked(small_workdir, tmp_path, engines):
    workdir = own(small_workdir, tmp_path)
    asks = {"backend": "ray_llm", "model": "eyes"}
    with pytest.raises(engine.EngineError, match=r"curate-pairs\[vllm\]"):
        run(workdir, engines, asks, {"captioner": "describe", "name": "d", "backend": "ray_llm"}, "http://127.0.0.1:1/v1")  # fmt: skip


def test_settings_requests_and_answers_are_in_rays_words():
    """As far as that can be seen without a GPU: vLLM itself is not run."""
    from ray.llm._internal.batch.stages.vllm_engine_stage import vLLMOutputData

    settings = RayLLM(model="eyes", revision="v2", engine={"max_model_len": 4096}, replicas=3, accelerator="H100")
    config = llm.config_of(settings)
    assert (config.model_source, config.concurrency, config.accelerator_type, config.prepare_multimodal_stage) == ("eyes", 3, "H100", True)  # fmt: skip
    assert (
        config.should_continue_on_error
        and {"revision": "v2", "max_model_len": 4096}.items() <= config.engine_kwargs.items()
    )
    asked = protocol.body("", Request("what?", "be brief", sampling=Sampling(20, stop=("\n",)), seed=7), ("image/png", b"bytes"))  # fmt: skip
    row = {"part": "part-00000", "key": b"k", "request": asked}
    given = llm.for_vllm(row)
    assert given["sampling_params"] == {"max_tokens": 20, "temperature": 0, "top_p": 1, "seed": 7, "stop": ["\n"]}
    assert [message["role"] for message in given["messages"]] == ["system", "user"]
    said = {"generated_text": "a cat", "num_input_tokens": 30, "num_generated_tokens": 5}
    assert set(said) <= set(vLLMOutputData.model_fields)
    for tokens, finish in ((5, "stop"), (20, "length")):
        back = llm.of_vllm(row | said | {"num_generated_tokens": tokens})
        answer = msgspec.msgpack.decode(back["answer"], type=Answer)
        assert answer == Answer("a cat", finish, 30, tokens) and (back["part"], back["key"]) == ("part-00000", b"k")
