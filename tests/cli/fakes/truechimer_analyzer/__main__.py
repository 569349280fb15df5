"""Answers /healthz; FAKE_ANALYZER says how else it behaves: die, silent, stubborn."""

import http.server
import os
import signal
import sys
import threading
import tomllib
from pathlib import Path

mode = os.environ.get("FAKE_ANALYZER", "")
config = tomllib.loads(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
host, _, port = config["server"]["listen"].rpartition(":")
journal = Path(config["store"]["address"].partition(":")[2]) / "journal"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"service": "truechimer-analyzer"}')

    def log_message(self, *args):
        pass


def end(number, frame):
    journal.with_name("ended").write_text(str(os.getpid()))
    os._exit(0)


if mode == "die":
    sys.stderr.write("ERROR the disk of the fake is full\n")
    sys.exit(5)
signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "stubborn" else end)
server = http.server.ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
journal.write_text(str(os.getpid()))
if mode != "silent":
    sys.stderr.write("INFO nobody needs to see this\nWARNING somebody should see this\n")
    sys.stdout.write(f"listening http://{host}:{server.server_address[1]}\n")
    sys.stdout.flush()
threading.Thread(target=server.serve_forever, daemon=True).start()
while True:
    signal.pause()
