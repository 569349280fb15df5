"""The answers as Markdown: what is wrong first, then tables, then what the figures rest on.

Names come from the network: everything from a document is escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from truechimer_analyzer.report import mesh
from truechimer_analyzer.report import pauses as stops
from truechimer_analyzer.report import rtt as delays
from truechimer_analyzer.report import stability as steadiness
from truechimer_analyzer.report import timeouts as advice
from truechimer_analyzer.report.blocks import escaped, listed, table
from truechimer_analyzer.report.figures import count, length, rate, signed
from truechimer_analyzer.window import iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.report.blocks import Block
    from truechimer_analyzer.report.parts import Parts

Document = dict[str, Any]
_CLOCK_ASSUMPTIONS = (
    "UTC is where at least n − f of a node's n servers say; f is the number of falsetickers tolerated",
    "a server is within half its root delay plus its root dispersion of UTC, as it says itself",
    "between exchanges the oscillator stays within its measured frequency bounds, widened by its wander",
    "since a node's last word its clock kept to the rates it showed in the last five minutes",
)


def render(parts: Parts) -> str:
    """One Markdown document of the parts that are not None."""
    return "\n\n".join(block for block in blocks(parts) if isinstance(block, str)) + "\n"


def title(parts: Parts) -> str:
    """The report's name, plain."""
    return f"Clocks, delays and pauses, {iso(parts.window.as_of_ns)}"


def blocks(parts: Parts) -> Iterator[Block]:
    """The report piece by piece: Markdown, none of it empty, and plots."""
    yield from (block for block in _blocks(parts) if block)


def _blocks(parts: Parts) -> Iterator[Block]:
    window = parts.window
    yield f"# {title(parts)}"
    yield (
        f"From {iso(window.since_ns)} to {iso(window.as_of_ns)} UTC. "
        "Offsets are reference − local: positive means that the local clock is behind."
    )
    rests_on: list[str] = []
    if parts.clocks is not None:
        yield from _summary(parts.clocks, parts.limits)
        yield "## Clocks"
        yield from _clocks(parts.clocks, parts.limits)
        rests_on += _CLOCK_ASSUMPTIONS
    if parts.skew is not None:
        yield "## Skew"
        yield from mesh.section(parts.skew)
        rests_on += mesh.ASSUMPTIONS
    if parts.stability is not None and parts.stability["nodes"]:
        cells = [[escaped(cell) for cell in (name, *row)] for name, row in steadiness.rows(parts.stability)]
        yield "## Stability"
        yield table(steadiness.HEAD, cells)
        yield steadiness.EXPLAINED
        rests_on += steadiness.ASSUMPTIONS
    if parts.rtt is not None:
        yield "## Round trips"
        yield from delays.section(parts.rtt)
    if parts.pauses is not None:
        yield "## Pauses"
        yield from stops.section(parts.pauses)
        rests_on += stops.ASSUMPTIONS
    if parts.timeouts is not None:
        yield "## Timeouts"
        yield from advice.section(parts.timeouts)
        rests_on += advice.assumptions(parts.timeouts)
    yield "## What this rests on"
    yield listed(rests_on)


def _summary(clocks: Mapping[str, Any], limits: LimitsConfig) -> Iterator[str]:
    found = clocks["summary"]
    if not found["nodes"]:
        yield "**No node has reported a clock.**"
        return
    yield (
        f"**Of {count(found['nodes'], 'node')}, {found['proven_within']} proven within "
        f"{length(limits.max_offset_s)} of UTC, {found['proven_beyond']} proven beyond, "
        f"{found['unproven']} unproven; {found['flagged']} flagged.**"
    )


def _clocks(clocks: Mapping[str, Any], limits: LimitsConfig) -> Iterator[str]:
    nodes: list[Document] = clocks["nodes"]
    if not nodes:
        yield "No evidence."
        return
    yield f"Limits: {length(limits.max_offset_s)}, {limits.max_frequency_ppm:g} ppm."
    yield table(
        ("node", "state", "judgement", "UTC − clock, from", "to", "rate, ppm", "servers", "last seen"),
        [
            (
                f"{escaped(node['cluster'])}/{escaped(node['node'])}",
                escaped(node["state"]),
                escaped(node["judgement"].replace("_", " ")),
                signed(node["lower_s"]),
                signed(node["upper_s"]),
                rate(node["frequency_lower_ppm"], node["frequency_upper_ppm"]),
                _servers(node["servers"]),
                "never" if node["last_seen_s"] is None else f"{length(node['last_seen_s'])} ago",
            )
            for node in nodes
        ],
    )
    flags = [
        f"**{escaped(node['node'])}: {escaped(flag['flag'].replace('_', ' '))}** since "
        f"{flag['since'] or 'an unknown time'}: {escaped(_evidence(flag['evidence']))}"
        for node in nodes
        for flag in node["flags"]
    ]
    if flags:
        yield "### Flags"
        yield listed(flags)
    pending = [
        f"{escaped(node['node'])}: {escaped(flag['flag'].replace('_', ' '))} since {flag['since']}, "
        f"raised at {flag['due']} if it lasts: {escaped(_evidence(flag['evidence']))}"
        for node in nodes
        for flag in node["pending"]
    ]
    if pending:
        yield "### Pending"
        yield listed(pending)


def _servers(servers: list[Document]) -> str:
    """How many are selected, and why each other is not."""
    selected = sum(server["verdict"] == "selected" for server in servers)
    others = [
        f"{escaped(server['server'])} {escaped((server['reason'] or server['verdict']).replace('_', ' '))}"
        for server in servers
        if server["verdict"] != "selected"
    ]
    return "; ".join([f"{selected} of {len(servers)} selected", *others]) if servers else "–"


def _evidence(evidence: Mapping[str, Any]) -> str:
    plain = {
        key: value
        for key, value in evidence.items()
        if value is not None and not isinstance(value, (list, dict))
    }
    for name in ("servers", "silent", "daemons", "smearing"):
        if evidence.get(name):
            plain[name] = _names(evidence[name])
    if evidence.get("camps"):
        plain["camps"] = " | ".join("+".join(camp["servers"]) for camp in evidence["camps"])
    return "; ".join(f"{key} {_value(key, value)}" for key, value in plain.items())


def _names(found: Mapping[str, Any] | Sequence[str]) -> str:
    if isinstance(found, dict):
        return ", ".join(f"{name} {value}" for name, value in found.items())
    return ", ".join(map(str, found))


_SIGNED = frozenset(
    {"size_s", "lower_s", "upper_s", "daemon_s", "daemon_lower_s", "daemon_upper_s", "apart_s"}
)


def _value(key: str, value: object) -> str:
    if key.endswith("_s") and isinstance(value, (int, float)):
        return signed(value) if key in _SIGNED else length(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
