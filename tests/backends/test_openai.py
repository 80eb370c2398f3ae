"""An endpoint is hostile: what it does to one request is a status, what it does to all stops the run, and its key is seen nowhere."""

import gzip
import json
import ssl
import subprocess
import threading
import time
import traceback
import zlib

import pytest

from curate.backends.contract import Request
from curate.weights import ModelError
from tests.backends.asking import asked
from tests.endpoint import endpoint, says

GOOD = says("a good caption")[2]
HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def body_of(message, finish="stop", **more) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}]} | more).encode()


def endless(first: bytes, piece: bytes, wait: float):
    """Writes for as long as somebody reads, ten seconds at most."""

    def write(out) -> None:
        out.write(first)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            out.write(piece)
            time.sleep(wait)

    return write


def one(folder, answer, **more):
    """The answer to a request, and the requests that it took."""
    with endpoint(lambda request, count: answer) as (url, seen):
        return asked(folder, url, ["what?"], **more)[0], len(seen)


BODIES = {
    "good": (GOOD, None, "a good caption"),
    "parts": (body_of({"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a "}, {"type": "text", "text": "cat"}]}), None, "a cat"),
    "empty": (b"", "bad_answer", ""), "half": (GOOD[:40], "bad_answer", ""), "page": (b"<html>", "bad_answer", ""), "list": (b"[]", "bad_answer", ""), "null": (b"null", "bad_answer", ""),
    "no-choices": (b'{"choices": []}', "bad_answer", ""), "deep": (b"[" * 100_000, "bad_answer", ""), "null-content": (body_of({"content": None}), "bad_answer", ""),
    "no-text-parts": (body_of({"content": [{"type": "image"}]}), "bad_answer", ""), "parts-of-numbers": (body_of({"content": [1]}), "bad_answer", ""),
    "text-of-a-part": (body_of({"content": [{"type": "text", "text": 5}]}), "bad_answer", ""), "half-a-surrogate": (b'{"choices": [{"message": {"content": "\\ud800"}}]}', "bad_answer", ""),
    "message-is-words": (body_of("cat"), "bad_answer", ""), "usage-is-words": (body_of({"content": "a cat"}, usage="much"), "bad_answer", ""), "not-utf-8": (GOOD.replace(b"good", b"\xff\xfe"), "bad_answer", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_words_or_a_status(tmp_path, name):
    body, status, text = BODIES[name]
    found, requests = one(tmp_path, (200, {}, body))
    assert (found.status, found.text, requests) == (status, text, 1)


def test_a_refusal_is_one_in_whatever_place(tmp_path):
    for message, finish in (({"content": None, "refusal": "No."}, "stop"), ({"content": None}, "content_filter"), ({}, "content_filter")):  # fmt: skip
        found, _ = one(tmp_path / str(len(message)) / finish, (200, {}, body_of(message, finish)))
        assert found.status is None and found.finish == "content_filter" and found.text in ("No.", "")
    found, _ = one(tmp_path, (200, {}, body_of({"content": "a cat", "refusal": None}, "x" * 1000)))
    assert found.text == "a cat" and len(found.finish) == 40


@pytest.mark.parametrize("count", [-1, 2**24 + 1, 2**31, 10**30, 1.5, True, "7", None, [1]])
def test_counts_that_cannot_be_are_none(tmp_path, count):
    found, _ = one(tmp_path, (200, {}, body_of({"content": "a cat"}, usage={"prompt_tokens": count, "completion_tokens": 3})))  # fmt: skip
    assert (found.status, found.prompt_tokens, found.completion_tokens) == (None, 0, 3)


RESPONSES = {
    "204": ((204, {}, b""), "bad_answer", 1), "201": ((201, {}, GOOD), None, 1), "400": ((400, {}, b"no"), "rejected", 1), "413": ((413, {}, b""), "rejected", 1),
    "422": ((422, {}, b""), "rejected", 1), "302": ((302, {"Location": "/elsewhere"}, b""), "rejected", 1), "307": ((307, {"Location": "/v1/chat/completions"}, b""), "rejected", 1),
    "408": ((408, {}, b""), "no_answer", 2), "429": ((429, {"Retry-After": "0"}, b""), "no_answer", 2), "500": ((500, {}, b""), "no_answer", 2), "529": ((529, {}, b""), "no_answer", 2),
    "cut": (None, "no_answer", 2), "no-http": (lambda out: out.write(b"SSH-2.0-OpenSSH_9.6\r\n"), "no_answer", 2),
    "huge": ((200, {}, b" " * (1 << 20) + GOOD), "bad_answer", 1),
    "cut-in-the-middle": (lambda out: out.write(HTTP + b"Content-Length: 500\r\n\r\n{"), "no_answer", 2),
    "endless": (endless(HTTP + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n", 0), "bad_answer", 1),
    "gzip": ((200, {"Content-Encoding": "gzip"}, gzip.compress(GOOD)), None, 1), "deflate": ((200, {"Content-Encoding": "Deflate"}, zlib.compress(GOOD)), None, 1),
    "gzip-bomb": ((200, {"Content-Encoding": "gzip"}, gzip.compress(GOOD + b" " * (1 << 28))), "bad_answer", 1),
    "no-gzip": ((200, {"Content-Encoding": "gzip"}, GOOD), "bad_answer", 1), "brotli": ((200, {"Content-Encoding": "br"}, GOOD), "bad_answer", 1),
    "many-headers": (lambda out: out.write(HTTP + b"".join(b"X-%d: 1\r\n" % n for n in range(100_000)) + b"\r\n"), "no_answer", 2),
    "long-header": (lambda out: out.write(HTTP + b"X: " + b"x" * (1 << 20) + b"\r\n\r\n"), "no_answer", 2),
}  # fmt: skip


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_is_words_or_a_status(tmp_path, name):
    answer, status, times = RESPONSES[name]
    found, requests = one(tmp_path, answer)
    assert (found.status, requests) == (status, times)


@pytest.mark.parametrize(
    "first", [HTTP + b"Transfer-Encoding: chunked\r\n\r\n", HTTP, b"", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
def test_what_drips_ends_at_the_timeout(tmp_path, first):
    piece = b"1\r\n \r\n" if b"chunked" in first else b"X: 1\r\n"
    start = time.monotonic()
    found, _ = one(tmp_path, endless(first, piece, 0.02), timeout=0.3, retries=0)
    assert found.status == "no_answer" and time.monotonic() - start < 3


def test_one_bad_prompt_costs_no_other(tmp_path):
    def answer(request, _):
        bad = {"403": 403, "404": 404, "400": 400, "413": 413}.get(request["messages"][0]["content"])
        return (bad, {}, b"moderated") if bad else says("a cat")

    prompts = ["first", "403", "second", "404", "400", "413", "third"]
    with endpoint(answer) as (url, _):
        found = asked(tmp_path, url, prompts, concurrency=1)
    assert [one.status for one in found] == [None, "rejected", None, "rejected", "rejected", "rejected", None]


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405])
def test_what_every_request_would_get_stops_the_run(tmp_path, status):
    with endpoint(lambda request, _: (status, {}, b"no such model")) as (url, seen):
        with pytest.raises(ModelError, match=f"answers {status}: .*no such model"):
            asked(tmp_path, url, [str(n) for n in range(20)], concurrency=1)
    assert len(seen) == 1


def test_a_key_that_ends_in_the_middle_stops_the_run(tmp_path):
    with endpoint(lambda request, count: says("a cat") if count < 5 else (401, {}, b"expired")) as (url, seen):
        with pytest.raises(ModelError, match="expired"):
            asked(tmp_path, url, [str(n) for n in range(20)], concurrency=1)
    assert len(seen) == 5


@pytest.mark.parametrize("answer", [None, (503, {}, b""), (429, {"Retry-After": "0"}, b"quota"), (403, {}, b"blocked")])
def test_an_endpoint_that_goes_down_for_good_stops_the_run_and_loses_nothing(tmp_path, answer):
    prompts = [str(n) for n in range(40)]
    with endpoint(lambda request, count: says("a cat") if count <= 10 else answer) as (url, seen):
        with pytest.raises(ModelError, match="5 requests in a row came to nothing"):
            asked(tmp_path, url, prompts, concurrency=2, give_up=5)
        assert 15 <= len(seen) <= 10 + 2 * 7
    with endpoint(lambda request, _: says("a cat")) as (url, seen):
        assert all(one.status is None for one in asked(tmp_path, url, prompts))
        # The answer that the other of the two was waiting for may have been given up with the run.
        assert 30 <= len(seen) <= 31


def test_an_endpoint_that_vanishes_stops_the_run(tmp_path):
    with endpoint(lambda request, _: says("a cat")) as (url, _):
        asked(tmp_path, url, ["before"])
    with pytest.raises(ModelError, match=r"nobody answers at http://127\.0\.0\.1"):
        asked(tmp_path, url, ["after"])


def test_requests_that_fail_now_and_then_never_stop_a_run(tmp_path):
    with endpoint(lambda request, _: says("a cat") if int(request["messages"][0]["content"]) % 4 == 0 else (500, {}, b"")) as (url, _):  # fmt: skip
        found = asked(tmp_path, url, [str(n) for n in range(40)], concurrency=1, give_up=4, retries=0)
    assert sum(one.status == "no_answer" for one in found) == 30


def test_settings_that_every_request_is_refused_for_stop_the_run(tmp_path):
    with endpoint(lambda request, _: (400, {}, b"max_tokens is too large")) as (url, _):
        with pytest.raises(ModelError, match="max_tokens is too large"):
            asked(tmp_path, url, [str(n) for n in range(20)], give_up=10)


def test_no_more_requests_are_open_than_the_recipe_says(tmp_path):
    now, most, lock = [0], [0], threading.Lock()

    def answer(request, _):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1
        return says("a cat")

    with endpoint(answer) as (url, _):
        asked(tmp_path, url, [str(n) for n in range(30)], concurrency=3)
    assert most[0] == 3


def test_proxies_of_the_environment_are_not_asked(tmp_path, monkeypatch):
    with endpoint(lambda request, _: says("from the proxy")) as (proxy, through):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        found, _ = one(tmp_path, says("a cat"))
    assert found.text == "a cat" and not through


def test_a_certificate_that_nobody_vouches_for_stops_the_run(tmp_path):
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=127.0.0.1"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with endpoint(lambda request, _: says("a cat"), tls) as (url, seen):
        with pytest.raises(ModelError, match="certificate does not hold"):
            asked(tmp_path, url, ["what?"])
    assert not seen


def test_a_key_is_sent_and_shown_nowhere(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("EYES_KEY", " secret-of-mine\n")

    def answer(request, count):
        assert request.headers["Authorization"] == "Bearer secret-of-mine"
        return says("a cat") if count == 1 else (401, {}, b"what is " + b"x" * 180 + b"secret-of-mine? secret-of-mine")

    with endpoint(answer) as (url, seen):
        with pytest.raises(ModelError) as caught:
            asked(tmp_path, url, ["one", "two"], key_variable="EYES_KEY", concurrency=1)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + "".join(capfd.readouterr())
    told += "".join(file.read_bytes().decode(errors="replace") for file in tmp_path.rglob("*") if file.is_file())
    assert len(seen) == 2 and "401" in told and "secret" not in told


@pytest.mark.parametrize("key", ["", "two\nlines", "schlüssel", "a\x00b"])
def test_what_is_no_key_is_said_without_it(tmp_path, monkeypatch, key):
    if "\x00" in key:
        monkeypatch.setattr("os.environ", {"EYES_KEY": key})
    else:
        monkeypatch.setenv("EYES_KEY", key)
    with pytest.raises(ModelError, match="environment variable EYES_KEY") as caught:
        asked(tmp_path, "http://127.0.0.1:1/v1", ["what?"], key_variable="EYES_KEY")
    assert not key or key not in str(caught.value)


def test_what_a_request_asks_for_is_sent(tmp_path):
    with endpoint(lambda request, _: says("a cat")) as (url, seen):
        asked(tmp_path, url, [Request("what?", "be brief", seed=7)])
    assert seen[0] == {
        "model": "eyes", "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "what?"}],
        "max_tokens": 77, "temperature": 0, "top_p": 1, "seed": 7,
    }  # fmt: skip
    assert seen[0].path == "/v1/chat/completions"


def test_a_bare_request_is_a_completion(tmp_path):
    def answer(request, _):
        if request.path == "/v1/chat/completions":
            return says("in a chat")
        assert request.path == "/v1/completions" and request["prompt"] == "one, two" and "messages" not in request
        return 200, {}, b'{"choices": [{"text": " three", "finish_reason": "stop"}]}'

    with endpoint(answer) as (url, _):
        said = asked(tmp_path, url, [Request("one, two", bare=True), Request("one, two")])
    assert [one.text for one in said] == [" three", "in a chat"]
