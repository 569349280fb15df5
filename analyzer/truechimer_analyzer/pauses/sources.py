"""Pauses per source: how often, how long, why, for how long it was watched, and what others feel of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer.samples import MEASUREMENTS
from truechimer_analyzer.pauses import felt
from truechimer_analyzer.pauses.exposure import Watched, watched
from truechimer_analyzer.pauses.lengths import Lengths
from truechimer_analyzer.window import groups, iso, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.window import Window

_OTHERWISE_TOLD = frozenset({"duration_seconds", "confidence_ratio", "pauses", "steady_seconds", "epoch"})
EVIDENCE = tuple(
    field.name for field in MEASUREMENTS["truechimer_pause"].fields if field.name not in _OTHERWISE_TOLD
)
FIELDS = ("duration_seconds", "confidence_ratio", "pauses", *EVIDENCE)
WINDOW_FIELDS = tuple(field.name for field in MEASUREMENTS["truechimer_pause_window"].fields)
LONGEST = 10
TIMELINE = 500
# Who sleeps to deadlines and sees how late it wakes: its lengths lack what was left of the interval.
METERED = frozenset({"host"})
# Who is watched from the kernel's counters: each wait counts, however short.
COUNTS_WAITS = frozenset({"process"})

UNWATCHED = (
    "nobody was looking: no window of observation of this source, so no rate and no share of time can be told"
)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the windows of one source say of the whole: exact, whatever became of single pauses."""

    count: float
    total_s: float
    longest_s: float | None
    longest_upper_s: float | None
    threshold_s: float | None
    interval_s: float | None
    worst_lateness_s: float | None


def describe(
    pauses: Columns, windows: Columns, window: Window, wish: felt.Wish | None = None
) -> list[dict[str, object]]:
    """One dict per (cluster, node, source, runtime), as the contract's ``pauses`` has them.

    ``pauses`` are rows of truechimer_pause with ``FIELDS``, ``windows`` rows of truechimer_pause_window
    with ``WINDOW_FIELDS``. A source that was never watched has ``observed_s`` 0, no rate, and says so in
    ``refused``.
    """
    recorded = dict(groups(*_keys(pauses)))
    seen = dict(groups(*_keys(windows)))
    none = np.zeros(0, dtype=np.intp)
    thresholds_s = {
        key[:2]: _last_finite(windows.fields["threshold_seconds"][rows])
        for key, rows in seen.items()
        if key[3] in METERED
    }
    return [
        _Source(
            key,
            pauses,
            recorded.get(key, none),
            windows,
            seen.get(key, none),
            window,
            wish or felt.Wish(),
            thresholds_s.get(key[:2]),
        ).document()
        for key in sorted(recorded.keys() | seen.keys())
    ]


def _keys(columns: Columns) -> tuple[NDArray[np.object_], ...]:
    tags = columns.tags
    return tags["cluster"], tags["node"], tags["source"], tags["runtime"]


