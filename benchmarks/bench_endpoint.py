"""A chat endpoint on loopback that takes a fixed time for each request and has room for everybody; prints its port.

python benchmarks/bench_endpoint.py MILLISECONDS
"""

import asyncio
import json
import sys
from typing import Any

SAID = "A red boat with two sails lies in a small harbour in front of white houses."


class Connection(asyncio.Protocol):
    """As little of HTTP as does: a request with Content-Length, the same answer to each after a while."""

    def __init__(self, seconds: float):
        self._seconds, self._data = seconds, bytearray()
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
            asyncio.get_running_loop().call_later(self._seconds, self._transport.write, self._answer)


async def serve(milliseconds: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(milliseconds / 1000), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
