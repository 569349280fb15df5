"""Processes of the lab: each in a session of its own, its output in a file, ended by its own pid."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from lab.harness.clocks import wait_until

LOG_TAIL_BYTES = 8_000
# Folders of chronyd and ip, which not every user has on PATH.
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class CommandResult:
    """What a finished command said."""

    args: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str

    @cached_property
    def json(self) -> Any:
        """The standard output as a JSON document (ValueError with the output when it is none)."""
        try:
            return json.loads(self.stdout)
        except ValueError as error:
            raise ValueError(f"no JSON from {self}") from error

    def __str__(self) -> str:
        return (
            f"{' '.join(self.args)}\nexit code {self.exit_code}\n"
            f"stdout: {self.stdout[-LOG_TAIL_BYTES:]}\nstderr: {self.stderr[-LOG_TAIL_BYTES:]}"
        )


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with `extra` over it, system folders on PATH, Python's output unbuffered."""
    path = f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}"
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **(extra or {})}


class Process:
    """A process that runs until the test ends it; its output (both streams) goes to `log`.

    `args` must replace itself, not fork (nsenter --net does), so that `pid` is the program's own.
    """

    def __init__(self, args: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.args = tuple(args)
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                self.args,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(env),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id (its process group has the same number)."""
        return self.popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; −N when signal N ended it."""
        return self.popen.poll()

    def log_text(self) -> str:
        """All that it has written so far."""
        return self.log.read_text(errors="replace")

    def wait_ready(self, attempt: Callable[[], object], what: str, *, timeout_s: float = 60.0) -> None:
        """Wait until `attempt()` is true; raise RuntimeError with the log's end if the process ends first."""

        def alive_and_ready() -> bool:
            if self.exit_code is not None:
                raise RuntimeError(f"{what}: ended with {self.exit_code}\n{self._evidence()}")
            return bool(attempt())

        wait_until(alive_and_ready, what, timeout_s=timeout_s, evidence=self._evidence)

    def _evidence(self) -> str:
        return f"{' '.join(self.args)}\n{self.log_text()[-LOG_TAIL_BYTES:]}"

    def descendants(self) -> list[psutil.Process]:
        """The processes that it started, and theirs."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        self.popen.send_signal(number)

    def pause(self) -> None:
        """SIGSTOP, to the process alone."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT, to the process alone."""
        self.signal(signal.SIGCONT)

    def pause_group(self) -> None:
        """SIGSTOP the process and all that it started in its process group; they stand when this returns."""
        os.killpg(self.pid, signal.SIGSTOP)
        wait_until(self._all_stand, "every thread to stop", every_s=0.001)

    def _all_stand(self) -> bool:
        for process in (psutil.Process(self.pid), *self.descendants()):
            for state in Path(f"/proc/{process.pid}/task").glob("*/stat"):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    if state.read_text().rpartition(")")[2].split()[0] not in "TtZX":
                        return False
        return True

    def resume_group(self) -> None:
        """SIGCONT the process and all that it started in its process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL the process alone, as a crash would, and reap it; what it started must notice by itself."""
        self.popen.kill()
        self.popen.wait()

    def kill_group(self) -> None:
        """SIGKILL the process and all that it started in its process group, and reap it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()

    def stop(self, timeout_s: float = 30.0) -> int:
        """SIGTERM, wait, return the exit code; SIGKILL and raise TimeoutError if it stays."""
        if self.exit_code is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.terminate()
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill_group()
            raise TimeoutError(
                f"did not stop within {timeout_s:g} s of SIGTERM: {self._evidence()}"
            ) from None

    def close(self) -> None:
        """Leave nothing behind: a quick SIGTERM if it still runs, then SIGKILL to its whole group."""
        if self.exit_code is None:
            self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(1.0)
        self.kill_group()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
