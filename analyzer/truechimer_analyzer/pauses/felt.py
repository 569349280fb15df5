"""What others feel of a source's pauses, which is not the distribution of their lengths.

With L pauses' lengths, λ their rate and Q(x) = λ ∫ₓ^∞ P(L > u) du:

- a request that arrives at a random moment has more than x of a pause before it with probability Q(x);
- one that stays for d meets that or the beginning of a pause longer than x: Q(x) + λ·d·P(L > x) at most;
- a heartbeat every η that is missed after T is missed falsely (λ/η) ∫_{T−η}^{T} P(L > u) du times a second.

Each has an upper figure for the pauses that were not seen singly. Below the meter's threshold pauses are
not recorded: nothing is said of x there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from truechimer_analyzer.pauses.lengths import Lengths

LIMITS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STAY_S = 1.0
HEARTBEAT_S = 1.0
SHARE = 0.001
_HALVINGS = 60
# Of those who meet a pause.
_MET = (("p50_s", 0.5), ("p90_s", 0.1), ("p99_s", 0.01))


@dataclass(frozen=True, slots=True)
class Wish:
    """How long a request stays, and how often a heartbeat is sent, in seconds."""

    stay_s: float = STAY_S
    heartbeat_s: float = HEARTBEAT_S


def arrival(lengths: Lengths, observed_s: float, x_s: float) -> tuple[float, float]:
    """Q(x): the share of arrivals at random moments that wait longer than ``x_s``; at least, at most."""
    return (
        min(1.0, lengths.beyond_s(x_s) / observed_s),
        min(1.0, lengths.beyond_upper_s(x_s) / observed_s),
    )


def staying(lengths: Lengths, observed_s: float, x_s: float, stay_s: float) -> tuple[float, float]:
    """The share of requests that stay ``stay_s`` and are held up longer than ``x_s``; at least, at most."""
    least, most = arrival(lengths, observed_s, x_s)
    fewest, longer = lengths.longer_than(x_s)
    return min(1.0, least + stay_s * fewest / observed_s), min(1.0, most + stay_s * longer / observed_s)


def suspicions_hz(
    lengths: Lengths, observed_s: float, timeout_s: float, heartbeat_s: float
) -> tuple[float, float] | None:
    """False suspicions a second of a heartbeat every ``heartbeat_s`` missed after ``timeout_s``.

    At least, at most; None for a timeout shorter than the interval, which any heartbeat misses.
    """
    from_s = timeout_s - heartbeat_s
    if from_s < 0:
        return None
    single = lengths.where(lengths.pauses == 1)
    sums = lengths.where(lengths.pauses > 1)
    seen = max(0.0, single.beyond_s(from_s) - single.beyond_s(timeout_s)) / heartbeat_s
    # Of a sum one pause at least reaches its mean; those longer than from_s are missed with this chance.
    least = (sums.mean_s - from_s).clip(0.0, heartbeat_s).sum() / heartbeat_s
    most = min(sums.longer_than(from_s)[1], sums.beyond_upper_s(from_s) / heartbeat_s)
    return (seen + float(least)) / observed_s, (seen + most) / observed_s


def residual_s(lengths: Lengths, observed_s: float, share: float = SHARE) -> tuple[float, float]:
    """The wait that ``share`` of arrivals at random moments exceed: Q(x) = ``share``; at least, at most.

    0 when pauses take less than ``share`` of the time.
    """
    if not len(lengths.total_s):
        return 0.0, 0.0
    target_s = share * observed_s
    most_s = float(lengths.cap_s.max()) + lengths.interval_s

    def solved(*, upper: bool) -> float:
        beyond = lengths.beyond_upper_s if upper else lengths.beyond_s
        low_s, high_s = 0.0, most_s
        if beyond(0.0) <= target_s:
            return 0.0
        for _ in range(_HALVINGS):
            middle_s = (low_s + high_s) / 2
            if beyond(middle_s) <= target_s:
                high_s = middle_s
            else:
                low_s = middle_s
        return high_s

    return solved(upper=False), solved(upper=True)


def residual(lengths: Lengths, observed_s: float) -> dict[str, float | None]:
    """What is left of a pause for those who meet one: how many do, and the quantiles of their waits."""
    met = arrival(lengths, observed_s, 0.0)[0]
    if met <= 0:
        return {"met_ratio": 0.0, **{name: None for name, _ in _MET}}
    return {
        "met_ratio": met,
        **{name: residual_s(lengths, observed_s, met * beyond)[0] for name, beyond in _MET},
    }


def felt(
    lengths: Lengths, observed_s: float, threshold_s: float | None, wish: Wish
) -> list[dict[str, float | None]]:
    """One row for each of ``LIMITS_S`` above the threshold, up to the first that nothing reaches.

    ``staying_upper`` is None less than a meter's interval above the threshold: how many pauses are longer
    than that it cannot know.
    """
    rows: list[dict[str, float | None]] = []
    # Of pauses hardly longer than the threshold a meter sees some too short to be recorded.
    counted_from_s = (threshold_s or 0.0) + lengths.interval_s if lengths.interval_s else 0.0
    for x_s in LIMITS_S:
        if threshold_s is not None and x_s < threshold_s:
            continue
        met = arrival(lengths, observed_s, x_s)
        stays = staying(lengths, observed_s, x_s, wish.stay_s)
        # Below T − η lies what is not recorded where that is under the threshold.
        known = x_s - wish.heartbeat_s >= (threshold_s or 0.0)
        missed = suspicions_hz(lengths, observed_s, x_s, wish.heartbeat_s) if known else None
        rows.append(
            {
                "limit_s": x_s,
                "arrival": met[0],
                "arrival_upper": met[1],
                "staying": stays[0],
                "staying_upper": stays[1] if x_s >= counted_from_s else None,
                "false_suspicions_hz": None if missed is None else missed[0],
                "false_suspicions_upper_hz": None if missed is None else missed[1],
            }
        )
        if stays[1] == 0 and missed is not None and missed[1] == 0:
            break
    return rows
