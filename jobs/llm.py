"""Asks a model that Ray Data runs on the cluster's GPUs (`backend: ray_llm`), in rounds: all that waits, then all that waits then.

The requests of all parts are one dataset that streams through Ray's processor; its answers go into the cache of their part, from which the
stage then makes its tables as ever. The driver holds a few answers at a time, and nothing that grows with the pool.
Each round reads the parts again, and a last one finds that nothing waits.

What runs in the tests is all of this around Ray's processor for endpoints. The one for vLLM wants a GPU: of it they see that Ray takes its
settings and that the columns have Ray's names.
"""

import jobs  # noqa: F401 - before all others, see there

# isort: split
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import msgspec
import orjson

from curate.backends.contract import Answer
from curate.backends.desk import Counts
from curate.backends.settings import RayLLM
from curate.captions import replaying
from curate.captions.making import Task
from jobs import engine, errors

Processor = Callable[[Any], Any]
"""A Ray dataset with the columns part, key, request in; one with part, key, answer out."""
ERROR = "__inference_error__"
"""Ray's column for why a request failed."""


def ask(engines: engine.Engines, task: Task, parts: Sequence[str]) -> Counts:
    """Asks until the conversations of all parts wait for nothing. EngineError where vLLM is not installed."""
    settings, counts = task.backend, Counts()
    assert isinstance(settings, RayLLM)
    run = vllm(settings)
    ray = engines.ray()
    from ray.data import DataContext

    DataContext.get_current().enable_progress_bars = False
    first, answered = True, 1
    while answered:
        asking = errors.marked_tables(requests_of(task, first))
        names = ray.data.from_items([{"part": part} for part in parts])
        first, answered = False, 0
        with replaying.Caches(task) as caches:
            for row in run(names.map_batches(asking, batch_size=1, num_cpus=0.5)).iter_rows():
                failed = row.get(ERROR)
                answer = Answer(status="rejected") if failed else msgspec.msgpack.decode(row["answer"], type=Answer)
                caches.put(row["part"], row["key"], answer)
                counts.add(answer)
                answered += 1
    return counts


def requests_of(task: Task, first: bool) -> Callable[[dict[str, Any]], Iterator[dict[str, Any]]]:
    """A function for Ray: names of parts in, blocks of requests out."""

    def requests(batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for part in map(str, batch["part"]):
            yield from replaying.blocks(part, task, first)

    return requests


# -- vLLM


def vllm(settings: RayLLM) -> Processor:
    """Ray's processor for vLLM. EngineError where it is not installed."""
    if find_spec("vllm") is None:
        raise engine.EngineError(
            f"recaption.backends: {settings.name} runs {settings.model} with vLLM on this cluster, and vllm is not here: "
            "pip install 'curate-pairs[vllm]' on every node, or name an endpoint (`backend: openai`)"
        )
    from ray.data.llm import build_processor

    return build_processor(config_of(settings), preprocess=for_vllm, postprocess=of_vllm)


def config_of(settings: RayLLM) -> Any:
    """The settings in Ray's words."""
    from ray.data.llm import vLLMEngineProcessorConfig

    revision = {"revision": settings.revision} if settings.revision else {}
    return vLLMEngineProcessorConfig(
        model_source=settings.model,
        engine_kwargs=settings.engine | revision,
        concurrency=settings.replicas,
        batch_size=settings.batch_size,
        accelerator_type=settings.accelerator,
        prepare_multimodal_stage=settings.sees,
        # A prompt that is too long costs no other.
        should_continue_on_error=True,
    )


def for_vllm(row: dict[str, Any]) -> dict[str, Any]:
    """The columns that Ray's stages read, beside those that are there."""
    asked = orjson.loads(row["request"])
    names = ("max_tokens", "temperature", "top_p", "seed", "stop")
    return {"messages": asked["messages"], "sampling_params": {name: asked[name] for name in names if name in asked}}


def of_vllm(row: dict[str, Any]) -> dict[str, Any]:
    """The answer. Ray does not say how it ended: as many tokens as there may be are one that was cut off."""
    most, tokens = orjson.loads(row["request"])["max_tokens"], int(row["num_generated_tokens"])
    finish = "length" if tokens >= most else "stop"
    return answered(row, Answer(str(row["generated_text"]), finish, int(row["num_input_tokens"]), tokens))


def answered(row: dict[str, Any], answer: Answer) -> dict[str, Any]:
    """What goes back to the driver."""
    return {"part": row["part"], "key": row["key"], "answer": msgspec.msgpack.encode(answer)}
