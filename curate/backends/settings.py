"""The settings of the backends, one type each; `backend` in the recipe says which."""

from typing import Annotated, Any, ClassVar

import msgspec

from curate.settings import Count, Limit, Name, Positive, Settings


class Backend(Settings, frozen=True, kw_only=True, tag_field="backend"):
    """One item of `recaption.backends`."""

    runtime: ClassVar[tuple[str, ...]] = ("name",)

    name: Name = ""
    """What captioners call it; by default its own word."""

    def __post_init__(self) -> None:
        if not self.name:
            msgspec.structs.force_setattr(self, "name", self.word)

    @property
    def word(self) -> str:
        """Which backend this is: a key of `curate.backends.registry.KINDS`."""
        return str(self.__struct_config__.tag)

    def identity(self) -> dict[str, Any]:
        return {"backend": self.word} | super().identity()


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
        "input_price",
        "output_price",
    )

    endpoint: str
    """URL up to the version (`http://127.0.0.1:8000/v1`)."""
    model: str
    revision: str = ""
    """Of the model, where the endpoint does not say it in the model's name: another revision asks everything anew."""
    key_variable: str | None = None
    """Environment variable with the key, read where a worker runs. The key itself stands in no recipe."""
    concurrency: Count = 32
    """Requests that each worker has open at a time."""
    timeout: Positive = 120.0
    """Seconds for one request."""
    retries: Limit = 4
    retry_wait: Positive = 1.0
    """Seconds before the first retry; doubled each time, unless the endpoint says how long."""
    side: Annotated[int, msgspec.Meta(ge=16, le=8192)] = 512
    """Pixels of the longer side of an image that is sent; smaller ones are sent as they are."""
    input_price: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Money for a million tokens of prompts, for the account."""
    output_price: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Money for a million tokens of answers."""


AnyBackend = OpenAI
