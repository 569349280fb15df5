"""A synthetic fleet with a mesh, of which the truth is known: what its agents would have sent.

True time t is UTC in seconds after T0. S of a node is T0 + ``offset`` + t / (1 + drift), by another offset in
every epoch; its wall clock W = S + D(t), where D is piecewise linear, with steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from analyzer.synthetic import NS, T0

from truechimer.samples import COMMON_TAGS, MEASUREMENTS, Sample
from truechimer_analyzer.skew.reading import Evidence
from truechimer_analyzer.stores import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LENGTH_S = 90.0
NOW_S = 90.0
T0_S = T0 / NS
MOST_DRIFT = 500e-6
LOOK_S = 0.25
WAKE_S = 0.001


@dataclass
class Host:
    """One node. Times are true seconds after T0; ``slews`` are (from, rate of D from then on)."""

    name: str
    offset_s: float = 0.0
    drift: float = 0.0
    wall_s: float = 0.0
    slews: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 0.0)])
    steps: list[tuple[float, float]] = field(default_factory=list)
    epoch: int = 1
    new_epoch_at_s: float | None = None
    jump_s: float = 0.0
    ntp: tuple[float, float] | None = (0.001, 0.001)
    drift_margin: tuple[float, float] | None = (1e-6, 1e-6)
    phase_s: float = 0.0
    read_width_s: float = 1e-6
    late_s: float = 1.0
    ends_at_s: float = LENGTH_S
    away: tuple[float, float] | None = None
    stamp_lie_s: float = 0.0
    peers: list[str] = field(default_factory=list)

    def steady_s(self, t: Floats | float) -> Floats:
        """S − T0."""
        t = np.asarray(t, dtype=np.float64)
        jumped = 0.0 if self.new_epoch_at_s is None else np.where(t >= self.new_epoch_at_s, self.jump_s, 0.0)
        return self.offset_s + t / (1 + self.drift) + jumped

    def wall_minus_steady_s(self, t: Floats | float) -> Floats:
        """D = W − S, T0 taken off neither: W − T0 is ``steady_s`` + D."""
        t = np.asarray(t, dtype=np.float64)
        total = np.full(t.shape, self.wall_s)
        ends = [*[begin for begin, _ in self.slews[1:]], np.inf]
        for (begin, rate), end in zip(self.slews, ends, strict=True):
            total = total + rate * np.clip(t - begin, 0.0, end - begin)
        for at_s, size_s in self.steps:
            total = total + np.where(t >= at_s, size_s, 0.0)
        if self.new_epoch_at_s is not None:
            # W goes on where it was: what S jumps by, D jumps back by.
            total = total - np.where(t >= self.new_epoch_at_s, self.jump_s, 0.0)
        return total

    def wall_s_at(self, t: float) -> float:
        """W − T0 less t: how far W is ahead of UTC."""
        return float(self.steady_s(t) + self.wall_minus_steady_s(t) - t)

    def epoch_at(self, t: Floats) -> Floats:
        """The epoch's number at each time."""
        if self.new_epoch_at_s is None:
            return np.full(t.shape, float(self.epoch))
        return np.where(t >= self.new_epoch_at_s, self.epoch + 1.0, float(self.epoch))


