"""From delays to the document of ``timeouts``: the smallest timeout that keeps its promise, or a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from truechimer.errors import NotEnough
from truechimer_analyzer.refused import TimeoutsRefused
from truechimer_analyzer.timeouts import hedge, liveness, use
from truechimer_analyzer.timeouts.backtest import backtest
from truechimer_analyzer.timeouts.binding import lengths_s
from truechimer_analyzer.timeouts.tail import round_up
from truechimer_analyzer.timeouts.use import Kind, Wish, tail_of

if TYPE_CHECKING:
    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.timeouts.holder import Holder
    from truechimer_analyzer.timeouts.operations import Operations
    from truechimer_analyzer.timeouts.record import Record
    from truechimer_analyzer.timeouts.tail import Tail
    from truechimer_analyzer.window import Question

FRONTIER_POINTS = 60
REQUEST, CONNECT = Kind("request"), Kind("connect")

ASSUMPTIONS = (
    "the future resembles the window that was measured; no mechanism that has not shown itself is covered",
    "one stream runs at rate_hz, spread over the paths as the probes were: its upper meets what was asked",
    "a stream that keeps to one path is bounded by worst_path_upper, whichever path it is: that may be more",
    "slow replies come together, in runs of 10 s (or 3 gaps) and longer: n_eff = operations / design effect",
    "a lost operation is a true timeout of request, connect, hedge, counted apart; refusals answer at once",
    "to who watches a peer by its heartbeats, a run of losses from a live peer is a false alarm",
    "heartbeats are judged at their interval_s, never oftener than was probed; pauses of either end count",
    "probes timed in user space already contain the prober's own pauses; own stalls are left out",
    "nothing is extrapolated beyond the longest delay seen; upper bounds are one-sided, 95 %",
)


_PROBE = "let the agents probe (mesh, [[probe]] of kind tcp or icmp) for a while, or widen --since"
_PAUSES_ALONE = "nobody probed: what the network delays and loses is in none of these figures"


def advise(record: Record, pauses: Columns, holder: Holder, question: Question) -> dict[str, object]:
    """The contract's ``timeouts`` from probes, rows of truechimer_pause, and how often nodes stop.

    Without ``false_per_month`` and with ``detect_within``, the timeout is what notices a failure within that
    time, and the answer is what it costs. Raises NotEnough when nothing was measured, TimeoutsRefused when
    every use is refused.
    """
    every = record.every
    if not every.count and not any(every.others.values()):
        return _of_pauses(record, pauses, holder, question)
    rate_hz = question.rate_hz or every.rate_hz
    if not len(every.rtt_s) or rate_hz is None:
        raise NotEnough(_missing(every), hint=_PROBE)
    wish = Wish(question.false_per_month, question.detect_within_s, rate_hz)
    tail = tail_of(every)
    uses = [use.describe(REQUEST, every, tail, pauses, wish)]
    if len(record.connects.rtt_s):
        uses.append(use.describe(CONNECT, record.connects, tail_of(record.connects), pauses, wish))
    uses += liveness.uses(record, pauses, holder, wish, question.heartbeat_s)
    promised = list(uses)
    uses.append(hedge.describe(every, tail, pauses, wish))
    document: dict[str, object] = {
        "evidence": {
            "paths": len(every.paths),
            "samples": every.count,
            "span_s": every.span_s,
            "lost": len(every.lost_s),
            **every.others,
            "max_rtt_s": float(every.rtt_s.max()),
            "max_pause_s": _longest_pause_s(pauses),
            "n_eff": tail.n_eff,
            "mean_cluster": tail.cluster_size,
            "rate_hz": rate_hz,
            "supported_exceedance": tail.supported_exceedance,
        },
        "asked": _asked(wish, question),
        "uses": uses,
        "frontier": _frontier(tail, wish),
        "products": [],
        "backtest": backtest(every, record.streams, wish.target, wish.per_month),
        "assumptions": list(ASSUMPTIONS),
    }
    _refuse_if_empty(promised, document)
    return document


def _of_pauses(record: Record, pauses: Columns, holder: Holder, question: Question) -> dict[str, object]:
    """Where nobody probed: what pauses alone ask of the uses that watch a peer by its heartbeats."""
    wish = Wish(question.false_per_month, question.detect_within_s, question.rate_hz or 1.0)
    uses = liveness.uses(record, pauses, holder, wish, question.heartbeat_s)
    if not uses:
        raise NotEnough(_missing(record.every), hint=_PROBE)
    document: dict[str, object] = {
        "evidence": {
            "paths": 0,
            "samples": 0,
            "span_s": holder.observed_s,
            "lost": 0,
            "max_rtt_s": None,
            "max_pause_s": _longest_pause_s(pauses),
            "n_eff": uses[0]["evidence"]["n_eff"],  # type: ignore[index]
            "rate_hz": None,
            "supported_exceedance": uses[0]["evidence"]["supported_exceedance"],  # type: ignore[index]
        },
        "asked": _asked(wish, question),
        "uses": uses,
        "frontier": [],
        "products": [],
        "backtest": [],
        "assumptions": [_PAUSES_ALONE, *ASSUMPTIONS],
    }
    _refuse_if_empty(uses, document)
    return document


def _asked(wish: Wish, question: Question) -> dict[str, object]:
    return {
        "false_per_month": wish.target * wish.per_month,
        "detect_within_s": wish.detect_within_s,
        "heartbeat_s": question.heartbeat_s,
    }


def _longest_pause_s(pauses: Columns) -> float | None:
    pauses_s = lengths_s(pauses)
    return float(np.nanmax(pauses_s)) if np.isfinite(pauses_s).any() else None


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
        return f"{every.count} probes in this window and {every.replies} replies: no delay can be told"
    counted = ", ".join(f"{count} {name}" for name, count in every.others.items() if count)
    return f"no probe of this window waited for a reply ({counted or 'none was made'})"


def _frontier(tail: Tail, wish: Wish) -> list[dict[str, object]]:
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
