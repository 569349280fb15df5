"""One random draw of everything that may go wrong with a host, its network and its servers."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.campaign.host import DAY_NS, NS, Host, Month, Steering, Stop, Wave
from agent.campaign.servers import Delay, LeapManners, Lie, SimulatedServer

from truechimer.codes import Leap
from truechimer_agent.bounds.intervals import largest_minority

if TYPE_CHECKING:
    from collections.abc import Sequence

MS = 1_000_000
MINUTE_NS = 60 * NS
HOUR_NS = 3600 * NS
MOST_EXCHANGES = 4000
MOST_SERVERS = 7
MAX_DRIFT_PPB = 500_000
WANDER_PPB = 5_000

KINDS = {
    "calm": 1,
    "liars": 4,
    "contradictor": 2,
    "wall": 2,
    "suspend": 2,
    "pause": 2,
    "leap": 3,
    "blocked": 2,
    "mixed": 7,
    "camps": 2,
    "alone": 1,
    "conspiracy": 1,
}
"""What a scenario is about, and how often. In the last three a majority lies: in *camps* no two liars
agree; *alone* is a single server that lies; in a *conspiracy* a majority agrees on a wrong time."""

ASSUMPTIONS_BROKEN = frozenset({"camps", "alone", "conspiracy"})

_MONTH_ENDS = [
    datetime(2026, 7, 1, tzinfo=UTC),
    datetime(2027, 1, 1, tzinfo=UTC),
    datetime(2026, 12, 1, tzinfo=UTC),
    datetime(2028, 3, 1, tzinfo=UTC),
    datetime(2036, 7, 1, tzinfo=UTC),
]


@dataclass(slots=True)
class Scenario:
    """A host, its servers, and how the agent on it polls; lengths in awake ns."""

    number: int
    kind: str
    host: Host
    servers: list[SimulatedServer]
    interval_ns: int
    start_burst: int
    burst: int
    gap_ns: int
    length_ns: int
    kernel_stamps: bool
    stalls: list[tuple[int, int]]
    marks: list[int] = field(default_factory=list)

    @property
    def tolerated(self) -> int:
        """How many servers may lie."""
        return largest_minority(len(self.servers))


def draw(seed: int, number: int, kind: str | None = None) -> tuple[Scenario, random.Random]:
    """Scenario ``number`` of a campaign, and the generator that its run goes on with."""
    rng = random.Random(f"{seed}/{number}")
    kind = kind or rng.choices(list(KINDS), list(KINDS.values()))[0]
    mixed = kind == "mixed"
    count = _count(rng, kind)
    interval_s, burst, gap_ns = rng.choices(
        [(16, 4, 10 * MS), (64, 4, 10 * MS), (64, 1, 2 * NS)], [60, 15, 25]
    )[0]
    longest_ns = MOST_EXCHANGES * interval_s * NS // (count * burst)
    length_ns = min(int(_log_uniform(rng, 3 * MINUTE_NS, DAY_NS)), longest_ns)

    stops: list[Stop] = []
    if kind == "suspend" or (mixed and rng.random() < 0.25):
        stops += _stops(rng, length_ns, rng.randint(1, 3), (NS, 8 * HOUR_NS), traced=True)
    if kind == "pause" or (mixed and rng.random() < 0.25):
        stops += _stops(rng, length_ns, rng.randint(1, 2), (20 * MS, HOUR_NS), traced=False)
    month, leap_at_ns = _month(rng, stops, length_ns, within=kind == "leap" or (mixed and rng.random() < 0.3))
    leaps = leap_at_ns is not None

    frequency_ppm = rng.uniform(-200, 200)
    stepped = kind == "wall" or (mixed and rng.random() < 0.5)
    steerings = _steerings(rng, length_ns, frequency_ppm, restless=stepped)
    if leap_at_ns is not None and month.leap is not Leap.NONE:
        # The kernel leaps when W says so, which need not be when UTC does.
        step_ns = -NS if month.leap is Leap.INSERT else NS
        at_ns = leap_at_ns + int(rng.gauss(0, 0.3) * NS)
        rate_ppb = [each for each in steerings if each.at_ns <= at_ns or each is steerings[0]][-1].rate_ppb
        steerings = sorted([*steerings, Steering(at_ns, rate_ppb, step_ns)], key=lambda each: each.at_ns)

    host = Host(
        month,
        frequency_ppm=frequency_ppm,
        waves=[
            Wave(rng.uniform(0, 2), DAY_NS, rng.uniform(0, math.tau)),
            Wave(rng.uniform(0, 1), rng.uniform(600, 3600) * NS, rng.uniform(0, math.tau)),
        ],
        stops=stops,
        steerings=steerings,
        wall_error_ns=int(rng.choice((0, 1, -1)) * _log_uniform(rng, MS, HOUR_NS)),
        raw_start_ns=rng.randrange(10 * NS, 100 * DAY_NS),
    )
    servers = [_server(rng, f"s{place}", month, length_ns) for place in range(count)]
    _let_lie(rng, kind, servers, month, leaps=leaps)
    _silence(rng, kind, servers, host, length_ns, leap_at_ns)
    stalls = []
    if kind == "blocked" or (mixed and rng.random() < 0.2):
        for _ in range(rng.randint(0, 2)):
            at_ns = rng.randrange(length_ns)
            stalls.append((at_ns, at_ns + int(_log_uniform(rng, NS // 2, 900 * NS))))
    marks = [0, *(stop.at_ns for stop in stops), *(last for _, last in stalls)]
    marks += [each.at_ns for each in steerings if each.step_ns]
    marks += [leap_at_ns] if leap_at_ns is not None else []
    scenario = Scenario(
        number=number,
        kind=kind,
        host=host,
        servers=servers,
        interval_ns=interval_s * NS,
        start_burst=4,
        burst=burst,
        gap_ns=gap_ns,
        length_ns=length_ns,
        kernel_stamps=rng.random() < 0.6,
        stalls=sorted(stalls),
        marks=sorted(marks),
    )
    return scenario, rng


def _count(rng: random.Random, kind: str) -> int:
    least, most = {"contradictor": (3, 7), "camps": (2, 7), "alone": (1, 1)}.get(kind, (1, MOST_SERVERS))
    return rng.randint(least, most)


def _log_uniform(rng: random.Random, least: float, most: float) -> float:
    return math.exp(rng.uniform(math.log(least), math.log(most)))


def _stops(
    rng: random.Random, length_ns: int, count: int, lengths_ns: tuple[int, int], *, traced: bool
) -> list[Stop]:
    return [
        Stop(rng.randrange(NS, length_ns), int(_log_uniform(rng, *lengths_ns)), traced) for _ in range(count)
    ]


def _month(
    rng: random.Random, stops: Sequence[Stop], length_ns: int, *, within: bool
) -> tuple[Month, int | None]:
    """The label, and the awake instant of the month's end when it lies in the scenario."""
    end_ns = int(rng.choice(_MONTH_ENDS).timestamp()) * NS
    if not within:
        true_ns = rng.randrange(3 * DAY_NS, 25 * DAY_NS)
        return Month(end_ns - true_ns, true_ns, Leap.NONE), None
    awake_ns = rng.randrange(30 * NS, length_ns)
    true_ns = awake_ns + sum(stop.length_ns for stop in stops if stop.at_ns <= awake_ns)
    leap = rng.choices([Leap.INSERT, Leap.DELETE, Leap.NONE], [45, 25, 30])[0]
    return Month(end_ns - true_ns, true_ns, leap), awake_ns


