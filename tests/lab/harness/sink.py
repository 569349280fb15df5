"""A sink in the test's own process that listens on a lab host and keeps every sample that agents send."""

import gzip
import socket
import threading
from collections import defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from lab.harness.network import Host

from truechimer.lineprotocol import decode
from truechimer.samples import Sample


class Sink:
    """Takes InfluxDB writes at ``url``, and keeps each sample once; ``refused`` counts bad lines."""

    def __init__(self, host: Host, port: int = 8086) -> None:
        self._samples: dict[str, dict[tuple[int, str], Sample]] = defaultdict(dict)
        self._lock = threading.Lock()
        self.refused = 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink._take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((host.address, port), Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = host.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._server.allow_reuse_address = True
        self._server.server_bind()
        self._server.server_activate()
        self.url = f"http://{host.address}:{port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="sink")
        self._thread.start()

    def _take(self, body: bytes) -> None:
        decoded = decode(body)
        with self._lock:
            self.refused += decoded.refused_count
            for one in decoded.samples:
                self._samples[one.measurement][one.time_ns, str(sorted(one.tags.items()))] = one

    def samples(self, measurement: str, wanted: Callable[[Sample], bool] = lambda _: True) -> list[Sample]:
        """The samples of a measurement so far, in order of arrival."""
        with self._lock:
            found = list(self._samples[measurement].values())
        return [one for one in found if wanted(one)]

    def all_samples(self) -> list[Sample]:
        """Those of every measurement, one after the other."""
        with self._lock:
            return [one for found in self._samples.values() for one in found.values()]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
