"""Whether an endpoint still answers: when it is gone for good, the run stops, and does not fail millions of rows."""

from curate.backends.contract import Answer
from curate.weights import ModelError


class Health:
    """What became of the requests of one backend in one part."""

    def __init__(self, url: str, most: int):
        self._url, self._most = url, most
        self.answered, self._in_a_row = False, 0

    def good(self) -> None:
        self.answered, self._in_a_row = True, 0

    def bad(self, status: str, why: str, *, alive: bool) -> Answer:
        """A request that failed, through all its retries. `alive`: what came back is about the request, so the endpoint is there; it
        counts while nothing has been answered yet, since then it may be about all of them.

        Raises ModelError when as many in a row as the recipe says have failed.
        """
        if alive and self.answered:
            self._in_a_row = 0
            return Answer(status=status)
        self._in_a_row += 1
        if self._in_a_row >= self._most:
            raise ModelError(
                f"{self._url}: {self._in_a_row} requests in a row came to nothing, retries and all, the last one because {why}. What was "
                "answered is kept: mend the endpoint, and run the same command again (`give_up` in its settings is the limit)"
            )
        return Answer(status=status)