class _Source:
    """One source's rows, in time order, with what its windows say."""

    def __init__(
        self,
        key: tuple[str, ...],
        pauses: Columns,
        rows: NDArray[np.intp],
        windows: Columns,
        watched_rows: NDArray[np.intp],
        window: Window,
        wish: felt.Wish,
        threshold_s: float | None,
    ) -> None:
        self.key, self.pauses, self.window, self.wish = key, pauses, window, wish
        rows = rows[np.argsort(pauses.time_ns[rows], kind="stable")]
        lengths_s = pauses.fields["duration_seconds"][rows]
        self.rows = rows[np.isfinite(lengths_s) & (lengths_s > 0)]
        self.watched: Watched = watched(windows, watched_rows, window)
        self.told = _told(windows, watched_rows)
        # A runtime's windows count every stop; rows are of those above the node's threshold.
        self.recorded_from_s = self.told.threshold_s or threshold_s
        self.metered_s = self._interval_s() if key[3] in METERED else 0.0
        self.lengths = self._lengths(self.rows)

    def _interval_s(self) -> float:
        own = self.pauses.fields["interval_seconds"][self.rows]
        own = own[np.isfinite(own) & (own > 0)]
        return float(np.median(own)) if len(own) else (self.told.interval_s or 0.0)

    def _lengths(self, rows: NDArray[np.intp]) -> Lengths:
        counts = self.pauses.fields["pauses"][rows]
        # What the windows say of the longest holds for what lies in them.
        covered = self.watched.covers(self.pauses.time_ns[rows])
        return Lengths.of(
            self.pauses.fields["duration_seconds"][rows],
            np.where(np.isfinite(counts), counts, 1.0),
            np.where(covered, self.told.longest_upper_s or np.inf, np.inf),
            self.metered_s,
        )

    def document(self) -> dict[str, object]:
        """As the contract has it, with what it rests on."""
        cluster, node, source, runtime = self.key
        told, observed_s = self.told, self.watched.observed_s
        covered = self.watched.covers(self.pauses.time_ns[self.rows])
        inside, outside = self.lengths.where(covered), self.lengths.where(~covered)
        count = max(told.count, inside.count)
        total_s = max(told.total_s, float(inside.total_s.sum()))
        longest = self._longest()
        found = self.lengths.quantiles()
        return {
            "cluster": cluster,
            "node": node,
            "source": source,
            "runtime": runtime,
            **self.watched.document(self.window),
            "refused": None if observed_s > 0 else {"reason": UNWATCHED},
            "count": round(count + outside.count),
            "count_of": "waits" if runtime in COUNTS_WAITS else "pauses",
            "recorded": round(self.lengths.count),
            "not_seen_singly": round(float(self.lengths.pauses[self.lengths.pauses > 1].sum())),
            "total_s": total_s + float(outside.total_s.sum()),
            "per_hour": count * 3600 / observed_s if observed_s > 0 else None,
            "paused_ratio": min(1.0, total_s / observed_s)
            if observed_s > 0 and runtime not in COUNTS_WAITS
            else None,
            **found,
            **self._uppers(),
            "max_s": None if longest is None else longest[0],
            "max_upper_s": None if longest is None else longest[1],
            "threshold_s": told.threshold_s,
            "interval_s": told.interval_s or self.metered_s or None,
            "short_by_up_to_s": self.metered_s,
            "worst_lateness_s": told.worst_lateness_s,
            **self._felt(inside, count - inside.count, total_s - float(inside.total_s.sum())),
            "causes": _causes(self.pauses.tags["cause"][self.rows], self.lengths.pauses),
            "by_cause": self._by_cause(),
            "curve": self.lengths.curve(),
            "longest": [self._pause(int(at)) for at in self._by_length()],
            "timeline": [self._pause(at) for at in range(max(0, len(self.rows) - TIMELINE), len(self.rows))],
        }

    def _longest(self) -> tuple[float, float] | None:
        """The longest pause: no shorter and no longer than this."""
        told = [(self.told.longest_s, self.told.longest_upper_s)] if self.told.count else []
        found = [self.lengths.longest_s(), *[(least, most or least) for least, most in told if least]]
        ends = [pair for pair in found if pair is not None]
        return (max(pair[0] for pair in ends), max(pair[1] for pair in ends)) if ends else None

    def _uppers(self) -> dict[str, float | None]:
        uppers = self.lengths.quantiles_upper()
        return {name.replace("_s", "_upper_s"): value for name, value in uppers.items()}

    def _felt(self, inside: Lengths, missing: float, missing_s: float) -> dict[str, object]:
        """What others feel; what the windows count beyond the recorded pauses is a sum as well."""
        observed_s, threshold_s = self.watched.observed_s, self.recorded_from_s
        if observed_s <= 0:
            return {"residual_p999_s": None, "residual_p999_upper_s": None, "residual": None, "felt": []}
        if missing >= 1 and missing_s > 0 and self.key[3] not in COUNTS_WAITS:
            inside = inside.with_sum(missing_s, missing, self._missing_cap_s())
        least_s, most_s = felt.residual_s(inside, observed_s)
        return {
            "residual_p999_s": least_s,
            # Shorter pauses than the threshold are not recorded, and may be what is met so often.
            "residual_p999_upper_s": max(most_s, threshold_s or 0.0),
            "residual": felt.residual(inside, observed_s),
            "felt": felt.felt(inside, observed_s, threshold_s, self.wish),
        }

    def _missing_cap_s(self) -> float:
        """How long a pause may be that is counted and not recorded.

        Of a meter it was lost on the way; of a runtime it was too short to be recorded.
        """
        if self.metered_s:
            return self.told.longest_s or np.inf
        caps_s = (self.told.longest_upper_s, None if self.told.threshold_s else self.recorded_from_s)
        return min((cap_s for cap_s in caps_s if cap_s), default=np.inf)

    def _by_cause(self) -> dict[str, dict[str, object]]:
        documents: dict[str, dict[str, object]] = {}
        for (cause,), at in groups(self.pauses.tags["cause"][self.rows]):
            mine = self._lengths(self.rows[at])
            longest = mine.longest_s()
            assert longest is not None
            documents[cause] = {
                "count": round(mine.count),
                "total_s": float(mine.total_s.sum()),
                **mine.quantiles(),
                "max_s": longest[0],
                "max_upper_s": longest[1],
            }
        return dict(sorted(documents.items(), key=lambda item: -float(str(item[1]["total_s"]))))

    def _by_length(self) -> NDArray[np.intp]:
        return np.argsort(-self.lengths.mean_s, kind="stable")[:LONGEST]

    def _pause(self, at: int) -> dict[str, object]:
        """One row; ``duration_s`` of a sum is its mean, as long as its longest at least."""
        pauses, row = self.pauses, int(self.rows[at])
        evidence = {name: number(pauses.fields[name][row]) for name in EVIDENCE}
        count = round(float(self.lengths.pauses[at]))
        document: dict[str, object] = {
            "at": iso(int(pauses.time_ns[row])),
            "duration_s": float(self.lengths.mean_s[at]),
            "upper_s": float(self.lengths.cap_s[at]) + (self.metered_s if count == 1 else 0.0),
            "cause": str(pauses.tags["cause"][row]),
            "confidence": number(pauses.fields["confidence_ratio"][row]),
            "evidence": {name: value for name, value in evidence.items() if value is not None},
        }
        if count > 1:
            document |= {"pauses": count, "sum_s": float(self.lengths.total_s[at])}
        return document


def _told(windows: Columns, rows: NDArray[np.intp]) -> _Told:
    fields = {name: windows.fields[name][rows] for name in WINDOW_FIELDS}
    counts, longest_s = fields["count"], fields["max_seconds"]
    paused = np.isfinite(counts) & (counts > 0)
    upper_s = fields["max_upper_seconds"]
    if np.isfinite(upper_s).any():
        # A window without an upper figure of its own saw each of its pauses singly.
        upper_s = np.where(np.isfinite(upper_s), upper_s, longest_s)
    return _Told(
        count=float(np.nansum(counts)),
        total_s=float(np.nansum(fields["total_seconds"])),
        longest_s=_greatest(longest_s[paused]),
        longest_upper_s=_greatest(upper_s[paused]),
        threshold_s=_last_finite(fields["threshold_seconds"]),
        interval_s=_last_finite(fields["interval_seconds"]),
        worst_lateness_s=_greatest(longest_s),
    )


def _causes(causes: NDArray[np.object_], pauses: NDArray[np.float64]) -> dict[str, int]:
    counted = {name: round(float(pauses[rows].sum())) for (name,), rows in groups(causes)}
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _greatest(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if len(finite) else None


def _last_finite(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else None
