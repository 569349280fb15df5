"""From delays to the document of ``timeouts``: the smallest timeout that keeps its promise, or a refusal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from truechimer.codes import Via
from truechimer.errors import NotEnough
from truechimer_analyzer.timeouts.backtest import backtest
from truechimer_analyzer.timeouts.binding import binding, lengths_s
from truechimer_analyzer.timeouts.operations import Operations, operations
from truechimer_analyzer.timeouts.tail import NONE_SEEN, Point, Tail, measure, round_up
from truechimer_analyzer.timeouts.worstpath import worst_path_upper

if TYPE_CHECKING:
    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.window import Question

MONTH_S = 30 * 86_400.0
DEFAULT_FALSE_PER_MONTH = 1.0
FRONTIER_POINTS = 60
PATHS_SHOWN = 20

ASSUMPTIONS = (
    "the future resembles the window that was measured; no mechanism that has not shown itself is covered",
    "one stream runs at rate_hz, spread over the paths as the probes were: its upper meets what was asked",
    "a stream that keeps to one path is bounded by worst_path_upper, whichever path it is: that may be more",
    "exceedances within 10 s (or 3 probe gaps) on any path are one event: n_eff = operations / mean cluster",
    "a lost operation is a true timeout and is counted apart; refusals and unreachability answer at once",
    "probes timed in user space already contain the prober's own pauses; own stalls are left out",
    "nothing is extrapolated beyond the longest delay seen; upper bounds are one-sided, 95 %",
)


class TimeoutsRefused(NotEnough):
    """Every use was refused; ``document`` is the answer with the reasons and what is supported."""

    def __init__(self, message: str, document: dict[str, Any], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.document = document


@dataclass(frozen=True, slots=True)
class _Wish:
    """What was asked for: probabilities per operation follow from a month's operations."""

    false_per_month: float | None
    detect_within_s: float | None
    rate_hz: float

    @property
    def per_month(self) -> float:
        return self.rate_hz * MONTH_S

    @property
    def target(self) -> float:
        wanted = DEFAULT_FALSE_PER_MONTH if self.false_per_month is None else self.false_per_month
        return wanted / self.per_month


def advise(probes: Columns, pauses: Columns, question: Question) -> dict[str, object]:
    """The contract's ``timeouts`` from rows of truechimer_rtt and truechimer_pause.

    Without ``false_per_month`` and with ``detect_within``, the timeout is that length and the answer is
    what it costs. Raises NotEnough when nothing was measured, TimeoutsRefused when every use is refused.
    """
    every = operations(probes)
    rate_hz = question.rate_hz or every.rate_hz
    if not len(every.rtt_s) or rate_hz is None:
        raise NotEnough(
            _missing(every),
            hint="let the agents probe (mesh, [[probe]] of kind tcp or icmp) for a while, or widen --since",
        )
    wish = _Wish(question.false_per_month, question.detect_within_s, rate_hz)
    tail = _tail(every, wish)
    uses = [_use("request", every, tail, pauses, wish)]
    connects = operations(probes, Via.TCP)
    if len(connects.rtt_s):
        uses.append(_use("connect", connects, _tail(connects, wish), pauses, wish))
    pauses_s = lengths_s(pauses)
    document: dict[str, object] = {
        "evidence": {
            "paths": len(every.paths),
            "samples": every.count,
            "span_s": every.span_s,
            "lost": len(every.lost_s),
            **every.others,
            "max_rtt_s": float(every.rtt_s.max()),
            "max_pause_s": float(np.nanmax(pauses_s)) if np.isfinite(pauses_s).any() else None,
            "n_eff": tail.n_eff,
            "mean_cluster": tail.cluster_size,
            "rate_hz": rate_hz,
            "supported_exceedance": tail.supported_exceedance,
        },
        "asked": {
            "false_per_month": wish.target * wish.per_month,
            "detect_within_s": wish.detect_within_s,
        },
        "uses": uses,
        "frontier": _frontier(tail, wish),
        "products": [],
        "backtest": backtest(every, wish.target, wish.per_month),
        "assumptions": list(ASSUMPTIONS),
    }
    _refuse_if_empty(uses, document)
    return document


def _refuse_if_empty(uses: list[dict[str, object]], document: dict[str, object]) -> None:
    refusals = [use["refused"] for use in uses]
    if any(refusal is None for refusal in refusals):
        return
    first = refusals[0]
    assert isinstance(first, dict)
    strictest = uses[0]["strictest_supported"]
    assert isinstance(strictest, dict)
    raise TimeoutsRefused(
        str(first["reason"]),
        document,
        hint=f"supported now: {strictest['timeout_s']:g} s with at most "
        f"{round_up(strictest['false_per_month']):g} false timeouts a month; ask with --false-per-month",
    )


