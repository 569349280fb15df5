"""The alert rules, as data; written out as Prometheus' rule file by :mod:`dashboards.build`."""

from __future__ import annotations

import json

from dashboards.alerts import Alert, Group
from dashboards.pause_rules import PAUSES
from truechimer.codes import BoundReason, BoundStatus, Leap, ServerVerdict

MAX_OFFSET_S = 0.05
MAX_FREQUENCY_PPM = 100
MAX_UNANSWERED = 0.05
MAX_LOST_ONE_WAY = 0.05
LOSS_RATIO = 4


# chronyd tells what is left to be slewed now; the others an offset of which some part has been slewed since.
_BELIEVED_LEAST = (
    '(truechimer_daemon_system_time_seconds{daemon="chrony"} '
    'or clamp_max(truechimer_daemon_system_time_seconds{daemon!="chrony"}, 0)) '
    "- truechimer_daemon_root_dispersion_seconds - truechimer_daemon_root_delay_seconds / 2"
)
_BELIEVED_MOST = (
    '(truechimer_daemon_system_time_seconds{daemon="chrony"} '
    'or clamp_min(truechimer_daemon_system_time_seconds{daemon!="chrony"}, 0)) '
    "+ truechimer_daemon_root_dispersion_seconds + truechimer_daemon_root_delay_seconds / 2"
)

