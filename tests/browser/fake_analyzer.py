"""A small server of the page and of canned documents, with the analyzer's content security policy."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from browser.fleets import Fleet

import truechimer_analyzer

PAGE = Path(truechimer_analyzer.__file__).parent / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


class FakeAnalyzer(ThreadingHTTPServer):
    """Answers from `fleet`, which a test may change while the page is open."""

    daemon_threads = True

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.fleet = fleet
        self.stopping = threading.Event()
        self.news = threading.Condition()
        self.commits = 0
        self.down = False
        self.signed_out = False
        self.asked: list[str] = []
        self.slow_s: dict[str, float] = {}

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def commit(self) -> None:
        """Tell open pages that new samples are in the store."""
        with self.news:
            self.commits += 1
            self.news.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no error."""


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeAnalyzer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.server.asked.append(self.path)
        if url.path.startswith("/api/v1/"):
            self.answer(url.path.removeprefix("/api/v1/"), parse_qs(url.query))
            return
        if url.path == "/login":
            self.reply(
                200, KINDS[".html"], b"<!doctype html><link rel=icon href=icon.svg><title>sign in</title>"
            )
            return
        file = PAGE / (url.path.lstrip("/") or "index.html")
        if not file.is_file():
            self.reply(404, "text/plain", b"nothing here")
            return
        self.reply(200, KINDS.get(file.suffix, "text/plain"), file.read_bytes())

    def answer(self, command: str, options: dict[str, list[str]]) -> None:
        self.server.stopping.wait(self.server.slow_s.get(command, 0))
        if self.server.signed_out:
            self.document(401, {"error": "not signed in", "hint": "sign in"})
        elif self.server.down:
            self.document(503, {"error": "the store is busy", "hint": "try again in a moment"})
        elif command == "events":
            self.stream()
        elif command == "series":
            self.document(200, self.server.fleet.series.get(options["measurement"][0], {"series": []}))
        else:
            document = self.server.fleet.documents.get(command)
            self.document(self.server.fleet.statuses.get(command, 200), document)

    def stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        seen = self.server.commits
        self.wfile.write(b": hello\n\n")
        self.wfile.flush()
        while not self.server.stopping.is_set() and not self.server.down:
            with self.server.news:
                self.server.news.wait(0.2)
                now = self.server.commits
            if now != seen:
                seen = now
                self.wfile.write(b"event: committed\ndata: {}\n\n")
                self.wfile.flush()

    def document(self, status: int, document: Any) -> None:
        self.reply(status, "application/json", json.dumps(document).encode())

    def reply(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing on standard error."""


@contextmanager
def serving(fleet: Fleet) -> Iterator[FakeAnalyzer]:
    """A fake analyzer on a free port of loopback."""
    server = FakeAnalyzer(fleet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
