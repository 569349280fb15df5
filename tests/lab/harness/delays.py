"""How long a link takes: distributions of a packet's delay, in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_S = 3600.0
TRACE_MOST = 1 << 16


def _check(name: str, value: float, *, positive: bool = False) -> None:
    """Raises ValueError unless 0 ≤ value ≤ LONGEST_S (NaN is refused too)."""
    if not 0 <= value <= LONGEST_S or (positive and value == 0):
        raise ValueError(
            f"{name} must be {'over' if positive else 'at least'} 0 s and at most 1 h: {value!r}"
        )


def _check_shape(name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a positive number: {value!r}")


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same."""

    delay_s: float

    def __post_init__(self) -> None:
        _check("delay_s", self.delay_s)


@dataclass(frozen=True, slots=True)
class Normal:
    """Gaussian; what would be below 0 is 0."""

    mean_s: float
    deviation_s: float

    def __post_init__(self) -> None:
        _check("mean_s", self.mean_s)
        _check("deviation_s", self.deviation_s)


@dataclass(frozen=True, slots=True)
class LogNormal:
    """`least_s` + `median_s` · exp(`sigma` · z), z of the standard normal distribution."""

    median_s: float
    sigma: float
    least_s: float = 0.0

    def __post_init__(self) -> None:
        _check("median_s", self.median_s, positive=True)
        _check_shape("sigma", self.sigma)
        _check("least_s", self.least_s)


@dataclass(frozen=True, slots=True)
class Pareto:
    """`least_s` + `scale_s` · u^(−1/`shape`), u uniform in (0, 1]: a heavy tail.

    It is at least `least_s` + `scale_s`. Its mean is infinite for shape ≤ 1, its variance for shape ≤ 2.
    """

    scale_s: float
    shape: float
    least_s: float = 0.0

    def __post_init__(self) -> None:
        _check("scale_s", self.scale_s, positive=True)
        _check_shape("shape", self.shape)
        _check("least_s", self.least_s)


@dataclass(frozen=True, slots=True)
class Trace:
    """Recorded delays, one a packet, over and over; `shuffled`: each packet draws one of them."""

    delays_s: Sequence[float]
    shuffled: bool = False

    def __post_init__(self) -> None:
        if not 0 < len(self.delays_s) <= TRACE_MOST:
            raise ValueError(f"a trace has 1 to {TRACE_MOST} delays, not {len(self.delays_s)}")
        for delay_s in self.delays_s:
            _check("each of delays_s", delay_s)


Delay = Constant | Normal | LogNormal | Pareto | Trace


def encoded(delay: Delay) -> tuple[int, float, float, float, list[int]]:
    """A delay as link.c takes it: kind, least and scale in ns, shape, trace in ns."""
    match delay:
        case Constant(delay_s):
            return 0, delay_s * 1e9, 0.0, 0.0, []
        case Normal(mean_s, deviation_s):
            return 1, mean_s * 1e9, deviation_s * 1e9, 0.0, []
        case LogNormal(median_s, sigma, least_s):
            return 2, least_s * 1e9, median_s * 1e9, sigma, []
        case Pareto(scale_s, shape, least_s):
            return 3, least_s * 1e9, scale_s * 1e9, shape, []
        case Trace(delays_s, shuffled):
            return 5 if shuffled else 4, 0.0, 0.0, 0.0, [round(each * 1e9) for each in delays_s]
        case _:
            raise TypeError(f"a delay is a distribution, Constant(seconds) say: {delay!r}")