@dataclass
class Fleet:
    """Hosts and what is between them; ``random`` makes delays and errors."""

    hosts: list[Host]
    random: np.random.Generator
    interval_s: float = 1.0
    least_delay_s: float = 50e-6
    jitter_s: float = 200e-6

    def host(self, name: str) -> Host:
        """By its name."""
        return next(host for host in self.hosts if host.name == name)

    def apart_s(self, a: str, b: str, t: float) -> float:
        """W_b − W_a."""
        return self.host(b).wall_s_at(t) - self.host(a).wall_s_at(t)

    def evidence(self, now_s: float = NOW_S) -> Evidence:
        """What had arrived by ``now_s``, as a reader has it."""
        made = self.rows()
        found = {
            name: _columns(name, [rows for rows in made if rows.measurement == name], now_s)
            for name in ("truechimer_clock", "truechimer_bound", "truechimer_rtt")
        }
        heard: dict[tuple[str, ...], int] = {}
        for columns in found.values():
            for node, at_ns in zip(columns.tags["node"], columns.received_ns.tolist(), strict=True):
                heard["prod", node] = max(heard.get(("prod", node), 0), at_ns)
        return Evidence(
            found["truechimer_clock"],
            found["truechimer_bound"],
            found["truechimer_rtt"],
            heard,
        )

    def samples(self, now_s: float = NOW_S) -> list[Sample]:
        """The same as samples."""
        return [sample for rows in self.rows() for sample in rows.samples(now_s)]

    def rows(self) -> list[Rows]:
        """Everything that was ever sent."""
        rows: list[Rows] = []
        for host in self.hosts:
            rows += [_clocks(host), *_bounds(host, self.random)]
            rows += [self._probes(host, self.host(peer)) for peer in host.peers]
        return rows

    def _probes(self, a: Host, b: Host) -> Rows:
        random = self.random
        t1 = np.arange(
            random.uniform(0, self.interval_s), min(a.ends_at_s, b.ends_at_s) - 0.1, self.interval_s
        )
        t1 = t1[_present(a, t1) & _present(b, t1)]
        size = len(t1)
        there = self.least_delay_s + random.exponential(self.jitter_s, size)
        back = self.least_delay_s + random.exponential(self.jitter_s, size)
        residence = random.exponential(20e-6, size)
        t2, t3, t4 = t1 + there, t1 + there + residence, t1 + there + residence + back
        s1, s4 = a.steady_s(t1), a.steady_s(t4)
        lie_s = b.stamp_lie_s
        came_s, went_s = b.steady_s(t2) + lie_s, b.steady_s(t3) + lie_s
        ageing_s = (s4 - s1) * 2 * MOST_DRIFT
        # An epoch that begins in the middle of an exchange spoils it: agents drop those.
        whole = (a.epoch_at(t1) == a.epoch_at(t4)) & (b.epoch_at(t2) == b.epoch_at(t4))
        return Rows(
            "truechimer_rtt",
            a,
            t4,
            {
                "outcome": np.where(whole, 0.0, 1.0),
                "rtt_seconds": (s4 - s1) - (went_s - came_s),
                "lower_seconds": went_s - s4,
                "upper_seconds": came_s - s1 + ageing_s,
                "peer_epoch": b.epoch_at(t4),
                "reflector_seconds": went_s - came_s,
            },
            {"peer": b.name, "via": "stamp"},
        )


@dataclass
class Rows:
    """Samples of one series at true times; S, epoch and stamps are filled in."""

    measurement: str
    host: Host
    t: Floats
    fields: dict[str, Floats]
    tags: dict[str, str] = field(default_factory=dict)

    def filled(self) -> dict[str, Floats]:
        """With S and epoch."""
        steady = {"steady_seconds": T0_S + self.host.steady_s(self.t), "epoch": self.host.epoch_at(self.t)}
        return {**self.fields, **steady}

    def time_ns(self) -> NDArray[np.int64]:
        """UTC where the host knows it, else W."""
        host = self.host
        t = self.t if host.ntp else host.steady_s(self.t) + host.wall_minus_steady_s(self.t)
        return T0 + np.rint(t * NS).astype(np.int64)

    def received_s(self) -> Floats:
        """When they arrived."""
        return self.t + self.host.late_s

    def samples(self, now_s: float) -> Iterable[Sample]:
        """Those that arrived by then."""
        filled, time_ns = self.filled(), self.time_ns()
        for at in np.flatnonzero(self.received_s() <= now_s).tolist():
            values: dict[str, float | int] = {}
            for name, column in filled.items():
                declared = MEASUREMENTS[self.measurement].field(name)
                assert declared is not None
                if np.isfinite(column[at]):
                    values[name] = int(column[at]) if declared.kind == "int" else float(column[at])
            tags = {"cluster": "prod", "node": self.host.name, **self.tags}
            yield Sample(self.measurement, tags, values, int(time_ns[at]))


