"""One use of ``timeouts``: the smallest timeout that keeps its promise and its cost, or a refusal. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.timeouts import bytime
from truechimer_analyzer.timeouts.binding import binding
from truechimer_analyzer.timeouts.tail import NONE_SEEN, Point, Tail, measure
from truechimer_analyzer.timeouts.worstpath import worst_path_upper

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.timeouts.operations import Operations

MONTH_S = 30 * 86_400.0
DEFAULT_FALSE_PER_MONTH = 1.0
PATHS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for: probabilities per operation follow from a month's operations."""

    false_per_month: float | None
    detect_within_s: float | None
    rate_hz: float

    @property
    def per_month(self) -> float:
        """Operations of a month."""
        return self.rate_hz * MONTH_S

    @property
    def is_costing(self) -> bool:
        """Only how quickly a failure must be noticed was asked: the answer is what that costs."""
        return self.false_per_month is None and self.detect_within_s is not None

    @property
    def target(self) -> float:
        """The probability of a false timeout per operation that was asked for."""
        wanted = DEFAULT_FALSE_PER_MONTH if self.false_per_month is None else self.false_per_month
        return wanted / self.per_month


@dataclass(frozen=True, slots=True)
class Detection:
    """How long after a failure a timeout notices it: min, mean and max as factor · timeout + seconds."""

    min: tuple[float, float] = (1.0, 0.0)
    mean: tuple[float, float] = (1.0, 0.0)
    max: tuple[float, float] = (1.0, 0.0)

    def document(self, timeout_s: float) -> dict[str, float]:
        """As the contract's ``detection_s`` has it."""
        bounds = {"min": self.min, "mean": self.mean, "max": self.max}
        return {name: max(0.0, factor * timeout_s + more_s) for name, (factor, more_s) in bounds.items()}

    def within(self, limit_s: float) -> float:
        """The timeout that notices within ``limit_s`` at the latest; 0 or less where none does."""
        factor, more_s = self.max
        return (limit_s - more_s) / factor


@dataclass(frozen=True, slots=True)
class Kind:
    """What a use makes of a bound on delays or silences.

    ``timeout_s`` turns the bound into the setting and ``bound_s`` a setting into the bound that it needs;
    ``usual_s`` is what an operation lasts though nothing delays it.
    """

    name: str
    detection: Detection = field(default_factory=Detection)
    timeout_s: Callable[[float], float] = float
    bound_s: Callable[[float], float] = float
    usual_s: float = 0.0
    more: Callable[[float], Mapping[str, object]] = lambda timeout_s: {}  # noqa: ARG005 - nothing more


def describe(
    kind: Kind, of: Operations, tail: Tail, pauses: Columns, wish: Wish, phases: int = 1
) -> dict[str, object]:
    """The document of one use, from operations (≥ 1 reply) and their tail, seen in so many ``phases``."""
    chosen, refused = _choose(kind, of, tail, wish, phases)
    strictest = tail.strictest()
    timeout_s = None if chosen is None else kind.timeout_s(chosen.timeout_s)
    if timeout_s is not None and wish.is_costing:
        # What notices within the time, not what rounding makes of it.
        timeout_s = min(timeout_s, kind.detection.within(wish.detect_within_s or 0.0))
    return {
        "use": kind.name,
        "timeout_s": timeout_s,
        "false_per_month": None
        if chosen is None
        else {
            "estimate": chosen.estimate * wish.per_month,
            "upper": chosen.upper * wish.per_month,
            "worst_path_upper": _worst_path_upper(of, chosen, tail, phases) * wish.per_month,
        },
        "detection_s": None if timeout_s is None else kind.detection.document(timeout_s),
        "binding": binding(of, pauses, kind.usual_s),
        "basis": "empirical",
        "refused": refused,
        "strictest_supported": {
            "timeout_s": kind.timeout_s(strictest.timeout_s),
            "false_per_month": strictest.upper * wish.per_month,
        },
        **kind.more(kind.timeout_s(strictest.timeout_s) if timeout_s is None else timeout_s),
        "evidence": {
            "paths": len(of.paths),
            "samples": of.count,
            "lost": len(of.lost_s),
            "max_rtt_s": float(of.rtt_s.max()),
            "n_eff": tail.n_eff,
            "supported_exceedance": tail.supported_exceedance,
        },
        "by_time": bytime.describe(of, chosen or strictest, tail.cluster_size, wish.per_month),
        "paths": _paths(of, chosen or strictest, wish),
    }


def tail_of(of: Operations, asked_s: float | None = None) -> Tail:
    """The tail of operations; ``asked_s`` is a timeout to look at besides."""
    return measure(of.rtt_s, of.time_s, of.path, of.by_path, asked_s, unlisted=of.unlisted)


