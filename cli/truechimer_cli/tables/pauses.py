"""``truechimer pauses`` as tables: sources, what others feel, the longest, processes, heaps, disks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from truechimer_cli.amounts import UNKNOWN, count, seconds, text
from truechimer_cli.output import BAD, QUIET, UNSURE, table

if TYPE_CHECKING:
    from rich.console import RenderableType

_LONGEST = 10
_DAY_S = 86_400
_MIB = 1 << 20


def pause_tables(document: dict[str, Any]) -> list[RenderableType]:
    """One part each of what the document holds; parts that it lacks are left out."""
    sources = document.get("sources") or []
    parts: list[RenderableType] = [*_sources(sources), *_felt(document, sources), *_longest(sources)]
    parts += _processes(document.get("processes") or [])
    parts += _heaps(document.get("heaps") or [])
    parts += _disks(document.get("disks") or [])
    return parts[1:] if parts and parts[0] == "" else parts


def _sources(sources: list[dict[str, Any]]) -> list[RenderableType]:
    if not sources:
        return []
    watched = ("node", "source", "state", ">watched", ">unwatched", ">pauses", ">per hour")
    lengths = (">p50", ">p99", ">p99.9", ">longest", ">a request waits", "causes")
    parts: list[RenderableType] = ["", table("Pauses", (*watched, *lengths), map(_source, sources))]
    refused = [source for source in sources if source.get("refused")]
    parts += [
        Text(f"{_name(source)}: refused: {source['refused'].get('reason')}", style=UNSURE)
        for source in refused
    ]
    if any(source.get("count_of") == "waits" for source in sources):
        parts.append(Text("(w): waits for a CPU, however short, summed over the tasks", style=QUIET))
    if any(source.get("not_seen_singly") for source in sources):
        parts.append(Text("a … b: some were not seen singly; the longest lies between these", style=QUIET))
    return parts


def _name(source: dict[str, Any]) -> str:
    return f"{text(source.get('node'))}/{text(source.get('source'))}"


def _source(source: dict[str, Any]) -> list[RenderableType]:
    causes = source.get("causes") or {}
    waits = " (w)" if source.get("count_of") == "waits" else ""
    return [
        Text(text(source.get("node"))),
        _kind(source),
        _state(source),
        seconds(source.get("observed_s")),
        seconds(source.get("unwatched_s")),
        count(source.get("count")) + waits,
        count(source.get("per_hour")),
        *(_between(source, name) for name in ("p50", "p99", "p999", "max")),
        _between(source, "residual_p999"),
        Text(", ".join(f"{number}× {cause}" for cause, number in causes.items())),
    ]


def _kind(source: dict[str, Any]) -> Text:
    """A source with its runtime where that says more than its name."""
    name, runtime = text(source.get("source")), source.get("runtime")
    return Text(name if runtime in (None, "", name) else f"{name} ({runtime})")


def _state(of: dict[str, Any]) -> Text:
    """``watched``, or for how long nobody has been."""
    state, age_s = of.get("state"), of.get("last_watched_s")
    if state in (None, "watched"):
        return Text(text(state))
    return Text("never watched" if age_s is None else f"{state} for {seconds(age_s)}", style=BAD)


def _between(source: dict[str, Any], name: str) -> str:
    """A length, or both ends of what is known of it where pauses were not seen singly."""
    least, most = source.get(f"{name}_s"), source.get(f"{name}_upper_s")
    if least is None or most is None or not source.get("not_seen_singly") or most <= least * 1.01:
        return seconds(least)
    return f"{seconds(least)} … {seconds(most)}"


def _felt(document: dict[str, Any], sources: list[dict[str, Any]]) -> list[RenderableType]:
    """For each limit: who meets more of a pause than that."""
    rows: list[list[RenderableType]] = [
        [Text(text(source.get("node"))), _kind(source), seconds(row.get("limit_s")), *_shares(row)]
        for source in sources
        for row in source.get("felt") or []
        if any(row.get(name) for name in ("arrival_upper", "staying_upper", "false_suspicions_upper_hz"))
    ]
    if not rows:
        return []
    asked = document.get("asked") or {}
    stay, heartbeat = seconds(asked.get("stay_s")), seconds(asked.get("heartbeat_s"))
    heads = (
        ">longer than",
        ">an arrival",
        f">a stay of {stay}",
        f">false alarms a day of {heartbeat} heartbeats",
    )
    return ["", table("What others feel", ("node", "source", *heads), rows)]


def _shares(row: dict[str, Any]) -> list[str]:
    def both(name: str, unit: str = "", scale: float = 1.0) -> str:
        least, most = row.get(f"{name}{unit}"), row.get(f"{name}_upper{unit}")
        if least is None or most is None:
            return UNKNOWN
        low, high = f"{least * scale:.2g}", f"{most * scale:.2g}"
        return low if low == high else f"{low} … {high}"

    return [both("arrival"), both("staying"), both("false_suspicions", "_hz", _DAY_S)]


def _longest(sources: list[dict[str, Any]]) -> list[RenderableType]:
    every = [(source, pause) for source in sources for pause in source.get("longest") or []]
    every.sort(key=lambda pair: -(pair[1].get("duration_s") or 0.0))
    if not every:
        return []
    heads = ("node", "source", "at", ">duration", "cause", ">sure", "evidence")
    return ["", table("The longest", heads, [_pause(*pair) for pair in every[:_LONGEST]])]


def _pause(source: dict[str, Any], pause: dict[str, Any]) -> list[RenderableType]:
    evidence = pause.get("evidence") or {}
    confidence, together = pause.get("confidence"), pause.get("pauses")
    lasted = seconds(pause.get("duration_s"))
    if together:
        lasted = f"{together} in {seconds(pause.get('sum_s'))}, mean {lasted}"
    return [
        Text(text(source.get("node"))),
        _kind(source),
        text(pause.get("at")),
        lasted,
        Text(text(pause.get("cause"))),
        "–" if confidence is None else f"{confidence:.0%}",
        Text(", ".join(_fact(name, value) for name, value in evidence.items())),
    ]


def _fact(name: str, value: object) -> str:
    if name.endswith("_seconds") and isinstance(value, int | float):
        return f"{name.removesuffix('_seconds')} {seconds(float(value))}"
    return f"{name} {count(value) if isinstance(value, int | float) else text(value)}"


def _processes(processes: list[dict[str, Any]]) -> list[RenderableType]:
    if not processes:
        return []
    who = ("node", "process", "state", ">now", ">tasks", ">started", ">ended", ">watched")
    what = (">run", ">waited for a CPU", ">of wanted", ">one task", ">major faults", ">I/O", ">throttled")
    rows: list[list[RenderableType]] = [
        [
            Text(text(process.get("node"))),
            _kind(process),
            _state(process),
            Text(count(process.get("processes")), style="" if process.get("processes") else BAD),
            *(count(process.get(name)) for name in ("tasks", "started", "ended")),
            *(seconds(process.get(name)) for name in ("observed_s", "run_s", "run_delay_s")),
            _percent(process.get("run_delay_ratio")),
            seconds(process.get("run_delay_max_s")),
            count(process.get("major_faults")),
            *(seconds(process.get(name)) for name in ("io_wait_s", "throttled_s", "stopped_s", "frozen_s")),
        ]
        for process in processes
    ]
    return ["", table("Watched processes", (*who, *what, ">stopped", ">frozen"), rows)]


def _heaps(heaps: list[dict[str, Any]]) -> list[RenderableType]:
    if not heaps:
        return []
    heads = ("node", "process", "state", ">old generation", ">limit", ">full", ">at most", "")
    rows: list[list[RenderableType]] = [
        [
            Text(text(heap.get("node"))),
            _kind(heap),
            _state(heap),
            *(_mebibytes(heap.get(name)) for name in ("old_used_bytes", "old_limit_bytes")),
            *(_percent(heap.get(name)) for name in ("old_full_ratio", "old_full_ratio_max")),
            _warning(heap),
        ]
        for heap in heaps
    ]
    return ["", table("Heaps", heads, rows)]


def _warning(heap: dict[str, Any]) -> Text:
    if heap.get("warning") == "nearly_full":
        return Text("nearly full: a full collection is near", style=BAD)
    if heap.get("warning") == "collecting":
        return Text(f"collecting for {seconds(heap.get('collecting_s'))}", style=UNSURE)
    return Text("")


def _disks(disks: list[dict[str, Any]]) -> list[RenderableType]:
    if not disks:
        return []
    heads = ("node", "disk", "state", ">probes", ">failed", ">watched", ">p50", ">p90", ">p99", ">p99.9")
    rows: list[list[RenderableType]] = [
        [
            Text(text(disk.get("node"))),
            Text(text(disk.get("disk"))),
            _state(disk),
            count(disk.get("probes")),
            _failed(disk.get("outcomes") or {}),
            *(
                seconds(disk.get(name))
                for name in ("observed_s", "p50_s", "p90_s", "p99_s", "p999_s", "max_s")
            ),
        ]
        for disk in disks
    ]
    return ["", table("Disks: write and fsync", (*heads, ">max"), rows)]


def _failed(outcomes: dict[str, Any]) -> Text:
    """How many failed, and whether one hung for so long that it was told before it ended."""
    failed, hung = outcomes.get("failed") or 0, outcomes.get("hung") or 0
    return Text(f"{count(failed)}{', hung' if hung else ''}", style=BAD if failed or hung else "")


def _percent(ratio: float | None) -> str:
    return UNKNOWN if ratio is None else f"{100 * ratio:.3g} %"


def _mebibytes(size: float | None) -> str:
    return UNKNOWN if size is None else f"{size / _MIB:,.0f} MiB".replace(",", " ")