def _columns(measurement: str, every: list[Rows], now_s: float) -> Columns:
    declared = MEASUREMENTS[measurement]
    parts = [(rows, np.flatnonzero(rows.received_s() <= now_s)) for rows in every]
    sizes = [len(kept) for _, kept in parts]

    def gathered(of: list[NDArray[np.generic]], dtype: type) -> NDArray[np.generic]:
        return np.concatenate(
            [np.zeros(0, dtype), *(values[kept] for values, (_, kept) in zip(of, parts, strict=True))]
        )

    time_ns = gathered([rows.time_ns() for rows in every], np.int64)
    received_ns = T0 + np.rint(gathered([rows.received_s() for rows in every], np.float64) * NS).astype(
        np.int64
    )
    tags = {}
    for tag in (*COMMON_TAGS, *declared.tags):
        values = [{"cluster": "prod", "node": rows.host.name, **rows.tags}.get(tag, "") for rows in every]
        tags[tag] = np.repeat(np.array(values, dtype=object), sizes)
    filled = [rows.filled() for rows in every]
    fields = {
        each.name: gathered(
            [
                columns.get(each.name, np.full(len(rows.t), np.nan))
                for columns, rows in zip(filled, every, strict=True)
            ],
            np.float64,
        )
        for each in declared.fields
    }
    order = np.lexsort((received_ns, time_ns))
    return Columns(
        measurement,
        time_ns[order],
        received_ns[order],
        {name: values[order] for name, values in tags.items()},
        {name: values[order] for name, values in fields.items()},
    )


def _present(host: Host, t: Floats) -> NDArray[np.bool_]:
    """When its agent ran."""
    if host.away is None:
        return np.ones(t.shape, dtype=np.bool_)
    return ~((t >= host.away[0]) & (t < host.away[1]))


def _clocks(host: Host) -> Rows:
    """A summary for every forty looks; the watch begins anew with the agent and with an epoch.

    The kernel tells of steps: they are looked at a millisecond later, between regular looks. What readings
    err by is drawn apart, so that a step changes nothing else of a fleet.
    """
    random = np.random.default_rng(round(host.phase_s * 1e9))
    begin_s = host.phase_s - 10.0
    looks = begin_s + np.arange(round((host.ends_at_s - begin_s) / LOOK_S)) * LOOK_S
    if host.away is not None:
        looks = np.where(looks >= host.away[0], looks + (host.away[1] - host.away[0]), looks)
    woken = np.array([at_s + WAKE_S for at_s, _ in host.steps])
    woken = woken[_present(host, woken)] if len(woken) else woken
    regular = np.concatenate((np.ones(len(looks), np.bool_), np.zeros(len(woken), np.bool_)))
    looks = np.concatenate((looks, woken))
    order = np.argsort(looks, kind="stable")
    order = order[(looks[order] < host.ends_at_s) & (looks[order] >= begin_s)]
    looks, regular = looks[order], regular[order]
    read_s = host.wall_minus_steady_s(looks) + random.uniform(-0.5, 0.5, len(looks)) * host.read_width_s
    at, least, most, observed, gap = [], [], [], [], []
    first = rounds = 0
    for index in range(1, len(looks)):
        rounds += int(regular[index])
        if host.away is not None and looks[index - 1] < host.away[1] <= looks[index]:
            first, rounds = index, 0
            continue
        if host.new_epoch_at_s is not None and looks[index - 1] < host.new_epoch_at_s <= looks[index]:
            # The watch goes on from the newest reading.
            first = index
        if rounds == 40 and regular[index]:
            rounds = 0
            at.append(looks[index])
            least.append(read_s[first : index + 1].min())
            most.append(read_s[first : index + 1].max())
            steady_s = host.steady_s(looks[first : index + 1])
            observed.append(steady_s[-1] - steady_s[0])
            gap.append(np.diff(steady_s, prepend=steady_s[0]).max())
            first = index
    t = np.array(at)
    return Rows(
        "truechimer_clock",
        host,
        t,
        {
            "wall_minus_steady_seconds_min": np.array(least) - host.read_width_s / 2,
            "wall_minus_steady_seconds_max": np.array(most) + host.read_width_s / 2,
            "observed_seconds": np.array(observed),
            "gap_seconds_max": np.array(gap),
            "read_width_seconds": np.full(len(t), host.read_width_s),
        },
    )


