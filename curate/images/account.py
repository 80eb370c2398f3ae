"""What is known so far of one image that is on its way: where it is asked for by now, and what that took."""

from dataclasses import dataclass, field

from curate.images.fetched import Times, Trail
from curate.images.status import FetchError
from curate.images.urls import canonical

MAX_REDIRECTS = 10


@dataclass
class Account:
    """What is known so far of one image."""

    started: float
    url: str
    redirects: int | None = None
    content_type: str | None = None
    nbytes: int | None = None
    elapsed: float = 0.0
    spent: float = 0.0
    """Seconds of `max_seconds` that are used."""
    requests: int = 0
    chain: list[str] = field(default_factory=list)
    consent: str | None = None
    """What allows the use, where somebody does."""

    def trail(self) -> Trail:
        moved = self.url if self.redirects else None
        return Trail(moved, self.redirects, self.content_type, self.nbytes)

    def times(self, now: float) -> Times:
        return Times(self.elapsed, max(0.0, now - self.started - self.elapsed), self.requests)

    def follow(self, location: str, status: int) -> None:
        """Goes on to where a redirect leads. Raises FetchError for what may not be asked, and for a way without an end."""
        self.chain.append(self.url)
        try:
            following = canonical(location, self.url)
        except FetchError as error:
            raise FetchError(
                error.ending.status or "unexpected", f"redirected: {error.ending.words}", status
            ) from error
        if following in self.chain or len(self.chain) > MAX_REDIRECTS:
            raise FetchError("redirect_loop", "redirected too often", status)
        self.url, self.redirects = following, len(self.chain)