def seen_again(tail: Tail, phases: int) -> Tail:
    """The tail of operations of which ``phases`` are one stretch of time seen again: none are worth one."""
    if phases <= 1:
        return tail
    least = min(1.0, NONE_SEEN * phases / tail.operations)

    def floored(point: Point) -> Point:
        return replace(point, upper=max(point.upper, least))

    return replace(
        tail,
        points=tuple(map(floored, tail.points)),
        cluster_size=max(tail.cluster_size, phases),
        asked=None if tail.asked is None else floored(tail.asked),
    )


def _choose(
    kind: Kind, of: Operations, tail: Tail, wish: Wish, phases: int
) -> tuple[Point | None, dict[str, object] | None]:
    within_s = wish.detect_within_s
    if wish.is_costing and within_s is not None:
        return _costing(kind, of, within_s, phases)
    chosen = tail.smallest(wish.target)
    if chosen is None:
        return None, _too_little(of, tail, wish)
    if within_s is not None:
        timeout_s = kind.timeout_s(chosen.timeout_s)
        notices_s = kind.detection.document(timeout_s)["max"]
        if notices_s > within_s:
            reason = (
                f"that few false timeouts take {timeout_s:.3g} s, which notices after {notices_s:.3g} s at "
                f"the latest: no timeout meets both that and {within_s:g} s"
            )
            return None, {"reason": reason, "needed_s": None}
    return chosen, None


def _costing(
    kind: Kind, of: Operations, within_s: float, phases: int
) -> tuple[Point | None, dict[str, object] | None]:
    """What the timeout costs that notices a failure within a time."""
    bound_s = kind.bound_s(kind.detection.within(within_s))
    if bound_s <= 0:
        reason = f"no timeout of this use notices a failure within {within_s:g} s at the latest"
        return None, {"reason": reason, "needed_s": None}
    if of.unlisted is not None and bound_s < of.unlisted.quick_s:
        if bound_s < kind.usual_s:
            reason = (
                f"every heartbeat comes {kind.usual_s:g} s after the one before: what notices within "
                f"{within_s:g} s at the latest is always exceeded"
            )
            return None, {"reason": reason, "needed_s": None}
        reason = (
            f"more than {len(of.rtt_s)} of {of.count} operations took longer than {bound_s:.3g} s, and no "
            f"more are looked at one by one: what that costs is told of fewer of them (--since, --node)"
        )
        return None, {"reason": reason, "needed_s": None}
    return seen_again(tail_of(of, bound_s), phases).asked, None


def _too_little(of: Operations, tail: Tail, wish: Wish) -> dict[str, object]:
    needed = NONE_SEEN * tail.cluster_size / wish.target - of.count
    probing_hz = of.count / of.span_s if of.span_s > 0 else None
    needed_s = None if probing_hz is None else max(0, math.ceil(needed / probing_hz))
    reason = (
        f"one false timeout in {1 / wish.target:.3g} operations was asked for; {of.count} operations, worth "
        f"{tail.n_eff:.0f} independent ones, vouch for one in {1 / tail.supported_exceedance:.3g} at best"
    )
    if needed_s is not None:
        reason += f": needs {_length(needed_s)} more of the same"
    return {"reason": reason, "needed_s": needed_s}


def _length(seconds: float) -> str:
    for unit_s, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit_s:
            return f"{math.ceil(seconds / unit_s)} {unit}"
    return f"{math.ceil(seconds)} s"


def _worst_path_upper(of: Operations, chosen: Point, tail: Tail, phases: int) -> float:
    probed = of.by_path[of.by_path > 0]
    if len(probed) == 1:
        return chosen.upper
    none_seen = min(1.0, (NONE_SEEN + math.log(len(probed))) * phases / float(probed.min()))
    least = none_seen if phases > 1 else 0.0
    return max(chosen.upper, least, worst_path_upper(of, chosen.timeout_s, tail.cluster_size))


def _paths(of: Operations, point: Point, wish: Wish) -> list[dict[str, object]]:
    """Each path's own share at a timeout, the worst first."""
    operations_of = of.by_path
    beyond = np.bincount(of.path[of.rtt_s > point.timeout_s], minlength=len(of.paths))
    lost = np.bincount(of.lost_path, minlength=len(of.paths))
    longest = np.zeros(len(of.paths)) if of.unlisted is None else of.unlisted.longest_s.copy()
    np.maximum.at(longest, of.path, of.rtt_s)
    share = beyond / np.maximum(operations_of, 1)
    worst_first = np.lexsort((-longest, -share))[:PATHS_SHOWN]
    return [
        {
            "path": str(of.paths[index]),
            "samples": int(operations_of[index]),
            "lost": int(lost[index]),
            "max_rtt_s": float(longest[index]) or None,
            "false_per_month": float(share[index]) * wish.per_month,
        }
        for index in worst_first
    ]
