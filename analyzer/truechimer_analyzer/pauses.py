"""Pauses per source: how often, how long, why, and what a request that arrives at a random moment waits.

Exposure comes from the meter's own windows: nothing observed is not the same as no pauses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.rtt import percentiles
from truechimer_analyzer.window import groups, iso, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns

EVIDENCE = (
    "run_delay_seconds",
    "steal_seconds",
    "throttled_seconds",
    "major_faults",
    "io_wait_seconds",
)
FIELDS = ("duration_seconds", "confidence_ratio", *EVIDENCE)
WINDOW_FIELDS = ("observed_seconds", "count", "total_seconds", "max_seconds", "threshold_seconds")
LONGEST = 10
TIMELINE = 500
RESIDUAL_SHARE = 0.001


def describe(pauses: Columns, windows: Columns) -> list[dict[str, object]]:
    """One dict per (cluster, node, source, runtime), as the contract's ``pauses`` has them.

    ``pauses`` are rows of truechimer_pause with ``FIELDS``, ``windows`` rows of truechimer_pause_window
    with ``WINDOW_FIELDS``. A source that was never watched has ``observed_s`` 0 and no rate.
    """
    recorded = dict(groups(*_keys(pauses)))
    watched = dict(groups(*_keys(windows)))
    none = np.zeros(0, dtype=np.intp)
    return [
        _source(key, pauses, recorded.get(key, none), windows, watched.get(key, none))
        for key in sorted(recorded.keys() | watched.keys())
    ]


def residual_s(durations_s: NDArray[np.float64], observed_s: float, share: float) -> float:
    """The wait x that a request arriving at a random moment exceeds with probability ``share``.

    Q(x) = Σ max(0, d − x) / observed_s: a pause catches a request in proportion to its length
    (length-biased), and on average half of it is over by then. Piecewise linear, solved exactly. Made
    from pauses above the meter's threshold only, so it reads low where many short ones matter.
    Durations in any order; 0 when pauses take less than ``share`` of the time.
    """
    if not len(durations_s) or observed_s <= 0:
        return 0.0
    longest_first = np.sort(durations_s)[::-1]
    target_s = share * observed_s
    count = np.arange(1, len(longest_first) + 1)
    # Waiting time left beyond each duration in turn: that of the k longer ones less k times itself.
    beyond_s = np.cumsum(longest_first) - count * longest_first
    k = int(np.searchsorted(beyond_s, target_s, side="right"))
    return max(0.0, float((longest_first[:k].sum() - target_s) / k))


def _keys(columns: Columns) -> tuple[NDArray[np.object_], ...]:
    tags = columns.tags
    return tags["cluster"], tags["node"], tags["source"], tags["runtime"]


def _source(
    key: tuple[str, ...],
    pauses: Columns,
    rows: NDArray[np.intp],
    windows: Columns,
    watched: NDArray[np.intp],
) -> dict[str, object]:
    cluster, node, source, runtime = key
    rows = rows[np.argsort(pauses.time_ns[rows], kind="stable")]
    durations = pauses.fields["duration_seconds"][rows]
    rows, durations = rows[np.isfinite(durations)], durations[np.isfinite(durations)]
    observed_s = float(np.nansum(windows.fields["observed_seconds"][watched]))
    thresholds = windows.fields["threshold_seconds"][watched]
    latenesses = windows.fields["max_seconds"][watched]
    ordered = np.sort(durations)
    by_length = rows[np.argsort(-durations, kind="stable")[:LONGEST]]
    found = percentiles(ordered)
    return {
        "cluster": cluster,
        "node": node,
        "source": source,
        "runtime": runtime,
        "observed_s": observed_s,
        "count": len(rows),
        "total_s": float(durations.sum()),
        "per_hour": len(rows) * 3600 / observed_s if observed_s > 0 else None,
        "p50_s": found["p50_s"],
        "p99_s": found["p99_s"],
        "p999_s": found["p999_s"],
        "max_s": float(ordered[-1]) if len(ordered) else None,
        "residual_p999_s": residual_s(durations, observed_s, RESIDUAL_SHARE) if observed_s > 0 else None,
        "threshold_s": _last_finite(thresholds),
        "worst_lateness_s": number(np.nanmax(latenesses)) if np.isfinite(latenesses).any() else None,
        "causes": _causes(pauses.tags["cause"][rows]),
        "longest": [_pause(pauses, int(row)) for row in by_length],
        "timeline": [_pause(pauses, int(row)) for row in rows[-TIMELINE:]],
    }


def _causes(causes: NDArray[np.object_]) -> dict[str, int]:
    counted = {name: len(rows) for (name,), rows in groups(causes)}
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _pause(pauses: Columns, row: int) -> dict[str, object]:
    evidence = {name: number(pauses.fields[name][row]) for name in EVIDENCE}
    return {
        "at": iso(int(pauses.time_ns[row])),
        "duration_s": float(pauses.fields["duration_seconds"][row]),
        "cause": str(pauses.tags["cause"][row]),
        "confidence": number(pauses.fields["confidence_ratio"][row]),
        "evidence": {name: value for name, value in evidence.items() if value is not None},
    }


def _last_finite(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else None
