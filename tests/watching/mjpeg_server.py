"""A camera that sends JPEG pictures over HTTP, as many network cameras do."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator

import cv2
import numpy as np


@contextlib.contextmanager
def serving(pictures: int) -> Iterator[tuple[str, threading.Event]]:
    """The camera's address, and an event that lets it end: until then it stalls after its pictures.

    Picture k is of the grey 2 k, 320 wide and 240 high.
    """
    end = threading.Event()
    stills = [
        cv2.imencode(".jpg", np.full((240, 320, 3), 2 * k, np.uint8))[1].tobytes()
        for k in range(pictures)
    ]

    class Camera(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=x")
            self.end_headers()
            with contextlib.suppress(OSError):
                for still in stills:
                    self.wfile.write(b"--x\r\nContent-Type: image/jpeg\r\n")
                    self.wfile.write(b"Content-Length: %d\r\n\r\n%s\r\n" % (len(still), still))
                end.wait(30)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://ada:geheim@127.0.0.1:{server.server_port}/live", end
        finally:
            end.set()
            server.shutdown()
