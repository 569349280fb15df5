"""etcd's two settings as its code counts them, and how long it takes to replace a leader that died. Pure.

After etcd 3.4 (etcdserver/raft.go, raft/raft.go): a tick is the heartbeat interval, the election timeout is
a whole number n of them, and a follower's timer ends after n to 2n − 1 ticks, drawn anew each time. 3.4 calls
for votes without asking around before (`pre-vote` is off), and who heard a leader within n ticks ignores the
call (CheckQuorum).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

MOST_ROUNDS = 100
TRIALS = 20_000


@dataclass(frozen=True, slots=True)
class Settings:
    """`--heartbeat-interval` and `--election-timeout`, in ms."""

    heartbeat_ms: int = 100
    election_ms: int = 1000

    def __post_init__(self) -> None:
        # embed/config.go, Validate
        if not 0 < 5 * self.heartbeat_ms <= self.election_ms <= 50_000:
            raise ValueError(f"etcd refuses these settings: {self}")

    @property
    def heartbeat_s(self) -> float:
        """A tick."""
        return self.heartbeat_ms / 1000

    @property
    def ticks(self) -> int:
        """The election timeout as it is counted."""
        return self.election_ms // self.heartbeat_ms

    @property
    def tolerated_s(self) -> float:
        """A silence of the leader that no follower's timer can outrun.

        The first tick may come right after the last heartbeat, so n ticks are n − 1 intervals at least.
        """
        return (self.ticks - 1) * self.heartbeat_s

    def __str__(self) -> str:
        return f"heartbeat {self.heartbeat_ms} ms, election {self.election_ms} ms"


@dataclass(frozen=True, slots=True)
class Budget:
    """How long it takes from the death of a leader until the next one has committed something, in s.

    `most_s` holds when no round is lost; `lost_ratio` is the share of elections that lose one (both
    candidates at once, or a call for votes that is ignored).
    """

    least_s: float
    mean_s: float
    p99_s: float
    p999_s: float
    most_s: float
    lost_ratio: float

    def __str__(self) -> str:
        return (
            f"{self.least_s:.2f} s at least, {self.mean_s:.2f} s in the mean, 99 % within "
            f"{self.p99_s:.2f} s, 99.9 % within {self.p999_s:.2f} s; {self.most_s:.2f} s at most unless "
            f"a round is lost ({self.lost_ratio:.1%})"
        )


def budget(settings: Settings, rtt_s: float, trials: int = TRIALS) -> Budget:
    """What three members need to replace their leader, `rtt_s` apart: by playing it through."""
    rng = random.Random(1)
    found = [_replaced(settings, rtt_s, rng) for _ in range(trials)]
    lengths = sorted(length_s for length_s, _ in found)
    interval_s = settings.heartbeat_s
    return Budget(
        least_s=settings.tolerated_s - interval_s + 2.5 * rtt_s,
        mean_s=sum(lengths) / trials,
        p99_s=lengths[int(0.99 * trials)],
        p999_s=lengths[int(0.999 * trials)],
        most_s=(2 * settings.ticks - 1) * interval_s + 2.5 * rtt_s,
        lost_ratio=sum(rounds > 1 for _, rounds in found) / trials,
    )


class _Survivor:
    """A follower's timer; it heard the leader last at `heard_s`, somewhere between two ticks of its own."""

    def __init__(self, heard_s: float, settings: Settings, rng: random.Random) -> None:
        self._settings, self._rng = settings, rng
        self._last_s = heard_s - rng.random() * settings.heartbeat_s
        self.free_s = self._last_s + settings.ticks * settings.heartbeat_s
        """From when on it listens to calls for votes."""
        self.due_s = 0.0
        self.rest()

    def rest(self) -> None:
        """Draw a new timer."""
        drawn = self._settings.ticks + self._rng.randrange(self._settings.ticks)
        self.due_s = self._last_s + drawn * self._settings.heartbeat_s

    def call(self) -> None:
        """Become a candidate: no lease of the old leader counts any more."""
        self._last_s, self.free_s = self.due_s, 0.0
        self.rest()


def _replaced(settings: Settings, rtt_s: float, rng: random.Random) -> tuple[float, int]:
    """From the death at 0 to the first commit of the next, and the rounds of candidates that it took."""
    way_s = rtt_s / 2
    heard_s = way_s - rng.random() * settings.heartbeat_s
    survivors = [_Survivor(heard_s, settings, rng) for _ in range(2)]
    terms = [0, 0]
    for rounds in range(1, MOST_ROUNDS):
        first = min((0, 1), key=lambda number: survivors[number].due_s)
        candidate, other = survivors[first], survivors[1 - first]
        called_s = candidate.due_s
        terms[first] += 1
        candidate.call()
        arrives_s = called_s + way_s
        # Who calls for votes of the same term at once has voted for itself.
        rival_term = terms[1 - first] + (other.due_s <= arrives_s)
        if rival_term < terms[first] and other.free_s <= arrives_s:
            return called_s + 2 * rtt_s, rounds
    raise RuntimeError(f"no leader in {MOST_ROUNDS} rounds: {settings}, {rtt_s:g} s apart")
