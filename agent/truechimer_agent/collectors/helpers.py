"""helpers: pauses that programs on this host tell of themselves, at RUNTIME_DIR/pauses.sock."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from typing import TYPE_CHECKING

from truechimer.codes import Cause
from truechimer.errors import DecodeError
from truechimer.gcpause.wire import SOCKET_NAME, Lines, decode
from truechimer.readings import mono_ns
from truechimer_agent.collecting import CollectFailure, Observation
from truechimer_agent.toldpauses.budget import Budget
from truechimer_agent.toldpauses.ledger import Ledger, Source, Window
from truechimer_agent.toldpauses.place import listen
from truechimer_agent.toldpauses.teller import Believed, Teller

if TYPE_CHECKING:
    from pathlib import Path

    from truechimer.config.model import PausesConfig
    from truechimer_agent.collecting import Host

NS = 1e9
MOST_CONNECTIONS = 256
READ_BYTES = 4096
BYTES_PER_SECOND, MOST_BYTES = 32_768, 131_072
REST_S = 0.25
SILENT_NS = 10_000_000_000
"""Who connects and does not say who it is in this time is hung up on."""
CONFIDENCE = 0.95
"""The runtime itself says that it was a collection; the program is believed about itself."""
_CREDENTIALS = struct.Struct("=iII")

log = logging.getLogger("truechimer.helpers")


class _Connection:
    """One program's connection; ``teller`` judges what it says."""

    def __init__(self, sock: socket.socket, earliest_ns: int, now_ns: int) -> None:
        self.socket = sock
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        self.pid, self.uid, _ = _CREDENTIALS.unpack(credentials)
        self.lines = Lines()
        self.teller = Teller(earliest_ns)
        self.budget = Budget(BYTES_PER_SECOND, MOST_BYTES, now_ns)
        self.accepted_ns = now_ns


class Helpers:
    """Listens, and hands over each pause above the threshold and a window per source every 10 s.

    A program that says what cannot be is hung up on; one that says more than it may is read slowly, and
    its pauses become sums.
    """

    interval_s = 10.0

    def __init__(self, host: Host, config: PausesConfig, runtime_dir: Path) -> None:
        self._host = host
        self._threshold_s = config.threshold_ms / 1e3
        self._path = runtime_dir / SOCKET_NAME
        self._listener: socket.socket | None = None
        self._connections: dict[int, _Connection] = {}
        self._ledger = Ledger(round(self._threshold_s * NS), self._pause, mono_ns())
        self._drained_ns = 0
        self._refused = 0
        self._refusal = ""

    async def open(self) -> None:
        """Listen. Raises Lacking when the place cannot be had."""
        now_ns = mono_ns()
        self._ledger = Ledger(round(self._threshold_s * NS), self._pause, now_ns)
        self._drained_ns = now_ns
        self._listener = listen(self._path)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)
        log.info("programs may tell their pauses: socket=%s", self._path)

    async def collect(self) -> list[Observation]:
        """The windows. Raises CollectFailure for what was refused since the last round."""
        self._accept()
        now_ns = mono_ns()
        for connection in list(self._connections.values()):
            if connection.teller.hello is None and now_ns - connection.accepted_ns > SILENT_NS:
                self._refuse(connection, "a program connected and did not say who it is")
        for source, window in self._ledger.windows(now_ns):
            self._host.emit(self._window(source, window, now_ns))
        if self._refused:
            refused, self._refused = self._refused, 0
            raise CollectFailure(
                f"{refused} refused of what programs told of their pauses; the last: {self._refusal}",
                hint="docs/gcpause.md says what is taken, and from whom",
            )
        return []

    async def close(self) -> None:
        """Hang up; the last windows are still handed over."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        asyncio.get_running_loop().remove_reader(listener)
        with contextlib.suppress(OSError):
            if self._path.is_socket():
                self._path.unlink()
        listener.close()
        for connection in list(self._connections.values()):
            self._read(connection)
            self._hang_up(connection)
        now_ns = mono_ns()
        for source, window in self._ledger.windows(now_ns):
            self._host.emit(self._window(source, window, now_ns))

    def _accept(self) -> None:
        if self._listener is None:
            return
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                self._drained_ns = mono_ns()  # who comes later connected later
                return
            except OSError as error:
                self._note(f"accepting: {error.strerror}")
                return
            if len(self._connections) >= MOST_CONNECTIONS:
                sock.close()
                self._note(f"{MOST_CONNECTIONS} programs are connected already")
                continue
            sock.setblocking(False)
            connection = _Connection(sock, self._drained_ns, mono_ns())
            self._connections[sock.fileno()] = connection
            asyncio.get_running_loop().add_reader(sock, self._read, connection)

    def _read(self, connection: _Connection) -> None:
        """One helping; who had more than its share waits a little."""
        try:
            data = connection.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up(connection)
            return
        now_ns = mono_ns()
        try:
            for line in connection.lines.feed(data):
                self._ledger.take(connection.teller, connection.uid, decode(line), now_ns)
        except DecodeError as error:
            self._refuse(connection, str(error))
            return
        if not connection.budget.take(now_ns, len(data)):
            loop = asyncio.get_running_loop()
            loop.remove_reader(connection.socket)
            loop.call_later(REST_S, self._resume, connection)

    def _resume(self, connection: _Connection) -> None:
        if connection.socket.fileno() >= 0:
            asyncio.get_running_loop().add_reader(connection.socket, self._read, connection)

    def _refuse(self, connection: _Connection, why: str) -> None:
        self._note(f"{why} (pid {connection.pid}, user {connection.uid})")
        self._hang_up(connection)

    def _note(self, why: str) -> None:
        self._refused += 1
        self._refusal = why

    def _hang_up(self, connection: _Connection) -> None:
        number = connection.socket.fileno()
        if number < 0:
            return
        asyncio.get_running_loop().remove_reader(connection.socket)
        self._connections.pop(number, None)
        connection.socket.close()
        self._ledger.left(connection.teller, mono_ns())

    def _steady_ns(self, at_mono_ns: int) -> int:
        """S at a time of MONOTONIC some seconds ago at most: slewing there is below 500 ppm of that."""
        reading = self._host.clocks.read()
        return self._host.steady().at(reading.raw_ns) - (reading.mono_ns - at_mono_ns)

    def _pause(self, source: Source, believed: Believed) -> None:
        start_ns = self._steady_ns(believed.start_mono_ns)
        fields: dict[str, float | int] = {
            "duration_seconds": believed.total_ns / NS,
            "confidence_ratio": CONFIDENCE,
            "steady_seconds": start_ns / NS,
            "epoch": self._host.steady().epoch,
        }
        if believed.pauses > 1:
            fields["pauses"] = believed.pauses
        tags = {"source": source.name, "runtime": source.runtime, "cause": Cause.GC.value}
        self._host.emit(Observation("truechimer_pause", start_ns, fields, tags))

    def _window(self, source: Source, window: Window, now_ns: int) -> Observation:
        fields: dict[str, float | int] = {
            "observed_seconds": window.observed_ns / NS,
            "count": window.pauses,
            "total_seconds": window.total_ns / NS,
            "max_seconds": window.max_ns / NS,
            "threshold_seconds": self._threshold_s,
        }
        tags = {"source": source.name, "runtime": source.runtime}
        return Observation("truechimer_pause_window", self._steady_ns(now_ns), fields, tags)
