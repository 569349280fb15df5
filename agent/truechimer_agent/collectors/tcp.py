"""tcp: how long connecting takes, and which kind of no it is when it fails."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import ProbeOutcome, Via
from truechimer.config.addresses import peer_address
from truechimer_agent.probes import outcomes
from truechimer_agent.probes.outcomes import LATE_NS, Result
from truechimer_agent.probes.rounds import Rounds
from truechimer_agent.probes.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from truechimer.config.model import ProbeConfig
    from truechimer_agent.collecting import Host, Observation
    from truechimer_agent.pauses.stalllog import StallLog
    from truechimer_agent.probes.targets import Address

_UINT32 = struct.Struct("=I")
_TCPI_RTT = 68
_TCPI_TOTAL_RETRANS = 100
_TCP_INFO_SIZE = 104


@dataclass(slots=True, eq=False)
class _Attempt:
    """One connect in flight; ``sent_ns`` is S just before the SYN."""

    target: Target
    address: Address
    sock: socket.socket
    sent_ns: int
    epoch: int
    timer: asyncio.TimerHandle | None = None


class Tcp:
    """Connects to every ``[[probe]]`` of kind tcp on its beat, and closes at once."""

    interval_s = 10.0

    def __init__(
        self,
        host: Host,
        probes: Iterable[ProbeConfig],
        stalls: StallLog,
        make_socket: Callable[..., socket.socket] = socket.socket,
    ) -> None:
        self._host = host
        self._make_socket = make_socket
        self._targets = [target_of(probe) for probe in probes if probe.kind == "tcp"]
        self._rounds = Rounds(host, self._targets, stalls, Via.TCP, self._begin)
        self._attempts: set[_Attempt] = set()

    async def open(self) -> None:
        """Begin to probe."""
        self._rounds.start()

    async def collect(self) -> list[Observation]:
        """Nothing by the clock: the probes emit. Raises what went wrong on this host's side."""
        self._rounds.check()
        return []

    async def finish(self, longest_s: float) -> None:
        """Begin no more probes; wait until those in flight have ended, at most ``longest_s``."""
        await self._rounds.finish(longest_s)

    async def close(self) -> None:
        """Stop probing; what is in flight is dropped, what was answered is handed over."""
        for attempt in list(self._attempts):
            self._release(attempt)
        await self._rounds.stop()

    def _begin(self, target: Target, address: Address) -> Result | None:
        """Send a SYN. The result when that alone decides, None while it is in flight or was not sent."""
        try:
            sock = self._make_socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            if error.errno in outcomes.OWN_WANT:
                self._rounds.want(error)
                return None
            # This kernel has no such family.
            now_ns = self._host.steady_now_ns()
            epoch = self._host.steady().epoch
            return Result(target.name, ProbeOutcome.NET_UNREACHABLE, now_ns, now_ns, epoch)
        attempt = _Attempt(target, address, sock, self._host.steady_now_ns(), self._host.steady().epoch)
        number = sock.connect_ex(address.sockaddr)
        if number == errno.EINPROGRESS:
            # Loopback answers within the call, which says so only when it is asked again.
            number = sock.connect_ex(address.sockaddr)
        if number == errno.EALREADY:
            loop = asyncio.get_running_loop()
            loop.add_writer(sock.fileno(), self._writable, attempt)
            attempt.timer = loop.call_later(target.timeout_s, self._silent, attempt)
            self._attempts.add(attempt)
            target.in_flight += 1
            return None
        result = self._result(attempt, outcomes.of_errno(number))
        sock.close()
        if number in outcomes.OWN_WANT:
            self._rounds.want(OSError(number, os.strerror(number)))
            return None
        return result

    def _writable(self, attempt: _Attempt) -> None:
        self._rounds.guarded(lambda: self._finish(attempt))

    def _finish(self, attempt: _Attempt) -> None:
        ended_ns = self._host.steady_now_ns()
        outcome = outcomes.of_word(attempt.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        late_ns = 0
        if outcome is ProbeOutcome.REPLY:
            late_ns = _unread_ns(attempt.sock, ended_ns - attempt.sent_ns)
        self._release(attempt)
        result = Result(attempt.target.name, outcome, attempt.sent_ns, ended_ns, attempt.epoch, late_ns)
        self._rounds.ended(attempt.target, attempt.address, result)

    def _silent(self, attempt: _Attempt) -> None:
        # The loop runs what is ready to be read before timers: nothing has come, however late this is.
        self._rounds.guarded(lambda: self._lose(attempt))

    def _lose(self, attempt: _Attempt) -> None:
        self._release(attempt)
        self._rounds.ended(attempt.target, attempt.address, self._result(attempt, ProbeOutcome.LOST))

    def _result(self, attempt: _Attempt, outcome: ProbeOutcome) -> Result:
        now_ns = self._host.steady_now_ns()
        return Result(attempt.target.name, outcome, attempt.sent_ns, now_ns, attempt.epoch)

    def _release(self, attempt: _Attempt) -> None:
        self._attempts.discard(attempt)
        asyncio.get_running_loop().remove_writer(attempt.sock.fileno())
        if attempt.timer is not None:
            attempt.timer.cancel()
        attempt.target.in_flight -= 1
        attempt.sock.close()


def _unread_ns(sock: socket.socket, rtt_ns: int) -> int:
    """How long the answer lay unread, by the kernel's own measure of the handshake; 0 when it does not tell.

    tcp_info of linux/tcp.h: tcpi_rtt (µs) at 68, tcpi_total_retrans at 100. A SYN that was sent twice is
    measured from its second sending, so nothing follows then.
    """
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    except OSError:
        return 0
    if len(info) < _TCP_INFO_SIZE:
        return 0
    (kernel_rtt_us,) = _UINT32.unpack_from(info, _TCPI_RTT)
    (retransmissions,) = _UINT32.unpack_from(info, _TCPI_TOTAL_RETRANS)
    if not kernel_rtt_us or retransmissions:
        return 0
    late_ns = rtt_ns - int(kernel_rtt_us) * 1000
    return late_ns if late_ns > LATE_NS else 0


def target_of(probe: ProbeConfig) -> Target:
    """The target of a probe's configuration. Raises ConfigError for what is no HOST:PORT."""
    host, port = peer_address(probe.target)
    return Target(probe.name or probe.target, host, port, probe.interval_s, probe.timeout_s)
