"""Which connections count, whose they are, and what happened on them since the last point."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from truechimer.config.addresses import format_address
from truechimer_agent.connections.tcpinfo import ESTABLISHED, LISTEN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from truechimer_agent.connections.tcpinfo import Address, Connection

OTHERS = "(others)"
"""The peer that stands for all remotes beyond the limit."""
_WRAP = 1 << 32
_US = 1e6


@dataclass(frozen=True, slots=True)
class Selection:
    """The connections that count: established ones with one of ``ports`` at an end, to one of ``remotes``.

    An empty collection means any. Connections of this host with itself count with ``loopback`` only.
    """

    ports: Collection[int] = ()
    remotes: Sequence[IPv4Network | IPv6Network] = ()
    loopback: bool = False

    def takes(self, connection: Connection) -> bool:
        """Whether this connection counts."""
        local, remote = connection.local, connection.remote
        if connection.state != ESTABLISHED:
            return False
        if self.ports and local.port not in self.ports and remote.port not in self.ports:
            return False
        if not self.loopback and (remote.address.is_loopback or remote.address == local.address):
            return False
        return not self.remotes or any(remote.address in network for network in self.remotes)


@dataclass(frozen=True, slots=True)
class Remote:
    """What the kernel knows of one remote: over its connections, and (the counts) since the last point.

    ``rtt_s``: the smoothed round trip of the connection that was heard from last, None when none was sent
    to and heard from since the last point. ``segments_sent`` and ``retransmitted`` are None on kernels that
    do not count them.
    """

    peer: str
    connections: int
    srtt_s: float | None = None
    rttvar_s: float | None = None
    min_rtt_s: float | None = None
    rto_s: float | None = None
    segments_sent: int | None = None
    retransmitted: int | None = None
    rtt_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Counted:
    segments: int
    retransmitted: int


class Remotes:
    """Groups connections by remote and counts, connection by connection, what came since the last round.

    A connection that is there at the first round counts from then on, one that appears later from its
    beginning. What a connection did between its last round and its end is not known.
    """

    def __init__(self, selection: Selection, limit: int) -> None:
        self._selection = selection
        self._limit = limit
        self._seen: dict[bytes, _Counted] | None = None

    def round(
        self, connections: Iterable[Connection], names: Mapping[Address, str], since_ms: float
    ) -> list[Remote]:
        """The busiest ``limit`` remotes, and the rest as one; the last round was ``since_ms`` ago."""
        listed = list(connections)
        serving = {each.local.port for each in listed if each.state == LISTEN}
        taken = [each for each in listed if self._selection.takes(each)]
        gained = self._gained(taken)
        groups: defaultdict[str, list[Connection]] = defaultdict(list)
        for each in taken:
            groups[_peer(each, serving | set(self._selection.ports), names)].append(each)
        busiest = sorted(groups, key=lambda peer: (-_busy(groups[peer], gained), -len(groups[peer]), peer))
        found = [_remote(peer, groups[peer], gained, since_ms) for peer in busiest[: self._limit]]
        if rest := [each for peer in busiest[self._limit :] for each in groups[peer]]:
            sent, retransmitted = _sums(rest, gained)
            found.append(Remote(OTHERS, len(rest), segments_sent=sent, retransmitted=retransmitted))
        return found

    def _gained(self, taken: Sequence[Connection]) -> dict[bytes, _Counted]:
        """By cookie, what each connection sent since the last round."""
        now = {
            each.cookie: _Counted(each.info.data_segments_out, each.info.retransmitted)
            for each in taken
            if each.info.data_segments_out is not None and each.info.retransmitted is not None
        }
        before, self._seen = self._seen, now
        if before is None:
            return {cookie: _Counted(0, 0) for cookie in now}
        none = _Counted(0, 0)
        return {
            cookie: _Counted(
                (counted.segments - before.get(cookie, none).segments) % _WRAP,
                (counted.retransmitted - before.get(cookie, none).retransmitted) % _WRAP,
            )
            for cookie, counted in now.items()
        }


def _peer(connection: Connection, serving: Collection[int], names: Mapping[Address, str]) -> str:
    """A node's name, else ADDRESS:PORT of a service that this host uses, ADDRESS of who uses this host's."""
    remote = connection.remote
    if (name := names.get(remote.address)) is not None:
        return name
    if connection.local.port in serving and remote.port not in serving:
        return str(remote.address)
    return format_address(str(remote.address), remote.port)


def _busy(group: Iterable[Connection], gained: Mapping[bytes, _Counted]) -> int:
    return sum(gained[each.cookie].segments for each in group if each.cookie in gained)


def _sums(
    group: Iterable[Connection], gained: Mapping[bytes, _Counted]
) -> tuple[int, int] | tuple[None, None]:
    counted = [gained[each.cookie] for each in group if each.cookie in gained]
    if not counted:
        return None, None
    return sum(each.segments for each in counted), sum(each.retransmitted for each in counted)


def _remote(
    peer: str, group: Sequence[Connection], gained: Mapping[bytes, _Counted], since_ms: float
) -> Remote:
    infos = [each.info for each in group]
    sent, retransmitted = _sums(group, gained)
    return Remote(
        peer,
        len(group),
        srtt_s=_median_s([info.rtt_us for info in infos]),
        rttvar_s=_median_s([info.rttvar_us for info in infos]),
        min_rtt_s=min((info.min_rtt_us / _US for info in infos if info.min_rtt_us is not None), default=None),
        rto_s=max((info.rto_us / _US for info in infos if info.rto_us is not None), default=None),
        segments_sent=sent,
        retransmitted=retransmitted,
        rtt_s=_latest_s(group, since_ms),
    )


def _median_s(values_us: Iterable[int | None]) -> float | None:
    known = [value for value in values_us if value is not None]
    return median(known) / _US if known else None


def _latest_s(group: Iterable[Connection], since_ms: float) -> float | None:
    """The kernel measures a round trip when what was sent is acknowledged: without both it has no news."""
    fresh = [
        (info.acknowledged_ago_ms, info.rtt_us)
        for info in (each.info for each in group)
        if info.rtt_us is not None
        and info.acknowledged_ago_ms is not None
        and info.sent_ago_ms is not None
        and max(info.acknowledged_ago_ms, info.sent_ago_ms) <= since_ms
    ]
    return min(fresh)[1] / _US if fresh else None
