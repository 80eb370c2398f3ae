"""A chat endpoint on loopback that takes a time for each request and has room for everybody; prints its port.

python benchmarks/bench_endpoint.py MILLISECONDS SPREAD    # 100 0.5: from 50 to 150 milliseconds, evenly, in the same order each time
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from itertools import count
from typing import Any

SAID = "A red boat with two sails lies in a small harbour in front of white houses."


class Connection(asyncio.Protocol):
    """As little of HTTP as does: a request with Content-Length, the same answer to each after a while."""

    def __init__(self, times: Iterator[float]):
        self._times, self._data = times, bytearray()
        usage = {"prompt_tokens": 300, "completion_tokens": 20}
        body = json.dumps({"choices": [{"message": {"content": SAID}, "finish_reason": "stop"}], "usage": usage})
        self._answer = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        self._wanted = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._wanted and (end := self._data.find(b"\r\n\r\n")) >= 0:
            lines = bytes(self._data[:end]).lower().split(b"\r\n")
            length = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length"))
            self._wanted = end + 4 + length
        if self._wanted and len(self._data) >= self._wanted:
            del self._data[: self._wanted]
            self._wanted = 0
            asyncio.get_running_loop().call_later(next(self._times), self._transport.write, self._answer)


def times(milliseconds: float, spread: float) -> Iterator[float]:
    """Seconds of each request; the golden ratio's multiples lie evenly in [0, 1)."""
    return (milliseconds / 1000 * (1 + spread * (2 * (0.618034 * number % 1) - 1)) for number in count())


async def serve(given: Iterator[float]) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(given), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(times(float(sys.argv[1]), float(sys.argv[2]))))