def _missing(every: Operations) -> str:
    if every.count:
        return f"{every.count} probes in this window and {len(every.rtt_s)} replies: no delay can be told"
    counted = ", ".join(f"{count} {name}" for name, count in every.others.items() if count)
    return f"no probe of this window waited for a reply ({counted or 'none was made'})"


def _tail(of: Operations, wish: _Wish) -> Tail:
    return measure(of.rtt_s, of.time_s, of.path, of.by_path, wish.detect_within_s)


def _use(name: str, of: Operations, tail: Tail, pauses: Columns, wish: _Wish) -> dict[str, object]:
    chosen, refused = _choose(of, tail, wish)
    strictest = tail.strictest()
    detection = None if chosen is None else chosen.timeout_s
    return {
        "use": name,
        "timeout_s": detection,
        "false_per_month": None
        if chosen is None
        else {
            "estimate": chosen.estimate * wish.per_month,
            "upper": chosen.upper * wish.per_month,
            "worst_path_upper": _worst_path_upper(of, chosen, tail) * wish.per_month,
        },
        "detection_s": None if detection is None else {"min": detection, "mean": detection, "max": detection},
        "binding": binding(of, pauses),
        "basis": "empirical",
        "refused": refused,
        "strictest_supported": {
            "timeout_s": strictest.timeout_s,
            "false_per_month": strictest.upper * wish.per_month,
        },
        "evidence": {
            "paths": len(of.paths),
            "samples": of.count,
            "lost": len(of.lost_s),
            "max_rtt_s": float(of.rtt_s.max()),
            "n_eff": tail.n_eff,
            "supported_exceedance": tail.supported_exceedance,
        },
        "paths": _paths(of, chosen or strictest, wish),
    }


def _worst_path_upper(of: Operations, chosen: Point, tail: Tail) -> float:
    return max(chosen.upper, worst_path_upper(of, chosen.timeout_s, tail.cluster_size))


def _choose(of: Operations, tail: Tail, wish: _Wish) -> tuple[Point | None, dict[str, object] | None]:
    if wish.false_per_month is None and wish.detect_within_s is not None:
        return tail.asked, None
    chosen = tail.smallest(wish.target)
    if chosen is None:
        return None, _too_little(of, tail, wish)
    if wish.detect_within_s is not None and chosen.timeout_s > wish.detect_within_s:
        reason = (
            f"that few false timeouts take {chosen.timeout_s:g} s: no timeout within "
            f"{wish.detect_within_s:g} s meets both"
        )
        return None, {"reason": reason, "needed_s": None}
    return chosen, None


def _too_little(of: Operations, tail: Tail, wish: _Wish) -> dict[str, object]:
    needed = NONE_SEEN * tail.cluster_size / wish.target - of.count
    probing_hz = of.count / of.span_s if of.span_s > 0 else None
    needed_s = None if probing_hz is None else max(0, math.ceil(needed / probing_hz))
    reason = (
        f"one false timeout in {1 / wish.target:.3g} operations was asked for; {of.count} operations, worth "
        f"{tail.n_eff:.0f} independent ones, vouch for one in {1 / tail.supported_exceedance:.3g} at best"
    )
    if needed_s is not None:
        reason += f": needs {_length(needed_s)} more of these probes"
    return {"reason": reason, "needed_s": needed_s}


def _length(seconds: float) -> str:
    for unit_s, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit_s:
            return f"{math.ceil(seconds / unit_s)} {unit}"
    return f"{math.ceil(seconds)} s"


def _paths(of: Operations, point: Point, wish: _Wish) -> list[dict[str, object]]:
    """Each path's own share at a timeout, the worst first."""
    operations_of = of.by_path
    beyond = np.bincount(of.path[of.rtt_s > point.timeout_s], minlength=len(of.paths))
    lost = np.bincount(of.lost_path, minlength=len(of.paths))
    longest = np.zeros(len(of.paths))
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


def _frontier(tail: Tail, wish: _Wish) -> list[dict[str, object]]:
    every = tail.points
    if len(every) > FRONTIER_POINTS:
        picked = np.unique(np.linspace(0, len(every) - 1, FRONTIER_POINTS).round().astype(np.intp))
        every = tuple(every[index] for index in picked)
    return [
        {
            "timeout_s": point.timeout_s,
            "false_per_month": point.estimate * wish.per_month,
            "upper": point.upper * wish.per_month,
            "detection_s": point.timeout_s,
        }
        for point in every
    ]
