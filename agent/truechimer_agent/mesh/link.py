"""One session with one peer over one socket: probes out, replies and errors in, results and counts out."""

from __future__ import annotations

import math
import secrets
import struct
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from truechimer.codes import ProbeOutcome
from truechimer.errors import DecodeError
from truechimer_agent.collecting import Observation
from truechimer_agent.mesh.probesocket import ProbeSocket
from truechimer_agent.packettimes.times import times_of
from truechimer_agent.probes import outcomes
from truechimer_agent.probes.outcomes import Result
from truechimer_agent.stamp.errors import Malformed
from truechimer_agent.stamp.exchange import measure
from truechimer_agent.stamp.packet import decode_reply, encode_request
from truechimer_agent.stamp.session import Session
from truechimer_agent.stamp.stamps import stamp_down

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer.readings import Reading
    from truechimer_agent.collecting import Host
    from truechimer_agent.mesh.probesocket import Error
    from truechimer_agent.packettimes.times import Times
    from truechimer_agent.probes.targets import Address
    from truechimer_agent.stamp.key import Key
    from truechimer_agent.stamp.packet import Reply

NS = 1e9
COUNTS = ("sent", "received", "lost_forward", "lost_backward", "unknown", "reordered", "duplicated")
"""Fields of ``truechimer_path`` that say what came since the last point."""
_ASLEEP_NS = 1_000_000
_SEQUENCE = struct.Struct("!I")
_SSIDS = 0xFFFF
_MOST_AT_ONCE = 64
_REFERENCE_NS = 1
"""The bounds' own time is told to a quarter of a µs, over which two clocks come apart by less than this."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How this node probes: with whose id and key, for how long, and what its oscillators are held to."""

    node_id: bytes
    key: Key | None
    timeout_ns: int
    max_drift_ppb: int


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom a link is to, and in which DSCP class."""

    name: str
    node_id: bytes
    dscp: int


class Listener(Protocol):
    """Who is told what becomes of probes."""

    def ended(self, address: Address, result: Result) -> None:
        """A probe that was in flight has ended."""
        ...

    def strange(self, peer: str, node_id: bytes) -> None:
        """Another node answers than the one that is listed."""
        ...

    def spoiled(self, peer: str, why: str) -> None:
        """A packet came that is no valid reply."""
        ...


@dataclass(slots=True)
class _Flight:
    """A probe on its way: sent between the two readings, and no earlier than ``sent_ns`` (S)."""

    sent_ns: int
    epoch: int
    before: Reading
    after: Reading
    transmit_wall_ns: int | None


class Link:
    """Raises OSError when its socket cannot be had."""

    def __init__(self, host: Host, manner: Manner, peer: Peer, address: Address, listener: Listener) -> None:
        self._host = host
        self._manner = manner
        self._peer = peer
        self._listener = listener
        self._noted = {"dscp": peer.dscp} if peer.dscp else {}
        self._flights: dict[int, _Flight] = {}
        self._session = Session(manner.timeout_ns)
        self._reported: dict[str, int] = {}
        self._spoiled_ns: int | None = None
        self._ssid = 1 + secrets.randbelow(_SSIDS)
        self.address = address
        self.socket = ProbeSocket(address, peer.dscp)

    @property
    def in_flight(self) -> int:
        """How many probes are."""
        return len(self._flights)

    def renew(self) -> None:
        """Go on with a new socket: this host's address, or its way there, may be another one by now."""
        fresh = ProbeSocket(self.address, self._peer.dscp)
        self.socket.close()
        self.socket = fresh

    def send(self) -> Result | None:
        """Send a probe; its result when that alone decides. Raises OSError for want of something here."""
        clocks, steady = self._host.clocks, self._host.steady()
        before = clocks.read()
        sent_ns = steady.at(clocks.raw_ns())
        sequence = self._session.send(sent_ns)
        manner = self._manner
        data = encode_request(sequence, stamp_down(sent_ns), self._ssid, manner.node_id, manner.key)
        try:
            try:
                self.socket.send(data)
            except OSError:
                # It may have been an earlier probe's error, which the kernel tells at the next call.
                self._take_errors()
                self.socket.send(data)
        except OSError as error:
            self._session.withdraw()
            if error.errno in outcomes.OWN_WANT:
                raise
            outcome = outcomes.of_errno(error.errno or 0)
            return self._result(outcome, sent_ns, self._host.steady_now_ns(), steady.epoch)
        errors, transmit_wall_ns = self.socket.told()
        self._flights[sequence] = _Flight(sent_ns, steady.epoch, before, clocks.read(), transmit_wall_ns)
        self._fail(errors)
        return None

    def receive(self) -> None:
        """Take the next packet that has come, or the errors."""
        if not self._receive():
            self._take_errors()

    def expire(self) -> None:
        """End the probes whose time is over, after all that has come was read."""
        now_ns = self._host.steady_now_ns()
        oldest = next(iter(self._flights.values()), None)
        if oldest is None or now_ns - oldest.sent_ns < self._manner.timeout_ns:
            return
        for _ in range(_MOST_AT_ONCE):
            if not self._receive():
                break
        self._take_errors()
        self._expire(now_ns)

    def report(self, *, last: bool = False) -> Observation | None:
        """What became known since the last report; None when nothing was ever sent.

        ``last``: of what is undetermined then the direction will never be known.
        """
        totals = self._session.totals()
        if not totals.sent:
            return None
        counts = {name: int(getattr(totals, name)) for name in COUNTS}
        counts["unknown"] += totals.undetermined if last else 0
        now_ns = self._host.steady_now_ns()
        fields: dict[str, float | int] = {
            "undetermined": 0 if last else totals.undetermined,
            "session": self._ssid,
            "steady_seconds": now_ns / NS,
            "epoch": self._host.steady().epoch,
            **self._noted,
        }
        for name, count in counts.items():
            # A late reply takes back what was told as lost: then that much of later losses is not told.
            told = self._reported.get(name, 0)
            self._reported[name] = max(told, count)
            fields[name] = self._reported[name] - told
        if totals.reflected is not None:
            fields["reflected_total"] = totals.reflected
        return Observation("truechimer_path", now_ns, fields, {"peer": self._peer.name})

    def close(self) -> None:
        """Close its socket; what is in flight is dropped."""
        self._flights.clear()
        self.socket.close()

    def _receive(self) -> bool:
        packet = self.socket.receive()
        if packet is None:
            return False
        after = self._host.clocks.read()
        try:
            reply = decode_reply(packet.data, self._manner.key)
        except DecodeError as error:
            self._spoil(str(error))
            return True
        if reply.ssid in (self._ssid, 0):
            self._take(reply, packet.wall_ns, after)
        return True

    def _take(self, reply: Reply, wall_ns: int | None, after: Reading) -> None:
        sequence, identity = reply.sender_sequence, reply.identity
        sent_ns = self._session.sent_ns(sequence)
        if sent_ns is None:
            return
        if stamp_down(sent_ns) != reply.sender_timestamp:
            self._spoil("it does not bear the time of the probe that it names")
            return
        if identity is not None and identity.node_id != self._peer.node_id:
            self._listener.strange(self._peer.name, identity.node_id)
            if self._session.fail(sequence):
                self._end(sequence, ProbeOutcome.BAD_REPLY, self._host.steady_now_ns())
            return
        flight = self._flights.get(sequence)
        if flight is None:
            self._account(reply)
            return
        readings = (flight.before, flight.after, after)
        times = times_of(self._host.steady(), readings, sent_ns, flight.transmit_wall_ns, wall_ns)
        # In time or late by when it came, whenever it was read.
        self._expire(times.likely_received_ns)
        self._account(reply)
        if self._flights.pop(sequence, None) is not None:
            self._answered(reply, flight, times, after)

    def _account(self, reply: Reply) -> None:
        instance = None if reply.identity is None else reply.identity.instance
        self._session.receive(reply.sender_sequence, reply.sequence, instance)

    def _answered(self, reply: Reply, flight: _Flight, times: Times, after: Reading) -> None:
        ended_ns = times.likely_received_ns
        try:
            measured = measure(reply, times, self._manner.max_drift_ppb)
        except Malformed as error:
            self._listener.spoiled(self._peer.name, str(error))
            self._tell(self._result(ProbeOutcome.BAD_REPLY, times.sent_ns, ended_ns, flight.epoch))
            return
        fields: dict[str, float | int] = {
            "rtt_seconds": measured.rtt_ns / NS,
            "reflector_seconds": measured.residence_ns / NS,
        }
        if reply.identity is not None:
            fields |= {
                "lower_seconds": math.nextafter((measured.lower_ns - _REFERENCE_NS) / NS, -math.inf),
                "upper_seconds": math.nextafter((measured.upper_ns + _REFERENCE_NS) / NS, math.inf),
                "peer_epoch": reply.identity.epoch,
            }
        # A host that slept in between has no S across it, which not everybody here may know yet.
        slept_ns = after.least_suspended_ns - flight.before.suspended_ns
        outcome = ProbeOutcome.REPLY if slept_ns <= _ASLEEP_NS else ProbeOutcome.OWN_STALL
        self._tell(self._result(outcome, times.sent_ns, ended_ns, flight.epoch, fields))

    def _expire(self, now_ns: int) -> None:
        for sequence, sent_ns in self._session.expire(now_ns):
            spoiled = self._spoiled_ns is not None and self._spoiled_ns >= sent_ns
            outcome = ProbeOutcome.BAD_REPLY if spoiled else ProbeOutcome.LOST
            self._end(sequence, outcome, sent_ns + self._manner.timeout_ns)

    def _take_errors(self) -> None:
        self._fail(self.socket.told()[0])

    def _fail(self, errors: list[Error]) -> None:
        """End the probes that these are about: what is quoted begins with the number, if it goes so far."""
        for error in errors:
            sequence = next(iter(self._flights), -1)
            if len(error.quoted) >= _SEQUENCE.size:
                (sequence,) = _SEQUENCE.unpack_from(error.quoted)
            if sequence in self._flights and self._session.fail(sequence):
                self._end(sequence, error.outcome, self._host.steady_now_ns())

    def _spoil(self, why: str) -> None:
        """What came may be forged: a good reply may still come, and without one it is no mere silence."""
        self._spoiled_ns = self._host.steady_now_ns()
        self._listener.spoiled(self._peer.name, why)

    def _end(self, sequence: int, outcome: ProbeOutcome, ended_ns: int) -> None:
        flight = self._flights.pop(sequence, None)
        if flight is not None:
            self._tell(self._result(outcome, flight.sent_ns, ended_ns, flight.epoch))

    def _tell(self, result: Result) -> None:
        self._listener.ended(self.address, result)

    def _result(
        self,
        outcome: ProbeOutcome,
        sent_ns: int,
        ended_ns: int,
        epoch: int,
        measured: Mapping[str, float | int] = MappingProxyType({}),
    ) -> Result:
        return Result(
            self._peer.name, outcome, sent_ns, ended_ns, epoch, noted=self._noted, measured=measured
        )
