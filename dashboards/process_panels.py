"""Panels of what is watched beside the host: processes, their heaps, disks, and whether anybody looks."""

from __future__ import annotations

from dashboards.panels import Panel, Query, Row


def _per_second(field: str) -> str:
    """A sum over the time that was watched for it."""
    return (
        f"sum_over_time(truechimer_process_{field}{{HOST}}[$__rate_interval]) / "
        "sum_over_time(truechimer_process_observed_seconds{HOST}[$__rate_interval])"
    )


WATCHED = Row(
    "Watched processes, heaps and disks",
    (
        Panel(
            "Watched",
            "Seconds of each window in which somebody looked, by source; a line that ends means that nobody "
            "looks any more: unknown, not healthy.",
            "s",
            (Query("truechimer_pause_window_observed_seconds{HOST}", "{{node}} {{source}} ({{runtime}})"),),
        ),
        Panel(
            "Longest pause, at most",
            "Where pauses were not seen singly: as long as the longest of a window may have been.",
            "s",
            (
                Query(
                    "max_over_time(truechimer_pause_window_max_upper_seconds{HOST}[$__rate_interval])",
                    "{{node}} {{source}}",
                ),
            ),
        ),
        Panel(
            "Waiting for a CPU",
            "Run delay of all tasks a second: what a meter beside them does not feel, because the scheduler "
            "favours who sleeps.",
            "short",
            (Query(_per_second("run_delay_seconds"), "{{node}} {{source}}"),),
        ),
        Panel(
            "Throttled, stopped, frozen",
            "Share of the time; throttled time is summed over CPUs.",
            "percentunit",
            tuple(
                Query(_per_second(f"{what}_seconds"), f"{{{{node}}}} {{{{source}}}} {what}")
                for what in ("throttled", "stopped", "frozen")
            ),
        ),
        Panel(
            "Old generation in use",
            "A full collection is near when this nears 100 %.",
            "percentunit",
            (Query("truechimer_heap_old_full_ratio{HOST}", "{{node}} {{source}}"),),
        ),
        Panel(
            "Write and fsync",
            "Of a small file on each configured path: the 99th percentile and the slowest.",
            "s",
            (
                Query(
                    "quantile_over_time(0.99, truechimer_fsync_duration_seconds{HOST}[$__rate_interval])",
                    "{{node}} {{disk}} p99",
                ),
                Query(
                    "max_over_time(truechimer_fsync_duration_seconds{HOST}[$__rate_interval])",
                    "{{node}} {{disk}} slowest",
                ),
            ),
        ),
    ),
)
