"""Every answer by its command's name: reads a store, asks the pure parts, returns the contract's document."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import EventKind, Flag
from truechimer.config.model import LimitsConfig
from truechimer.errors import NotEnough
from truechimer_analyzer import pauses, rtt, timeouts
from truechimer_analyzer.advice import answering as products
from truechimer_analyzer.clocks import assessing, history, nodeclock, past, stepcause, timedaemon
from truechimer_analyzer.reading import Progress, Reader, nothing, silent
from truechimer_analyzer.report import Parts, page, render
from truechimer_analyzer.skew import gathering
from truechimer_analyzer.skew.describing import describe
from truechimer_analyzer.skew.pairs import PAIRS_SHOWN
from truechimer_analyzer.skew.proving import prove
from truechimer_analyzer.skew.reading import clusters
from truechimer_analyzer.stability import nodes as stability
from truechimer_analyzer.stability import series
from truechimer_analyzer.stability.confidence import CONFIDENCE
from truechimer_analyzer.stability.stretches import SPACING_S
from truechimer_analyzer.timeouts import binding, holder
from truechimer_analyzer.timeouts.gathering import Probes
from truechimer_analyzer.window import AHEAD_NS, NS, OPTIONS, Question, iso, parse_question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from truechimer_analyzer.stores import Columns, Readable, Series

COMMANDS = tuple(OPTIONS)
HISTORY_POINTS = 500
# Stability reads so many rows of a measurement at once, whole nodes at a time.
_ROWS_AT_ONCE = 300_000


def answer(
    command: str,
    options: Mapping[str, str],
    store: Readable,
    limits: LimitsConfig | None = None,
    progress: Progress = silent,
) -> dict[str, object]:
    """The document of ``command`` (one of ``COMMANDS``) under a query's options, all strings.

    ``progress`` is told of long readings.

    Raises UserError for wrong options and unknown nodes or clusters, NotEnough where nothing can be
    said: TimeoutsRefused then carries the document that was refused.
    """
    now_ns = store.now_ns()
    question = parse_question(command, options, now_ns)
    reader = Reader(store, question, progress)
    head: dict[str, object] = {
        "as_of": iso(question.window.as_of_ns),
        "from": iso(question.window.since_ns),
        "window_s": question.window.length_s,
    }
    try:
        return {**head, **_ANSWERS[command](reader, question, limits or LimitsConfig())}
    except timeouts.TimeoutsRefused as refused:
        refused.document = {**head, **refused.document}
        raise


def _clocks(reader: Reader, question: Question, limits: LimitsConfig) -> dict[str, object]:
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


def _skew(reader: Reader, question: Question, limits: LimitsConfig) -> dict[str, object]:
    window = question.window
    evidence = gathering.gather(reader)
    return {
        "clusters": [
            describe(
                prove(cluster, evidence, window.as_of_ns, question.k, live=window.open),
                evidence,
                window.as_of_ns,
                limits.max_skew_s if question.max_offset_s is None else question.max_offset_s,
                question.k,
                PAIRS_SHOWN if question.pairs is None else question.pairs,
                question.node,
            )
            for cluster in clusters(evidence)
            if question.node is None or question.node in cluster.names
        ]
    }


def _rtt(reader: Reader, question: Question, limits: LimitsConfig) -> dict[str, object]:  # noqa: ARG001
    paths = rtt.describe(rtt.gather(reader), histogram=question.histogram, by_hour=question.by == "hour")
    return {"paths": paths}


def _pauses(reader: Reader, question: Question, limits: LimitsConfig) -> dict[str, object]:  # noqa: ARG001
    return pauses.document(reader, question)


def _stability(reader: Reader, question: Question, limits: LimitsConfig) -> dict[str, object]:  # noqa: ARG001
    keys = sorted(reader.seen_ns())
    names = sorted({node for _, node in keys})
    nodes: list[dict[str, object]] = []
    at_once = max(1, round(_ROWS_AT_ONCE * SPACING_S / question.window.length_s))
    for first in range(0, len(names), at_once):
        some = names[first : first + at_once]
        nodes += stability.describe(
            [key for key in keys if key[1] in some],
            reader.rows("truechimer_clock", series.CLOCK_FIELDS, nodes=some),
            reader.rows("truechimer_bound", series.BOUND_FIELDS, nodes=some),
            # An event is placed by its steady time: its stamp may be of a clock that was stepped.
            reader.rows(
                "truechimer_clock_event",
                series.EVENT_FIELDS,
                nodes=some,
                since_ns=max(0, question.window.since_ns - AHEAD_NS),
            ),
            question.window,
        )
    nodes.sort(key=lambda node: (str(node["cluster"]), str(node["node"])))
    return {"spacing_s": SPACING_S, "confidence": CONFIDENCE, "nodes": nodes}


def _timeouts(reader: Reader, question: Question, limits: LimitsConfig) -> dict[str, object]:
    wanted = products.asked_for(question)
    probes = Probes.of(reader)
    nodes = probes.ends({known.node for known in reader.known}) if probes.rows else None
    stops = reader.rows("truechimer_pause", binding.PAUSE_FIELDS, nodes=nodes)
    watched = reader.every_series("truechimer_pause_window", holder.WINDOW_FIELDS, holder.SOURCE, nodes)
    stopping = holder.holder_of(stops, watched)
    fsyncs: Iterable[Series] = ()
    if wanted.needs("fsync"):
        fsyncs = list(reader.every_series("truechimer_fsync", products.FSYNC_FIELDS, products.DISK))
    apart: dict[str, object] = {}
    if wanted.needs("epsilon"):
        # Who has no mesh has no skew either: the advice then says what is missing.
        with suppress(NotEnough):
            apart = _skew(reader, question, limits)
    record = probes.record(stops, question.heartbeat_s, lates=bool(wanted.products))

    def answered() -> dict[str, object]:
        return products.answer(
            wanted,
            question,
            lambda: timeouts.advise(record, stops, stopping, question),
            record,
            stops,
            stopping,
            fsyncs,
            apart,
        )

    while True:
        refused: NotEnough | None = None
        document: dict[str, object] = {}
        try:
            document = answered()
        except NotEnough as error:
            refused = error
        if record.is_complete():
            break
    if refused is not None:
        raise refused
    return document


def _report(reader: Reader, question: Question, limits: LimitsConfig) -> dict[str, object]:
    clocks_too, delays_too = question.kind != "timeouts", question.kind != "clocks"
    advised: dict[str, object] | NotEnough | None = None
    if delays_too:
        try:
            advised = _timeouts(reader, question, limits)
        except NotEnough as refused:
            advised = refused
    apart = None
    if clocks_too:
        # Who has no mesh did not ask for this part.
        with suppress(NotEnough):
            apart = _skew(reader, question, limits)
    # Curves are for drawing and for programs: Markdown shows none.
    curved = replace(question, histogram=question.formats != ("md",))
    parts = Parts(
        question.window,
        limits,
        clocks=_clocks(reader, question, limits) if clocks_too else None,
        skew=apart,
        stability=_stability(reader, question, limits) if clocks_too else None,
        rtt=_rtt(reader, curved, limits) if delays_too else None,
        pauses=_pauses(reader, question, limits) if delays_too else None,
        timeouts=advised,
    )
    document: dict[str, object] = {"generated": iso(question.window.as_of_ns)}
    if "md" in question.formats:
        document["markdown"] = render(parts)
    if "html" in question.formats:
        document["html"] = page(parts)
    if "json" in question.formats:
        document |= parts.documents()
    return document


_ANSWERS: Mapping[str, Callable[[Reader, Question, LimitsConfig], dict[str, object]]] = {
    "clocks": _clocks,
    "skew": _skew,
    "rtt": _rtt,
    "pauses": _pauses,
    "stability": _stability,
    "timeouts": _timeouts,
    "report": _report,
}
