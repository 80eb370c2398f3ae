"""What the conversations about a part's pairs wait for: each is replayed from what has been answered, up to what has not.

So an engine that takes requests as a dataset is asked in rounds, and nothing but the cache goes from one round to the next.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from curate.backends import protocol
from curate.backends import registry as backends
from curate.backends.cache import Cache
from curate.backends.contract import Answer, Request
from curate.backends.settings import RayLLM
from curate.captions import registry
from curate.captions.making import Task, inputs_of, rows_of
from curate.images.decoding import ImageError
from curate.weights import ModelError

AT_ONCE = 32
"""Requests in a block: pictures are among them."""
MOST_OPEN = 64
"""Caches that are open at a time: answers of several parts come together."""


def waiting(part: str, task: Task, first: bool) -> Iterator[tuple[bytes, Request]]:
    """Yields (key, request) of what is to be asked next, each once. `first`: what failed in an earlier run is asked again.

    Memory: the keys, 16 bytes each.
    """
    assert task.backend is not None
    captioner = registry.kind(task.settings).load(task.settings, task.device, task.plan.settings, *task.models)
    mark = backends.kind(task.backend).load(task.backend, task.device).mark
    told: set[bytes] = set()
    if first:
        # Closed before anything is asked: on an object store the last to close is the one whose answers stay.
        with closing(Cache(task.answers, mark, part, failures=True)) as cache:
            cache.forgive()
    with closing(Cache(task.answers, mark, part, failures=True)) as cache:
        for row in rows_of(part, inputs_of(task, captioner.reads), task):
            talk = captioner.converse(row)
            answers: Sequence[Answer] | None = None
            try:
                while answers is None or None not in answers:
                    requests = talk.send(answers) if answers is not None else next(talk)
                    keys = [request.key(mark) for request in requests]
                    answers = [cache.get(key) for key in keys]  # type: ignore[misc]
            except StopIteration:
                continue
            for key, request, answer in zip(keys, requests, answers, strict=True):
                if answer is None and key not in told:
                    told.add(key)
                    yield key, request


def blocks(part: str, task: Task, first: bool) -> Iterator[dict[str, list[Any]]]:
    """Yields what waits as columns: `part`, `key`, and `request`, the body that an endpoint would be sent. What shows no image is left
    out: it ends as a status when the table is made."""
    assert isinstance(task.backend, RayLLM)
    block: dict[str, list[Any]] = {"part": [], "key": [], "request": []}
    for key, request in waiting(part, task, first):
        if request.bare:
            raise ModelError(
                f"{task.settings.name} has a text continued, and the engine of {task.backend.name!r} chats; name an endpoint or a llama"
            )
        try:
            body = protocol.body("", request, request.photo.sent(task.backend.side) if request.photo else None)
        except ImageError:
            continue
        for name, value in (("part", part), ("key", key), ("request", body)):
            block[name].append(value)
        if len(block["key"]) == AT_ONCE:
            yield block
            block = {name: [] for name in block}
    if block["key"]:
        yield block


class Caches:
    """The caches of the parts whose answers come at present."""

    def __init__(self, task: Task):
        assert task.backend is not None
        self._task, self._mark = task, backends.kind(task.backend).load(task.backend, task.device).mark
        self._open: OrderedDict[str, Cache] = OrderedDict()

    def __enter__(self) -> "Caches":
        return self

    def __exit__(self, *_: Any) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def put(self, part: str, key: bytes, answer: Answer) -> None:
        if part not in self._open:
            if len(self._open) == MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            self._open[part] = Cache(self._task.answers, self._mark, part, failures=True)
        self._open.move_to_end(part)
        self._open[part].put(key, answer)
