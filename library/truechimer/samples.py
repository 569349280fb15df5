"""Every measurement: its tags, fields, units and codes, declared once.

Line protocol, database tables, documentation and dashboards are derived from :data:`MEASUREMENTS`.
Offsets are reference − local throughout; times are Unix nanoseconds. No value is in a tag and no
field is a string: states are small integer codes whose numbers are append-only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from truechimer.codes import (
    BoundReason,
    BoundStatus,
    FsyncOutcome,
    Leap,
    NtpOutcome,
    ProbeOutcome,
    ServerReason,
    ServerVerdict,
)
from truechimer.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import IntEnum

SCHEMA_VERSION = 1
COMMON_TAGS = ("cluster", "zone", "node")

FieldKind = Literal["float", "int"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a measurement: ``kind`` decides its encoding, ``codes`` names its values."""

    name: str
    kind: FieldKind
    meaning: str
    codes: type[IntEnum] | None = None

    @property
    def is_counter(self) -> bool:
        """Whether the value only grows while its source lives."""
        return self.name.endswith("_total")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement; ``tags`` are those beyond cluster, zone and node."""

    name: str
    per: str
    tags: tuple[str, ...]
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field | None:
        """Look a field up by name; None when there is none."""
        return _FIELDS[self.name].get(name)


@dataclass(frozen=True, slots=True)
class Sample:
    """One point: identity is (measurement, tags, time_ns); sending it twice changes nothing."""

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, float | int]
    time_ns: int


def _float(name: str, meaning: str) -> Field:
    return Field(name, "float", meaning)


def _int(name: str, meaning: str, codes: type[IntEnum] | None = None) -> Field:
    return Field(name, "int", meaning, codes)


_STEADY = (
    _float("steady_seconds", "S, the steady clock, at the sample"),
    _int("epoch", "epoch of S: values of different epochs are not comparable"),
)

MEASUREMENTS: Mapping[str, Measurement] = {
    m.name: m
    for m in (
        Measurement(
            "truechimer_ntp",
            "exchange with an NTP server, lost ones too",
            ("server",),
            (
                _int("outcome", "what became of the exchange", NtpOutcome),
                _float("offset_seconds", "UTC − W by the exchange's midpoint"),
                _float("delay_seconds", "round trip less the server's own time"),
                _float("lower_seconds", "least UTC − W that the exchange allows, root distance included"),
                _float("upper_seconds", "greatest UTC − W that the exchange allows, root distance included"),
                _float("root_delay_seconds", "the server's round trip to its reference"),
                _float("root_dispersion_seconds", "the server's error bound against its reference"),
                _int("stratum", "the server's stratum"),
                _int("leap", "the server's leap indicator", Leap),
                _int("verdict", "what the majority made of the server then", ServerVerdict),
                _int("reason", "why the reply or the server does not count", ServerReason),
                _int("reach", "the last eight polls' outcomes as bits, newest lowest"),
                *_STEADY,
            ),
        ),
        Measurement(
            "truechimer_clock",
            "10 s",
            (),
            (
                _float("wall_minus_steady_seconds", "W − S now"),
                _float(
                    "wall_minus_steady_seconds_min",
                    "least W − S in the interval, as far as the looks at it can tell",
                ),
                _float(
                    "wall_minus_steady_seconds_max",
                    "greatest W − S in the interval, as far as the looks at it can tell",
                ),
                _float("wall_rate_ppm", "rate of W against RAW, steps left out"),
                _float("mono_rate_ppm", "rate of MONOTONIC against RAW: the kernel's slewing"),
                _float("suspended_seconds", "BOOTTIME − MONOTONIC: time asleep since boot"),
                _float("read_width_seconds", "uncertainty of the reading itself"),
                _float(
                    "observed_seconds", "the interval's length by S, from its first look at W to its last"
                ),
                _float("gap_seconds_max", "the longest time between two looks at W"),
                *_STEADY,
            ),
        ),
        Measurement(
            "truechimer_clock_event",
            "event",
            ("kind",),
            (
                _float("size_seconds", "by how much: the change of W, or the sleep's length"),
                *_STEADY,
            ),
        ),
        Measurement(
            "truechimer_kernel",
            "10 s",
            (),
            (
                _float("offset_seconds", "adjtimex offset still to be slewed"),
                _float("frequency_ppm", "adjtimex frequency correction"),
                _float("maxerror_seconds", "adjtimex maximum error"),
                _float("esterror_seconds", "adjtimex estimated error"),
                _int("status", "adjtimex status bits (STA_*)"),
                _int("synchronized", "1 unless STA_UNSYNC"),
                _int("leap", "the kernel's leap state", Leap),
                _float("tai_offset_seconds", "TAI − UTC as the kernel holds it; 0 when never set"),
            ),
        ),
        Measurement(
            "truechimer_daemon",
            "16 s",
            ("daemon",),
            (
                _float("system_time_seconds", "UTC − W as the time daemon believes"),
                _float("root_delay_seconds", "the daemon's root delay"),
                _float("root_dispersion_seconds", "the daemon's root dispersion"),
                _float("frequency_ppm", "the daemon's frequency correction; positive: it makes W faster"),
                _float("skew_ppm", "the daemon's bound on that correction's error"),
                _int("stratum", "the daemon's stratum"),
                _int("leap", "the daemon's leap indicator", Leap),
                _int("reachable_sources", "sources that answered lately"),
                *_STEADY,
            ),
        ),
        Measurement(
            "truechimer_bound",
            "10 s, and at once when a step is seen",
            (),
            (
                _float("lower_seconds", "least UTC − W"),
                _float("upper_seconds", "greatest UTC − W"),
                _float("frequency_lower_ppm", "least frequency error of RAW"),
                _float("frequency_upper_ppm", "greatest frequency error of RAW"),
                _float("half_width_seconds", "half of upper − lower"),
                _float("wall_minus_steady_seconds", "W − S then: lower and upper with it bound UTC − S"),
                _int("status", "how far the interval can be trusted", BoundStatus),
                _int("reason", "why it is not better", BoundReason),
                _int("servers_used", "servers selected"),
                _int("servers_rejected", "servers in use that were not selected"),
                *_STEADY,
            ),
        ),
        Measurement(
            "truechimer_rtt",
            "probe",
            ("peer", "via"),
            (
                _int("outcome", "what became of the probe", ProbeOutcome),
                _float("rtt_seconds", "round trip; absent without a reply"),
                _float("lower_seconds", "least S_peer − S_node as of steady_seconds (stamp)"),
                _float("upper_seconds", "greatest S_peer − S_node as of steady_seconds (stamp)"),
                _int("peer_epoch", "the peer's epoch of S (stamp)"),
                _float("reflector_seconds", "time inside the peer (stamp)"),
                _int("dscp", "the probe's DSCP class (stamp); absent: 0"),
                *_STEADY,
            ),
        ),
        Measurement(
            "truechimer_path",
            "peer and 10 s",
            ("peer",),
            (
                _int("sent", "probes sent"),
                _int("received", "replies received"),
                _int("lost_forward", "probes of which it became known that the peer never saw them"),
                _int("lost_backward", "probes of which it became known that their reply was lost"),
                _int("undetermined", "lost probes now of which no later reply tells the direction: a level"),
                _int("unknown", "lost probes whose direction will never be known: the peer began anew"),
                _int("reordered", "replies out of order"),
                _int("duplicated", "replies seen twice"),
                _int("dscp", "the probes' DSCP class; absent: 0"),
                _int("session", "the SSID of this run of probes (RFC 8972)"),
                _int("reflected_total", "probes of the session that the peer had seen by its latest reply"),
                *_STEADY,
            ),
        ),
        Measurement(
            "truechimer_reflection",
            "peer that probes this node, and 10 s",
            ("peer",),
            (
                _int("requests", "its probes, each counted once"),
                _int("replayed", "packets that had been seen before"),
                _int("limited", "probes left unanswered: more than the rate that one source may have"),
                _int("session", "the SSID of its run of probes"),
                _int("seen_total", "probes of the session seen so far"),
                *_STEADY,
            ),
        ),
        Measurement(
            "truechimer_reflector",
            "10 s",
            (),
            (
                _int("requests_total", "packets received"),
                _int("replies_total", "replies sent"),
                _int("malformed_total", "packets that were no request: length or contents"),
                _int("unauthenticated_total", "requests without authentication, though a key is configured"),
                _int("forged_total", "requests whose authentication is wrong"),
                _int("replayed_total", "requests that had been seen before"),
                _int("limited_total", "requests left unanswered: more than one source may send"),
                _int("failed_total", "replies that this host could not send"),
                _float("residence_seconds_max", "the longest time from a request's arrival to its reply"),
            ),
        ),
        Measurement(
            "truechimer_pause",
            "pause above the threshold",
            ("source", "runtime", "cause"),
            (
                _float("duration_seconds", "how long nothing ran, past the deadline"),
                _float("run_delay_seconds", "of it, waiting in the run queue"),
                _float("steal_seconds", "CPU time that the hypervisor took meanwhile"),
                _float("throttled_seconds", "of it, throttled by a cgroup quota"),
                _int("major_faults", "page faults that had to wait for a disk"),
                _float("io_wait_seconds", "of it, waiting for block I/O"),
                _float("frozen_seconds", "of it, frozen by a cgroup"),
                _float("memory_stall_seconds", "PSI: some task waited for memory meanwhile"),
                _float("io_stall_seconds", "PSI: some task waited for I/O meanwhile"),
                _float("sync_seconds", "of it, until all threads had stopped (time to safepoint)"),
                _float("interval_seconds", "how often was looked: the length is known no better"),
                _int("pauses", "how many pauses this is the sum of, where they were not seen singly"),
                _float("confidence_ratio", "confidence in the cause, 0 to 1"),
                *_STEADY,
            ),
        ),
        Measurement(
            "truechimer_pause_window",
            "source and 10 s",
            ("source", "runtime"),
            (
                _float("observed_seconds", "time that was watched"),
                _int("count", "pauses above the threshold"),
                _float("total_seconds", "their summed length"),
                _float("max_seconds", "the longest lateness, above the threshold or not"),
                _float(
                    "max_upper_seconds",
                    "as long as the longest may have been, where some were not seen singly",
                ),
                _float("sync_seconds", "of the sum, until all threads had stopped (time to safepoint)"),
                _float("threshold_seconds", "what counts as a pause"),
                _float("interval_seconds", "how often was looked"),
            ),
        ),
        Measurement(
            "truechimer_pressure",
            "10 s",
            (),
            (
                _float("cpu_some_seconds_total", "PSI: some task waited for a CPU"),
                _float("io_some_seconds_total", "PSI: some task waited for I/O"),
                _float("io_full_seconds_total", "PSI: all tasks waited for I/O"),
                _float("memory_some_seconds_total", "PSI: some task waited for memory"),
                _float("memory_full_seconds_total", "PSI: all tasks waited for memory"),
                _float("steal_seconds_total", "CPU time taken by the hypervisor"),
                _int("major_faults_total", "major page faults"),
                _int("swap_in_pages_total", "pages swapped in"),
                _int("context_switches_total", "context switches"),
                _float("run_queue_seconds_total", "time that runnable tasks waited for a CPU, all CPUs"),
            ),
        ),
        Measurement(
            "truechimer_process",
            "watched process and 10 s",
            ("source", "runtime"),
            (
                _float("observed_seconds", "time that was watched since the last point"),
                _int("processes", "processes that match now"),
                _int("tasks", "their tasks (threads) now"),
                _int("started", "processes found since the last point"),
                _int("ended", "processes that ended since the last point"),
                _float("run_seconds", "CPU time since the last point, all tasks"),
                _float("run_delay_seconds", "waiting in the run queue since the last point, all tasks"),
                _float("run_delay_seconds_max", "the most that one task waited so since the last point"),
                _int("major_faults", "page faults that had to wait for a disk since the last point"),
                _float("io_wait_seconds", "waiting for block I/O since the last point, all tasks"),
                _float("throttled_seconds", "its cgroup's time throttled since the last point, CPUs summed"),
                _float("stopped_seconds", "seen stopped (SIGSTOP, a debugger) since the last point"),
                _float("frozen_seconds", "its cgroup frozen since the last point"),
                _float("interval_seconds", "how often was looked"),
            ),
        ),
        Measurement(
            "truechimer_heap",
            "watched runtime and 10 s",
            ("source", "runtime"),
            (
                _int("old_used_bytes", "old generation (or whole heap where there is none) in use"),
                _int("old_limit_bytes", "what it may grow to"),
                _float("old_full_ratio", "of it in use: a full collection is near when this nears 1"),
                _float("collecting_seconds", "how long a collection has been running that has not ended yet"),
            ),
        ),
        Measurement(
            "truechimer_fsync",
            "probe",
            ("disk",),
            (
                _float("duration_seconds", "write + fsync of a small file; how long so far while it hangs"),
                _int("outcome", "what became of it", FsyncOutcome),
                _int("hidden", "probes that were due meanwhile and could not begin"),
                _float("interval_seconds", "how often is probed"),
            ),
        ),
        Measurement(
            "truechimer_tcp",
            "remote of real connections and 10 s",
            ("peer",),
            (
                _int("connections", "established connections to the remote"),
                _float("srtt_seconds", "the kernel's smoothed round trip, median of the connections"),
                _float("rttvar_seconds", "its mean deviation, median of the connections"),
                _float("min_rtt_seconds", "the least round trip that any connection saw lately"),
                _float("rto_seconds", "the longest retransmission timeout now"),
                _int("segments_sent", "data segments sent since the last point"),
                _int("retransmitted", "of them, sent again"),
            ),
        ),
        Measurement(
            "truechimer_agent",
            "10 s",
            (),
            (
                _float("cpu_seconds_total", "CPU time of all the agent's processes"),
                _int("resident_bytes", "resident memory of all the agent's processes"),
                _int("spool_bytes", "bytes waiting in the spool"),
                _float("spool_oldest_seconds", "age of the oldest batch in the spool"),
                _int("samples_total", "samples taken"),
                _int("dropped_total", "samples given up for want of room"),
                _float("late_seconds_max", "worst lateness of the agent's own loop"),
            ),
        ),
        Measurement(
            "truechimer_collector",
            "collector and 10 s",
            ("collector",),
            (
                _int("runs_total", "times it ran"),
                _int("errors_total", "times it failed"),
                _float("busy_seconds_total", "time spent in it"),
            ),
        ),
    )
}

_FIELDS: dict[str, dict[str, Field]] = {
    m.name: {field.name: field for field in m.fields} for m in MEASUREMENTS.values()
}


def check(sample: Sample) -> None:
    """Hold a sample against its declaration.

    Raises DecodeError naming what is wrong: an unknown measurement, tag or field, a missing tag, a value
    of the wrong type, not finite, or beyond 64 bits.
    """
    measurement = MEASUREMENTS.get(sample.measurement)
    if measurement is None:
        raise DecodeError(f"unknown measurement {sample.measurement!r}")
    if not -(2**63) <= sample.time_ns < 2**63:
        raise DecodeError(f"time {sample.time_ns} is beyond 64 bits of nanoseconds")
    _check_tags(measurement, sample.tags)
    if not sample.fields:
        raise DecodeError(f"{sample.measurement} has no field")
    for name, value in sample.fields.items():
        _check_field(measurement, name, value)


def _check_tags(measurement: Measurement, tags: Mapping[str, str]) -> None:
    for tag in tags:
        if tag not in measurement.tags and tag not in COMMON_TAGS:
            raise DecodeError(f"{measurement.name} has no tag {tag!r}")
    for tag in ("cluster", "node", *measurement.tags):
        if not tags.get(tag):
            raise DecodeError(f"{measurement.name} lacks its tag {tag!r}")


def _check_field(measurement: Measurement, name: str, value: float) -> None:
    field = measurement.field(name)
    if field is None:
        raise DecodeError(f"{measurement.name} has no field {name!r}")
    if field.kind == "int":
        if type(value) is not int:
            raise DecodeError(f"{measurement.name}.{name} must be an integer, not {value!r}")
        if not -(2**63) <= value < 2**63:
            raise DecodeError(f"{measurement.name}.{name} is beyond 64 bits")
    elif type(value) is not float or not math.isfinite(value):
        raise DecodeError(f"{measurement.name}.{name} must be a finite float, not {value!r}")
