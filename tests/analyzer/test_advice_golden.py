"""Figures that vendors publish, reproduced from the products' files."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.advice.engine import Advice, Wish, advise
from truechimer_analyzer.advice.expressions import phi_deviations
from truechimer_analyzer.advice.loading import load
from truechimer_analyzer.advice.measured import Measured, Stream
from truechimer_analyzer.advice.predicting import forecast
from truechimer_analyzer.advice.present import effective, resolve


def figures(
    product: str, given: dict[str, float], measured: Measured | None = None
) -> dict[str, float | None]:
    advice: Advice = advise(load(product), measured or Measured(), given, Wish(1.0))
    return {each.figure.name: each.current for each in advice.figures}


@pytest.mark.parametrize(
    ("settings", "retries", "skew_s", "downtime_s", "worst_s", "graceful_s"),
    [((137, 107, 26), 4, 30, 78, 163, 26), ((270, 240, 60), 4, 30, 180, 330, 60)],
)
def test_library_go_prints_the_same_tolerances(
    settings: tuple[int, int, int],
    retries: int,
    skew_s: float,
    downtime_s: float,
    worst_s: float,
    graceful_s: float,
) -> None:
    """openshift/library-go pkg/config/leaderelection/leaderelection.go, both of its configurations."""
    lease, renew, retry = settings
    told = figures(
        "kubernetes-leader-election",
        {"lease_duration": lease, "renew_deadline": renew, "retry_period": retry},
    )
    assert told["tries to renew before the leader gives up"] == retries
    assert told["difference of the clocks' advance that is tolerated"] == skew_s
    assert told["outage of the API server that is ridden out"] == downtime_s
    assert told["longest takeover after a crash"] == worst_s
    assert told["longest takeover from a leader that stepped down"] == graceful_s


def test_cockroachdb_reckons_the_same_latencies() -> None:
    """pkg/base/config.go: at round trips of 10 to 400 ms, elections take 1.03–5.20 s, leases 3.01–6.40 s."""
    near = figures("cockroachdb", {}, Measured(rtt_p99_s=0.010))
    far = figures("cockroachdb", {}, Measured(rtt_p99_s=0.400))
    assert near["Raft election, at best"] == pytest.approx(1.03)
    assert far["Raft election, at worst"] == pytest.approx(5.20)
    assert near["expiration lease, at best"] == pytest.approx(3.01)
    assert far["expiration lease, at worst"] == pytest.approx(6.40)
    product = load("cockroachdb")
    values, _ = effective(product, resolve(product, {}))
    failover = forecast(product, Measured(rtt_p99_s=0.400), values).failover
    assert failover is not None
    assert failover.most == pytest.approx(6.40)


def test_cockroachdbs_network_timeout_is_the_vendors_sum() -> None:
    """600 ms of round trip, 900 ms of retransmission, 500 ms of margin: 2 s."""
    choices = advise(load("cockroachdb"), Measured(rtt_p99_s=0.6), {}, Wish(1.0)).choices
    timeout = next(each for each in choices if each.setting.key == "network_timeout")
    assert timeout.least == 2000
    assert timeout.advised == 2000


def test_patroni_leaves_15_seconds_for_the_loop_and_5_in_an_outage() -> None:
    """docs/watchdog.rst at ttl 30, loop_wait 10, retry_timeout 10 and a margin of 5."""
    told = figures("patroni", {})
    assert told["time for the loop before the watchdog resets the host"] == 15
    assert told["time to close connections while the store is unavailable"] == 5


@pytest.mark.parametrize(("threshold", "means"), [(8, 18.42), (12, 27.63)])
def test_cassandra_convicts_after_so_many_mean_intervals(threshold: float, means: float) -> None:
    told = figures("cassandra", {"phi_convict_threshold": threshold})
    assert told["a node is held for down after a silence of"] == pytest.approx(means, abs=0.005)


def test_akkas_defaults_equal_about_four_and_a_half_seconds() -> None:
    told = figures("akka", {})
    assert told["a member is unreachable after a silence of"] == pytest.approx(4.52, abs=0.01)


@pytest.mark.parametrize("threshold", [0.5, 1.0, 3.0, 8.0, 12.0, 16.0])
def test_phi_at_the_deviations_told_is_the_threshold(threshold: float) -> None:
    """Akka's own formula for φ (PhiAccrualFailureDetector.scala), put in with the answer."""
    y = phi_deviations(threshold)
    assert y is not None
    e = math.exp(-y * (1.5976 + 0.070566 * y * y))
    phi = -math.log10(e / (1 + e)) if y > 0 else -math.log10(1 - 1 / (1 + e))
    assert phi == pytest.approx(threshold, rel=1e-9)


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ({"ttl": 20, "loop_wait": 10, "retry_timeout": 10}, {"loop_wait": 1, "retry_timeout": 9}),
        ({"ttl": 25, "loop_wait": 10, "retry_timeout": 10}, {"loop_wait": 5}),
        ({"ttl": 10, "loop_wait": 10, "retry_timeout": 2}, {"ttl": 20, "retry_timeout": 3}),
        ({"ttl": 30, "loop_wait": 10, "retry_timeout": 10}, {}),
    ],
)
def test_patroni_rewrites_what_does_not_fit(given: dict[str, float], becomes: dict[str, float]) -> None:
    """Worked out by hand from _validate_and_adjust_timeouts of patroni/config.py 4.1.4."""
    product = load("patroni")
    used, rewritten = effective(product, resolve(product, given))
    assert {each.clamp.setting for each in rewritten} == set(becomes)
    assert {key: used[key] for key in becomes} == becomes


