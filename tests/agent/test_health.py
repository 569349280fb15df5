"""/healthz and /metrics over real sockets."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from truechimer.config.model import HealthConfig
from truechimer.errors import ConfigError, UserError
from truechimer.samples import MEASUREMENTS, Sample
from truechimer_agent import metrics
from truechimer_agent.health import AgentStatus, Health, answer
from truechimer_agent.shipping import ShipperStats
from truechimer_agent.sinks import Trouble
from truechimer_agent.spool import SpoolStats

TAGS = {"cluster": "c", "zone": "z", "node": "n"}
SPOOL = SpoolStats(10, 1, 0.5, 0, None, durable=True, trouble=None)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def health(clock):
    health = Health(HealthConfig("127.0.0.1:0"), TAGS, clock=clock)
    health.start()
    yield health
    health.stop()


def get(health, path, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", health.port, timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def scraped(health):
    status, body = get(health, "/metrics")
    assert status == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def labels(**more):
    return tuple(sorted({**TAGS, **more}.items()))


def sample(measurement, fields, **tags):
    return Sample(measurement, {**TAGS, **tags}, fields, 1)


def test_the_latest_value_of_a_series_is_a_gauge_named_after_its_declaration(health):
    health.observe(sample("truechimer_bound", {"lower_seconds": -0.5, "upper_seconds": 0.25, "status": 1}))
    health.observe(sample("truechimer_bound", {"lower_seconds": -0.4, "upper_seconds": 0.25, "status": 1}))
    found = scraped(health)
    assert found["truechimer_bound_lower_seconds", labels()] == -0.4
    assert found["truechimer_bound_status", labels()] == 1
    names = {name for name, _ in found}
    assert not any("seconds_seconds" in name or "otel" in name or "target_info" in name for name in names)
    assert not any("otel" in key for _, pairs in found for key, _ in pairs)


def test_totals_are_counters_that_keep_their_value(health):
    health.observe(sample("truechimer_collector", {"errors_total": 3, "runs_total": 9}, collector="ntp"))
    body = get(health, "/metrics")[1].decode()
    assert "# TYPE truechimer_collector_errors_total counter" in body
    assert scraped(health)["truechimer_collector_errors_total", labels(collector="ntp")] == 3


def test_round_trips_and_pauses_are_histograms_fine_enough_for_a_rack(health):
    for rtt_s in (0.00006, 0.00015, 0.0012, 45.0):
        health.observe(sample("truechimer_rtt", {"outcome": 0, "rtt_seconds": rtt_s}, peer="p", via="tcp"))
    health.observe(sample("truechimer_rtt", {"outcome": 1}, peer="p", via="tcp"))
    found = scraped(health)

    def bucket(le):
        return found["truechimer_rtt_rtt_seconds_bucket", labels(peer="p", via="tcp", le=le)]

    assert [bucket(le) for le in ("5e-05", "0.0001", "0.0002", "0.002", "60.0", "+Inf")] == [0, 1, 2, 3, 4, 4]
    assert found["truechimer_rtt_probes_total", labels(peer="p", via="tcp", outcome="lost")] == 1
    assert found["truechimer_rtt_probes_total", labels(peer="p", via="tcp", outcome="reply")] == 4


def test_every_field_that_is_offered_has_a_lawful_name_and_help(health):
    for m in MEASUREMENTS.values():
        fields = {f.name: 0 if f.kind == "int" else 0.5 for f in m.fields}
        health.observe(sample(m.name, fields, **dict.fromkeys(m.tags, "t")))
    body = get(health, "/metrics")[1].decode()
    names = {line.split()[2] for line in body.splitlines() if line.startswith("# HELP")}
    assert len(names) > 60
    assert all(re.fullmatch(r"truechimer_[a-z_]+", name) for name in names)
    assert "0 unknown, 1 synchronized" in body


def test_series_without_points_for_five_minutes_end(health, clock):
    health.observe(sample("truechimer_kernel", {"status": 1}))
    clock.now += 200
    health.observe(sample("truechimer_daemon", {"stratum": 2}, daemon="chrony"))
    clock.now += 200
    names = {name for name, _ in scraped(health)}
    assert "truechimer_daemon_stratum" in names
    assert "truechimer_kernel_status" not in names


def test_the_number_of_series_is_bounded_and_said_once(health, monkeypatch, caplog):
    monkeypatch.setattr(metrics, "MOST_SERIES", 5)
    for n in range(50):
        health.observe(sample("truechimer_ntp", {"outcome": 0}, server=f"s{n}"))
    found = [name for name, _ in scraped(health) if name == "truechimer_ntp_outcome"]
    assert len(found) == 5
    assert caplog.text.count("too many series") == 1


def test_healthz_is_503_until_there_is_a_status_then_what_the_status_says(health):
    assert get(health, "/healthz")[0] == 503
    health.set_status(lambda: AgentStatus("synchronized", spool=SPOOL))
    status, body = get(health, "/healthz")
    assert (status, json.loads(body)["status"]) == (200, "ok")
    assert get(health, "/healthz", "HEAD") == (200, b"")
    assert get(health, "/nothing")[0] == 404


@pytest.mark.parametrize(
    ("status", "code", "word"),
    [
        (AgentStatus("holdover", "sources_blocked"), 200, "degraded"),
        (AgentStatus("unknown", "no_majority"), 503, "failing"),
        (AgentStatus("disrupted"), 503, "failing"),
        (AgentStatus("synchronized", stalled_s=12.0), 503, "failing"),
        (
            AgentStatus("synchronized", spool=SpoolStats(1, 1, None, 0, None, False, "disk full")),
            503,
            "failing",
        ),
        (AgentStatus("synchronized", collectors_failing={"icmp": "no privilege"}), 200, "degraded"),
        (
            AgentStatus(
                "synchronized", sinks=(ShipperStats("s", 1, 1, 0, 1, 4.0, Trouble.UNREACHABLE, "gone"),)
            ),
            200,
            "degraded",
        ),
    ],
)
def test_only_what_makes_the_agent_unfit_is_503(status, code, word):
    got, document = answer(status)
    assert (got, document["status"]) == (code, word)
    assert bool(document["problems"]) == (code == 503)
    json.dumps(document, allow_nan=False)


def test_a_taken_port_is_said_with_the_way_out(health, clock):
    other = Health(HealthConfig(f"127.0.0.1:{health.port}"), TAGS, clock=clock)
    with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1:{health.port}") as error:
        other.start()
    assert "[health] listen" in error.value.hint
    other.stop()


def test_ipv6_and_wrong_addresses(clock):
    health = Health(HealthConfig("[::1]:0"), TAGS, clock=clock)
    health.start()
    health.stop()
    for listen in ("nowhere", "h:", "h:99999", "h:x"):
        with pytest.raises(ConfigError):
            Health(HealthConfig(listen), TAGS, clock=clock)


def test_without_a_start_nothing_of_opentelemetry_is_imported():
    code = (
        "import sys; from truechimer_agent.health import Health; import truechimer_agent.shipping;"
        "heavy = ('opentelemetry', 'prometheus', 'influxdb', 'urllib3');"
        "sys.exit(' '.join(m for m in sys.modules if m.startswith(heavy)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