def _steerings(rng: random.Random, length_ns: int, frequency_ppm: float, *, restless: bool) -> list[Steering]:
    """A time daemon that disciplines W; a restless one steps it, and slews by 500 ppm and by 8 %."""

    def usual_ppb() -> int:
        return round((-frequency_ppm + rng.gauss(0, 2)) * 1000)

    steerings = [Steering(0, usual_ppb())]
    at_ns = 0
    while restless and len(steerings) < 60:
        at_ns += int(_log_uniform(rng, 5 * NS, 20 * MINUTE_NS))
        if at_ns >= length_ns:
            break
        what = rng.random()
        if what < 0.4:
            step_ns = int(rng.choice((-1, 1)) * _log_uniform(rng, 5_000, HOUR_NS))
            steerings.append(Steering(at_ns, usual_ppb(), step_ns))
        elif what < 0.6:
            steerings.append(Steering(at_ns, usual_ppb()))
        else:
            rate_ppb = rng.choice((-1, 1)) * (500_000 if what < 0.8 else rng.randint(80_000_000, 83_333_000))
            steerings.append(Steering(at_ns, rate_ppb))
            at_ns += int(_log_uniform(rng, NS, 5 * MINUTE_NS))
            steerings.append(Steering(at_ns, usual_ppb()))
    return steerings


def _delay(rng: random.Random, least_ns: float) -> Delay:
    kind = rng.choice(("constant", "lognormal", "lognormal", "pareto"))
    scale_ns = least_ns * _log_uniform(rng, 0.02, 2)
    shape = rng.uniform(0.3, 1.5) if kind == "lognormal" else rng.uniform(1.2, 3.0)
    return Delay(kind, int(least_ns), scale_ns, shape)


def _server(rng: random.Random, name: str, month: Month, length_ns: int) -> SimulatedServer:
    """An honest server somewhere, with paths as asymmetric as 50:1."""
    round_trip_ns = _log_uniform(rng, 100_000, 200 * MS)
    ratio = math.exp(rng.uniform(-math.log(50), math.log(50)))
    edge = rng.random()
    return SimulatedServer(
        name=name,
        there=_delay(rng, round_trip_ns * ratio / (1 + ratio)),
        back=_delay(rng, round_trip_ns / (1 + ratio)),
        loss=rng.choice((0.0, 0.01, rng.uniform(0, 0.3))),
        root_delay_ns=int(_log_uniform(rng, 1_000, 60 * MS)),
        root_dispersion_ns=int(_log_uniform(rng, 1_000, 40 * MS)),
        update_ns=rng.choice((16, 64, 1024)) * NS,
        precision=rng.randint(-28, -18),
        error_share=rng.choice((-1.0, 1.0)) if edge < 0.3 else rng.uniform(-1, 1),
        error_kind=rng.choice(("constant", "turning", "noisy")),
        error_period_ns=int(_log_uniform(rng, 600 * NS, DAY_NS)),
        manners=LeapManners(
            announced=month.leap,
            leapt=month.leap,
            lead_ns=int(_log_uniform(rng, HOUR_NS, DAY_NS)),
            linger_ns=int(rng.choice((0.0, rng.uniform(0, 600))) * NS),
            smears=False,
        ),
        bad_stamps=rng.choice((0.0, 0.001, 0.001)),
    )


