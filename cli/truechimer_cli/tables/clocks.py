"""``truechimer clocks`` as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.text import Text

from truechimer_cli.amounts import UNKNOWN, ppm, seconds, text
from truechimer_cli.output import BAD, GOOD, QUIET, UNSURE, table

if TYPE_CHECKING:
    from rich.console import RenderableType

_JUDGEMENTS = {"proven_within": GOOD, "unproven": UNSURE, "proven_beyond": BAD}
_VERDICTS = {"selected": GOOD, "contested": UNSURE, "falseticker": BAD, "unusable": QUIET}


def tables(document: dict[str, Any]) -> list[RenderableType]:
    """Nodes, their flags and those to come, their servers, and the summary."""
    nodes = document.get("nodes") or []
    parts: list[RenderableType] = [
        table(
            "Clocks: UTC − wall",
            ("node", "state", "judgement", ">offset", ">at least", ">at most", ">drift", "status", ">seen"),
            [_row(node, clusters=len({n.get("cluster") for n in nodes}) > 1) for node in nodes],
        )
    ]
    flags = [(node, flag) for node in nodes for flag in node.get("flags") or []]
    if flags:
        rows = [_flag(node, flag) for node, flag in flags]
        parts += ["", table("Flags", ("node", "flag", "since", "evidence"), rows)]
    pending = [(node, flag) for node in nodes for flag in node.get("pending") or []]
    if pending:
        rows = [_pending(node, flag) for node, flag in pending]
        parts += ["", table("Pending", ("node", "flag", "since", "raised at", "evidence"), rows)]
    daemons = [(node, node["daemon"]) for node in nodes if node.get("daemon")]
    if daemons:
        columns = ("node", "daemon", "agrees", ">at least", ">at most", ">stratum", ">sources", "leap")
        parts += ["", table("Time daemons: UTC − wall", columns, [_daemon(*each) for each in daemons])]
    servers = [(node, server) for node in nodes for server in node.get("servers") or []]
    if servers:
        rows = [_server(node, server) for node, server in servers]
        parts += ["", table("Servers", ("node", "server", "verdict", "why", ">at least", ">at most"), rows)]
    summary = document.get("summary") or {}
    said = ", ".join(f"{escape(str(name).replace('_', ' '))} {value}" for name, value in summary.items())
    return [*parts, "", f"as of {text(document.get('as_of'))}: {said}"]


def _row(node: dict[str, Any], *, clusters: bool) -> list[RenderableType]:
    name = f"{node.get('cluster')}/{node.get('node')}" if clusters else str(node.get("node"))
    state, judgement = str(node.get("state")), str(node.get("judgement"))
    seen = node.get("last_seen_s")
    return [
        Text(name),
        Text(state, style=GOOD if state == "ok" else BAD),
        Text(judgement.replace("_", " "), style=_JUDGEMENTS.get(judgement, UNSURE)),
        seconds(node.get("offset_s"), signed=True),
        seconds(node.get("lower_s"), signed=True),
        seconds(node.get("upper_s"), signed=True),
        ppm(node.get("frequency_ppm")),
        Text(text(node.get("status"))),
        UNKNOWN if seen is None else f"{seconds(seen)} ago",
    ]


def _flag(node: dict[str, Any], flag: dict[str, Any]) -> list[RenderableType]:
    said = _EVIDENCE.get(str(flag.get("flag")), told)(flag.get("evidence") or {})
    clears = flag.get("clears_at")
    return [
        Text(text(node.get("node"))),
        Text(text(flag.get("flag")), style=BAD),
        text(flag.get("since")),
        Text(said if clears is None else f"{said}{', ' if said else ''}taken back at {clears}"),
    ]


def _pending(node: dict[str, Any], flag: dict[str, Any]) -> list[RenderableType]:
    return [
        Text(text(node.get("node"))),
        Text(text(flag.get("flag")), style=UNSURE),
        text(flag.get("since")),
        text(flag.get("due")),
        Text(told(flag.get("evidence") or {})),
    ]


def told(evidence: dict[str, Any]) -> str:
    """Evidence in one line; what has a table of its own, or would fill one, is left to --json."""
    return ", ".join(
        f"{name} {evidence_value(name, value)}" for name, value in evidence.items() if name not in _LONG
    )


_LONG = frozenset({"intervals", "steps", "causes", "kernel_before", "kernel_after"})


def _disagreement(evidence: dict[str, Any]) -> str:
    """Both figures of a daemon that disagrees, and what it stands on."""

    def about(least: str, most: str) -> str:
        lower, upper = evidence.get(least), evidence.get(most)
        if lower is None or upper is None:
            return UNKNOWN
        return f"{seconds((lower + upper) / 2, signed=True)} ± {seconds((upper - lower) / 2)}"

    return (
        f"{text(evidence.get('daemon'))} believes {about('daemon_lower_s', 'daemon_upper_s')}, "
        f"proven is {about('lower_s', 'upper_s')}; its stratum {text(evidence.get('stratum'))}, "
        f"sources that it reaches {text(evidence.get('reachable_sources'))}"
    )


_EVIDENCE = {"daemon_disagrees": _disagreement}


def evidence_value(name: str, value: object) -> str:
    """A piece of evidence: seconds by the ending of its name, camps as A+B | C+D."""
    if name.endswith("_s") and isinstance(value, int | float):
        return seconds(float(value), signed=True)
    if name.endswith("_ppm") and isinstance(value, int | float):
        return ppm(float(value))
    if name == "camps" and isinstance(value, list):
        return " | ".join("+".join(map(str, camp.get("servers") or [])) for camp in value) or UNKNOWN
    if isinstance(value, dict):
        return ", ".join(f"{key} {text(each)}" for key, each in value.items()) or UNKNOWN
    if isinstance(value, list):
        return ", ".join(map(text, value)) or UNKNOWN
    return text(value)


def _daemon(node: dict[str, Any], daemon: dict[str, Any]) -> list[RenderableType]:
    agrees = daemon.get("agrees")
    said, style = (UNKNOWN, QUIET) if agrees is None else ("yes", GOOD) if agrees else ("no", BAD)
    return [
        Text(text(node.get("node"))),
        Text(text(daemon.get("name"))),
        Text(said, style=style),
        seconds(daemon.get("lower_s"), signed=True),
        seconds(daemon.get("upper_s"), signed=True),
        text(daemon.get("stratum")),
        text(daemon.get("reachable_sources")),
        Text(text(daemon.get("leap"))),
    ]


def _server(node: dict[str, Any], server: dict[str, Any]) -> list[RenderableType]:
    verdict = text(server.get("verdict"))
    return [
        Text(text(node.get("node"))),
        Text(text(server.get("server"))),
        Text(verdict, style=_VERDICTS.get(verdict, "")),
        Text(why(server)),
        seconds(server.get("lower_s"), signed=True),
        seconds(server.get("upper_s"), signed=True),
    ]


def why(server: dict[str, Any]) -> str:
    """Why a server is not selected, and how its last exchange ended when that was no reply."""
    verdict, reason, outcome = (server.get(name) for name in ("verdict", "reason", "outcome"))
    said = [text(reason).replace("_", " ")] if reason not in (None, verdict) else []
    said += [text(outcome).replace("_", " ")] if outcome not in (None, "reply") else []
    return ", ".join(said)
