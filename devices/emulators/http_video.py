"""Network cameras over HTTP: MPEG-TS as one endless body, or JPEGs as `multipart/x-mixed-replace`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

_BOUNDARY: Final = "frame"


class HttpVideoServer:
    """Sends parts at a rate, in a loop, to everyone who asks. Serves from threads; close it.

    Args:
        parts: JPEGs, or the pieces of a transport stream.
        fps: How many a second.
        content_type: `image/jpeg` for JPEGs, else the type of the body.
        loop: Start again at the end; else close the connection there.
    """

    def __init__(self, parts: Sequence[bytes], fps: float, content_type: str, *, loop: bool = True) -> None:
        stop = self._stop = threading.Event()
        multipart = content_type == "image/jpeg"
        whole = f"multipart/x-mixed-replace; boundary={_BOUNDARY}" if multipart else content_type

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path != "/video":
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", whole)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self._send()

            def _send(self) -> None:
                while True:
                    for part in parts:
                        if stop.wait(1.0 / fps):
                            return
                        if multipart:
                            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
                            self.wfile.write(f"{head}Content-Length: {len(part)}\r\n\r\n".encode())
                        self.wfile.write(part + (b"\r\n" if multipart else b""))
                    if not loop:
                        return

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/video"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