def _lie(rng: random.Random, length_ns: int = HOUR_NS) -> Lie:
    kind = rng.choice(("constant", "drifting", "drifting", "stepping", "contradicting"))
    offset_ns = int(rng.choice((-1, 1)) * _log_uniform(rng, MS, HOUR_NS))
    if kind == "drifting":
        offset_ns = rng.choice((0, offset_ns))
    return Lie(
        kind,
        offset_ns,
        drift_ppm=rng.uniform(-500, 500) if kind == "drifting" else 0.0,
        period_ns=int(_log_uniform(rng, 5 * NS, HOUR_NS)),
        seed=rng.randrange(1009),
    )


def _let_lie(
    rng: random.Random, kind: str, servers: list[SimulatedServer], month: Month, *, leaps: bool
) -> None:
    """Choose who lies, and how."""
    most = largest_minority(len(servers))
    if kind == "calm":
        return
    if kind == "contradictor":
        offset_ns = int(_log_uniform(rng, MS, HOUR_NS))
        rng.choice(servers).lie = Lie("contradicting", offset_ns)
        return
    if kind in ASSUMPTIONS_BROKEN:
        _let_majority_lie(rng, kind, servers)
        return
    count = most if kind == "liars" else rng.randint(0, most)
    shared = _lie(rng) if rng.random() < 0.3 else None
    for server in rng.sample(servers, count):
        if leaps and rng.random() < 0.6:
            server.lies_of_leaps = True
            server.manners = _false_manners(rng, server.manners, month)
        else:
            server.lie = shared or _lie(rng)
        server.bad_stamps = 0.0


def _let_majority_lie(rng: random.Random, kind: str, servers: list[SimulatedServer]) -> None:
    least = largest_minority(len(servers)) + 1
    liars = rng.sample(servers, rng.randint(least, len(servers)))
    if kind == "conspiracy":
        shared = _lie(rng)
        for server in liars:
            server.lie = shared
        return
    if kind == "alone":
        liars[0].lie = _lie(rng)
        return
    for place, server in enumerate(liars):
        # Camps stand minutes apart: none comes near another, nor near the truth, in a day at 500 ppm.
        base_ns = (place + 1) * 100 * NS * rng.choice((-1, 1))
        lie = _lie(rng)
        lie.base_ns = base_ns
        lie.offset_ns = min(max(lie.offset_ns, -10 * NS), 10 * NS) // 2
        server.lie = lie


def _false_manners(rng: random.Random, honest: LeapManners, month: Month) -> LeapManners:
    """A server that lies of leaps, or does not know of one."""
    truth = month.leap
    others = [leap for leap in (Leap.NONE, Leap.INSERT, Leap.DELETE) if leap is not truth]
    false = rng.choice(others)
    announced, leapt, smears = rng.choice(
        [(false, false, False), (false, truth, False), (truth, false, False), (Leap.NONE, truth, True)]
    )
    return LeapManners(announced, leapt, honest.lead_ns, honest.linger_ns, smears)


def _silence(
    rng: random.Random,
    kind: str,
    servers: list[SimulatedServer],
    host: Host,
    length_ns: int,
    leap_at_ns: int | None,
) -> None:
    """Firewalls that drop everything, and servers that are away for a while; in true time."""
    end_ns = host.true_ns(length_ns)
    if kind == "blocked" or (kind == "mixed" and rng.random() < 0.15):
        first_ns = rng.randrange(end_ns)
        span = (first_ns, first_ns + int(_log_uniform(rng, 2 * MINUTE_NS, 6 * HOUR_NS)))
        for server in servers:
            server.silences = (*server.silences, span)
    if leap_at_ns is not None and rng.random() < 0.2:
        at_ns = host.month.ends_at_ns
        span = (
            at_ns - int(_log_uniform(rng, MINUTE_NS, 2 * HOUR_NS)),
            at_ns + int(_log_uniform(rng, MINUTE_NS, HOUR_NS)),
        )
        for server in servers:
            server.silences = (*server.silences, span)
    for server in servers:
        if kind != "calm" and rng.random() < 0.15:
            first_ns = rng.randrange(end_ns)
            span = (first_ns, first_ns + int(_log_uniform(rng, 10 * NS, HOUR_NS)))
            server.silences = (*server.silences, span)
