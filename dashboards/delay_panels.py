"""Panels of what stops and delays: pauses, pressure, round trips; and the agent's own health."""

from __future__ import annotations

from dashboards.panels import Panel, Query, Row

PAUSES = Row(
    "Pauses and pressure",
    (
        Panel(
            "Pauses by cause",
            "How many pauses above the threshold, by what caused them; those not seen singly count as one.",
            "none",
            (
                Query(
                    "sum by (node, source, cause) "
                    "(count_over_time(truechimer_pause_duration_seconds{HOST}[$__rate_interval]))",
                    "{{node}} {{source}}: {{cause}}",
                ),
            ),
            kind="bars",
        ),
        Panel(
            "Longest lateness",
            "The longest that nothing ran, in each window, above the threshold or not.",
            "s",
            (
                Query(
                    "max_over_time(truechimer_pause_window_max_seconds{HOST}[$__rate_interval])",
                    "{{node}} {{source}}",
                ),
            ),
        ),
        Panel(
            "Share of time paused",
            "Summed pauses over the time that was watched; no line means that nobody was looking.",
            "percentunit",
            (
                Query(
                    "sum_over_time(truechimer_pause_window_total_seconds{HOST}[$__rate_interval]) / "
                    "sum_over_time(truechimer_pause_window_observed_seconds{HOST}[$__rate_interval])",
                    "{{node}} {{source}}",
                ),
            ),
        ),
        Panel(
            "Pressure (PSI) and steal",
            "Share of time in which some task waited; steal: CPU time that the hypervisor took.",
            "percentunit",
            tuple(
                Query(
                    f"rate(truechimer_pressure_{field}_seconds_total{{HOST}}[$__rate_interval])",
                    f"{{{{node}}}} {legend}",
                )
                for field, legend in (
                    ("cpu_some", "CPU"),
                    ("io_some", "I/O"),
                    ("io_full", "I/O, all tasks"),
                    ("memory_some", "memory"),
                    ("memory_full", "memory, all tasks"),
                    ("steal", "steal"),
                )
            ),
        ),
    ),
)

# Exact over shipped samples: an outcome is always there, a round trip only with a reply. Where round trips
# are not gauges (the agent's /metrics) the last term keeps a peer that answers from looking mute.
_UNANSWERED = (
    "1 - (count_over_time(truechimer_rtt_rtt_seconds{HOST}[$__rate_interval]) or "
    "0 * (min_over_time(truechimer_rtt_outcome{HOST}[$__rate_interval]) > 0)) / "
    "count_over_time(truechimer_rtt_outcome{HOST}[$__rate_interval])"
)


def _summed(field: str) -> str:
    return f"sum_over_time(truechimer_path_{field}{{HOST}}[$__rate_interval])"


NETWORK = Row(
    "Network",
    (
        *(
            Panel(
                f"Round trip, {name}",
                f"The {name} of raw probes over the interval drawn.",
                "s",
                (
                    Query(
                        f"quantile_over_time({share}, truechimer_rtt_rtt_seconds{{HOST}}[$__rate_interval])",
                        "{{node}} → {{peer}} ({{via}})",
                    ),
                ),
                width=8,
            )
            for name, share in (("median", 0.5), ("99th percentile", 0.99))
        ),
        Panel(
            "Probes without an answer",
            "Share of probes that have no round trip: lost, refused, unreachable or spoilt by a stall of "
            "our own.",
            "percentunit",
            (Query(_UNANSWERED, "{{node}} → {{peer}} ({{via}})"),),
            width=8,
        ),
        Panel(
            "Lost by direction",
            "Share of the mesh's probes lost on the way there, and of the replies lost on the way back, by "
            "when it became known: while a direction is blocked, its losses stand under undetermined.",
            "percentunit",
            (
                Query(f"{_summed('lost_forward')} / ({_summed('sent')} > 0)", "{{node}} → {{peer}} there"),
                Query(
                    f"{_summed('lost_backward')} / ({_summed('received')} + {_summed('lost_backward')} > 0)",
                    "{{node}} → {{peer}} back",
                ),
            ),
        ),
        Panel(
            "Losses of unknown direction",
            "Undetermined: lost probes of which no later reply tells the direction yet. Unknown: none ever "
            "will.",
            "none",
            (
                Query("truechimer_path_undetermined{HOST}", "{{node}} → {{peer}} undetermined"),
                Query(
                    _summed("unknown"),
                    "{{node}} → {{peer}} unknown",
                ),
            ),
        ),
        Panel(
            "Replies out of order or twice",
            "Of the mesh's probes, in each interval drawn.",
            "none",
            (
                Query(
                    _summed("reordered"),
                    "{{node}} → {{peer}} reordered",
                ),
                Query(
                    _summed("duplicated"),
                    "{{node}} → {{peer}} twice",
                ),
            ),
        ),
        Panel(
            "Time inside the peer",
            "99th percentile from a probe's arrival at the peer to its reply: the peer's stall, not the "
            "network.",
            "s",
            (
                Query(
                    "quantile_over_time(0.99, truechimer_rtt_reflector_seconds{HOST}[$__rate_interval])",
                    "{{node}} → {{peer}}",
                ),
            ),
        ),
    ),
)

AGENT = Row(
    "The agent itself",
    (
        Panel(
            "CPU",
            "CPU time of all its processes, as a share of one core.",
            "percentunit",
            (Query("rate(truechimer_agent_cpu_seconds_total{HOST}[$__rate_interval])", "{{node}}"),),
            width=8,
        ),
        Panel(
            "Memory",
            "Resident memory of all its processes.",
            "bytes",
            (Query("truechimer_agent_resident_bytes{HOST}", "{{node}}"),),
            width=8,
        ),
        Panel(
            "Lateness of its loop",
            "How late its own sampling ran at worst.",
            "s",
            (Query("truechimer_agent_late_seconds_max{HOST}", "{{node}}"),),
            width=8,
        ),
        Panel(
            "Spool",
            "Bytes that wait for a sink.",
            "bytes",
            (Query("truechimer_agent_spool_bytes{HOST}", "{{node}}"),),
            width=8,
        ),
        Panel(
            "Samples a second",
            "Taken, and given up for want of room.",
            "short",
            (
                Query("rate(truechimer_agent_samples_total{HOST}[$__rate_interval])", "{{node}} taken"),
                Query("rate(truechimer_agent_dropped_total{HOST}[$__rate_interval])", "{{node}} dropped"),
            ),
            width=8,
        ),
        Panel(
            "Collectors: failed runs",
            "Share of each collector's runs that failed; the agent's log says why.",
            "percentunit",
            (
                Query(
                    "rate(truechimer_collector_errors_total{HOST}[$__rate_interval]) / "
                    "rate(truechimer_collector_runs_total{HOST}[$__rate_interval])",
                    "{{node}} {{collector}}",
                ),
            ),
            width=8,
        ),
    ),
)
