"""A program's connection to the agent: never blocks, never raises, follows the agent's restarts.

Used inside collections (see :mod:`truechimer.gcpause.watching`), so: no locks, and the C socket type,
which no library replaces by one that waits.
"""

from __future__ import annotations

import _socket
import os

from truechimer.gcpause.wire import SOCKET_NAME, Hello, encode

TRY_AGAIN_NS = 1_000_000_000
SEND_BUFFER_BYTES = 65_536
_RUNTIME_VARIABLE = "TRUECHIMER_RUNTIME_DIR"
_RUNTIME_DIR = "/run/truechimer"


def default_socket() -> str:
    """``$TRUECHIMER_RUNTIME_DIR/pauses.sock``, else ``/run/truechimer/pauses.sock``."""
    return os.path.join(os.environ.get(_RUNTIME_VARIABLE) or _RUNTIME_DIR, SOCKET_NAME)  # noqa: PTH118 - light


class Telling:
    """One program's connection, opened when there is something to tell and an agent that listens."""

    def __init__(self, path: str, runtime: str, name: str) -> None:
        self._path = path
        self._runtime = runtime
        self._name = name
        self._socket: _socket.socket | None = None
        self._identity = (0, 0)
        self._pid = 0
        self._try_at_ns = 0

    def connect(self, now_mono_ns: int) -> bool:
        """Connect unless it was tried within the last second; True when this made a connection."""
        if now_mono_ns < self._try_at_ns:
            return False
        self._try_at_ns = now_mono_ns + TRY_AGAIN_NS
        made = None
        try:
            made = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            made.setblocking(False)
            made.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            made.connect(self._path)
            made.send(encode(Hello(self._runtime, self._name, now_mono_ns)), _socket.MSG_NOSIGNAL)
            self._identity = _identity(made.fileno())
        except OSError as error:
            if made is not None:
                made.close()
            _pass_on(error)
            return False
        self._pid = os.getpid()
        self._socket = made
        return True

    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known, and it is this process's own."""
        if self._socket is None:
            return False
        if self._pid != os.getpid():  # forked without Python's hooks
            self.forget()
            return False
        return True

    def send(self, line: bytes) -> bool:
        """Hand a line over; False when there is no room or no connection (any more)."""
        held = self._socket
        if held is None:
            return False
        try:
            # A program that closed all descriptors has given ours to something else.
            if _identity(held.fileno()) != self._identity:
                self.forget()
                return False
            if held.send(line, _socket.MSG_NOSIGNAL) == len(line):
                return True
        except BlockingIOError:
            return False
        except OSError as error:
            self.close()
            _pass_on(error)
            return False
        self.close()  # half a line went: the agent drops it with the connection
        return False

    def close(self) -> None:
        """End the connection."""
        held, self._socket = self._socket, None
        if held is None:
            return
        try:
            if _identity(held.fileno()) == self._identity:
                held.close()
                return
        except OSError:
            pass
        held.detach()

    def forget(self) -> None:
        """After a fork: the connection is the parent's, this process makes its own."""
        self.close()
        self._try_at_ns = 0


def _identity(number: int) -> tuple[int, int]:
    """Of what is behind a descriptor; inodes count anew in each file system."""
    status = os.fstat(number)
    return status.st_dev, status.st_ino


def _pass_on(error: OSError) -> None:
    """A signal handler may raise TimeoutError: that one has no errno, and is the program's."""
    if isinstance(error, TimeoutError) and error.errno is None:
        raise error