def _bounds(host: Host, random: np.random.Generator) -> list[Rows]:
    if host.drift_margin is None and host.ntp is None:
        return []
    t = np.arange(host.phase_s * 0.7, host.ends_at_s, 10.0)
    t = t[_present(host, t)]
    wall_s = host.wall_minus_steady_s(t)
    margin = host.drift_margin or (MOST_DRIFT + host.drift, MOST_DRIFT - host.drift)
    fields = {
        "frequency_lower_ppm": np.full(len(t), (host.drift - margin[0]) * 1e6),
        "frequency_upper_ppm": np.full(len(t), (host.drift + margin[1]) * 1e6),
        "status": np.full(len(t), 1.0 if host.ntp else 0.0),
        "reason": np.full(len(t), 0.0 if host.ntp else 2.0),
    }
    if host.ntp is not None:
        utc_minus_steady_s = t - host.steady_s(t)
        fields |= {
            "lower_seconds": utc_minus_steady_s - wall_s - host.ntp[0] * random.uniform(0.2, 1, len(t)),
            "upper_seconds": utc_minus_steady_s - wall_s + host.ntp[1] * random.uniform(0.2, 1, len(t)),
            "wall_minus_steady_seconds": wall_s,
        }
    return [Rows("truechimer_bound", host, t, fields)]


def drawn(seed: int) -> Fleet:
    """A fleet by chance: two to six hosts, clocks hours apart, drifting, slewed, stepped, late."""
    random = np.random.default_rng(seed)
    names = [f"n{index}" for index in range(random.integers(2, 7))]
    hosts = [_host(name, random) for name in names]
    for index, host in enumerate(hosts):
        others = names[:index] + names[index + 1 :]
        degree = int(random.integers(1, len(others) + 1))
        host.peers = [str(each) for each in random.choice(others, degree, replace=False)]
    jitter_s = 10 ** random.uniform(-5, -2)
    return Fleet(hosts, random, interval_s=float(random.choice([1.0, 3.0])), jitter_s=jitter_s)


def _host(name: str, random: np.random.Generator) -> Host:
    drift = float(random.uniform(-1, 1) * random.choice([5e-6, 50e-6, 490e-6]))
    host = Host(
        name,
        offset_s=float(random.choice([0.0, random.uniform(-1, 1), random.uniform(-40_000, 40_000), -1.0e9])),
        drift=drift,
        wall_s=float(random.choice([0.0, random.uniform(-0.1, 0.1), random.uniform(-5, 5)])),
        slews=[(0.0, float(random.uniform(-60e-6, 60e-6)))],
        phase_s=float(random.uniform(0, 10)),
        read_width_s=float(random.choice([1e-6, 50e-6])),
        late_s=float(random.choice([0.5, 1.0, 3.0, 30.0], p=[0.3, 0.4, 0.2, 0.1])),
    )
    for _ in range(random.integers(0, 4)):
        # No faster against RAW than the kernel's frequency allows.
        host.slews.append((float(random.uniform(0, LENGTH_S)), float(random.uniform(-500e-6, 500e-6))))
    host.slews.sort()
    for _ in range(random.choice([0, 0, 1, 3])):
        host.steps.append(
            (float(random.uniform(40, LENGTH_S)), float(random.uniform(-1, 1) * 10 ** random.uniform(-5, 2)))
        )
    if random.random() < 0.25:
        host.ntp = None
    elif random.random() < 0.3:
        host.ntp = (float(10 ** random.uniform(-6, 0)), float(10 ** random.uniform(-6, 0)))
    if random.random() < 0.3:
        host.drift_margin = None
    else:
        host.drift_margin = (float(random.uniform(0, 5e-6)), float(random.uniform(0, 5e-6)))
    chance = random.random()
    if chance < 0.15:
        host.new_epoch_at_s, host.jump_s = float(random.uniform(20, 85)), float(random.uniform(-100, 100))
    elif chance < 0.3:
        begin = float(random.uniform(30, 70))
        host.away = (begin, begin + float(random.uniform(0.5, 12)))
    elif chance < 0.4:
        host.ends_at_s = float(random.uniform(10, 60))
    return host
