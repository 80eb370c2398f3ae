"""Requests to a backend, one after the other or together, as a part would make them."""

import asyncio
from contextlib import closing

from curate.backends import openai
from curate.backends.cache import Cache
from curate.backends.contract import Answer, Request
from curate.backends.desk import Desk
from curate.backends.settings import OpenAI


def settings(url, **more) -> OpenAI:
    return OpenAI(**{"endpoint": url, "model": "eyes", "retries": 1, "retry_wait": 0.01, "timeout": 5.0} | more)


def asked(folder, url, requests, part="part-00000", **more) -> list[Answer]:
    """Their answers, kept in a folder."""
    prompts = [Request(one) if isinstance(one, str) else one for one in requests]

    async def work(desk_of) -> list[Answer]:
        async with backend:
            return await desk_of().ask_all(len(prompts), prompts.__getitem__)

    backend = openai.load(settings(url, **more), "cpu")
    with closing(Cache(str(folder), backend.mark, part)) as cache:
        return asyncio.run(work(lambda: Desk(backend, cache)))
