"""The daemons that ``up`` starts: their output into files, warnings passed on, and an orderly end."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from typing import IO, TYPE_CHECKING

from truechimer.readings import monotonic_s

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STOP_TIMEOUT_S = 15.0
_KILL_TIMEOUT_S = 5.0
_LOG_LIMIT = 5 << 20
_LAST_LINES = 12
_MATTERS = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b|^Traceback")

# Ties a daemon to this process, whatever ends it: prctl(PR_SET_PDEATHSIG, SIGTERM) outlives the exec. It
# follows the thread that forked, so children are started from the main thread. A parent that died before
# the call is found out by its pid.
_TIE = (
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None, use_errno=True).prctl(1, 15, 0, 0, 0)\n"
    "os.getppid() == int(sys.argv[1]) or sys.exit(143)\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


class Child:
    """One daemon in a session of its own, so that Ctrl-C reaches it only through us."""

    def __init__(self, name: str, words: Sequence[str], log: Path, *, verbose: bool) -> None:
        self.name = name
        self.log = log
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._verbose = verbose
        with contextlib.suppress(OSError):
            if log.stat().st_size > _LOG_LIMIT:
                log.replace(log.with_name(log.name + ".1"))
        tie = [sys.executable, "-I", "-S", "-c", _TIE, str(os.getpid()), sys.executable, *words]
        self.process = subprocess.Popen(
            tie,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._threads = [
            threading.Thread(target=self._drain, args=(stream, said), name=f"{name} {said}", daemon=True)
            for stream, said in ((self.process.stdout, "out"), (self.process.stderr, "err"))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; −N when signal N ended it."""
        return self.process.poll()

    def last_lines(self) -> str:
        """The end of what it said on stderr, for the message about its end."""
        for thread in self._threads:
            thread.join(1.0)
        return "\n".join(f"  {line}" for line in self._last)

    def terminate(self) -> None:
        """Ask it to end."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
                self.process.terminate()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """Ask it to end and wait; kill its session when it does not. Whether it ended by itself."""
        self.terminate()
        orderly = self._ended_within(timeout_s)
        if not orderly:
            # Its helpers are in its session: none may be left behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self._ended_within(_KILL_TIMEOUT_S)
        for thread in self._threads:
            thread.join(1.0)
        return orderly

    def _ended_within(self, timeout_s: float) -> bool:
        until = monotonic_s() + timeout_s
        while (left := until - monotonic_s()) > 0:
            try:
                self.process.wait(left)
            except subprocess.TimeoutExpired:
                break
            return True
        return self.exit_code is not None

    def _drain(self, stream: IO[str], said: str) -> None:
        """Every line into the file; warnings (all with -v) on to our stderr; stdout's also to ``lines``."""
        with contextlib.closing(stream), contextlib.ExitStack() as stack:
            file: IO[str] | None = None
            with contextlib.suppress(OSError):
                file = stack.enter_context(self.log.open("a", buffering=1))
            for line in stream:
                text = line.rstrip("\n")
                if file is not None:
                    # A full disk must not stop the daemon by a pipe that nobody empties.
                    with contextlib.suppress(OSError):
                        file.write(text + "\n")
                if said == "out":
                    self.lines.put(text)
                    continue
                self._last.append(text)
                if self._verbose or _MATTERS.search(text):
                    sys.stderr.write(f"{self.name}: {text}\n")
