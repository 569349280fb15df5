"""What was watched besides pauses: the processes themselves, their heaps, and the disks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import FsyncOutcome
from truechimer.samples import MEASUREMENTS
from truechimer_analyzer.pauses import plausible
from truechimer_analyzer.pauses.exposure import watched
from truechimer_analyzer.pauses.lengths import Lengths
from truechimer_analyzer.window import NS, groups, iso, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.window import Window

PROCESS_FIELDS = tuple(field.name for field in MEASUREMENTS["truechimer_process"].fields)
HEAP_FIELDS = tuple(field.name for field in MEASUREMENTS["truechimer_heap"].fields)
FSYNC_FIELDS = ("duration_seconds", "outcome", "hidden", "interval_seconds")
# From here a full collection is near: most collectors begin their last efforts between 0.85 and 0.95.
NEARLY_FULL = 0.9
HEAP_STALE_S = 35.0
LONGEST = 10
# Hidden probes of one and of all slow ones are told apart up to so many, beyond that in groups.
_HIDDEN_OF_ONE, _HIDDEN_OF_ALL = 1000, 1_000_000
# Probes that come so many times later than usual were not made in between.
_LATE = 3
_SUMMED = {
    "started": "started",
    "ended": "ended",
    "major_faults": "major_faults",
    "run_s": "run_seconds",
    "run_delay_s": "run_delay_seconds",
    "io_wait_s": "io_wait_seconds",
    "throttled_s": "throttled_seconds",
    "stopped_s": "stopped_seconds",
    "frozen_s": "frozen_seconds",
}
_COUNTED = frozenset({"started", "ended", "major_faults"})


def processes(rows: Columns, window: Window) -> list[dict[str, object]]:
    """One dict per watched process from rows of truechimer_process (``PROCESS_FIELDS``).

    ``run_delay_ratio`` is the share of the time in which its tasks wanted a CPU and waited for it;
    None stands for what this kernel or privilege does not tell.
    """
    tags = rows.tags
    found: list[dict[str, object]] = []
    for key, mine in groups(tags["cluster"], tags["node"], tags["source"], tags["runtime"]):
        fields = {name: plausible.counts(rows.fields[name][mine]) for name in PROCESS_FIELDS}
        sums = {name: _sum(fields[field]) for name, field in _SUMMED.items()}
        run_s, delay_s = sums["run_s"], sums["run_delay_s"]
        wanted_s = None if run_s is None or delay_s is None else run_s + delay_s
        found.append(
            {
                **dict(zip(("cluster", "node", "source", "runtime"), key, strict=True)),
                **watched(rows, mine, window).document(window),
                "processes": _whole(_last(fields["processes"])),
                "tasks": _whole(_last(fields["tasks"])),
                **{name: _whole(value) if name in _COUNTED else value for name, value in sums.items()},
                "run_delay_max_s": _greatest(fields["run_delay_seconds_max"]),
                "run_delay_ratio": delay_s / wanted_s if wanted_s and delay_s is not None else None,
                "interval_s": _last(fields["interval_seconds"]),
            }
        )
    return found


def heaps(rows: Columns, window: Window) -> list[dict[str, object]]:
    """One dict per watched runtime from rows of truechimer_heap (``HEAP_FIELDS``).

    ``warning``: ``nearly_full``, ``collecting``, or None; None as well, with ``state`` unknown, when the
    last word is too old to warn by.
    """
    tags = rows.tags
    heard = rows.received_ns if window.open else rows.time_ns
    found: list[dict[str, object]] = []
    for key, mine in groups(tags["cluster"], tags["node"], tags["source"], tags["runtime"]):
        last = mine[-1]
        full = plausible.counts(rows.fields["old_full_ratio"][mine])
        now = {name: number(rows.fields[name][last]) for name in HEAP_FIELDS}
        age_s = max(0.0, (window.as_of_ns - int(heard[last])) / NS)
        told = age_s <= HEAP_STALE_S
        found.append(
            {
                **dict(zip(("cluster", "node", "source", "runtime"), key, strict=True)),
                "state": "watched" if told else "unknown",
                "last_watched_s": age_s,
                "old_used_bytes": _whole(now["old_used_bytes"]),
                "old_limit_bytes": _whole(now["old_limit_bytes"]),
                "old_full_ratio": now["old_full_ratio"],
                "old_full_ratio_max": _greatest(full),
                "collecting_s": now["collecting_seconds"],
                "warning": _warning(now["old_full_ratio"], now["collecting_seconds"]) if told else None,
            }
        )
    return found


def disks(rows: Columns, window: Window) -> list[dict[str, object]]:
    """One dict per disk from rows of truechimer_fsync (``FSYNC_FIELDS``): a distribution of its own.

    It holds the ``hidden`` probes too, which were due while a slow one went on. Exposure is ``probes`` and
    the time from one to the next, gaps in which no probe was made left out.
    """
    heard = rows.received_ns if window.open else rows.time_ns
    found: list[dict[str, object]] = []
    for key, unordered in groups(rows.tags["cluster"], rows.tags["node"], rows.tags["disk"]):
        mine = unordered[np.argsort(rows.time_ns[unordered], kind="stable")]
        outcome, time_ns = rows.fields["outcome"][mine], rows.time_ns[mine]
        took_s = plausible.seconds(rows.fields["duration_seconds"][mine])
        # Whatever else is told is told of one that has not ended yet, again and again.
        ended = np.isin(outcome, (FsyncOutcome.DONE, FsyncOutcome.FAILED))
        done = (outcome == FsyncOutcome.DONE) & np.isfinite(took_s)
        hidden, interval_s = (rows.fields[name][mine][done] for name in ("hidden", "interval_seconds"))
        lengths = _with_hidden(took_s[done], hidden, interval_s)
        longest_s = _greatest(took_s[done])
        hanging_s = _greatest(took_s[~ended])
        usual_s, observed_s, unwatched_s = _probed(time_ns[ended], took_s[ended], window)
        age_s = max(0.0, (window.as_of_ns - int(heard[mine].max())) / NS)
        found.append(
            {
                **dict(zip(("cluster", "node", "disk"), key, strict=True)),
                "state": "watched" if age_s <= max(HEAP_STALE_S, _LATE * (usual_s or 0.0)) else "unknown",
                "last_watched_s": age_s,
                "observed_s": observed_s,
                "unwatched_s": unwatched_s,
                "interval_s": usual_s,
                "probes": int(np.count_nonzero(ended)),
                "hidden": round(lengths.count) - int(np.count_nonzero(done)),
                "outcomes": {
                    each.name.lower(): int(np.count_nonzero(outcome == each)) for each in FsyncOutcome
                },
                **lengths.quantiles(),
                "max_s": _most(longest_s, hanging_s),
                "curve": lengths.curve(),
                "longest": [
                    {"at": iso(int(time_ns[done][at])), "duration_s": float(took_s[done][at])}
                    for at in np.argsort(-took_s[done], kind="stable")[:LONGEST]
                ],
            }
        )
    return found


def _with_hidden(
    took_s: NDArray[np.float64], hidden: NDArray[np.float64], interval_s: NDArray[np.float64]
) -> Lengths:
    """Probes with those that could not begin meanwhile: the kth was due k intervals later, and took less.

    Of very many, neighbours are told as one of their mean, so that no row makes more than it may.
    """
    interval_s = plausible.seconds(interval_s)
    with np.errstate(over="ignore"):
        # No more than fit into what it took, whatever is told.
        fitting = np.floor(np.divide(took_s, interval_s, out=np.zeros(len(took_s)), where=interval_s > 0))
    due = np.minimum(np.nan_to_num(plausible.counts(hidden)), np.minimum(fitting, plausible.MOST_COUNT))
    slow = np.flatnonzero(due >= 1)
    if not len(slow):
        return Lengths.of(took_s)
    due = np.floor(due[slow])
    most = max(1, min(_HIDDEN_OF_ONE, _HIDDEN_OF_ALL // len(slow)))
    groups_of = np.minimum(due, most).astype(np.intp)
    of = np.repeat(np.arange(len(slow)), groups_of)
    # The gth group of a probe ends at its share of those due.
    number = np.arange(len(of)) - np.repeat(np.cumsum(groups_of) - groups_of, groups_of)
    begin = np.floor(due[of] * number / groups_of[of])
    end = np.floor(due[of] * (number + 1) / groups_of[of])
    mean_s = np.maximum(0.0, took_s[slow][of] - (begin + end + 1) / 2 * interval_s[slow][of])
    pauses = np.append(np.ones(len(took_s)), end - begin)
    return Lengths.of(np.append(took_s, mean_s * (end - begin)), pauses)


def _probed(
    time_ns: NDArray[np.int64], took_s: NDArray[np.float64], window: Window
) -> tuple[float | None, float, float]:
    """The usual time between probes, the time probed, and the time in the window that was not."""
    if len(time_ns) < 2:
        return None, 0.0, window.length_s
    apart_s = np.diff(time_ns) / NS
    usual_s = float(np.median(apart_s))
    # The next probe waits for a slow one: that time was watched.
    allowed_s = _LATE * usual_s + np.nan_to_num(np.maximum(took_s[:-1], took_s[1:]))
    observed_s = float(apart_s[apart_s <= allowed_s].sum())
    return usual_s, observed_s, max(0.0, window.length_s - observed_s - _LATE * usual_s)


def _most(*values: float | None) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _warning(full: float | None, collecting_s: float | None) -> str | None:
    if full is not None and full >= NEARLY_FULL:
        return "nearly_full"
    return "collecting" if collecting_s else None


def _sum(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.sum()) if len(finite) else None


def _last(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else None


def _greatest(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if len(finite) else None


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