_CLOCKS = Group(
    "truechimer-clocks",
    (
        Alert(
            "TruechimerClockBeyond",
            f"(truechimer_bound_lower_seconds > {MAX_OFFSET_S} or truechimer_bound_upper_seconds < "
            f"-{MAX_OFFSET_S}) "
            f"and (truechimer_bound_status == {BoundStatus.SYNCHRONIZED:d} "
            f"or truechimer_bound_status == {BoundStatus.HOLDOVER:d})",
            "1m",
            "critical",
            "{{ $labels.node }}: the clock is proven wrong by at least {{ $value | humanizeDuration }}",
            f"The whole interval of true time lies beyond {MAX_OFFSET_S} s; positive: the clock is behind.",
            "Take the node out of whatever trusts its clock (leases, last-write-wins). `truechimer clocks "
            "--node` "
            "names the servers that prove it; then see what its time daemon follows.",
        ),
        Alert(
            "TruechimerClockUnproven",
            f"(truechimer_bound_upper_seconds > {MAX_OFFSET_S} and truechimer_bound_lower_seconds <= "
            f"{MAX_OFFSET_S}) "
            f"or (truechimer_bound_lower_seconds < -{MAX_OFFSET_S} "
            f"and truechimer_bound_upper_seconds >= -{MAX_OFFSET_S}) "
            f"or truechimer_bound_status == {BoundStatus.UNKNOWN:d} "
            f"or truechimer_bound_status == {BoundStatus.DISRUPTED:d}",
            "15m",
            "warning",
            "{{ $labels.node }}: the clock may be wrong by more than the limit, and nothing proves otherwise",
            f"For 15 minutes the interval was not within {MAX_OFFSET_S} s, or there was none. Unknown is "
            "not healthy.",
            "Look at truechimer_bound_reason and at each server's delay and root distance: too few, too "
            "far, or "
            "unreachable servers make wide intervals.",
        ),
        Alert(
            "TruechimerNoMajority",
            f"truechimer_bound_reason == {BoundReason.NO_MAJORITY:d}",
            "2m",
            "critical",
            "{{ $labels.node }}: its time servers contradict one another and no majority agrees",
            "No point of time is in more than half of the servers' intervals, so nobody can say who is "
            "right.",
            "`truechimer clocks --node` prints each server's interval. Remove the server that is alone, or "
            "add "
            "servers: four tell one false server, seven tell two even when some are away.",
        ),
        Alert(
            "TruechimerSourcesBlocked",
            f"truechimer_bound_reason == {BoundReason.SOURCES_BLOCKED:d}",
            "5m",
            "warning",
            "{{ $labels.node }}: NTP is blocked",
            "Servers are configured and the host has a network, but NTP packets do not come back.",
            "Check firewalls for UDP port 123 both ways, and that the servers do not refuse this client "
            "(kiss codes "
            "are in truechimer_ntp_reason).",
        ),
        Alert(
            "TruechimerUnsynchronised",
            f"truechimer_bound_reason == {BoundReason.NO_SERVERS:d} or truechimer_bound_reason == "
            f"{BoundReason.NO_REPLY:d}",
            "10m",
            "warning",
            "{{ $labels.node }}: no time server to compare with",
            "No server is configured, or none answered for 10 minutes: the interval only widens.",
            "`truechimer doctor` on the host says which servers it found and what each try met.",
        ),
        Alert(
            "TruechimerFalseticker",
            f"truechimer_ntp_verdict == {ServerVerdict.FALSETICKER:d}",
            "5m",
            "warning",
            "{{ $labels.node }}: server {{ $labels.server }} tells a false time",
            "Its interval does not meet the majority's.",
            "Take the server out of the time daemons' configurations. When every node says so, the server "
            "is wrong; "
            "when one node does, its path is asymmetric.",
        ),
        Alert(
            "TruechimerDaemonDisagrees",
            f"(({_BELIEVED_LEAST}) > on (cluster, node) group_left "
            "max by (cluster, node) (max_over_time(truechimer_bound_upper_seconds[1m])) "
            f"or ({_BELIEVED_MOST}) < on (cluster, node) group_left "
            "min by (cluster, node) (min_over_time(truechimer_bound_lower_seconds[1m]))) "
            f"unless truechimer_daemon_leap == {Leap.UNSYNCHRONISED:d} "
            f"and on (cluster, node) (truechimer_bound_status == {BoundStatus.SYNCHRONIZED:d} "
            f"or truechimer_bound_status == {BoundStatus.HOLDOVER:d})",
            "1m",
            "warning",
            "{{ $labels.node }}: its own time daemon believes what its servers disprove",
            "The daemon's interval of UTC − clock meets none of the last minute's proven ones: it follows a "
            "false server, or does not know that the clock was moved.",
            "`truechimer clocks --node` has both intervals. Compare the daemon's sources (chronyc sources, "
            "ntpq -p, timedatectl timesync-status) with the servers' verdicts there.",
        ),
        Alert(
            "TruechimerClockStepped",
            'abs(last_over_time(truechimer_clock_event_size_seconds{kind=~"step|vm_restore"}[10m])) > 0.001',
            "0s",
            "warning",
            "{{ $labels.node }}: the wall clock was stepped by {{ $value | humanizeDuration }} ({{ "
            "$labels.kind }})",
            "Anything that timed by the wall clock across that moment is wrong by as much.",
            "The time daemon's log says whether it did it. Let it slew (chrony: makestep with a limit of a "
            "few "
            "updates after start); on virtual machines look for a restore or migration.",
        ),
        Alert(
            "TruechimerClockDrifting",
            f"truechimer_bound_frequency_lower_ppm > {MAX_FREQUENCY_PPM} "
            f"or truechimer_bound_frequency_upper_ppm < -{MAX_FREQUENCY_PPM}",
            "10m",
            "warning",
            "{{ $labels.node }}: the oscillator is off by at least {{ $value }} ppm",
            f"Proven beyond {MAX_FREQUENCY_PPM} ppm: without servers the clock leaves its limit soon.",
            "See the clock source (/sys/devices/system/clocksource) and the hypervisor; a host whose "
            "oscillator "
            "stays there should not hold leases.",
        ),
    ),
)

# Exact over shipped samples: an outcome is always there, a round trip only with a reply. Where round trips
# are not gauges (the agent's /metrics) the last term keeps a peer that answers from looking mute.
_UNANSWERED = (
    "1 - (count_over_time(truechimer_rtt_rtt_seconds[5m]) "
    "or 0 * (min_over_time(truechimer_rtt_outcome[5m]) > 0)) "
    "/ count_over_time(truechimer_rtt_outcome[5m])"
)

# Of a path's probes those lost one way, when so many more are lost that way than the other.
_LOST_ONE_WAY = " or ".join(
    f"(sum_over_time(truechimer_path_lost_{way}[5m]) / sum_over_time(truechimer_path_sent[5m]) "
    f"> {MAX_LOST_ONE_WAY} "
    f"and sum_over_time(truechimer_path_lost_{way}[5m]) "
    f"> {LOSS_RATIO} * sum_over_time(truechimer_path_lost_{other}[5m]))"
    for way, other in (("forward", "backward"), ("backward", "forward"))
)

