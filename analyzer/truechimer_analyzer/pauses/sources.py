"""Pauses per source: how often, how long, why, for how long it was watched, and what others feel of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import Cause
from truechimer.samples import MEASUREMENTS
from truechimer_analyzer.pauses import felt, plausible
from truechimer_analyzer.pauses.exposure import Watched, watched
from truechimer_analyzer.pauses.lengths import Lengths
from truechimer_analyzer.pauses.missing import is_row_lost
from truechimer_analyzer.pauses.told import greatest, told_by
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
LONGEST = 10
TIMELINE = 500
# Who sleeps to deadlines and sees how late it wakes: its lengths lack what was left of the interval.
METERED = frozenset({"host", "disk"})
# Whose threshold the rows of runtimes have as well.
NODES = frozenset({"host"})
# Who is watched from the kernel's counters: each wait counts, however short. A program that tells its own
# pauses may be of no known runtime: its windows have no upper figure, because it knows each.
COUNTS_WAITS = frozenset({"process"})
# Whose windows are of 10 s and add up the time of all programs of the name.
TOLD_BY_PROGRAMS = frozenset({"cpython", "node", "process"})
TOLD_EVERY_S = 10.0

UNWATCHED = (
    "nobody was looking: no window of observation of this source, so no rate and no share of time can be told"
)


def describe(
    pauses: Columns,
    windows: Columns,
    window: Window,
    wish: felt.Wish | None = None,
    source: str | None = None,
) -> list[dict[str, object]]:
    """One dict per (cluster, node, source, runtime), as the contract's ``pauses`` has them.

    ``pauses`` are rows of truechimer_pause with ``FIELDS``, ``windows`` rows of truechimer_pause_window
    with ``WINDOW_FIELDS``, of the hosts' meters too where only one ``source`` is described: they tell the
    nodes' thresholds. A source that was never watched has ``observed_s`` 0, no rate, and says so in
    ``refused``.
    """
    recorded = dict(groups(*_keys(pauses)))
    seen = dict(groups(*_keys(windows)))
    none = np.zeros(0, dtype=np.intp)
    thresholds_s = {
        key[:2]: greatest(plausible.seconds(windows.fields["threshold_seconds"][rows]))
        for key, rows in seen.items()
        if key[3] in NODES
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
        if source is None or key[2] == source
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
        self.rows = rows[plausible.seconds(pauses.fields["duration_seconds"][rows]) > 0]
        self.told = told_by(windows, watched_rows)
        by_programs = key[3] in TOLD_BY_PROGRAMS and self.told.interval_s is None
        reach_s = TOLD_EVERY_S if by_programs else np.inf
        self.watched: Watched = watched(windows, watched_rows, window, reach_s)
        causes = set(pauses.tags["cause"][self.rows].tolist())
        tells_itself = causes == {Cause.GC.value} and not self.told.has_uppers
        self.counts_waits = key[3] in COUNTS_WAITS and not tells_itself
        # A runtime's windows count every stop; rows are of those above the node's threshold.
        self.recorded_from_s = self.told.recorded_from_s or threshold_s
        self.metered_s = self._interval_s() if key[3] in METERED else 0.0
        self.lengths = self._lengths(self.rows)

    def _interval_s(self) -> float:
        own = plausible.seconds(self.pauses.fields["interval_seconds"][self.rows])
        own = own[own > 0]
        return float(np.median(own)) if len(own) else (self.told.interval_s or 0.0)

    def _lengths(self, rows: NDArray[np.intp]) -> Lengths:
        counts = plausible.counts(self.pauses.fields["pauses"][rows])
        # What the windows say of the longest holds for what lies in them.
        covered = self.watched.covers(self.pauses.time_ns[rows])
        return Lengths.of(
            self.pauses.fields["duration_seconds"][rows],
            np.where(np.isfinite(counts), counts, 1.0),
            np.where(covered, self.told.longest_upper_s or np.inf, np.inf),
            self.metered_s,
            counts_at_most=self.counts_waits,
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
            "count_of": "waits" if self.counts_waits else "pauses",
            "recorded": round(self.lengths.count),
            "not_seen_singly": round(float(self.lengths.pauses[self.lengths.pauses > 1].sum())),
            "total_s": total_s + float(outside.total_s.sum()),
            "per_hour": count * 3600 / observed_s if observed_s > 0 else None,
            "paused_ratio": min(1.0, total_s / observed_s)
            if observed_s > 0 and not self.counts_waits
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
        found = [
            self.lengths.longest_s(),
            *[(least, (most or least) + self.metered_s) for least, most in told if least],
        ]
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
        if missing >= 1 and missing_s > 0 and not self.counts_waits:
            inside = inside.with_sum(missing_s, missing, self._missing_cap_s(missing_s / missing))
        least_s, most_s = felt.residual_s(inside, observed_s)
        return {
            "residual_p999_s": least_s,
            # Shorter pauses than the threshold are not recorded, and may be what is met so often.
            "residual_p999_upper_s": max(most_s, threshold_s or 0.0),
            "residual": felt.residual(inside, observed_s),
            "felt": felt.felt(inside, observed_s, threshold_s, self.wish),
        }

    def _missing_cap_s(self, mean_s: float) -> float:
        """How long a pause may be that is counted and not recorded, ``mean_s`` on average.

        Of a meter it was lost on the way; of a runtime it was too short to be recorded, unless a window
        shows that a row was lost.
        """
        longest_s, recorded_s = self.told.longest_upper_s or np.inf, self.recorded_from_s
        if self.told.recorded_from_s or not recorded_s or mean_s > recorded_s:
            return longest_s
        begin_ns, total_s = self.pauses.time_ns[self.rows], self.lengths.total_s
        return longest_s if is_row_lost(self.told.longest, begin_ns, total_s, recorded_s) else recorded_s

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


def _causes(causes: NDArray[np.object_], pauses: NDArray[np.float64]) -> dict[str, int]:
    counted = {name: round(float(pauses[rows].sum())) for (name,), rows in groups(causes)}
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
