"""The alert rules on pauses, watched processes, heaps and disks, as data."""

from __future__ import annotations

from dashboards.alerts import Alert, Group

MAX_PAUSE_S = 1
MAX_THROTTLED = 0.1
MAX_OLD_FULL = 0.9
MAX_FSYNC_S = 0.1

# A row may be the sum of pauses that were not seen singly: no length of one.
_SINGLE_LONG = (
    f"max_over_time(truechimer_pause_duration_seconds[10m]) > {MAX_PAUSE_S} "
    "unless max_over_time(truechimer_pause_pauses[10m]) > 1"
)
_SOURCE = "on (cluster, node, source, runtime)"

PAUSES = Group(
    "truechimer-pauses",
    (
        Alert(
            "TruechimerLongPause",
            _SINGLE_LONG,
            "0s",
            "warning",
            "{{ $labels.node }}: {{ $labels.source }} stood still for {{ $value | humanizeDuration }} "
            "({{ $labels.cause }})",
            "Longer than many leases and heartbeats: others may have taken it for dead meanwhile.",
            "`truechimer pauses --node` shows the evidence for the cause. throttled: raise the quota; "
            "steal: move the machine; gc: tune the heap; io or memory: see the pressure panels.",
        ),
        Alert(
            "TruechimerLongPauseNotSingle",
            f'max_over_time(truechimer_pause_window_max_seconds{{runtime!~"host|process"}}[10m]) '
            f"> {MAX_PAUSE_S} unless {_SOURCE} ({_SINGLE_LONG})",
            "0s",
            "warning",
            "{{ $labels.node }}: {{ $labels.source }} stood still for at least "
            "{{ $value | humanizeDuration }}",
            "The longest of several pauses that were not seen singly; it may have been as long as "
            "truechimer_pause_window_max_upper_seconds.",
            "`truechimer pauses --node` shows what they were. Look more often to see them singly.",
        ),
        Alert(
            "TruechimerThrottled",
            "sum_over_time(truechimer_process_throttled_seconds[10m]) "
            f"/ sum_over_time(truechimer_process_observed_seconds[10m]) > {MAX_THROTTLED}",
            "5m",
            "warning",
            "{{ $labels.node }}: {{ $labels.source }} is throttled for {{ $value | humanizePercentage }} "
            "of the time",
            "Its cgroup's CPU quota is used up; time is summed over CPUs.",
            "Raise the quota (CPUQuota=, limits.cpu), or give the program fewer threads than it has CPUs.",
        ),
        Alert(
            "TruechimerOldGenerationFull",
            f"truechimer_heap_old_full_ratio > {MAX_OLD_FULL}",
            "2m",
            "warning",
            "{{ $labels.node }}: the old generation of {{ $labels.source }} is "
            "{{ $value | humanizePercentage }} full",
            "A full collection is near, which may stop it for seconds.",
            "Raise the heap, or find what it keeps. Drain the node first where that is possible.",
        ),
        Alert(
            "TruechimerFsyncSlow",
            f"quantile_over_time(0.99, truechimer_fsync_duration_seconds[10m]) > {MAX_FSYNC_S}",
            "5m",
            "warning",
            "{{ $labels.node }}: one fsync in a hundred on {{ $labels.disk }} takes "
            "{{ $value | humanizeDuration }}",
            "Elections feel this first: who logs before it answers (etcd, ZooKeeper, Kafka) answers late.",
            "`truechimer pauses --node` has the distribution. See what else writes to the disk.",
        ),
        Alert(
            "TruechimerFsyncFails",
            "max_over_time(truechimer_fsync_outcome[5m]) > 0",
            "0s",
            "critical",
            "{{ $labels.node }}: write and fsync on {{ $labels.disk }} fails",
            "The disk is full, read-only, or failing.",
            "The agent's log has the error. See df, mount and the kernel's log.",
        ),
        Alert(
            "TruechimerUnwatched",
            "last_over_time(truechimer_pause_window_observed_seconds[6h]) "
            "unless last_over_time(truechimer_pause_window_observed_seconds[2m]) "
            "and on (cluster, node) last_over_time(truechimer_agent_samples_total[2m])",
            "1m",
            "warning",
            "{{ $labels.node }}: a source of pauses is watched no longer",
            "Its agent is there, and nobody looks for the pauses of the source that the alert names: "
            "unknown, not healthy.",
            "The process ended, or the agent may no longer read it: `truechimer doctor` on the host, and the "
            "agent's log.",
        ),
    ),
)
