"""What a node's own time daemon believes of UTC − W, held against what is proven of it at the same instant.

The agent ships a bound just before and just after it asks the daemon, so that the two are compared without
knowing how W was steered or stepped in between. Pure functions of columns read from a store.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import BoundStatus, Flag, Leap
from truechimer_analyzer.clocks.judgement import NOTHING, Interval
from truechimer_analyzer.clocks.nodeclock import Raised, named, per_node, whole
from truechimer_analyzer.window import NS, groups, iso, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from truechimer_analyzer.clocks.nodeclock import NodeClock
    from truechimer_analyzer.stores import Columns

FIELDS = (
    "system_time_seconds",
    "root_delay_seconds",
    "root_dispersion_seconds",
    "frequency_ppm",
    "stratum",
    "leap",
    "reachable_sources",
    "steady_seconds",
    "epoch",
)
BOUND_FIELDS = ("lower_seconds", "upper_seconds", "status", "steady_seconds", "epoch")
READ_S = 150.0
"""How far back a disagreement is looked for."""
RECENT_S = 60.0
"""An older word is none about now: a daemon is asked every 16 s."""
# An answer may take 3 s, and its instant is half way: the bounds before and after it are within this.
BESIDE_S = 2.0
# What W does between two bounds without one being sent, and the rounding of figures in ms.
SLACK_S = 50e-6
# One word may be chance: a second must say the same, and not at once.
LEAST_SPAN_S = 10.0
MOST_GAP_S = 60.0
_NO_ROWS = np.zeros(0, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Belief:
    """One word of a daemon: ``believed`` and ``proven`` hold UTC − W at that instant, where known."""

    daemon: str
    time_ns: int
    received_ns: int
    centre_s: float
    believed: Interval
    proven: Interval
    frequency_ppm: float
    stratum: float
    leap: Leap | None
    reachable_sources: float

    @property
    def apart_s(self) -> float:
        """How far the two are apart: positive when UTC − W is believed greater than it can be.

        0 when they meet, NaN when either is unknown.
        """
        if not (self.believed.known and self.proven.known):
            return math.nan
        over_s, under_s = self.believed.lower - self.proven.upper, self.proven.lower - self.believed.upper
        return over_s if over_s > 0 else -under_s if under_s > 0 else 0.0

    def document(self) -> dict[str, object]:
        """As the contract's ``clocks`` has a node's ``daemon``."""
        apart_s = self.apart_s
        return {
            "name": self.daemon,
            "at": iso(self.time_ns),
            "system_time_s": number(self.centre_s),
            "lower_s": number(self.believed.lower),
            "upper_s": number(self.believed.upper),
            "agrees": None if math.isnan(apart_s) else apart_s == 0.0,
            "frequency_ppm": number(self.frequency_ppm),
            "stratum": whole(self.stratum),
            "leap": None if self.leap is None else self.leap.name.lower(),
            "reachable_sources": whole(self.reachable_sources),
        }


def told(
    nodes: Iterable[NodeClock], daemons: Columns, bounds: Columns, as_of_ns: int, *, live: bool
) -> list[NodeClock]:
    """The nodes with what their daemons believe, and the flags that this raises.

    ``daemons`` (``FIELDS``) and ``bounds`` (``BOUND_FIELDS``) are the last ``READ_S``.
    """
    rows, beside = per_node(daemons), per_node(bounds)
    return [
        _told(
            node,
            beliefs(daemons, rows[node.key], bounds, beside.get(node.key, _NO_ROWS)),
            as_of_ns,
            live=live,
        )
        if node.key in rows
        else node
        for node in nodes
    ]


def dated(nodes: Iterable[NodeClock], daemons: Columns, bounds: Columns) -> list[NodeClock]:
    """The nodes with ``since`` of a disagreement taken back to where it began, from a whole window's rows."""
    rows, beside = per_node(daemons), per_node(bounds)
    return [
        replace(node, flags=tuple(_dated(raised, words) for raised in node.flags))
        if node.key in rows
        and (words := beliefs(daemons, rows[node.key], bounds, beside.get(node.key, _NO_ROWS)))
        else node
        for node in nodes
    ]


