"""A real analyzer process on a free port, and plain requests to it."""

import gzip
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass
class Answer:
    """One response."""

    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Analyzer:
    """One process; ``log`` is the file of its stderr."""

    def __init__(self, folder, server="", environment=None, listen="127.0.0.1:0"):
        self.folder = folder
        self.config = folder / "analyzer.toml"
        self.log = folder / "analyzer.log"
        self.config.write_text(
            f'[server]\nlisten = "{listen}"\n{server}\n[store]\naddress = "embedded:{folder}/store"\n'
        )
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "truechimer_analyzer", "run", "--config", str(self.config), "-v"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **(environment or {})},
            )
        line = self.process.stdout.readline()
        if not line.startswith("listening "):
            self.process.wait(20)
            raise AssertionError(f"exit {self.process.returncode}: {self.log.read_text()}")
        self.url = line.split()[1]
        self.host, port = self.url.partition("://")[2].rsplit(":", 1)
        self.port = int(port)

    def request(self, method, path, body=None, headers=None, timeout=30):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def get(self, path, headers=None, **options):
        query = f"?{urlencode(options)}" if options else ""
        return self.request("GET", path + query, headers=headers)

    def write(self, body, headers=None, query="?org=-&bucket=truechimer&precision=ns", gzipped=False):
        if gzipped:
            body, headers = gzip.compress(body), {**(headers or {}), "Content-Encoding": "gzip"}
        return self.request("POST", f"/api/v2/write{query}", body, headers)

    def times(self, measurement="truechimer_kernel", **options):
        """All stamps that the analyzer holds, in seconds as it gives them."""
        answer = self.get("/api/v1/series", measurement=measurement, points=20000, **{"from": 0}, **options)
        assert answer.status == 200, answer.body
        return [t for one in answer.json["series"] for t in one["time_s"]]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)
        self.process.stdout.close()

    def end(self):
        """SIGTERM; the exit code and how long it took."""
        begun = time.perf_counter()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        if not self.process.stdout.closed:
            self.process.stdout.close()
        return code, time.perf_counter() - begun


@contextmanager
def analyzer(folder, **options):
    """An analyzer for the time of a block."""
    running = Analyzer(folder, **options)
    try:
        yield running
    finally:
        running.end()


def line(time_s, node="a", fields="offset_seconds=0.5", measurement="truechimer_kernel", tags=""):
    """One line of line protocol; its time in whole seconds."""
    return f"{measurement},cluster=c,node={node}{tags} {fields} {time_s}000000000\n"
