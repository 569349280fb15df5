"""A stand-in for a store on the lab's host: takes line protocol and keeps the samples."""

import gzip
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lab.harness import Host

from truechimer.lineprotocol import decode

if TYPE_CHECKING:
    from truechimer.samples import Sample

PORT = 8086


class SampleStore:
    """Answers `/api/v2/write` on the host's loopback; `samples` is all that came."""

    def __init__(self, host: Host) -> None:
        self.samples: list[Sample] = []
        self.refused = 0
        self.url = f"http://127.0.0.1:{PORT}"
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                found = decode(body)
                store.samples += found.samples
                store.refused += found.refused_count
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """No log of requests."""

        self._server = HTTPServer(("127.0.0.1", PORT), Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = host.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._server.server_bind()
        self._server.server_activate()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1})
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
