"""Prometheus' own tool takes the rules and every query, and each alert fires when it should and not else."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dashboards.host import all_queries, expression
from dashboards.rules import all_alerts

pytestmark = pytest.mark.lab

RULES = Path(__file__).parents[2] / "dashboards/prometheus/truechimer.rules.yml"
LABELS = {
    "truechimer_ntp": 'server="10.0.0.1"',
    "truechimer_clock_event": 'kind="step"',
    "truechimer_daemon": 'daemon="chrony"',
    "truechimer_rtt": 'peer="b",via="tcp"',
    "truechimer_path": 'peer="b"',
    "truechimer_pause_window": 'source="db",runtime="jvm"',
    "truechimer_pause": 'source="host",runtime="host",cause="steal"',
    "truechimer_process": 'source="db",runtime="process"',
    "truechimer_heap": 'source="db",runtime="jvm"',
    "truechimer_fsync": 'disk="/var/lib/etcd"',
    "truechimer_collector": 'collector="ntp"',
}
ALTERNATELY = " ".join(["0.001", "_"] * 90)


@dataclass(frozen=True)
class Case:
    """Per node, the values (promtool's notation, one each 10 s) of metrics; and which nodes alert when."""

    series: dict[str, dict[str, str]]
    firing: set[str]
    at: str
    quiet_at: tuple[str, ...] = ()
    kinds: dict[str, str] = field(default_factory=dict)


def steady(value: float) -> str:
    return f"{value}+0x180"


def bound(lower: float, upper: float, status: int = 1) -> dict[str, str]:
    return {
        "truechimer_bound_lower_seconds": steady(lower),
        "truechimer_bound_upper_seconds": steady(upper),
        "truechimer_bound_status": steady(status),
    }


def daemon(system_time: str, leap: int = 0, status: int = 1) -> dict[str, str]:
    """A time daemon's word, ± 1 ms, beside a clock that is proven right to ± 1 ms."""
    return bound(-0.001, 0.001, status) | {
        "truechimer_daemon_system_time_seconds": system_time,
        "truechimer_daemon_root_delay_seconds": steady(0.001),
        "truechimer_daemon_root_dispersion_seconds": steady(0.0005),
        "truechimer_daemon_leap": steady(leap),
    }


def reason(code: int) -> dict[str, str]:
    return {"truechimer_bound_reason": steady(code)}


def frequency(lower: float, upper: float) -> dict[str, str]:
    return {
        "truechimer_bound_frequency_lower_ppm": steady(lower),
        "truechimer_bound_frequency_upper_ppm": steady(upper),
    }


def probes(outcome: str, rtt: str | None) -> dict[str, str]:
    found = {"truechimer_rtt_outcome": outcome}
    return found if rtt is None else {**found, "truechimer_rtt_rtt_seconds": rtt}


def path(forward: float, backward: float) -> dict[str, str]:
    """Ten probes per point, and how many of them were lost which way."""
    return {
        "truechimer_path_sent": steady(10),
        "truechimer_path_lost_forward": steady(forward),
        "truechimer_path_lost_backward": steady(backward),
    }


def throttled(seconds: float) -> dict[str, str]:
    """So many of each ten seconds."""
    return {
        "truechimer_process_throttled_seconds": steady(seconds),
        "truechimer_process_observed_seconds": steady(10),
    }


def watched(windows: str, agent: str) -> dict[str, str]:
    """A source's windows, and its agent's word."""
    return {"truechimer_pause_window_observed_seconds": windows, "truechimer_agent_samples_total": agent}


def spool(oldest: str, size: str) -> dict[str, str]:
    return {"truechimer_agent_spool_oldest_seconds": oldest, "truechimer_agent_spool_bytes": size}


def collector(errors: str, runs: str) -> dict[str, str]:
    return {"truechimer_collector_errors_total": errors, "truechimer_collector_runs_total": runs}


CASES = {
    "TruechimerClockBeyond": Case(
        {
            "behind": bound(0.06, 0.08),
            "ahead": bound(-0.5, -0.4, status=2),
            "wide": bound(0.04, 0.08),
            "unknown": bound(0.06, 0.08, status=0),
        },
        {"behind", "ahead"},
        "5m",
        quiet_at=("50s",),
    ),
    "TruechimerClockUnproven": Case(
        {
            "wide": bound(-0.01, 0.2),
            "wide_below": bound(-0.2, 0.01),
            "disrupted": {"truechimer_bound_status": steady(3)},
            "unknown": {"truechimer_bound_status": steady(0)},
            "fine": bound(-0.001, 0.001),
            "beyond": bound(0.06, 0.08),
        },
        {"wide", "wide_below", "disrupted", "unknown"},
        "20m",
        quiet_at=("14m",),
    ),
    "TruechimerNoMajority": Case({"a": reason(3), "b": reason(0)}, {"a"}, "5m", quiet_at=("1m",)),
    "TruechimerSourcesBlocked": Case({"a": reason(4), "b": reason(3)}, {"a"}, "10m", quiet_at=("4m",)),
    "TruechimerUnsynchronised": Case(
        {"none": reason(1), "mute": reason(2), "single": reason(6), "fine": reason(0)},
        {"none", "mute"},
        "15m",
        quiet_at=("9m",),
    ),
    "TruechimerFalseticker": Case(
        {"a": {"truechimer_ntp_verdict": steady(2)}, "b": {"truechimer_ntp_verdict": steady(1)}},
        {"a"},
        "10m",
        quiet_at=("4m",),
    ),
    "TruechimerDaemonDisagrees": Case(
        {
            "ahead": daemon(steady(0.037)),
            "behind": daemon(steady(-0.037)),
            "meets": daemon(steady(0.0019)),
            "unsynchronised": daemon(steady(0.037), leap=3),
            "unproven": daemon(steady(0.037), status=0),
            # An offset that its daemon has slewed away since; and a clock 50 ms ahead, unseen by its daemon.
            "slewed": daemon(steady(0.037)),
            "blind": daemon(steady(0.002)) | bound(-0.051, -0.049),
            # The clock was slewed meanwhile; the daemon's word is as old as a word may be.
            "moved": daemon(steady(0.037))
            | {
                "truechimer_bound_lower_seconds": " ".join(["-0.001 0.036"] * 90),
                "truechimer_bound_upper_seconds": " ".join(["0.001 0.038"] * 90),
            },
        },
        {"ahead", "behind", "blind"},
        "5m",
        quiet_at=("50s",),
        kinds={"slewed": "ntpd", "blind": "timesyncd"},
    ),
    "TruechimerClockStepped": Case(
        {
            "back": {"truechimer_clock_event_size_seconds": "_x30 -0.5 _x120"},
            "little": {"truechimer_clock_event_size_seconds": "_x30 0.0005 _x120"},
            "slept": {"truechimer_clock_event_size_seconds": "_x30 3600 _x120"},
        },
        {"back"},
        "8m",
        quiet_at=("4m", "18m"),
        kinds={"slept": "suspend"},
    ),
    "TruechimerClockDrifting": Case(
        {"fast": frequency(120, 130), "slow": frequency(-150, -101), "unsure": frequency(90, 150)},
        {"fast", "slow"},
        "15m",
        quiet_at=("9m",),
    ),
    "TruechimerLongPause": Case(
        {
            "a": {"truechimer_pause_duration_seconds": "_x30 1.5 _x120"},
            "b": {"truechimer_pause_duration_seconds": "_x30 0.8 _x120"},
            # Nine that were not seen singly.
            "summed": {
                "truechimer_pause_duration_seconds": "_x30 1.5 _x120",
                "truechimer_pause_pauses": "_x30 9 _x120",
            },
            "single": {
                "truechimer_pause_duration_seconds": "_x30 1.5 _x120",
                "truechimer_pause_pauses": "_x30 1 _x120",
            },
        },
        {"a", "single"},
        "8m",
        quiet_at=("4m", "18m"),
    ),
    "TruechimerLongPauseNotSingle": Case(
        {
            "long": {"truechimer_pause_window_max_seconds": "0x30 1.2 0x120"},
            "short": {"truechimer_pause_window_max_seconds": "0x30 0.8 0x120"},
        },
        {"long"},
        "8m",
        quiet_at=("4m", "18m"),
    ),
    "TruechimerThrottled": Case(
        {
            "much": throttled(2),
            "little": throttled(0.5),
        },
        {"much"},
        "12m",
        quiet_at=("4m",),
    ),
    "TruechimerOldGenerationFull": Case(
        {
            "full": {"truechimer_heap_old_full_ratio": steady(0.95)},
            "half": {"truechimer_heap_old_full_ratio": steady(0.5)},
        },
        {"full"},
        "5m",
        quiet_at=("1m",),
    ),
    "TruechimerFsyncSlow": Case(
        {
            "slow": {"truechimer_fsync_duration_seconds": steady(0.2)},
            "fine": {"truechimer_fsync_duration_seconds": steady(0.002)},
        },
        {"slow"},
        "12m",
        quiet_at=("4m",),
    ),
    "TruechimerFsyncFails": Case(
        {
            "failing": {"truechimer_fsync_outcome": "0x30 1 0x120"},
            "fine": {"truechimer_fsync_outcome": steady(0)},
        },
        {"failing"},
        "6m",
        quiet_at=("4m", "12m"),
    ),
    "TruechimerUnwatched": Case(
        {
            "gone": watched("10x30 _x150", steady(1)),
            "there": watched("10x180", steady(1)),
            # Its agent is silent altogether, which is another alert.
            "silent": watched("10x30 _x150", "1x30 _x150"),
        },
        {"gone"},
        "12m",
        quiet_at=("5m",),
    ),
    "TruechimerProbesUnanswered": Case(
        {
            "mute": probes(steady(1), None),
            "half": probes(steady(0), ALTERNATELY),
            "fine": probes(steady(0), steady(0.001)),
            # Scraped from /metrics: the latest outcome, and no gauge of the round trip.
            "scraped": probes(steady(0), None),
        },
        {"mute", "half"},
        "12m",
        quiet_at=("4m",),
    ),
    "TruechimerLossOneWay": Case(
        {
            "there": path(forward=2, backward=0),
            "back": path(forward=0, backward=2),
            "both": path(forward=2, backward=2),
            "hardly": path(forward=0.2, backward=0),
        },
        {"there", "back"},
        "12m",
        quiet_at=("4m",),
    ),
    "TruechimerAgentSilent": Case(
        {
            "gone": {"truechimer_agent_samples_total": "1+1x30 _x150"},
            "there": {"truechimer_agent_samples_total": "1+1x180"},
        },
        {"gone"},
        "12m",
        quiet_at=("5m",),
    ),
    "TruechimerSpoolGrowing": Case(
        {
            "grows": spool("700+10x180", "1000+100x180"),
            "shrinks": spool("700+0x180", "1000000-100x180"),
            "young": spool("5+0x180", "1000+100x180"),
        },
        {"grows"},
        "15m",
        quiet_at=("9m",),
    ),
    "TruechimerSamplesDropped": Case(
        {
            "a": {"truechimer_agent_dropped_total": "0+0x30 1+1x30 31+0x120"},
            "b": {"truechimer_agent_dropped_total": steady(7)},
        },
        {"a"},
        "8m",
        quiet_at=("4m", "28m"),
    ),
    "TruechimerCollectorFailing": Case(
        {"a": collector("0+1x180", "0+1x180"), "b": collector("0+1x180", "0+10x180")},
        {"a"},
        "15m",
        quiet_at=("9m",),
    ),
}


def promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def input_series(case: Case) -> list[dict[str, str]]:
    found = []
    for node, metrics in case.series.items():
        for name, values in metrics.items():
            tags = next((tags for prefix, tags in LABELS.items() if name.startswith(prefix + "_")), "")
            for usual in ("step", "chrony"):
                tags = tags.replace(f'"{usual}"', f'"{case.kinds.get(node, usual)}"')
            found.append({"series": f'{name}{{cluster="prod",node="{node}",{tags}}}', "values": values})
    return found


def firing(alert: str, at: str, nodes: set[str]) -> dict[str, object]:
    return {
        "expr": f'count by (node) (ALERTS{{alertname="{alert}",alertstate="firing"}})',
        "eval_time": at,
        "exp_samples": [{"labels": f'{{node="{node}"}}', "value": 1} for node in sorted(nodes)],
    }


def test_prometheus_takes_the_rules():
    assert f"SUCCESS: {len(all_alerts())} rules found" in promtool(
        "check", "rules", "--lint-fatal", str(RULES)
    )


def test_prometheus_takes_every_query_of_the_dashboard(tmp_path: Path):
    """The queries are PromQL, not only VictoriaMetrics' extension of it. (JSON is YAML.)"""
    rules = [
        {
            "record": f"query:{number}",
            "expr": expression(query).replace("$__rate_interval", "1m").replace("$__interval", "30s"),
        }
        for number, query in enumerate(all_queries())
    ]
    path = tmp_path / "queries.yml"
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", str(path))


def test_every_alert_has_a_case():
    assert set(CASES) == {alert.name for alert in all_alerts()}


@pytest.mark.parametrize("alert", CASES)
def test_the_alert_fires_for_the_nodes_it_should_and_at_no_other_time(alert: str, tmp_path: Path):
    case = CASES[alert]
    test = {
        "interval": "10s",
        "input_series": input_series(case),
        "promql_expr_test": [
            firing(alert, case.at, case.firing),
            *(firing(alert, at, set()) for at in case.quiet_at),
        ],
    }
    path = tmp_path / "test.yml"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "10s", "tests": [test]}))
    promtool("test", "rules", str(path))


def test_annotations_are_filled_in(tmp_path: Path):
    """Templates of value and labels expand to what a person reads."""
    every = CASES["TruechimerLongPause"]
    case = Case({"a": every.series["a"]}, {"a"}, every.at)
    rule = next(alert for alert in all_alerts() if alert.name == "TruechimerLongPause")
    expected = {
        "exp_labels": {
            "severity": "warning",
            "cluster": "prod",
            "node": "a",
            "source": "host",
            "runtime": "host",
            "cause": "steal",
        },
        "exp_annotations": {
            "summary": "a: host stood still for 1.5s (steal)",
            "description": rule.description,
            "runbook": rule.runbook,
        },
    }
    test = {
        "interval": "10s",
        "input_series": input_series(case),
        "alert_rule_test": [{"eval_time": case.at, "alertname": rule.name, "exp_alerts": [expected]}],
    }
    path = tmp_path / "test.yml"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "10s", "tests": [test]}))
    promtool("test", "rules", str(path))
