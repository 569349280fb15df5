"""Timeouts as Markdown: what each use should be, what that costs, and what was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from truechimer.errors import NotEnough
from truechimer_analyzer.report import products
from truechimer_analyzer.report.blocks import escaped, listed, table
from truechimer_analyzer.report.figures import count, length
from truechimer_analyzer.report.plots import frontier
from truechimer_analyzer.timeouts import ASSUMPTIONS, TimeoutsRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from truechimer_analyzer.report.blocks import Block

Document = dict[str, Any]


def section(timeouts: Mapping[str, Any] | NotEnough) -> Iterator[Block]:
    """The blocks of the document of ``timeouts``, or of the refusal that was raised instead."""
    if not isinstance(timeouts, NotEnough):
        yield from _advised(timeouts)
        return
    yield f"**Refused**: {escaped(timeouts)}."
    if isinstance(timeouts, TimeoutsRefused):
        yield from _advised(timeouts.document)


def assumptions(timeouts: Mapping[str, Any] | NotEnough) -> Sequence[str]:
    """What the advice rests on."""
    document = getattr(timeouts, "document", None) if isinstance(timeouts, NotEnough) else timeouts
    told: Sequence[str] = (document or {}).get("assumptions") or ASSUMPTIONS
    return told


def _advised(timeouts: Mapping[str, Any]) -> Iterator[Block]:
    if timeouts["uses"]:
        yield _evidence(timeouts)
        yield from _uses(timeouts["uses"])
    plot = frontier(timeouts)
    if plot:
        yield plot
    yield from products.section(timeouts.get("products") or [])
    if timeouts.get("backtest"):
        yield "### Judged by what followed"
        yield from _backtest(timeouts["backtest"])


def _evidence(timeouts: Mapping[str, Any]) -> str:
    evidence, asked = timeouts["evidence"], f"{timeouts['asked']['false_per_month']:g} false timeouts a month"
    if evidence["rate_hz"] is None:
        return f"From pauses alone, watched for {length(evidence['span_s'])}; asked for at most {asked}."
    return (
        f"From {count(evidence['samples'], 'operation')} on {count(evidence['paths'], 'path')} over "
        f"{length(evidence['span_s'])} ({evidence['lost']} lost), worth {evidence['n_eff']:.0f} "
        f"independent ones; a month is 30 days at {evidence['rate_hz']:.3g} operations a second; asked "
        f"for at most {asked}."
    )


def _uses(uses: Sequence[Document]) -> Iterator[str]:
    yield table(
        (
            "use",
            "timeout",
            "noticed after",
            "false a month",
            "at most (95 %)",
            "binding",
            "strictest supported",
        ),
        [_use(use) for use in uses],
    )
    refusals = [
        f"{escaped(use['use'])}: {escaped(use['refused']['reason'])}" for use in uses if use["refused"]
    ]
    yield listed([*refusals, *(_lease(use) for use in uses if use.get("safety"))])


def _backtest(trials: Sequence[Document]) -> Iterator[str]:
    yield "Each fifth of the window, judged by what the time before it advised:"
    yield table(
        ("detector", "of", "operations", "mistakes", "a month", "at most foreseen", "worst hour"),
        [
            (
                escaped(trial["detector"]) + (" (fitted)" if trial["fitted"] else ""),
                f"{trial['form']}s",
                str(trial["operations"]),
                str(trial["mistakes"]),
                f"{trial['mistakes_per_month']:.3g}",
                f"{trial['predicted_upper_per_month']:.3g}",
                trial["worst_window"] or "–",
            )
            for trial in trials
        ],
    )


def _lease(use: Document) -> str:
    """What no lease promises."""
    safety = use["safety"]
    of_guard = safety["violations_per_node_year"]
    told = (
        "nobody watched for pauses: how often a holder stops for longer is not known"
        if of_guard is None
        else f"a holder stopped for longer {of_guard['estimate']:.2g} times a node-year, "
        f"{of_guard['upper']:.2g} at most"
    )
    return (
        f"{escaped(use['use'])}: guard {length(safety['guard_s'])}, usable for {length(safety['usable_s'])} "
        f"by the holder's own clock; {told}; {escaped(safety['fencing'])}"
    )


def _use(use: Document) -> tuple[str, ...]:
    false = use["false_per_month"]
    noticed = use["detection_s"]
    supported = use["strictest_supported"]
    return (
        escaped(use["use"]),
        "refused" if use["timeout_s"] is None else length(use["timeout_s"]),
        "–" if noticed is None else f"{length(noticed['min'])} to {length(noticed['max'])}",
        "–" if false is None else f"{false['estimate']:.3g}",
        "–" if false is None else f"{false['upper']:.3g}",
        escaped(use["binding"]),
        "–"
        if supported is None
        else f"{length(supported['timeout_s'])} at {supported['false_per_month']:.3g} a month",
    )
