"""``clocks``: how wrong each clock can be, and what is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import EventKind, Flag
from truechimer_analyzer.clocks import assessing, history, nodeclock, past, stepcause, timedaemon
from truechimer_analyzer.reading import nothing
from truechimer_analyzer.window import AHEAD_NS, NS

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.reading import Reader
    from truechimer_analyzer.stores import Columns
    from truechimer_analyzer.window import Question

HISTORY_POINTS = 500


def document(reader: Reader, question: Question, limits: LimitsConfig) -> dict[str, object]:
    """The contract's ``clocks``."""
    window = question.window
    bounds = reader.latest("truechimer_bound", nodeclock.BOUND_FIELDS)
    servers = reader.latest("truechimer_ntp", nodeclock.SERVER_FIELDS)
    kernel = reader.latest("truechimer_kernel", nodeclock.KERNEL_FIELDS)
    # What happened since a bound counts though it was before the window, and though its own clock, stepped
    # back, stamped it a good while earlier.
    since_bounds_ns = int(bounds.time_ns.min()) - AHEAD_NS if len(bounds.time_ns) else window.since_ns
    rates_since_ns = window.as_of_ns - round(assessing.RATE_WINDOW_S * NS)
    events_since_ns = max(0, min(window.since_ns, since_bounds_ns))
    rates = reader.rows("truechimer_clock", nodeclock.CLOCK_FIELDS, since_ns=rates_since_ns)
    events = reader.rows("truechimer_clock_event", nodeclock.EVENT_FIELDS, since_ns=events_since_ns)
    recent_ns = window.as_of_ns - round(history.recent_s(limits) * NS)
    recent = past.History.of(
        reader.rows("truechimer_bound", past.BOUND_FIELDS, since_ns=recent_ns),
        nothing("truechimer_ntp", past.SERVER_FIELDS),
        rates,
    )
    long_keys, served = history.unsettled(bounds, recent, servers, kernel, limits)
    evidence = nodeclock.Evidence(
        bounds=bounds,
        servers=servers,
        rates=rates,
        events=events,
        events_since_ns=window.since_ns,
        kernel=kernel,
        seen_ns=reader.seen_ns(),
        recent=recent,
        long=_long(reader, long_keys, served),
        long_keys=long_keys,
        witnesses=_witnesses(reader, events),
    )
    nodes = assessing.assess(evidence, window.as_of_ns, limits, live=window.open)
    if question.node is not None:
        told = reader.rows("truechimer_bound", ("lower_seconds", "upper_seconds", "status"))
        rows = nodeclock.per_node(told)
        nodes = [
            replace(node, history=history.history(told, rows[node.key], HISTORY_POINTS))
            if node.key in rows
            else node
            for node in nodes
        ]
    nodes = _with_daemons(reader, nodes)
    return {
        "limits": {"max_offset_s": limits.max_offset_s, "max_frequency_ppm": limits.max_frequency_ppm},
        "nodes": [node.document() for node in nodes],
        "summary": assessing.summary(nodes),
    }


def _long(
    reader: Reader, keys: AbstractSet[nodeclock.Key], served: AbstractSet[nodeclock.Key]
) -> past.History | None:
    """An hour, or the window where that is longer, of nodes that are not in good order."""
    if not keys:
        return None
    window, nodes = reader.question.window, sorted({node for _, node in keys})
    since_ns = min(window.since_ns, window.as_of_ns - round(history.LONG_S * NS))
    return past.History.of(
        reader.rows("truechimer_bound", past.BOUND_FIELDS, since_ns=since_ns, nodes=nodes),
        reader.rows(
            "truechimer_ntp",
            past.SERVER_FIELDS,
            since_ns=since_ns,
            nodes=sorted({node for _, node in served}),
        ),
        reader.rows("truechimer_clock", nodeclock.CLOCK_FIELDS, since_ns=since_ns, nodes=nodes),
    )


def _witnesses(reader: Reader, events: Columns) -> dict[nodeclock.Key, stepcause.Witnesses]:
    """What the kernel said around the last steps of each node that was stepped in the window."""
    window = reader.question.window
    shown = (events.tags["kind"] == EventKind.STEP.value) & (events.time_ns >= window.since_ns)
    stepped = nodeclock.per_node(events, np.flatnonzero(shown))
    if not stepped:
        return {}
    nodes = sorted({node for _, node in stepped})
    oldest_ns = min(
        int(np.sort(events.time_ns[rows])[-stepcause.EXPLAINED :][0]) for rows in stepped.values()
    )
    since_ns = oldest_ns - round(stepcause.AROUND_S * NS)
    return history.witnesses_of(
        reader.rows("truechimer_kernel", stepcause.KERNEL_FIELDS, since_ns=since_ns, nodes=nodes),
        reader.rows("truechimer_clock", stepcause.CLOCK_FIELDS, since_ns=since_ns, nodes=nodes),
        reader.latest("truechimer_daemon", ("stratum",)),
        stepped,
    )


def _with_daemons(reader: Reader, nodes: list[nodeclock.NodeClock]) -> list[nodeclock.NodeClock]:
    """The nodes with their own time daemons held against what is proven of them."""
    window = reader.question.window
    since_ns = window.as_of_ns - round(timedaemon.READ_S * NS)
    daemons = reader.rows("truechimer_daemon", timedaemon.FIELDS, since_ns=since_ns)
    if not len(daemons.time_ns):
        return nodes
    bounds = reader.rows("truechimer_bound", timedaemon.BOUND_FIELDS, since_ns=since_ns)
    nodes = timedaemon.told(nodes, daemons, bounds, window.as_of_ns, live=window.open)
    disagreeing = sorted(
        {node.key[1] for node in nodes if any(raised.flag is Flag.DAEMON_DISAGREES for raised in node.flags)}
    )
    if not disagreeing:
        return nodes
    return timedaemon.dated(
        nodes,
        reader.rows("truechimer_daemon", timedaemon.FIELDS, nodes=disagreeing),
        reader.rows("truechimer_bound", timedaemon.BOUND_FIELDS, nodes=disagreeing),
    )
