"""A crawl's server that wants fewer requests: waited for, and never taken for a server without the file."""

import gzip
from itertools import pairwise

import numpy as np
import pytest

from curate.pools import inputs, throttling
from curate.pools.throttling import ThrottledError
from curate.recipe import Extract
from tests.archives import archive, page
from tests.pools.test_lists import crawl, server, texts

SLOW = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
BLOCKED = b"<html><h1>403 ERROR</h1>Request blocked. There might be too much traffic or a configuration error.</html>"
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@pytest.fixture
def waits(monkeypatch):
    """The seconds that would have been waited."""
    seconds = []
    monkeypatch.setattr(throttling, "sleep", seconds.append)
    return seconds


def data() -> bytes:
    body = "x" * 50_000
    return archive(*(page(f'<img src={i}.jpg alt="number {i}">', f"<p>{body}") for i in range(3)))


def read(throttled, content=None):
    with server({"x.warc.gz": content or data()}, throttled=throttled) as (url, asked):
        found, account = texts(inputs.expand(Extract(inputs=(f"{url}x.warc.gz",)))[0])
    return found, dict(account.failed), asked


@pytest.mark.parametrize(
    "refusal", [(503, SLOW, {}), (403, SLOW, {}), (403, BLOCKED, {}), (429, b"", {"Retry-After": "7"})]
)
def test_a_file_behind_a_busy_server_is_read_when_it_has_time(waits, refusal):
    found, failed, _ = read(lambda asked: refusal if len(asked) < 10 else None)
    assert (found, failed) == (["number 0", "number 1", "number 2"], {})
    assert (
        waits[0] == 7.0 if refusal[2] else len(waits) > 1 and all(later > sooner for sooner, later in pairwise(waits))
    )


def test_a_server_that_is_busy_in_the_middle_of_a_file_is_waited_for(waits):
    letters = np.random.default_rng(0).integers(65, 123, (3, 3_000_000), dtype=np.uint8)
    letters[letters == ord("\\")] = ord("a")
    pages = (
        page(f'<img src={n}.jpg alt="number {n}">', f"<p>{row.tobytes().decode()}") for n, row in enumerate(letters)
    )
    content, refused = archive(*pages), []

    def throttled(asked):
        refused.append(len(asked) in (3, 4))
        return (503, SLOW, {}) if refused[-1] else None

    # More than the 5 MB that fsspec reads at once.
    assert len(content) > 6_000_000
    found, failed, asked = read(throttled, content)
    assert (found, failed) == (["number 0", "number 1", "number 2"], {}) and sum(refused) == 2 < len(asked)
    assert len(waits) == 2


def test_one_that_stays_busy_is_an_error_of_its_own_and_no_missing_file(waits):
    for status, body in ((503, SLOW), (403, BLOCKED)):
        with pytest.raises(
            ThrottledError, match=rf"x.warc.gz: the server has no time .*HTTP {status}.* 9 times .* s3://"
        ):
            read(lambda asked, said=(status, body, {}): said)
    assert len(waits) == 16 and 183 < sum(waits[:8]) < 366


def test_one_that_asks_for_too_long_a_wait_ends_the_run_at_once(waits):
    with pytest.raises(ThrottledError, match="1 times in a row"):
        read(lambda asked: (503, SLOW, {"Retry-After": "86400"}))
    assert waits == []


def test_a_file_that_may_not_be_read_is_a_missing_file_and_not_waited_for(waits):
    found, failed, asked = read(lambda asked: (403, DENIED, {}))
    assert (found, failed, waits) == ([], {"no_file": 1}, []) and len(asked) < 5


def test_the_list_of_a_crawl_is_waited_for_too(waits):
    lists = {"crawl-data/CC-MAIN-2024-10/wat.paths.gz": gzip.compress(b"a.wat.gz\n")}
    with server(lists, throttled=lambda asked: (403, SLOW, {}) if len(asked) < 6 else None) as (url, _):
        files = inputs.expand(Extract(sources=(crawl(inputs=("CC-MAIN-2024-10/wat",), base=url),)))
    assert [file.name for file in files] == ["a.wat.gz"] and waits
    with server(lists, throttled=lambda asked: (403, SLOW, {})) as (url, _):
        with pytest.raises(ThrottledError, match=r"wat.paths.gz: the server has no time"):
            inputs.expand(Extract(sources=(crawl(inputs=("CC-MAIN-2024-10/wat",), base=url),)))