def beliefs(
    daemons: Columns, rows: NDArray[np.intp], bounds: Columns, beside: NDArray[np.intp]
) -> dict[str, list[Belief]]:
    """Every word of each daemon of one node, in the order of time."""
    proofs = _Proofs(bounds, beside)
    found: dict[str, list[Belief]] = {}
    for (daemon,), which in groups(daemons.tags["daemon"][rows]):
        mine = rows[which]
        mine = mine[np.argsort(daemons.time_ns[mine], kind="stable")]
        found[daemon] = [_belief(daemon, daemons, int(row), proofs) for row in mine]
    return found


def disagreement(words: Sequence[Belief]) -> Sequence[Belief]:
    """The newest words of one daemon that are apart from what is proven, all in one direction.

    Empty unless they span ``LEAST_SPAN_S``, so are at least two.
    """
    first = len(words)
    while first and _goes_on(words, first - 1):
        first -= 1
    run = words[first:]
    return run if run and run[-1].time_ns - run[0].time_ns >= LEAST_SPAN_S * NS else ()


def _goes_on(words: Sequence[Belief], at: int) -> bool:
    """Whether the disagreement of the newest word was there already at this one."""
    apart_s, newest_s = words[at].apart_s, words[-1].apart_s
    if not apart_s * newest_s > 0:
        return False
    return at == len(words) - 1 or words[at + 1].time_ns - words[at].time_ns <= MOST_GAP_S * NS


class _Proofs:
    """One node's bounds by S."""

    def __init__(self, bounds: Columns, rows: NDArray[np.intp]) -> None:
        rows = rows[np.argsort(bounds.fields["steady_seconds"][rows], kind="stable")]
        self._steady_s = bounds.fields["steady_seconds"][rows]
        self._epoch = bounds.fields["epoch"][rows]
        lower, upper = bounds.fields["lower_seconds"][rows], bounds.fields["upper_seconds"][rows]
        trusted = np.isin(bounds.fields["status"][rows], (BoundStatus.SYNCHRONIZED, BoundStatus.HOLDOVER))
        self._lower = np.where(trusted, lower, np.nan)
        self._upper = np.where(trusted, upper, np.nan)

    def at(self, steady_s: float, epoch: float) -> Interval:
        """UTC − W at an instant of S: the hull of the bounds close before and after it, if all are known.

        Steps and slews of W in between lie in the hull.
        """
        first, last = np.searchsorted(self._steady_s, (steady_s - BESIDE_S, steady_s + BESIDE_S))
        close = np.arange(first, last)
        close = close[self._epoch[close] == epoch]
        at_s = self._steady_s[close]
        if not len(close) or not at_s[0] <= steady_s <= at_s[-1]:
            return NOTHING
        lower, upper = float(self._lower[close].min()), float(self._upper[close].max())
        return Interval(lower - SLACK_S, upper + SLACK_S)


def _belief(daemon: str, daemons: Columns, row: int, proofs: _Proofs) -> Belief:
    value = {name: float(values[row]) for name, values in daemons.fields.items()}
    leap = None if math.isnan(value["leap"]) else named(Leap, value["leap"], Leap.UNSYNCHRONISED)
    centre_s = value["system_time_seconds"]
    believed = NOTHING
    if leap is not Leap.UNSYNCHRONISED:
        half_s = value["root_dispersion_seconds"] + value["root_delay_seconds"] / 2
        # chronyd tells what is left to be slewed now. The others tell an offset as it was at their last
        # update: some part of it has been slewed since, nobody knows which.
        left = (centre_s, centre_s) if daemon == "chrony" else (min(centre_s, 0.0), max(centre_s, 0.0))
        believed = Interval(left[0] - half_s, left[1] + half_s)
    return Belief(
        daemon=daemon,
        time_ns=int(daemons.time_ns[row]),
        received_ns=int(daemons.received_ns[row]),
        centre_s=centre_s,
        believed=believed if believed.known else NOTHING,
        proven=proofs.at(value["steady_seconds"], value["epoch"]),
        frequency_ppm=value["frequency_ppm"],
        stratum=value["stratum"],
        leap=leap,
        reachable_sources=value["reachable_sources"],
    )