def test_zookeeper_shortens_a_session_beyond_20_ticks() -> None:
    product = load("zookeeper")
    advice = advise(product, Measured(), {"tick_time": 2000, "session_timeout": 60000}, Wish(1.0))
    (clamped,) = advice.clamped_now
    assert (clamped.given, clamped.becomes) == (60000, 40000)


def test_zookeepers_minus_one_is_its_default() -> None:
    product = load("zookeeper")
    values = resolve(product, {"tick_time": 2000, "min_session_timeout": -1})
    assert (values["min_session_timeout"], values["max_session_timeout"]) == (4.0, 40.0)


@pytest.mark.parametrize("heartbeat", [100, 320, 333, 500, 700])
def test_etcds_advice_survives_its_rounding(heartbeat: float) -> None:
    """What is advised is enough after etcd has rounded it down to whole heartbeats."""
    silence = Stream(lambda every_s: every_s + 1.81, lambda _, __: 0.1)
    measured = Measured(rtt_mean_max_s=0.01, silence=silence)
    advice = advise(load("etcd"), measured, {"heartbeat_interval": heartbeat}, Wish(1.0))
    assert advice.verdict == "tune"
    used, _ = effective(load("etcd"), advice.values)
    assert used["election_timeout"] is not None
    assert used["election_timeout"] >= heartbeat / 1000 + 1.81


def test_etcd_counts_whole_heartbeats() -> None:
    """--heartbeat-interval 300 --election-timeout 2000 are 6 ticks: 1800 ms."""
    product = load("etcd")
    used, _ = effective(product, resolve(product, {"heartbeat_interval": 300, "election_timeout": 2000}))
    assert used["election_timeout"] == pytest.approx(1.8)


@given(rtt_s=st.floats(0.0005, 1.0), silence_s=st.floats(0.01, 20.0))
def test_an_etcd_as_advised_bears_the_longest_silence(rtt_s: float, silence_s: float) -> None:
    """n ticks can be over after n − 1 intervals: what etcd makes of the advice is never less than that."""
    product = load("etcd")
    silence = Stream(lambda _: silence_s, lambda _, timeout_s: 0.1 if timeout_s >= silence_s else 1e6)
    measured = Measured(rtt_p99_s=rtt_s, rtt_max_s=rtt_s, rtt_mean_max_s=rtt_s, silence=silence)
    advice = advise(product, measured, {}, Wish(1.0))
    assert advice.verdict in {"keep", "tune"}
    used, _ = effective(product, advice.values)
    heartbeat_s, election_s = used["heartbeat_interval"], used["election_timeout"]
    assert heartbeat_s is not None
    assert election_s is not None
    assert election_s - heartbeat_s >= silence_s * (1 - 1e-6)
    assert election_s >= 10 * rtt_s * (1 - 1e-6)
