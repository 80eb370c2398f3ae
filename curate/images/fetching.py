"""The door to the engines that fetch: the same images in, the same endings and bytes out."""

from curate.images.fetched import Session
from curate.recipe import Download


def session(settings: Download) -> Session:
    """A fetcher at work, by the recipe's engine. Close it."""
    if settings.engine == "img2dataset":
        from curate.images.img2dataset import ShardSession

        return ShardSession(settings)
    from curate.images.crawl_session import CrawlSession

    return CrawlSession(settings)
