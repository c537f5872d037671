"""A web server on this machine that notes what is posted to it."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator


class Receiver:
    """Answers the first requests with ``failures``, one each, and then 200.

    Attributes:
        requests: the path, the headers and the body of each.
    """

    def __init__(self, failures: list[int]) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.failures = failures
        self.url = ""

    def bodies(self) -> list[bytes]:
        return [body for _, _, body in self.requests]


@contextlib.contextmanager
def receiving(*failures: int) -> Iterator[Receiver]:
    receiver = Receiver(list(failures))

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append((self.path, dict(self.headers), body))
            self.send_response(receiver.failures.pop(0) if receiver.failures else 200)
            self.send_header("Location", receiver.url + "/elsewhere")
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield receiver
        finally:
            server.shutdown()
