"""The wish to stop: a signal at any moment, or the time that ``--for`` gave."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import TYPE_CHECKING

from truechimer.readings import monotonic_s

if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopWish:
    """Set by SIGINT, SIGTERM, SIGHUP or when ``limit_s`` has passed; ``wait`` wakes up at once.

    A signal writes into a pipe: nothing is raised in the middle of whatever was being done.
    """

    def __init__(self, limit_s: float | None = None) -> None:
        self._deadline_s = None if limit_s is None else monotonic_s() + limit_s
        self._told = False
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    @property
    def wished(self) -> bool:
        """Whether it is time to stop."""
        return self._told or (self._deadline_s is not None and monotonic_s() >= self._deadline_s)

    def wait(self, timeout_s: float) -> bool:
        """Sleep until the wish or for ``timeout_s``; whether it is time to stop."""
        if self._deadline_s is not None:
            timeout_s = min(timeout_s, max(0.0, self._deadline_s - monotonic_s()))
        if not self.wished:
            select.select([self._read], [], [], timeout_s)
        return self.wished

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's signature
        self._told = True
        # A full pipe is full of wishes already.
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b"!")
