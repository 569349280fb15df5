"""Debian's VictoriaMetrics with a data folder of the test's own."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from lab.harness.network import Host, Response, free_port

PORT = 8428


@dataclass(frozen=True)
class Series:
    """One exported series: labels (with `__name__`), values, and their times in ms since 1970."""

    labels: dict[str, str]
    values: tuple[float | None, ...]
    times_ms: tuple[int, ...]


class VictoriaMetrics:
    """A running VictoriaMetrics on `host`, answering its own address there; `url` is its root for others."""

    def __init__(self, host: Host, directory: Path, *flags: str) -> None:
        self.host = host
        port = PORT if host.namespace is not None else free_port()
        self.url = f"http://{host.address}:{port}"
        self.process = host.popen(
            "victoria-metrics",
            f"-storageDataPath={directory / 'victoria-metrics'}",
            f"-httpListenAddr={host.address}:{port}",
            # It reserves 60 % of the machine's memory for caches unless told.
            "-memory.allowedBytes=256MB",
            "-retentionPeriod=100y",
            *flags,
            log=directory / "victoria-metrics.log",
        )
        try:
            self.process.wait_ready(self._healthy, "VictoriaMetrics to answer /health")
        except BaseException:
            self.close()
            raise

    def _healthy(self) -> bool:
        try:
            return self.request("GET", "/health", timeout_s=1.0).status == 200
        except OSError:
            return False

    def request(
        self, method: str, path: str, *, body: bytes | None = None, timeout_s: float = 30.0
    ) -> Response:
        """One HTTP request to it, from its own host."""
        return self.host.request(method, self.url + path, body=body, timeout_s=timeout_s)

    def _fine(self, method: str, path: str, body: bytes | None = None) -> bytes:
        answer = self.request(method, path, body=body)
        if answer.status not in {200, 204}:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:500]!r}")
        return answer.body

    def write(self, lines: str) -> None:
        """Send line protocol (times in ns)."""
        self._fine("POST", "/api/v2/write?precision=ns", lines.encode())

    def flush(self) -> None:
        """Make everything written so far visible to `export`."""
        self._fine("GET", "/internal/force_flush")

    def export(self, match: str = '{__name__!=""}') -> list[Series]:
        """Every stored point of the series that `match` selects, after a flush."""
        self.flush()
        body = self._fine("GET", f"/api/v1/export?{urlencode({'match[]': match})}")
        rows = [json.loads(line) for line in body.splitlines()]
        return [Series(row["metric"], tuple(row["values"]), tuple(row["timestamps"])) for row in rows]

    def close(self) -> None:
        """Stop it."""
        self.process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
