"""The captioners that a recipe can name. Their modules are light; what is heavy is imported when a worker loads one.

A new captioner is a file here with its settings and its KIND, its columns in `schemas/captions/<captioner>.yaml`, and a line below.
"""

from typing import Any

from curate.backends import registry as backends
from curate.backends.settings import Backend
from curate.captions import describe
from curate.captions.contract import Kind
from curate.captions.settings import Captioner

KINDS: dict[str, Kind] = {
    "describe": describe.KIND,
}
AnyCaptioner = describe.Describe
"""Settings of any of them; a union."""


def kind(settings: Captioner) -> Kind:
    return KINDS[settings.word]


def identity(settings: Captioner, backend: Backend | None) -> dict[str, Any]:
    """What the manifest of a table of captions says of the captioner, and of the backend that it asks."""
    asked = {} if backend is None else {"asks": backends.kind(backend).identity(backend)}
    return {"captioner": settings.word} | kind(settings).identity(settings) | asked
