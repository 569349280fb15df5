"""helpers: pauses that programs on this host tell of themselves, at RUNTIME_DIR/pauses.sock."""

from __future__ import annotations

import asyncio
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
from truechimer_agent.toldpauses.place import Place, listen
from truechimer_agent.toldpauses.teller import Believed, Teller

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from truechimer.config.model import PausesConfig
    from truechimer_agent.collecting import Host

NS = 1e9
MOST_CONNECTIONS, MOST_OF_USER = 256, 128
READ_BYTES = 4096
BYTES_PER_SECOND, MOST_BYTES = 32_768, 131_072
USER_BYTES_PER_SECOND, MOST_USER_BYTES = 131_072, 131_072
ACCEPTED_PER_SECOND, MOST_ACCEPTED = 200, 512
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
    its pauses become sums. ``taken``: sources and runtimes that other collectors tell of.
    """

    interval_s = 10.0

    def __init__(
        self,
        host: Host,
        config: PausesConfig,
        runtime_dir: Path,
        taken: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:
        self._host = host
        self._threshold_s = config.threshold_ms / 1e3
        self._path = runtime_dir / SOCKET_NAME
        self._place: Place | None = None
        self._connections: dict[int, _Connection] = {}
        self._of_users: dict[int, Budget] = {}
        self._accepting = Budget(ACCEPTED_PER_SECOND, MOST_ACCEPTED, mono_ns())
        self._taken = taken
        self._ledger = self._new_ledger(mono_ns())
        self._drained_ns = 0
        self._refused = 0
        self._refusal = ""

    async def open(self) -> None:
        """Listen. Raises Lacking when the place cannot be had."""
        now_ns = mono_ns()
        self._ledger = self._new_ledger(now_ns)
        self._drained_ns = now_ns
        self._listen()

    async def collect(self) -> list[Observation]:
        """The windows. Raises CollectFailure for what was refused since the last round.

        Raises Lacking when the socket's place was lost and cannot be had again.
        """
        self._accept()
        now_ns = mono_ns()
        for connection in list(self._connections.values()):
            if connection.teller.hello is None and now_ns - connection.accepted_ns > SILENT_NS:
                self._refuse(connection, "a program connected and did not say who it is")
        for source, window in self._ledger.windows(now_ns):
            self._host.emit(self._window(source, window, now_ns))
        users = {connection.uid for connection in self._connections.values()}
        self._of_users = {uid: budget for uid, budget in self._of_users.items() if uid in users}
        if self._place is None or not self._place.is_there():
            self._leave()
            self._listen()
        if self._refused:
            refused, self._refused = self._refused, 0
            raise CollectFailure(
                f"{refused} refused of what programs told of their pauses; the last: {self._refusal}",
                hint="docs/gcpause.md says what is taken, and from whom",
            )
        return []

    async def close(self) -> None:
        """Hang up; the last windows are still handed over."""
        self._leave()
        for connection in list(self._connections.values()):
            self._read(connection)
            self._hang_up(connection)
        now_ns = mono_ns()
        for source, window in self._ledger.windows(now_ns):
            self._host.emit(self._window(source, window, now_ns))

    def _new_ledger(self, now_ns: int) -> Ledger:
        return Ledger(round(self._threshold_s * NS), self._pause, now_ns, self._taken)

    def _listen(self) -> None:
        self._place = listen(self._path)
        asyncio.get_running_loop().add_reader(self._place.socket, self._accept)
        log.info("programs may tell their pauses: socket=%s", self._path)

    def _leave(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            asyncio.get_running_loop().remove_reader(place.socket)
            place.leave()

    def _accept(self) -> None:
        while self._place is not None:
            if not self._accepting.take(mono_ns()):
                self._rest(self._place.socket, self._accept)
                return
            try:
                sock, _ = self._place.socket.accept()
            except BlockingIOError:
                self._drained_ns = mono_ns()  # who comes later connected later
                return
            except OSError as error:
                self._note(f"accepting: {error.strerror}")
                self._rest(self._place.socket, self._accept)
                return
            self._welcome(sock)

    def _welcome(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        connection = _Connection(sock, self._drained_ns, mono_ns())
        uid = connection.uid
        if len(self._connections) >= MOST_CONNECTIONS:
            why = f"{MOST_CONNECTIONS} programs are connected already"
        elif uid and sum(one.uid == uid for one in self._connections.values()) >= MOST_OF_USER:
            why = f"{MOST_OF_USER} programs of user {uid} are connected already"
        else:
            self._connections[sock.fileno()] = connection
            asyncio.get_running_loop().add_reader(sock, self._read, connection)
            return
        sock.close()
        self._note(why)

    def _read(self, connection: _Connection) -> None:
        """One helping; who had more than its share, or whose user had, waits a little."""
        now_ns = mono_ns()
        user = self._of_users.get(connection.uid)
        if user is None:
            user = Budget(USER_BYTES_PER_SECOND, MOST_USER_BYTES, now_ns)
            self._of_users[connection.uid] = user
        if not user.take(now_ns, 0):
            self._rest(connection.socket, self._read, connection)
            return
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
        user.take(now_ns, len(data))
        if not connection.budget.take(now_ns, len(data)):
            self._rest(connection.socket, self._read, connection)

    @staticmethod
    def _rest(sock: socket.socket, read: Callable[..., None], *about: _Connection) -> None:
        """Look at a socket again a little later."""
        loop = asyncio.get_running_loop()

        def resume() -> None:
            if sock.fileno() >= 0:
                loop.add_reader(sock, read, *about)

        loop.remove_reader(sock)
        loop.call_later(REST_S, resume)

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
