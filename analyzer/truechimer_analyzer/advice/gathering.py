"""What products' rules need, from a store's rows and the uses that were advised."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from truechimer.codes import FsyncOutcome
from truechimer_analyzer.advice.measured import Measured
from truechimer_analyzer.advice.streams import reply_stream, silence_stream
from truechimer_analyzer.timeouts.binding import binding, lengths_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from truechimer_analyzer.stores import Columns, Series
    from truechimer_analyzer.timeouts.holder import Holder
    from truechimer_analyzer.timeouts.operations import Operations
    from truechimer_analyzer.timeouts.record import Record

FSYNC_FIELDS = ("duration_seconds", "outcome")
DISK = ("node", "disk")
# A percentile or a mean of fewer tells nothing of a path or a disk.
_LEAST_FOR_P99 = 200
_LEAST_FOR_MEAN = 20


def gather(
    record: Record,
    pauses: Columns,
    holder: Holder,
    fsyncs: Iterable[Series],
    clusters: Sequence[Mapping[str, Any]],
    uses: Sequence[Mapping[str, Any]],
    false_per_month: float,
) -> Measured:
    """From probes, rows of truechimer_pause, truechimer_fsync by ``DISK``, clusters of ``skew``, the uses."""
    every, connects = record.every, record.connects
    means_s, p99s_s = _by_path(every)
    longest_s = float(every.rtt_s.max()) if len(every.rtt_s) else None
    epsilon_s, worst_pair = _epsilon(clusters)
    fsync_s, disk = _fsync(fsyncs)
    owners: dict[str, str | None] = {
        "epsilon_s": worst_pair,
        "pause_max_s": _longest_pause(pauses),
        "fsync_p99_s": disk,
    }
    owners["silence"] = owners["pause_max_s"]
    if longest_s is not None:
        owners["silence"] = next((use["binding"] for use in uses if use["use"] == "heartbeat"), None)
        owners |= dict.fromkeys(("reply", "reply_s", "rtt_max_s", "one_way_s"), binding(every, pauses))
        owners |= _worst(every, {"rtt_mean_max_s": means_s, "rtt_p99_s": p99s_s})
    if len(connects.rtt_s):
        owners |= dict.fromkeys(("connect", "connect_s"), binding(connects, pauses))
    return Measured(
        rtt_p99_s=_greatest(p99s_s),
        rtt_max_s=longest_s,
        rtt_mean_max_s=_greatest(means_s),
        # No way takes longer than there and back.
        one_way_s=longest_s,
        pause_max_s=holder.longest_s,
        fsync_p99_s=fsync_s,
        epsilon_s=epsilon_s,
        reply_s=_timeout_s(uses, "request"),
        connect_s=_timeout_s(uses, "connect"),
        silence=silence_stream(record, pauses, holder, false_per_month),
        reply=reply_stream(every, false_per_month),
        connect=reply_stream(connects, false_per_month),
        owners={name: owner for name, owner in owners.items() if owner is not None},
    )


def _by_path(every: Operations) -> tuple[list[float], list[float]]:
    """Each path's mean and 99th percentile, NaN where too few replied."""
    if every.unlisted is not None:
        return (
            [each.mean_s if each.total >= _LEAST_FOR_MEAN else math.nan for each in every.unlisted.delays],
            [
                each.quantile_s(0.99) if each.total >= _LEAST_FOR_P99 else math.nan
                for each in every.unlisted.delays
            ],
        )
    means: list[float] = []
    p99s: list[float] = []
    for index in range(len(every.paths)):
        own = every.rtt_s[every.path == index]
        means.append(float(own.mean()) if len(own) >= _LEAST_FOR_MEAN else math.nan)
        p99s.append(float(np.quantile(own, 0.99)) if len(own) >= _LEAST_FOR_P99 else math.nan)
    return means, p99s


def _greatest(values: Sequence[float]) -> float | None:
    return float(np.nanmax(values)) if np.isfinite(values).any() else None


def _worst(every: Operations, values: Mapping[str, Sequence[float]]) -> dict[str, str]:
    return {
        name: str(every.paths[int(np.nanargmax(each))])
        for name, each in values.items()
        if np.isfinite(each).any()
    }


def _longest_pause(pauses: Columns) -> str | None:
    """Whose the longest pause was."""
    least_s = lengths_s(pauses)
    if not np.isfinite(least_s).any():
        return None
    row = int(np.nanargmax(least_s))
    return f"pause:{pauses.tags['cause'][row]}@{pauses.tags['node'][row]}"


def _fsync(fsyncs: Iterable[Series]) -> tuple[float | None, str | None]:
    """The worst disk's 99th percentile; what hung counts with how long it had hung."""
    worst: tuple[float, str] | None = None
    for each in fsyncs:
        lasted_s = each.fields["duration_seconds"]
        own = lasted_s[(each.fields["outcome"] != FsyncOutcome.FAILED) & np.isfinite(lasted_s)]
        if len(own) >= _LEAST_FOR_P99:
            p99_s = float(np.quantile(own, 0.99))
            if worst is None or p99_s > worst[0]:
                node, disk = each.key
                worst = (p99_s, f"disk:{disk}@{node}")
    return worst or (None, None)


def _epsilon(clusters: Sequence[Mapping[str, Any]]) -> tuple[float | None, str | None]:
    """The worst cluster's ε: whichever one node may lie where that is proven, else when all is true.

    None where any cluster's is not proven: its products cannot be told from the others.
    """
    worst: tuple[float, str] | None = None
    for cluster in clusters:
        robust = cluster.get("epsilon_k_s")
        epsilon_s = cluster.get("epsilon_s") if robust is None else robust
        if epsilon_s is None:
            return None, None
        pair = cluster.get("worst_pair") if robust is None else cluster.get("worst_pair_k")
        if worst is None or epsilon_s > worst[0]:
            worst = (float(epsilon_s), f"clocks:{','.join(pair or ())}@{cluster.get('cluster')}")
    return worst or (None, None)


def _timeout_s(uses: Sequence[Mapping[str, Any]], name: str) -> float | None:
    return next((use["timeout_s"] for use in uses if use["use"] == name), None)
