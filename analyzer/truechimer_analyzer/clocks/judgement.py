"""The arithmetic of judging a clock: three-valued verdicts, ageing, steps and frequency.

Offsets are reference − local throughout. An interval [lower, upper] holds UTC − W for certain under the
stated assumptions; NaN at an end is "nothing is known".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import Judgement

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What the kernel allows a time daemon to slew by (adjtimex, ntp_adjtime): W may do that unseen.
MAX_SLEW_PPM = 500.0
# While W keeps its rate a bound comes every 10 s, and one at once when W leaves it by more than 5 µs + 8 ppm:
# what W can do unseen in that time.
UNSEEN_PPM = 15.0
REGULAR_S = 12.0
# A step is stamped when it is seen: a bound this much older or younger may already contain it.
STEP_DOUBT_S = 2.0


@dataclass(frozen=True, slots=True)
class Interval:
    """[lower, upper], in the unit of what it holds."""

    lower: float
    upper: float

    @property
    def known(self) -> bool:
        """Whether both ends are finite."""
        return math.isfinite(self.lower) and math.isfinite(self.upper)

    @property
    def middle(self) -> float:
        """Half way between the ends."""
        return (self.lower + self.upper) / 2

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that contains both."""
        return Interval(min(self.lower, other.lower), max(self.upper, other.upper))

    def shifted(self, by: float) -> Interval:
        """Both ends moved by ``by``."""
        return Interval(self.lower + by, self.upper + by)


NOTHING = Interval(math.nan, math.nan)


def judge(interval: Interval, limit: float) -> Judgement:
    """Whether every value, no value, or neither for certain, lies within ±``limit`` (ends included)."""
    if interval.lower >= -limit and interval.upper <= limit:
        return Judgement.PROVEN_WITHIN
    if interval.lower > limit or interval.upper < -limit:
        return Judgement.PROVEN_BEYOND
    return Judgement.UNPROVEN


def after_steps(interval: Interval, steps_s: NDArray[np.float64], later_s: NDArray[np.float64]) -> Interval:
    """An interval of UTC − W once W has been stepped.

    ``steps_s`` are the changes of W, ``later_s`` how much later than the interval each was seen, in
    seconds of S (negative: earlier). UTC − W falls by what W jumps by. Steps seen up to ``STEP_DOUBT_S``
    later may already be in the interval: both readings are then kept, as their hull.
    """
    for size_s, after_s in zip(steps_s.tolist(), later_s.tolist(), strict=True):
        if after_s <= 0 or not math.isfinite(size_s):
            continue
        moved = interval.shifted(-size_s)
        interval = moved if after_s > STEP_DOUBT_S else interval.hull(moved)
    return interval


def after_slews(interval: Interval, slews_s: NDArray[np.float64], later_s: NDArray[np.float64]) -> Interval:
    """An interval of UTC − W once W has been slewed: nobody knows how much of it the interval contains.

    ``slews_s`` and ``later_s`` as for ``after_steps``.
    """
    for size_s, after_s in zip(slews_s.tolist(), later_s.tolist(), strict=True):
        if after_s > 0 and math.isfinite(size_s):
            interval = interval.hull(interval.shifted(-size_s))
    return interval


def unwatched(wall_ppm: Interval, age_s: float) -> Interval:
    """The rates that W may have had since a bound of ``age_s``, from those that it had lately.

    A bound that is late may be missing because W was steered anew: then whatever the kernel allows to a
    time daemon. Nothing where the late rates are unknown.
    """
    if not wall_ppm.known:
        return NOTHING
    if age_s <= REGULAR_S:
        return Interval(wall_ppm.lower - UNSEEN_PPM, wall_ppm.upper + UNSEEN_PPM)
    return wall_ppm.hull(Interval(-MAX_SLEW_PPM, MAX_SLEW_PPM))


