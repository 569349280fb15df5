"""Fixtures of the command's tests."""

import http.server
import json
import threading
from urllib.parse import urlsplit

import pytest


@pytest.fixture
def analyzer():
    """An HTTP server that answers every command with what the test puts into `answers`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append((self.path, self.headers.get("Authorization")))
            status, body = server.answers.get(urlsplit(self.path).path, (404, b"what?"))
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.answers = [], {"/healthz": (200, {"service": "truechimer-analyzer"})}
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
