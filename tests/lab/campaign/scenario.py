"""One cell's servers, links and disturbances, drawn from a seed."""

import random
from dataclasses import dataclass
from enum import Enum, auto

from lab.harness import LogNormal

MOST_SERVERS = 7
CALM_S = 6.0
"""After the start and between disturbances, so that there is a bound to disturb."""
DRIFT_PPM = 200.0
WANDER_PPM = 2.0
"""The agent is told of 500 ppm and 5 ppm."""


class Lie(Enum):
    """How a server is wrong; `size` is in seconds, of a drift in ppm."""

    NONE = auto()
    OFFSET = auto()
    DRIFT = auto()
    STEPS = auto()


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """A server, how it lies, and the way to it and back."""

    lie: Lie
    size: float
    there: LogNormal
    back: LogNormal
    loss_there: float
    loss_back: float


class Act(Enum):
    """A disturbance; `value` of each below."""

    STEP = auto()
    """W steps by so many seconds."""
    SLEW = auto()
    """W gains so many ppm from now on."""
    WANDER = auto()
    """The oscillator's frequency becomes so many ppm."""
    SUSPEND = auto()
    """The host sleeps for so many seconds."""
    PAUSE = auto()
    """The virtual machine, with all its clocks, stands for so many seconds: no trace is left."""
    CUT = auto()
    """The way to server number `value` is cut, in one direction."""
    MEND = auto()
    """That way works again."""
    LIE = auto()
    """Lying servers whose lie is STEPS change it."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happens, when in seconds since the cell's beginning."""

    at_s: float
    act: Act
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """All of a cell that is drawn. `wall_s`: by how much W is ahead at first; `drift_ppm`: the oscillator."""

    number: int
    servers: tuple[ServerPlan, ...]
    wall_s: float
    drift_ppm: float
    events: tuple[Event, ...]

    @property
    def liars(self) -> int:
        """How many servers are ever wrong."""
        return sum(server.lie is not Lie.NONE for server in self.servers)


def draw(seed: int, number: int, seconds: float) -> Scenario:
    """Scenario `number` of a campaign; never more liars than the agent tolerates, ⌈n/2⌉ − 1."""
    rng = random.Random(f"{seed}/{number}")
    count = 1 + number % MOST_SERVERS
    liars = rng.randint(0, (count + 1) // 2 - 1)
    servers = tuple(_server(rng, lies=place < liars) for place in rng.sample(range(count), count))
    drift_ppm = rng.uniform(-DRIFT_PPM, DRIFT_PPM)
    return Scenario(
        number=number,
        servers=servers,
        wall_s=rng.choice((-1, 1)) * _log_uniform(rng, 1e-4, 1e4),
        drift_ppm=drift_ppm,
        events=tuple(_events(rng, seconds, count, drift_ppm)),
    )


def _server(rng: random.Random, *, lies: bool) -> ServerPlan:
    near_s = _log_uniform(rng, 1e-4, 5e-3)
    far_s = near_s * rng.choice((1.0, 1.0, _log_uniform(rng, 1.0, 50.0)))
    ways = [LogNormal(each_s, rng.uniform(0.2, 1.0), least_s=each_s) for each_s in (near_s, far_s)]
    rng.shuffle(ways)
    losses = [rng.choice((0.0, 0.01, 0.1, rng.uniform(0.0, 0.3))) for _ in range(2)]
    lie = rng.choice((Lie.OFFSET, Lie.DRIFT, Lie.STEPS)) if lies else Lie.NONE
    size = rng.choice((-1, 1)) * (
        _log_uniform(rng, 50, 5000) if lie is Lie.DRIFT else _log_uniform(rng, 1e-3, 10.0)
    )
    return ServerPlan(lie, size, *ways, *losses)


def _events(rng: random.Random, seconds: float, count: int, drift_ppm: float) -> list[Event]:
    events = []
    at_s = 2 * CALM_S
    while at_s < seconds - CALM_S:
        act = rng.choice(
            (Act.STEP, Act.STEP, Act.SLEW, Act.SLEW, Act.SUSPEND, Act.PAUSE, Act.CUT, Act.WANDER, Act.LIE)
        )
        until_s = min(at_s + rng.uniform(1.0, CALM_S), seconds)
        match act:
            case Act.STEP:
                events.append(Event(at_s, act, rng.choice((-1, 1)) * _log_uniform(rng, 1e-4, 30.0)))
            case Act.SLEW:
                events.append(Event(at_s, act, rng.choice((-1, 1)) * _log_uniform(rng, 100, 80_000)))
                events.append(Event(until_s, act, 0.0))
            case Act.WANDER:
                events.append(Event(at_s, act, drift_ppm + rng.uniform(-WANDER_PPM, WANDER_PPM)))
            case Act.SUSPEND | Act.PAUSE:
                events.append(Event(at_s, act, rng.uniform(1.0, 4.0)))
            case Act.CUT:
                server = rng.randrange(count)
                events += [Event(at_s, act, server), Event(until_s, Act.MEND, server)]
            case _:
                events.append(Event(at_s, act))
        at_s += rng.uniform(CALM_S, 2 * CALM_S)
    return sorted(events, key=lambda event: event.at_s)


def _log_uniform(rng: random.Random, least: float, most: float) -> float:
    return float(least * (most / least) ** rng.random())
