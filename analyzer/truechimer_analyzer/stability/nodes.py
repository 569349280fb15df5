"""What is told of each node's stability: its records' deviations, what they rest on, what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.clocks.nodeclock import per_node
from truechimer_analyzer.stability import series
from truechimer_analyzer.stability.deviations import Deviations, deviations
from truechimer_analyzer.stability.stretches import SPACING_S, TOLERANCE_S, divide

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from truechimer_analyzer.clocks.nodeclock import Key
    from truechimer_analyzer.stability.deviations import Estimate
    from truechimer_analyzer.stability.stretches import Cut, Points, Stretch
    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.window import Window

LEAST_SPAN_S = 300.0
"""Less says nothing of a clock: it is refused."""
_NONE = {
    "wall_minus_steady": "no clock was read in this window",
    "utc_minus_steady": "no bound of UTC stood in this window: no majority of NTP servers answered",
    "utc_minus_wall": "no bound of UTC stood in this window: no majority of NTP servers answered",
}


def describe(
    keys: Iterable[Key], clock: Columns, bounds: Columns, events: Columns, window: Window
) -> list[dict[str, object]]:
    """One dict per (cluster, node) of ``keys``, as the answer ``stability`` has them.

    ``clock``, ``bounds``: the window's rows with ``series.CLOCK_FIELDS`` and ``BOUND_FIELDS``; ``events``:
    those of the window and of some time before, because their stamps may lag behind.
    """
    told, bound, happened = per_node(clock), per_node(bounds), per_node(events)
    nothing = np.zeros(0, dtype=np.intp)
    answer: list[dict[str, object]] = []
    for key in keys:
        read, known = told.get(key, nothing), bound.get(key, nothing)
        oscillator = series.utc_minus_steady(bounds, known)
        ends = [
            *series.cuts(events, happened.get(key, nothing)),
            *series.unexplained(clock, read),
            *series.impossible(oscillator),
        ]
        records: Mapping[str, tuple[Points, Sequence[Cut]]] = {
            "wall_minus_steady": (series.wall_minus_steady(clock, read), ends),
            "utc_minus_steady": (oscillator, series.without_steps(ends)),
            "utc_minus_wall": (series.utc_minus_wall(bounds, known), ends),
        }
        answer.append(
            {
                "cluster": key[0],
                "node": key[1],
                "series": [_record(name, *records[name], window) for name in series.RECORDS],
            }
        )
    return answer


def _record(name: str, points: Points, ends: Sequence[Cut], window: Window) -> dict[str, object]:
    stretches, breaks = divide(points, ends)
    span_s = sum(stretch.span_s for stretch in stretches)
    refused = _refusal(name, span_s, window)
    found = Deviations((), (), ()) if refused else deviations(stretches, SPACING_S)
    return {
        "series": name,
        "points": sum(len(stretch.value_s) for stretch in stretches),
        "stretches": len(stretches),
        "span_s": span_s,
        "longest_s": max((stretch.span_s for stretch in stretches), default=0.0),
        "used_share": min(1.0, span_s / window.length_s),
        "breaks": {why.value: count for why, count in sorted(breaks.items())},
        "half_width_s": _half_width_s(stretches),
        "adev": [_estimate(each) for each in found.adev],
        "tdev": [_estimate(each) for each in found.tdev],
        "mtie": [_estimate(each) for each in found.mtie],
        "refused": refused,
    }


def _refusal(name: str, span_s: float, window: Window) -> dict[str, object] | None:
    """Why nothing is said, and how much longer to measure (None where waiting does not help)."""
    if span_s + TOLERANCE_S >= LEAST_SPAN_S:
        return None
    if window.length_s < LEAST_SPAN_S + SPACING_S:
        return {"reason": "the window is shorter than 5 min: ask for a longer one", "needed_s": None}
    reason = (
        f"{span_s:.0f} s of the window are without gap or step: it takes {LEAST_SPAN_S:.0f} s"
        if span_s
        else _NONE[name]
    )
    return {"reason": reason, "needed_s": LEAST_SPAN_S - span_s if window.open else None}


def _half_width_s(stretches: Sequence[Stretch]) -> float | None:
    """Half the width of the middle point's interval, by width: what is smaller is not the clock's."""
    if not stretches:
        return None
    widths = np.concatenate([stretch.upper_s - stretch.lower_s for stretch in stretches])
    return float(np.median(widths)) / 2


def _estimate(of: Estimate) -> dict[str, object]:
    return {
        "tau_s": of.tau_s,
        "value": of.value,
        "lower": of.lower,
        "upper": of.upper,
        "terms": of.terms,
    }
