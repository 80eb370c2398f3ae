"""Settings of the scorers that ask an endpoint."""

from typing import Annotated, ClassVar, Literal

import msgspec

from curate.backends.settings import OpenAI, Url
from curate.scores.settings.base import Scorer
from curate.settings import Count, Limit, Positive


class Vlm(Scorer, frozen=True, kw_only=True, tag="vlm"):
    """MLM-Filter's four scores by a vision-language model behind an endpoint; see `curate.scores.vlm`."""

    ENDPOINT: ClassVar[tuple[str, ...]] = (
        "endpoint",
        "key_variable",
        "concurrency",
        "timeout",
        "retries",
        "retry_wait",
        "give_up",
    )
    runtime: ClassVar[tuple[str, ...]] = ("name", *ENDPOINT)

    endpoint: Url
    """URL that speaks OpenAI's protocol, up to and with the version (`http://localhost:8000/v1`)."""
    model: Annotated[str, msgspec.Meta(min_length=1)]
    """What the endpoint calls the model."""
    key_variable: str | None = None
    """Name of the environment variable with the endpoint's key. The key itself stands in no file."""
    side: Annotated[int, msgspec.Meta(ge=16, le=4096)] = 448
    """Pixels of the longer side of the image that is sent; larger ones are made smaller."""
    questions: dict[Literal["matching", "detail", "caption_quality", "semantics"], str] = {}
    """Words of your own for one of the four questions, with `{text}` where the pair's text is to stand."""
    concurrency: Count = 8
    """Requests under way, in each worker."""
    timeout: Positive = 60.0
    """Seconds for one answer."""
    retries: Limit = 3
    """How often a request is made again after no answer, 408, 425, 429 or 5xx."""
    retry_wait: Positive = 1.0
    """Seconds before that; doubled each time, and Retry-After goes before it."""
    give_up: Count = 64
    """Requests that may come to nothing in a row before the run stops."""

    def backend(self) -> OpenAI:
        """The same as the settings of a backend."""
        more = {name: getattr(self, name) for name in self.ENDPOINT}
        return OpenAI(name=self.name, model=self.model, side=self.side, **more)
