"""The backends that a recipe can name. Their modules are light; what is heavy is imported when a worker loads one.

A new backend is a file here, its settings in `curate.backends.settings`, and a line below.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from curate.backends import coca, kept, llama, openai, owl
from curate.backends.contract import Backend
from curate.backends.settings import Backend as Settings


class Kind(NamedTuple):
    """A backend that a recipe can name."""

    load: Callable[[Any, str], Backend]
    """(settings, device) -> the backend, ready. It caches itself what is dear. A model that is not here is a ModelError that says where
    it was looked for and how to get it."""
    identity: Callable[[Any], dict[str, Any]]
    """What answers hang on, without loading a model: settings, and of a model on this machine its revision."""
    sees: bool
    """Whether it takes images."""
    on_device: bool = False
    """Whether it has a model here that wants a GPU where there is one."""


KINDS: dict[str, Kind] = {
    "openai": Kind(openai.load, openai.identity, sees=True),
    "llama": Kind(llama.load, llama.identity, sees=False, on_device=True),
    "coca": Kind(coca.load, coca.identity, sees=True, on_device=True),
    "owl": Kind(owl.load, owl.identity, sees=True, on_device=True),
    "ray_llm": Kind(kept.load, kept.identity, sees=True),
}


def kind(settings: Settings) -> Kind:
    return KINDS[settings.word]


def cost(settings: Settings, prompt_tokens: int, completion_tokens: int) -> float:
    """What tokens cost by the prices in the recipe; 0 where it names none."""
    prices = [getattr(settings, name, 0.0) for name in ("input_price", "output_price")]
    return (prompt_tokens * prices[0] + completion_tokens * prices[1]) / 1e6
