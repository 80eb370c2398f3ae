"""OpenAI's chat protocol: a request as a body, an answer out of a body. What an endpoint says is hostile input."""

import base64
import zlib
from typing import Any

import orjson

from curate.backends.contract import Answer, Request

AGAIN = frozenset({408, 425, 429, *range(500, 600)})
"""Statuses that may pass."""
FATAL = {
    401: "it does not take the key",
    402: "it wants to be paid first",
    405: "it is no chat endpoint",
}
"""Statuses that every request would get, whenever they come."""
FATAL_AT_FIRST = {
    403: "it does not take the key",
    404: "there is no such path or model there",
}
"""The same while nothing has been answered. Later they are about the request: vendors moderate with 403, and routers lose a replica."""
MOST_BYTES = 1 << 20
"""Of an answer, unpacked; a longer one is none."""
MOST_TOKENS = 1 << 24
"""That an endpoint can count for a request; more is a lie and counts as 0."""
_PACKED = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Encodings of a body, with zlib's `wbits`. None is asked for."""


def body(model: str, request: Request, image: tuple[str, bytes] | None) -> bytes:
    """What is posted; `image`: the type and the bytes of the picture that the request shows."""
    how = request.sampling
    said: dict[str, Any] = {
        "model": model,
        **({"prompt": request.prompt} if request.bare else {"messages": messages(request, image)}),
        "max_tokens": how.max_tokens,
        "temperature": how.temperature,
        "top_p": how.top_p,
        "seed": request.seed,
    }
    return orjson.dumps(said | ({"stop": list(how.stop)} if how.stop else {}))


def messages(request: Request, image: tuple[str, bytes] | None) -> list[dict[str, Any]]:
    """The messages of a request: the picture before the words."""
    content: Any = request.prompt
    if image is not None:
        kind, data = image
        url = f"data:{kind};base64,{base64.b64encode(data).decode()}"
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": request.prompt}]
    system = [{"role": "system", "content": request.system}] if request.system else []
    return [*system, {"role": "user", "content": content}]


def unpacked(data: bytes, encoding: str) -> bytes | None:
    """A body without its encoding; None where that is unknown or broken, or where it grows over MOST_BYTES."""
    if encoding in ("", "identity"):
        return data
    if encoding not in _PACKED:
        return None
    try:
        whole = zlib.decompressobj(_PACKED[encoding]).decompress(data, MOST_BYTES + 1)
    except zlib.error:
        return None
    return whole if len(whole) <= MOST_BYTES else None


def read(data: bytes) -> Answer:
    """The answer in a body of the protocol. orjson takes neither half of a surrogate pair nor endless nesting."""
    try:
        said = orjson.loads(data)
    except orjson.JSONDecodeError:
        return Answer(status="bad_answer")
    return answer(said)


def answer(said: Any) -> Answer:
    """The answer in a parsed body. A refusal, in whatever place, ends with `content_filter`."""
    try:
        choice = said["choices"][0]
        # A completion has its words beside what a chat has them in.
        message = choice["message"] if "message" in choice else {"content": choice["text"]}
        finish, used = choice.get("finish_reason"), said.get("usage") or {}
        text, refusal = _text(message.get("content")), message.get("refusal")
        counts = [used.get(name) for name in ("prompt_tokens", "completion_tokens")]
    except (LookupError, TypeError, AttributeError):
        return Answer(status="bad_answer")
    finish = finish[:40] if isinstance(finish, str) else "stop"
    if not text and isinstance(refusal, str) and refusal:
        text, finish = refusal, "content_filter"
    if text is None and finish in ("content_filter", "length"):
        text = ""
    if text is None:
        return Answer(status="bad_answer")
    prompt, completion = (count if type(count) is int and 0 <= count <= MOST_TOKENS else 0 for count in counts)
    return Answer(text, finish, prompt, completion)


def _text(content: Any) -> str | None:
    """Words are a string, or the texts of a list of parts; other parts (thoughts) are none of them."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part["text"] for part in content if part.get("type") in ("text", "output_text")]
    return "".join(parts) if parts else None
