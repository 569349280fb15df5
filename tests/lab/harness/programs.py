"""The product's own programs on the lab's hosts, started as users start them."""

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from lab.harness.network import Host, Response
from lab.harness.processes import CommandResult, Process


class _Daemon:
    """`python -m MODULE run --config FILE` on a host; `log` takes its output over all restarts."""

    module: ClassVar[str]
    section: ClassVar[str]
    default_listen: ClassVar[str]

    def __init__(
        self,
        host: Host,
        config: Path,
        *,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        wait: bool = True,
    ) -> None:
        self.host = host
        self.config = config
        self.env = dict(env or {})
        self.log = log or config.with_suffix(".log")
        self.process = self._start()
        if wait:
            self.wait_ready()

    def _start(self) -> Process:
        command = (sys.executable, "-m", self.module, "run", "--config", str(self.config))
        return self.host.popen(*command, log=self.log, env=self.env)

    @property
    def url(self) -> str:
        """The root of its HTTP address, read from its configuration (as seen on its own host)."""
        document: dict[str, Any] = tomllib.loads(self.config.read_text())
        listen: str = document.get(self.section, {}).get("listen", self.default_listen)
        address, _, port = listen.rpartition(":")
        return f"http://{ {'0.0.0.0': '127.0.0.1', '[::]': '[::1]'}.get(address, address) }:{port}"

    @property
    def pid(self) -> int:
        """The process id of the present run."""
        return self.process.pid

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Response:
        """One HTTP request to it from its own host (OSError when nobody answers)."""
        return self.host.request(method, self.url + path, body=body, headers=headers, timeout_s=timeout_s)

    def healthy(self) -> bool:
        """Whether /healthz answers 200 now."""
        try:
            return self.request("GET", "/healthz", timeout_s=2.0).status == 200
        except OSError:
            return False

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Wait for a healthy answer; RuntimeError or TimeoutError with the log's end when none comes."""
        self.process.wait_ready(self.healthy, f"{self.module} on {self.host.name}", timeout_s=timeout_s)

    def kill(self) -> None:
        """SIGKILL its main process, as a crash would."""
        self.process.kill()

    def stop(self, timeout_s: float = 30.0) -> int:
        """SIGTERM and wait; return the exit code."""
        return self.process.stop(timeout_s)

    def restart(self, *, wait: bool = True) -> None:
        """Start it again after `kill` or `stop`, with the same configuration, environment and log."""
        self.process.close()
        self.process = self._start()
        if wait:
            self.wait_ready()

    def close(self) -> None:
        """Leave nothing of it behind."""
        self.process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Agent(_Daemon):
    """`truechimer_agent run`; ready when its health address says so."""

    module = "truechimer_agent"
    section = "health"
    default_listen = "127.0.0.1:9723"


class Analyzer(_Daemon):
    """`truechimer_analyzer run`; ready when its address answers."""

    module = "truechimer_analyzer"
    section = "server"
    default_listen = "127.0.0.1:8723"

    def write(self, lines: str) -> Response:
        """Send line protocol (times in ns) as an agent would."""
        return self.request("POST", "/api/v2/write?org=-&bucket=truechimer&precision=ns", body=lines.encode())


def truechimer(
    host: Host, *args: str, env: Mapping[str, str] | None = None, check: bool = False, timeout_s: float = 60.0
) -> CommandResult:
    """Run the `truechimer` command in a host; `.json` of the result is its parsed --json output."""
    command = (sys.executable, "-m", "truechimer_cli", *args)
    return host.run(*command, env=env, check=check, timeout_s=timeout_s)
