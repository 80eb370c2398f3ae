"""Ray's actors: workers that stay, with what they have loaded, from one item to the next."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec


class Actor:
    """Runs one function after another over items; what a function caches stays for the next."""

    def __init__(self) -> None:
        self._known: tuple[str, Callable[[str], Any]] | None = None

    def run(self, work: list[Any], item: str) -> bytes:
        import ray

        if self._known is None or self._known[0] != work[0].hex():
            self._known = (work[0].hex(), ray.get(work[0]))
        return msgspec.json.encode(self._known[1](item))


@dataclass
class Actors:
    """Actors that are alive as long as this is. All hold the same share of a GPU, so that idle ones keep none from others."""

    gpus: float = 0
    held: list[Any] = field(default_factory=list)

    def take(self, ray: Any, number: int, gpus: float) -> list[Any]:
        if gpus != self.gpus:
            self.gpus, self.held = gpus, []
        # Half a core each, so that actors never hold every core and starve the tasks that feed them.
        actor = ray.remote(num_cpus=0.5, num_gpus=gpus, max_restarts=3, max_task_retries=3)(Actor)
        self.held += [actor.remote() for _ in range(number - len(self.held))]
        return self.held[:number]
