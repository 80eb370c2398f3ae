"""When an endpoint is asked: never faster than it allows, and again when it says, or a while later."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from curate.backends import pacing
from tests.backends.asking import asked, settings
from tests.endpoint import endpoint, says


def took(folder, answer, **more) -> tuple[float, int]:
    """Seconds for ten requests, and how often the endpoint was asked."""
    with endpoint(answer) as (url, seen):
        start = time.monotonic()
        asked(folder, url, [str(n) for n in range(10)], **more)
        return time.monotonic() - start, len(seen)


def test_requests_keep_the_limit_of_a_minute_and_retries_count(tmp_path):
    seconds, requests = took(tmp_path / "a", lambda request, _: says("a cat"), requests_per_minute=3000)
    assert requests == 10 and seconds >= 9 * 0.02
    again, requests = took(tmp_path / "b", lambda request, n: says("a cat") if n > 9 else (500, {}, b""), requests_per_minute=3000, retries=9)  # fmt: skip
    assert requests == 19 and again >= 18 * 0.02


def test_tokens_keep_the_limit_of_a_minute_by_what_they_turn_out_to_be(tmp_path):
    answer = says("a cat", prompt=180, completion=20)
    seconds, _ = took(tmp_path, lambda request, _: answer, tokens_per_minute=600_000, concurrency=1)
    # 200 tokens last 20 ms. By the first guess, 1,000, ten would take 0.9 seconds.
    assert 9 * 0.02 <= seconds < 0.8


def test_a_worker_has_its_share_of_the_limits_and_the_same_answers():
    whole = settings("http://127.0.0.1/v1", requests_per_minute=600, tokens_per_minute=None)
    share = whole.share(4)
    assert share.requests_per_minute == 150 and share.tokens_per_minute is None
    assert share.identity() == whole.identity() == settings("http://elsewhere/v1").identity()


def test_waits_double_spread_and_end():
    keys = [bytes([n]) * 16 for n in range(100)]
    for attempt in range(4):
        waits = [pacing.wait(key, attempt, 1.0, None) for key in keys]
        assert 2**attempt / 2 <= min(waits) < 0.6 * 2**attempt < 0.9 * 2**attempt < max(waits) <= 2**attempt
        assert waits == [pacing.wait(key, attempt, 1.0, None) for key in keys]
    assert all(pacing.wait(key, 5000, 1.0, None) <= pacing.LONGEST_WAIT for key in keys)
    asked = [pacing.wait(key, 0, 1.0, 10.0) for key in keys]
    assert 10 <= min(asked) < max(asked) <= 11 and pacing.wait(keys[0], 0, 1.0, 1e9) == pacing.LONGEST_WAIT


def test_an_endpoint_says_when_in_seconds_or_as_a_date():
    soon = datetime.now(UTC) + timedelta(seconds=20)
    assert 17 < pacing.retry_after(format_datetime(soon, usegmt=True)) <= 20
    assert pacing.retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == pacing.retry_after("0") == 0
    assert pacing.retry_after("Fri, 31 Dec 9999 23:59:59 GMT") == pacing.retry_after("9" * 30) == pacing.LONGEST_WAIT


@pytest.mark.parametrize("said", [None, "", "soon", "-1", "1.5", "٣", "nan", "9" * 10_000, "Wed, 99 Oct 2015 07:28:00 GMT", "2015-10-21"])  # fmt: skip
def test_what_is_neither_is_not_heard(said):
    assert pacing.retry_after(said) is None


@pytest.mark.parametrize("date", [False, True])
def test_what_the_endpoint_asks_for_goes_before_the_recipes_wait(tmp_path, date):
    def answer(request, count):
        if count > 1:
            return says("a cat")
        # Dates have whole seconds, so this one is a second off at least.
        then = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True) if date else "1"
        return 429, {"Retry-After": then}, b""

    with endpoint(answer) as (url, _):
        start = time.monotonic()
        assert asked(tmp_path, url, ["one"])[0].text == "a cat"
        assert time.monotonic() - start >= 0.9
