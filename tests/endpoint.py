"""A chat endpoint on loopback that speaks OpenAI's protocol, and says what it is told to: hostile things too."""

import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def says(text, finish="stop", prompt=10, completion=5) -> tuple[int, dict, bytes]:
    """The status, headers and body of a good answer."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return 200, {"Content-Type": "application/json"}, json.dumps({"choices": [choice], "usage": usage}).encode()


class Asked(dict):
    """A parsed request, and how it came."""

    def __init__(self, body, path, headers):
        super().__init__(json.loads(body))
        self.path, self.headers = path, dict(headers)


@contextmanager
def endpoint(answer, tls=None):
    """`answer`: a parsed request and how many came up to it -> status, headers, body; or None: the connection is cut; or a function that
    writes to the connection what it likes. `tls`: an ssl.SSLContext. Yields (URL, requests)."""
    seen, lock = [], threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self):
            request = Asked(self.rfile.read(int(self.headers["Content-Length"])), self.path, self.headers)
            with lock:
                seen.append(request)
                count = len(seen)
            said = answer(request, count)
            if said is None:
                self.close_connection = True
                return
            if callable(said):
                self.close_connection = True
                with suppress(OSError):
                    said(self.wfile)
                return
            status, headers, body = said
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):  # who has heard enough hangs up
                self.wfile.write(body)

        def do_GET(self):
            raise AssertionError("a redirect was followed")

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # a connection that finds five before it would try again in a second

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}/v1", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