def _told(node: NodeClock, words: dict[str, list[Belief]], as_of_ns: int, *, live: bool) -> NodeClock:
    recent = {
        daemon: each
        for daemon, each in sorted(words.items())
        if as_of_ns - (each[-1].received_ns if live else each[-1].time_ns) <= RECENT_S * NS
    }
    if not recent:
        return node
    runs = [run for each in recent.values() if (run := disagreement(each))]
    newest = max((each[-1] for each in recent.values()), key=lambda belief: belief.time_ns)
    flags = [*_leaps(node, recent), *(_disagrees(run) for run in runs[:1])]
    return replace(node, flags=tuple(flags), daemon=(runs[0][-1] if runs else newest).document())


def _disagrees(run: Sequence[Belief]) -> Raised:
    newest = run[-1]
    evidence: dict[str, object] = {
        "daemon": newest.daemon,
        "daemon_s": newest.centre_s,
        "daemon_lower_s": newest.believed.lower,
        "daemon_upper_s": newest.believed.upper,
        "lower_s": newest.proven.lower,
        "upper_s": newest.proven.upper,
        "apart_s": newest.apart_s,
        "stratum": whole(newest.stratum),
        "reachable_sources": whole(newest.reachable_sources),
    }
    return Raised(Flag.DAEMON_DISAGREES, run[0].time_ns, evidence)


def _leaps(node: NodeClock, recent: dict[str, list[Belief]]) -> list[Raised]:
    """The node's flags with the daemons' leap indicators beside the servers' where those are in dispute.

    A dispute too: a daemon that announces another leap second than every selected server.
    """
    said = {daemon: leap for daemon, words in recent.items() if (leap := _announced(words)) is not None}
    if any(raised.flag is Flag.LEAP_MISMATCH for raised in node.flags):
        return [
            replace(raised, evidence=raised.evidence | {"daemons": said})
            if raised.flag is Flag.LEAP_MISMATCH and said
            else raised
            for raised in node.flags
        ]
    servers = {
        str(server["server"]): str(server["leap"])
        for server in node.servers
        if server["verdict"] == "selected" and server["leap"] not in (None, "unsynchronised")
    }
    alone = [daemon for daemon, leap in said.items() if leap not in servers.values()]
    if not servers or not alone:
        return list(node.flags)
    since_ns = min(recent[daemon][-2].time_ns for daemon in alone)
    return [*node.flags, Raised(Flag.LEAP_MISMATCH, since_ns, {"servers": servers, "daemons": said})]


def _announced(words: Sequence[Belief]) -> str | None:
    """The leap second that a daemon announced twice in a row; None where it is not synchronised."""
    leaps = {belief.leap for belief in words[-2:]}
    if len(words) < 2 or len(leaps) > 1 or leaps & {None, Leap.UNSYNCHRONISED}:
        return None
    return words[-1].leap.name.lower() if words[-1].leap is not None else None


def _dated(raised: Raised, words: dict[str, list[Belief]]) -> Raised:
    if raised.flag is not Flag.DAEMON_DISAGREES:
        return raised
    run = disagreement(words.get(str(raised.evidence["daemon"]), ()))
    earlier = run and (raised.since_ns is None or run[0].time_ns < raised.since_ns)
    return replace(raised, since_ns=run[0].time_ns) if earlier else raised
