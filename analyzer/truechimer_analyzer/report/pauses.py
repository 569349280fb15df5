"""Pauses as Markdown: sources with exposure, what others feel, the longest, processes, heaps, disks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from truechimer_analyzer.report.blocks import escaped, listed, table
from truechimer_analyzer.report.figures import UNKNOWN, count, length
from truechimer_analyzer.report.plots import Line, percentiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from truechimer_analyzer.report.blocks import Block, Plot

Document = dict[str, Any]
ASSUMPTIONS = (
    "only what is above the threshold is a pause; of what is below it nothing is said",
    "a meter sees a pause short by anything up to its interval; deadlines slept through make up for it",
    "pauses that were not seen singly are a sum: the longest lies between its mean and itself",
    "time in which nobody looked is in no rate; the future resembles what was watched",
)
LONGEST = 5
# Limits that the report tells of; the answer has more.
_LIMITS_S = frozenset({0.1, 1.0, 5.0})
_DAY_S = 86_400


def section(pauses: Mapping[str, Any]) -> Iterator[Block]:
    """The blocks of the document of ``pauses``."""
    sources: list[Document] = pauses["sources"]
    if not sources:
        yield "Nobody was looking: no meter reported in this window."
    else:
        yield from _sources(sources)
        if plot := _plot(sources):
            yield plot
        yield from _felt(sources, pauses["asked"])
        yield from _longest(sources)
    yield from _processes(pauses["processes"])
    yield from _heaps(pauses["heaps"])
    yield from _disks(pauses["disks"])


def _name(of: Document, what: str = "source") -> str:
    return f"{escaped(of['node'])}: {escaped(of[what])}"


def _sources(sources: list[Document]) -> Iterator[str]:
    heads = ("source", "observed", "pauses", "an hour", "p50", "p99", "p99.9", "longest")
    yield table(
        (*heads, "a request waits (p99.9)", "causes"),
        [
            (
                _name(source),
                length(source["observed_s"]),
                f"{source['count']}{' waits' if source['count_of'] == 'waits' else ''}",
                _rate(source["per_hour"]),
                *(_between(source, name) for name in ("p50", "p99", "p999", "max", "residual_p999")),
                ", ".join(f"{escaped(cause)} {number}" for cause, number in source["causes"].items())
                or UNKNOWN,
            )
            for source in sources
        ],
    )
    yield listed(_doubts(sources))


def _plot(sources: list[Document]) -> Plot | None:
    lines = [
        Line(
            f"{source['node']}: {source['source']}: {_exposed(source)}",
            tuple((point["exceedance"], point["duration_s"]) for point in source["curve"]),
            source["count"],
        )
        for source in sources
        if source.get("curve")
    ]
    caption = "Pauses of each source by percentile; those that were not seen singly count as their mean."
    return percentiles(lines, "pauses", "pause", caption, "sources")


def _exposed(source: Document) -> str:
    pauses = count(source["count"], "wait" if source["count_of"] == "waits" else "pause")
    if not source["observed_s"]:
        return f"{pauses}, nobody was looking"
    return f"{pauses}, watched for {length(source['observed_s'])}"


def _doubts(sources: list[Document]) -> Iterator[str]:
    for source in sources:
        if source["refused"]:
            yield f"**{_name(source)}: refused**: {escaped(source['refused']['reason'])}"
        elif source["state"] != "watched":
            yield f"**{_name(source)}: unknown**, nobody has looked for {length(source['last_watched_s'])}"
        if source["observed_s"] > 0 and source["unwatched_s"] > 0:
            yield f"{_name(source)}: unwatched for {length(source['unwatched_s'])} of the window"
        if source["not_seen_singly"]:
            yield f"{_name(source)}: {source['not_seen_singly']} pauses were not seen singly"


def _between(source: Document, name: str) -> str:
    """A length, or both ends of what is known of it."""
    least, most = source[f"{name}_s"], source[f"{name}_upper_s"]
    told = name == "residual_p999" or source["not_seen_singly"]
    if least is None or most is None or not told or most <= least * 1.01:
        return length(least)
    return f"{length(least)} … {length(most)}"


def _rate(per_hour: float | None) -> str:
    return UNKNOWN if per_hour is None else f"{per_hour:.3g}"


def _felt(sources: list[Document], asked: Document) -> Iterator[str]:
    rows = [
        (
            _name(source),
            length(row["limit_s"]),
            f"{row['arrival_upper']:.2g}",
            UNKNOWN if row["staying_upper"] is None else f"{row['staying_upper']:.2g}",
            UNKNOWN
            if row["false_suspicions_upper_hz"] is None
            else f"{row['false_suspicions_upper_hz'] * _DAY_S:.2g}",
        )
        for source in sources
        for row in source["felt"]
        if row["limit_s"] in _LIMITS_S and (row["arrival_upper"] > 0 or row["staying_upper"])
    ]
    if rows:
        yield "What others feel, at most:"
        stay, heartbeat = length(asked["stay_s"]), length(asked["heartbeat_s"])
        heads = ("source", "longer than", "share of arrivals", f"of stays of {stay}")
        yield table((*heads, f"false alarms a day of {heartbeat} heartbeats"), rows)


def _longest(sources: list[Document]) -> Iterator[str]:
    every = sorted(
        ((pause["duration_s"], source, pause) for source in sources for pause in source["longest"]),
        key=lambda item: -item[0],
    )[:LONGEST]
    if every:
        yield "The longest:"
        yield listed(
            f"{_lasted(pause)} of {_name(source)} at {pause['at']} "
            f"({escaped(pause['cause'])}{_sure(pause)}): "
            f"{escaped(_evidence(pause['evidence'])) or 'no evidence'}"
            for _, source, pause in every
        )


def _sure(pause: Document) -> str:
    return "" if pause["confidence"] is None else f", {pause['confidence']:.0%} sure"


def _lasted(pause: Document) -> str:
    if "pauses" not in pause:
        return length(pause["duration_s"])
    return f"{pause['pauses']} in {length(pause['sum_s'])}, on average {length(pause['duration_s'])},"


def _evidence(evidence: Mapping[str, float]) -> str:
    return ", ".join(
        f"{name.removesuffix('_seconds')} {length(value) if name.endswith('_seconds') else f'{value:g}'}"
        for name, value in evidence.items()
        if value
    )


def _processes(processes: list[Document]) -> Iterator[str]:
    if not processes:
        return
    yield "### Watched processes"
    yield table(
        ("process", "state", "now", "ran", "waited for a CPU", "one task at most", "throttled", "stopped"),
        [
            (
                _name(process),
                _state(process),
                _number(process["processes"]),
                length(process["run_s"]),
                f"{length(process['run_delay_s'])}{_share(process['run_delay_ratio'])}",
                *(length(process[name]) for name in ("run_delay_max_s", "throttled_s", "stopped_s")),
            )
            for process in processes
        ],
    )


def _heaps(heaps: list[Document]) -> Iterator[str]:
    if not heaps:
        return
    yield "### Heaps"
    yield table(
        ("process", "state", "old generation full", "at most", "warning"),
        [
            (
                _name(heap),
                _state(heap),
                *(_percent(heap[name]) for name in ("old_full_ratio", "old_full_ratio_max")),
                escaped((heap["warning"] or UNKNOWN).replace("_", " ")),
            )
            for heap in heaps
        ],
    )


def _disks(disks: list[Document]) -> Iterator[str]:
    if not disks:
        return
    yield "### Disks: write and fsync"
    yield table(
        ("disk", "state", "observed", "probes", "failed", "p50", "p99", "p99.9", "longest"),
        [
            (
                _name(disk, "disk"),
                _state(disk),
                length(disk["observed_s"]),
                str(disk["probes"]),
                str(disk["outcomes"]["failed"]),
                *(length(disk[name]) for name in ("p50_s", "p99_s", "p999_s", "max_s")),
            )
            for disk in disks
        ],
    )


def _state(of: Document) -> str:
    age_s = of["last_watched_s"]
    return "watched" if of["state"] == "watched" else f"**unknown** for {length(age_s)}"


def _share(ratio: float | None) -> str:
    return "" if ratio is None else f" ({_percent(ratio)} of what it wanted)"


def _percent(ratio: float | None) -> str:
    return UNKNOWN if ratio is None else f"{100 * ratio:.3g} %"


def _number(number: int | None) -> str:
    return UNKNOWN if number is None else str(number)
