"""A real chronyd that announces a leap second and takes it, as a stratum 1 with a receiver does.

It follows a reference clock that the harness feeds through a socket (chrony.conf(5), refclock SOCK). chronyd
believes in a leap only on the last day of June or December, by its own clock: the servers of a leap run under
a ShiftedClock that shows such a day.
"""

import contextlib
import socket
import struct
import tempfile
import threading
from pathlib import Path

from lab.harness.chrony import Chronyd
from lab.harness.clocks import wall_ns
from lab.harness.network import Host
from lab.harness.ntp import ntp_exchange
from lab.harness.shiftclock import ShiftedClock

FEED_EVERY_S = 0.2
# struct sock_sample of chrony's refclock_sock.c: timeval, offset, pulse, leap, padding, magic "SOCK".
_SAMPLE = struct.Struct("=qqdiiii")
_MAGIC = 0x534F434B
NS = 1_000_000_000


class LeapServer(Chronyd):
    """An NTP server of stratum 1 that tells W of `clock`, and from `at_ns` of W on one second more or less.

    `inserted`: 1 for a leap second inserted (23:59:60, the time goes back by one), −1 for one deleted. It
    announces that before, and for a moment after it calls itself unsynchronised, as chronyd does.
    """

    def __init__(self, host: Host, clock: ShiftedClock, *, at_ns: int, inserted: int) -> None:
        # A folder of its own, since chronyd's may not be entered by others and is made later.
        self._feed_folder = tempfile.TemporaryDirectory(prefix="tc-leap-")
        host.cleanups.callback(self._feed_folder.cleanup)
        self._feed_path = Path(self._feed_folder.name) / "feed"
        self._clock, self._at_ns, self._inserted = clock, at_ns, inserted
        lines = [
            "allow all",
            "port 123",
            f"refclock SOCK {self._feed_path} poll 0 filter 1 precision 1e-6",
            "leapsecmode step",
        ]
        super().__init__(host, host.name, lines, clock.env)
        self.address = host.address
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._feed)
        self._thread.start()
        try:
            self.process.wait_ready(self._serves, f"chronyd {self.name} to announce the leap second")
        except BaseException:
            self.close()
            raise

    @property
    def ahead_ns(self) -> int:
        """By how much the time that it tells is ahead of the kernel's W now."""
        return self._clock.shift_ns + self._leapt_ns(self._clock.shift_ns + wall_ns())

    def _leapt_ns(self, clock_ns: int) -> int:
        return -NS * self._inserted if clock_ns >= self._at_ns else 0

    def _serves(self) -> bool:
        answer = ntp_exchange(self.host, self.address, timeout_s=0.2)
        return answer is not None and answer.stratum == 1 and answer.leap == (1 if self._inserted > 0 else 2)

    def _feed(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as feed:
            while not self._ends.wait(FEED_EVERY_S):
                clock_ns = self._clock.shift_ns + wall_ns()
                leapt_ns = self._leapt_ns(clock_ns)
                leap = 0 if leapt_ns else (1 if self._inserted > 0 else 2)
                seconds, rest_ns = divmod(clock_ns, NS)
                sample = _SAMPLE.pack(seconds, rest_ns // 1000, leapt_ns / NS, 0, leap, 0, _MAGIC)
                with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                    feed.sendto(sample, str(self._feed_path))

    def close(self) -> None:
        """Stop it."""
        self._ends.set()
        self._thread.join()
        super().close()
        self._feed_folder.cleanup()