def aged(interval: Interval, age_s: float, raw_ppm: Interval, wall_ppm: Interval) -> Interval:
    """An interval of UTC − W after ``age_s`` ≥ 0 without further word.

    ``raw_ppm`` bounds d(UTC − RAW)/dt, ``wall_ppm`` the rate of W against RAW; what is unknown of either
    counts as ±``MAX_SLEW_PPM``. UTC − W moves by the first less the second.
    """
    raw = raw_ppm if raw_ppm.known else Interval(-MAX_SLEW_PPM, MAX_SLEW_PPM)
    wall = wall_ppm if wall_ppm.known else Interval(-MAX_SLEW_PPM, MAX_SLEW_PPM)
    seconds = age_s * 1e-6
    # An interval only widens: a bound may be tight at one end, but age never makes anything surer.
    return Interval(
        interval.lower + min(0.0, raw.lower - wall.upper) * seconds,
        interval.upper + max(0.0, raw.upper - wall.lower) * seconds,
    )


@dataclass(frozen=True, slots=True)
class WallRate:
    """How W ran against RAW lately: ``mean_ppm`` ± ``error_ppm``, and the ``span`` of single rates.

    ``count`` rates over ``span_s`` seconds, the first ending at ``since_ns``.
    """

    mean_ppm: float
    error_ppm: float
    span_ppm: Interval
    count: int
    span_s: float
    since_ns: int


UNKNOWN_RATE = WallRate(math.nan, math.nan, NOTHING, 0, 0.0, 0)


def quiet_rates(
    steady_s: NDArray[np.float64], rate_ppm: NDArray[np.float64], quiet_since_s: float
) -> NDArray[np.bool_]:
    """Which of the rates, ascending in S, are of a W that nobody stepped, slewed or put to sleep.

    Those whose interval may reach back before ``quiet_since_s`` are not: the first one after it neither.
    """
    keep = np.isfinite(rate_ppm) & np.isfinite(steady_s)
    if math.isfinite(quiet_since_s):
        late = np.flatnonzero(steady_s > quiet_since_s)
        keep &= np.arange(len(steady_s)) > (late[0] if len(late) else len(steady_s))
    return keep


def wall_rate(
    steady_s: NDArray[np.float64],
    rate_ppm: NDArray[np.float64],
    width_s: NDArray[np.float64],
    time_ns: NDArray[np.int64],
    quiet_since_s: float,
) -> WallRate:
    """The rate of W against RAW from consecutive interval rates of one epoch, rows ascending in S.

    Rates whose interval may reach back before ``quiet_since_s`` (S of the last step, slew or suspend)
    are left out: the first one after it too. Two readings, each right to half its width, over the
    whole span make the error.
    """
    keep = quiet_rates(steady_s, rate_ppm, quiet_since_s)
    steady_s, rate_ppm, width_s, time_ns = steady_s[keep], rate_ppm[keep], width_s[keep], time_ns[keep]
    if not len(steady_s):
        return UNKNOWN_RATE
    gaps = np.diff(steady_s)
    interval_s = float(np.median(gaps)) if len(gaps) else 10.0
    span_s = float(steady_s[-1] - steady_s[0]) + interval_s
    widths = width_s[np.isfinite(width_s)]
    error_ppm = float(widths.max()) / span_s * 1e6 if len(widths) and span_s > 0 else 0.0
    return WallRate(
        mean_ppm=float(rate_ppm.mean()),
        error_ppm=error_ppm,
        span_ppm=Interval(float(rate_ppm.min()) - error_ppm, float(rate_ppm.max()) + error_ppm),
        count=len(steady_s),
        span_s=span_s,
        since_ns=int(time_ns[0]),
    )


def wall_frequency(raw_ppm: Interval, rate: WallRate) -> Interval:
    """d(UTC − W)/dt in ppm: positive when W runs slow, so that UTC − W grows.

    RAW's error against UTC less the rate of W against RAW, widened by that rate's reading error.
    """
    return Interval(
        raw_ppm.lower - rate.mean_ppm - rate.error_ppm,
        raw_ppm.upper - rate.mean_ppm + rate.error_ppm,
    )
