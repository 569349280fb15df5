"""Load on the machine's processors."""

from pathlib import Path
from types import TracebackType
from typing import Self

from lab.harness.network import Host

# The load ends by itself even if the test is killed.
LONGEST_S = 600


class CpuLoad:
    """`workers` busy processes by stress-ng, from construction to `close` or the end of the context."""

    def __init__(self, host: Host, workers: int, directory: Path) -> None:
        self.process = host.popen(
            "stress-ng",
            *("--cpu", str(workers), "--timeout", f"{LONGEST_S}s", "--temp-path", str(directory)),
            log=directory / "stress-ng.log",
        )
        self.process.wait_ready(lambda: len(self.process.descendants()) >= workers, "stress-ng's workers")

    def close(self) -> None:
        """End the load."""
        self.process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