_DELAYS = Group(
    "truechimer-delays",
    (
        Alert(
            "TruechimerProbesUnanswered",
            f"{_UNANSWERED} > {MAX_UNANSWERED}",
            "5m",
            "warning",
            "{{ $labels.node }}: {{ $value | humanizePercentage }} of probes to {{ $labels.peer }} "
            "({{ $labels.via }}) have no answer",
            "Lost, refused or unreachable, over five minutes; truechimer_rtt_outcome tells which.",
            "Compare with other nodes' probes of the same peer: all of them failing is the peer, one of "
            "them is "
            "the path.",
        ),
        Alert(
            "TruechimerLossOneWay",
            _LOST_ONE_WAY,
            "5m",
            "warning",
            "{{ $labels.node }}: {{ $value | humanizePercentage }} of packets are lost one way only, to or "
            "from {{ $labels.peer }}",
            f"More than {LOSS_RATIO} times as many as the other way. What is lost forward never reached the "
            "peer; what is lost backward the peer had answered.",
            "truechimer_path_lost_forward and _backward tell which way. Look at the sender's queues and "
            "firewall, and at the receiver's filter: the other way is good.",
        ),
    ),
)

_AGENTS = Group(
    "truechimer-agents",
    (
        Alert(
            "TruechimerAgentSilent",
            "max by (cluster, node) (last_over_time(truechimer_agent_samples_total[6h])) "
            "unless max by (cluster, node) (last_over_time(truechimer_agent_samples_total[2m]))",
            "1m",
            "warning",
            "{{ $labels.node }}: nothing heard from its agent",
            "It reported within the last six hours and does not now.",
            "On the host: systemctl status truechimer-agent. A running agent that cannot ship keeps its "
            "samples and "
            "sends them later; a host that was retired stops alerting after six hours.",
        ),
        Alert(
            "TruechimerSpoolGrowing",
            "truechimer_agent_spool_oldest_seconds > 600 and deriv(truechimer_agent_spool_bytes[10m]) > 0",
            "10m",
            "warning",
            "{{ $labels.node }}: samples wait in the spool for {{ $value | humanizeDuration }}",
            "Some sink takes them too slowly or not at all; seen through another sink or the agent's own "
            "/metrics.",
            "The agent's log names the sink and its answer. Nothing is lost until the spool reaches its cap.",
        ),
        Alert(
            "TruechimerSamplesDropped",
            "increase(truechimer_agent_dropped_total[10m]) > 0",
            "0s",
            "warning",
            "{{ $labels.node }}: samples were given up",
            "The spool reached its cap, and the oldest went.",
            "Mend the sink (see TruechimerSpoolGrowing) or raise [spool] max_bytes in agent.toml.",
        ),
        Alert(
            "TruechimerCollectorFailing",
            "increase(truechimer_collector_errors_total[10m]) > 0.5 * "
            "increase(truechimer_collector_runs_total[10m])",
            "10m",
            "info",
            "{{ $labels.node }}: the collector {{ $labels.collector }} mostly fails",
            "What it measures is missing on this host.",
            "`truechimer doctor` on the host says what it lacks and how to give it that.",
        ),
    ),
)

GROUPS = (_CLOCKS, PAUSES, _DELAYS, _AGENTS)


def all_alerts() -> tuple[Alert, ...]:
    """Every rule, in the file's order."""
    return tuple(alert for group in GROUPS for alert in group.alerts)


def rules_yaml() -> str:
    """The rule file. Strings are written as JSON's, which YAML 1.2 reads as they are."""
    lines = [
        "# Alert rules for Prometheus and vmalert, over samples that truechimer agents ship. Over a",
        "# scrape of their /metrics those about single steps, pauses and lost probes stay silent.",
        "# Built by `python -m dashboards.build` from dashboards/rules.py: change them there.",
        "groups:",
    ]
    for group in GROUPS:
        lines += [f"  - name: {group.name}", "    rules:"]
        for alert in group.alerts:
            lines += [
                f"      - alert: {alert.name}",
                f"        expr: {_quoted(alert.expression)}",
                f"        for: {alert.lasting}",
                "        labels:",
                f"          severity: {alert.severity}",
                "        annotations:",
                f"          summary: {_quoted(alert.summary)}",
                f"          description: {_quoted(alert.description)}",
                f"          runbook: {_quoted(alert.runbook)}",
            ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
