"""icmp: round trips by ICMP echo, with one socket a family for all targets."""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.codes import ProbeOutcome, Via
from truechimer.config.addresses import host_name
from truechimer.errors import DecodeError
from truechimer_agent.collecting import Lacking
from truechimer_agent.probes import outcomes
from truechimer_agent.probes.echo import NONCE_BYTES
from truechimer_agent.probes.outcomes import LATE_NS, Result
from truechimer_agent.probes.pingsocket import PingSocket
from truechimer_agent.probes.rounds import Rounds
from truechimer_agent.probes.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from truechimer.config.model import ProbeConfig
    from truechimer_agent.collecting import Host, Observation
    from truechimer_agent.pauses.stalllog import StallLog
    from truechimer_agent.probes.echo import IpVersion
    from truechimer_agent.probes.pingsocket import Arrival
    from truechimer_agent.probes.targets import Address

SEQUENCES = 1 << 16
_FAMILIES: dict[int, IpVersion] = {socket.AF_INET: 4, socket.AF_INET6: 6}


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One request in flight; ``sent_ns`` is S just before it was sent."""

    target: Target
    address: Address
    nonce: bytes
    sent_ns: int
    epoch: int
    timer: asyncio.TimerHandle


class Icmp:
    """Sends an echo request to every ``[[probe]]`` of kind icmp on its beat.

    A reply counts when its sequence is in flight and it carries that request's random nonce: forged, doubled
    and late ones are ignored and counted in ``ignored``.
    """

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
        self._targets = [target_of(probe) for probe in probes if probe.kind == "icmp"]
        self._rounds = Rounds(host, self._targets, stalls, Via.ICMP, self._begin)
        self._sockets: dict[int, PingSocket] = {}
        self._missing: dict[int, ProbeOutcome] = {}
        self._attempts: dict[tuple[int, int], _Attempt] = {}
        self._sequence = 0
        self.ignored = 0

    async def open(self) -> None:
        """Make the sockets and begin to probe. Raises Lacking where neither kind of socket is allowed."""
        loop = asyncio.get_running_loop()
        identifier = secrets.randbits(16)
        for family, version in _FAMILIES.items():
            try:
                ping = PingSocket(version, identifier, self._make_socket)
            except OSError as error:
                denied = error.errno in (errno.EPERM, errno.EACCES)
                self._missing[family] = ProbeOutcome.NOT_PERMITTED if denied else ProbeOutcome.NET_UNREACHABLE
            else:
                self._sockets[family] = ping
                loop.add_reader(ping.sock.fileno(), self._readable, family, ping)
        if not self._sockets:
            raise Lacking(
                "ICMP echo is not allowed: this group is outside net.ipv4.ping_group_range, "
                "and raw sockets need CAP_NET_RAW",
                hint="sysctl net.ipv4.ping_group_range='0 2147483647', or give the agent CAP_NET_RAW",
            )
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
        loop = asyncio.get_running_loop()
        for ping in self._sockets.values():
            loop.remove_reader(ping.sock.fileno())
            ping.close()
        self._sockets.clear()
        self._missing.clear()
        for key, attempt in list(self._attempts.items()):
            self._release(key, attempt)
        await self._rounds.stop()

    def _begin(self, target: Target, address: Address) -> Result | None:
        """Send a request. The result when that alone decides, None while it is in flight or was not sent."""
        epoch = self._host.steady().epoch
        ping = self._sockets.get(address.family)
        if ping is None:
            now_ns = self._host.steady_now_ns()
            missing = self._missing.get(address.family, ProbeOutcome.NET_UNREACHABLE)
            return Result(target.name, missing, now_ns, now_ns, epoch)
        key = (address.family, self._free_sequence(address.family))
        nonce = secrets.token_bytes(NONCE_BYTES)
        sent_ns = self._host.steady_now_ns()
        try:
            ping.send(key[1], nonce, address)
        except OSError as error:
            if error.errno in outcomes.OWN_WANT:
                self._rounds.want(error)
                return None
            outcome = outcomes.of_errno(error.errno or 0)
            return Result(target.name, outcome, sent_ns, self._host.steady_now_ns(), epoch)
        timer = asyncio.get_running_loop().call_later(target.timeout_s, self._silent, key)
        self._attempts[key] = _Attempt(target, address, nonce, sent_ns, epoch, timer)
        target.in_flight += 1
        return None

    def _free_sequence(self, family: int) -> int:
        for _ in range(SEQUENCES):
            self._sequence = (self._sequence + 1) % SEQUENCES
            if (family, self._sequence) not in self._attempts:
                break
        return self._sequence

    def _readable(self, family: int, ping: PingSocket) -> None:
        self._rounds.guarded(lambda: self._receive(family, ping))

    def _receive(self, family: int, ping: PingSocket) -> None:
        try:
            arrivals = ping.receive()
        except DecodeError:
            self.ignored += 1
            return
        for arrival in arrivals:
            self._take(family, arrival)

    def _take(self, family: int, arrival: Arrival) -> None:
        ended_ns = self._host.steady_now_ns()
        key = (family, arrival.echo.sequence)
        attempt = self._attempts.get(key)
        if attempt is None or not _is_answered_by(attempt, arrival):
            self.ignored += 1
            return
        self._release(key, attempt)
        late_ns = self._unread_ns(arrival, ended_ns - attempt.sent_ns)
        name, outcome = attempt.target.name, arrival.outcome
        result = Result(name, outcome, attempt.sent_ns, ended_ns, attempt.epoch, late_ns)
        self._rounds.ended(attempt.target, attempt.address, result)

    def _unread_ns(self, arrival: Arrival, rtt_ns: int) -> int:
        """How long the answer lay unread, by the kernel's receive stamp; 0 when a stepping W spoils it."""
        if arrival.kernel_wall_ns is None:
            return 0
        late_ns = self._host.clocks.read().wall_ns - arrival.kernel_wall_ns
        return late_ns if LATE_NS < late_ns <= rtt_ns else 0

    def _silent(self, key: tuple[int, int]) -> None:
        # The loop reads what is ready before it runs timers: nothing has come, however late this is.
        self._rounds.guarded(lambda: self._lose(key))

    def _lose(self, key: tuple[int, int]) -> None:
        attempt = self._attempts[key]
        self._release(key, attempt)
        now_ns = self._host.steady_now_ns()
        name = attempt.target.name
        result = Result(name, ProbeOutcome.LOST, attempt.sent_ns, now_ns, attempt.epoch)
        self._rounds.ended(attempt.target, attempt.address, result)

    def _release(self, key: tuple[int, int], attempt: _Attempt) -> None:
        del self._attempts[key]
        attempt.timer.cancel()
        attempt.target.in_flight -= 1


def _is_answered_by(attempt: _Attempt, arrival: Arrival) -> bool:
    """A reply must carry the whole nonce; an error quotes as much of the request as it likes (RFC 792)."""
    if arrival.outcome is ProbeOutcome.REPLY:
        return arrival.echo.nonce == attempt.nonce
    return attempt.nonce.startswith(arrival.echo.nonce)


def target_of(probe: ProbeConfig) -> Target:
    """The target of a probe's configuration. Raises ConfigError for what is no host."""
    return Target(probe.name or probe.target, host_name(probe.target), 0, probe.interval_s, probe.timeout_s)
