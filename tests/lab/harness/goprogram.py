"""A Go program (collector.go) that collects when it is told to and says what its runtime noted of it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("collector.go")
BUILD_S = 240


def build_go_program(directory: Path, go: str = "go", *arguments: str) -> Path:
    """Compile it, stripped of all symbols, into `directory` with Go's own standard library alone."""
    built = directory / "collector"
    alone = {
        "CGO_ENABLED": "0",
        "GO111MODULE": "off",
        "GOCACHE": str(directory / "cache"),
        "GOFLAGS": "",
        "GOPATH": str(directory / "path"),
        "GOTOOLCHAIN": "local",
    }
    subprocess.run(
        [go, "build", *arguments, "-ldflags", "-s -w", "-o", built, SOURCE],
        check=True,
        env=os.environ | alone,
        timeout=BUILD_S,
    )
    return built


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """What runtime.ReadMemStats says: `pauses` are (length, end by the wall clock) in ns, latest first."""

    count: int
    total_ns: int
    pauses: tuple[tuple[int, int], ...]


class GoProgram:
    """A running one; `pid` is another than the process's where that is only its parent."""

    def __init__(self, process: "subprocess.Popen[str]", pid: int | None = None) -> None:
        self.process = process
        self.pid = pid or process.pid

    @property
    def start_ticks(self) -> int:
        """Field 22 of its stat."""
        text = Path(f"/proc/{self.pid}/stat").read_text()
        return int(text[text.rindex(")") + 2 :].split()[19])

    def collect(self, count: int = 1, pause_ms: int = 0) -> None:
        """Collect so many times, waiting after each; returns when all is done."""
        assert self._ask(f"collect {count} {pause_ms}") == "done"

    def begin_collecting(self, count: int, pause_ms: int = 0) -> None:
        """The same, without waiting; `finish_collecting` waits."""
        self._tell(f"collect {count} {pause_ms}")

    def finish_collecting(self) -> None:
        assert self._hear() == "done"

    def own_record(self) -> OwnRecord:
        count, total, *pauses = self._ask("report").split()
        pairs = [pause.split(":") for pause in pauses]
        return OwnRecord(int(count), int(total), tuple((int(length), int(end)) for length, end in pairs))

    def end(self) -> None:
        """Kill it and wait until the kernel has let go of it."""
        self.process.kill()
        self.process.communicate()

    def _ask(self, words: str) -> str:
        self._tell(words)
        return self._hear()

    def _tell(self, words: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()

    def _hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def go_program(*command: str | Path) -> Iterator[GoProgram]:
    """Run it (or what runs it in turn), with automatic collection off: it collects when told to."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"GOGC": "off"},
    )
    running = GoProgram(process)
    try:
        assert running._hear() == "ready"
        yield running
    finally:
        running.end()
