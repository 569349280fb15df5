"""More figures that vendors publish, reproduced from the products' files: consensus, proxies, the kernel."""

import random
import statistics

import pytest

from truechimer_analyzer.advice.engine import Advice, Wish, advise
from truechimer_analyzer.advice.loading import load
from truechimer_analyzer.advice.measured import Measured, Stream
from truechimer_analyzer.advice.predicting import Span, forecast
from truechimer_analyzer.advice.present import effective, resolve


def advice_for(product: str, given: dict[str, float], measured: Measured | None = None) -> Advice:
    return advise(load(product), measured or Measured(), given, Wish(1.0))


def figures(product: str, given: dict[str, float]) -> dict[str, float | None]:
    return {each.figure.name: each.current for each in advice_for(product, given).figures}


def detects(product: str, given: dict[str, float] | None = None, version: str | None = None) -> Span:
    loaded = load(product, version)
    values, _ = effective(loaded, resolve(loaded, given or {}))
    found = forecast(loaded, Measured(), values).detect
    assert found is not None
    return found


def violated(advice: Advice) -> list[str]:
    return [each.rule for each in advice.constraints if each.current == "violated"]


def silent_for(length_s: float) -> Stream:
    """Live peers are silent for an interval and ``length_s`` at most."""
    return Stream(
        lambda every_s: every_s + length_s, lambda every_s, timeout_s: 0.5 * (timeout_s >= every_s + length_s)
    )


@pytest.mark.parametrize(
    ("factor", "durations"), [(5, (5.0, 5.0, 2.5)), (1, (1.0, 1.0, 0.5)), (10, (10, 10, 5))]
)
def test_consuls_multiplier_scales_three_durations(factor: int, durations: tuple[float, ...]) -> None:
    """developer.hashicorp.com/consul/docs/reference/architecture/server; hashicorp/raft DefaultConfig."""
    told = figures("consul", {"raft_multiplier": factor})
    assert (told["HeartbeatTimeout"], told["ElectionTimeout"], told["LeaderLeaseTimeout"]) == durations


def test_consuls_multiplier_outlives_the_pauses_that_were_seen() -> None:
    """A leader silent for 1.5 s needs a lease of that and an interval: 5 has 2.5 s, 1 is too little."""
    measured = Measured(rtt_p99_s=0.002, rtt_mean_max_s=0.001, silence=silent_for(1.5))
    assert advice_for("consul", {}, measured).verdict == "keep"
    choices = advice_for("consul", {"raft_multiplier": 1}, measured).choices
    advised = next(each.advised for each in choices if each.setting.key == "raft_multiplier")
    assert advised is not None
    assert 0.5 * advised >= 0.15 * advised + 1.5
    assert advised == 5


def test_what_no_multiplier_outlives_is_to_be_fixed_first() -> None:
    """6 s of silence need factor 18; 10 is the most, and that is said."""
    measured = Measured(rtt_p99_s=0.002, rtt_mean_max_s=0.001, silence=silent_for(6.0))
    advice = advice_for("consul", {}, measured)
    multiplier = next(each for each in advice.choices if each.setting.key == "raft_multiplier")
    assert (advice.verdict, multiplier.advised) == ("fix_first", 10)
    assert multiplier.reason.startswith("as much as it can be; at least ")
    assert any("10 is its maximum" in problem for problem in advice.problems)


def test_consul_servers_further_apart_than_supported_are_told_so() -> None:
    measured = Measured(rtt_p99_s=0.12, rtt_mean_max_s=0.06, silence=silent_for(0.1))
    assert violated(advice_for("consul", {}, measured)) == ["mean RTT < 50ms", "p99 RTT < 100ms"]


def test_a_follower_of_hashicorp_raft_notices_as_simulated() -> None:
    """Heartbeats every 0.1–0.2 of HeartbeatTimeout; a timer of 1–2 × looks at the age of the last one."""
    chance = random.Random(7)
    found = []
    for _ in range(20_000):
        fails, heard, fires = chance.uniform(20, 40), 0.0, 0.0
        while (beat := heard + chance.uniform(0.1, 0.2)) < fails:
            heard = beat
        # The leader's last heartbeat before it failed is the last contact from then on.
        while fires < fails or fires - heard < 1:
            fires += chance.uniform(1, 2)
        found.append(fires - fails)
    told = detects("hashicorp-raft")
    assert told.mean == pytest.approx(statistics.mean(found), abs=0.02)
    assert told.least <= min(found)
    assert told.most >= max(found)


def test_raft_refuses_a_lease_longer_than_the_heartbeats_timeout() -> None:
    """ValidateConfig of hashicorp/raft config.go."""
    told = violated(advice_for("hashicorp-raft", {"leader_lease_timeout": 1500, "election_timeout": 500}))
    assert told == ["LeaderLeaseTimeout <= HeartbeatTimeout", "ElectionTimeout >= HeartbeatTimeout"]


@pytest.mark.parametrize(
    ("given", "suspicion_s", "alone_s"),
    [({}, 4, 24), ({"probe_interval": 5000, "probe_timeout": 3000, "suspicion_mult": 6}, 30, 180)],
)
def test_memberlists_suspicion_in_lan_and_wan(
    given: dict[str, float], suspicion_s: float, alone_s: float
) -> None:
    """SuspicionMult × ProbeInterval for up to ten members, six times that where nobody confirms."""
    told = figures("memberlist", given)
    assert told["a suspected member (of up to ten) is declared failed after"] == suspicion_s
    assert told["the same where no other member confirms the suspicion"] == alone_s


def test_yugabytedb_gives_a_leader_up_after_3_s_and_across_regions_after_7_5() -> None:
    """500 ms × 6; 1500 ms × 5 with a lease of 6 s is what YugabyteDB Anywhere sets for several."""
    regions = {"heartbeat_interval": 1500.0, "max_missed": 5.0, "leader_lease": 6000.0, "ht_lease": 6000.0}
    assert figures("yugabytedb", {})["a leader is given up after"] == 3
    assert figures("yugabytedb", regions)["a leader is given up after"] == 7.5
    assert violated(advice_for("yugabytedb", regions)) == []
    assert violated(advice_for("yugabytedb", {"leader_lease": 4000}))


def test_yugabytedbs_clock_skew_is_the_proven_one() -> None:
    """Half a second holds while the clocks are proven to be closer; further apart, the limit must follow."""
    measured = Measured(rtt_p99_s=0.002, rtt_mean_max_s=0.001, epsilon_s=0.7, silence=silent_for(0.01))
    advice = advice_for("yugabytedb", {}, measured)
    skew = next(each for each in advice.choices if each.setting.key == "max_clock_skew")
    assert (skew.current, skew.advised) == (500_000, 700_000)
    assert any("max_clock_skew_usec" in rule for rule in violated(advice))


def test_tikv_elects_after_10_to_20_ticks() -> None:
    """10 s, of which the first tick may end at once; a lease of 9 s is the longest that fits."""
    told = detects("tikv")
    assert (told.least, told.mean, told.most) == (7, 14, 20)
    assert figures("tikv", {})["election timeout, at least"] == 10
    assert violated(advice_for("tikv", {"max_leader_lease": 9500}))
    assert not violated(advice_for("tikv", {"max_leader_lease": 9000}))


def test_mongodb_elects_within_10_to_11_and_a_half_seconds_and_the_12_of_its_manual() -> None:
    told = detects("mongodb")
    assert (told.least, told.most) == (8, pytest.approx(11.5))
    advice = advice_for("mongodb", {}, Measured(rtt_p99_s=0.1))
    (median,) = [each.current for each in advice.figures]
    assert median is not None
    assert 9 < median < 12


@pytest.mark.parametrize(("version", "grace_s"), [("1.29", 40), ("1.32", 50)])
def test_kubernetes_nodes_are_unknown_after_40_s_and_50_s_since_1_32(version: str, grace_s: float) -> None:
    told = detects("kubernetes-node", version=version)
    assert (told.least, told.most) == (grace_s - 10, grace_s + 5)


def test_kubernetes_before_1_32_gave_nodes_up_before_dropped_connections() -> None:
    """kubernetes/kubernetes issue 121793: 30 s + 15 s are more than 40 s."""
    measured = Measured(silence=silent_for(0.1))
    old = advise(load("kubernetes-node", "1.29"), measured, {}, Wish(1.0))
    assert len(violated(old)) == 1
    grace = next(each for each in old.choices if each.setting.key == "grace_period")
    assert grace.advised is not None
    assert 45 < grace.advised <= 50
    new = advise(load("kubernetes-node", "1.32"), measured, {}, Wish(1.0))
    assert (violated(new), new.verdict) == ([], "keep")


def test_hazelcast_ignores_heartbeats_that_seem_30_s_old() -> None:
    """ClusterHeartbeatManager.onHeartbeat: older than half of 60 s by the cluster's clock."""
    assert figures("hazelcast", {})["a heartbeat that seems older than this is ignored"] == 30
    apart = Measured(epsilon_s=31.0, one_way_s=0.01, pause_max_s=0.1, silence=silent_for(0.1))
    assert len(violated(advice_for("hazelcast", {}, apart))) == 1
    used, _ = effective(load("hazelcast"), resolve(load("hazelcast"), {"heartbeat_interval": 0}))
    assert used["heartbeat_interval"] == 1


def test_grpc_clients_that_ping_more_often_than_5_minutes_are_sent_away() -> None:
    """doc/keepalive.md: unless the server's least interval is lowered too, or it counts no strikes."""
    assert len(violated(advice_for("grpc", {"keepalive_time": 20_000}))) == 1
    assert not violated(advice_for("grpc", {"keepalive_time": 20_000, "min_recv_ping_interval": 10_000}))
    assert not violated(advice_for("grpc", {"keepalive_time": 20_000, "max_ping_strikes": 0}))
    assert detects("grpc", {"keepalive_time": 300_000}).most == 320


@pytest.mark.parametrize(("connect_s", "advised_ms"), [(0.05, 4000), (3.2, 4000), (4.5, 7000), (7.5, 10_000)])
def test_haproxys_connect_timeout_is_slightly_above_a_multiple_of_3_s(
    connect_s: float, advised_ms: float
) -> None:
    """doc/configuration.txt: e.g. 4 or 5 seconds."""
    choices = advice_for("haproxy", {}, Measured(connect_s=connect_s, silence=silent_for(0.01))).choices
    assert next(each.advised for each in choices if each.setting.key == "timeout_connect") == advised_ms


def test_haproxys_server_is_down_after_three_checks() -> None:
    """inter 2 s, fall 3: each check takes 2 s, and the next one starts 2 s after its end (src/check.c)."""
    told = detects("haproxy")
    assert (told.least, told.mean, told.most) == (10, 11, 12)
    assert figures("haproxy", {})["a server that refuses connections is down within"] == 6
    # A server that hangs may be noticed sooner; one whose host is gone takes inter each time.
    quick = detects("haproxy", {"fastinter": 500, "timeout_check": 500})
    assert (quick.least, quick.most) == (2.5, 9)


def test_haproxys_checks_outlast_the_silences_of_a_live_server() -> None:
    """11 s of silence: three checks and two waits of 2.8 s are 14 s, an interval and the silence 13.8 s."""
    measured = Measured(connect_s=0.01, silence=silent_for(11.0))
    advice = advice_for("haproxy", {}, measured)
    assert advice.verdict == "tune"
    assert advice.advised is not None
    assert next(each.advised for each in advice.choices if each.setting.key == "inter") == 2800
    assert advice.advised.false_per_month == 0.5


def test_nginx_waits_60_s_for_a_connection_and_never_longer_than_75() -> None:
    assert detects("nginx").most == 60
    assert violated(advice_for("nginx", {"connect_timeout": 90})) == ["proxy_connect_timeout <= 75s"]


def test_envoy_ignores_a_try_as_long_as_the_whole() -> None:
    """FilterUtility::finalTimeout; the route's timeout is 15 s."""
    assert detects("envoy").least == 5
    (clamped,) = advice_for("envoy", {"per_try_timeout": 20}).clamped_now
    assert clamped.becomes == 15


def model_timeout_s(retries: int, first_s: float) -> float:
    """net/ipv4/tcp_timer.c tcp_model_timeout, TCP_RTO_MAX 120 s."""
    doublings = int(120 / first_s).bit_length() - 1
    if retries <= doublings:
        return ((2 << retries) - 1) * first_s
    return ((2 << doublings) - 1) * first_s + (retries - doublings) * 120


@pytest.mark.parametrize("retries", [1, 3, 5, 8, 9, 10, 15, 20])
def test_linux_gives_up_data_as_the_kernel_reckons(retries: int) -> None:
    told = figures("linux-tcp", {"retries2": retries})["with data under way it is given up after, at least"]
    assert told == pytest.approx(model_timeout_s(retries, 0.2))


def test_linux_published_figures() -> None:
    """15 retransmissions are 924.6 s, 8 are over 100 s, 6 SYNs 127 s; keepalive is 7200 + 9 · 75 s."""
    told = figures("linux-tcp", {})
    assert told["with data under way it is given up after, at least"] == pytest.approx(924.6)
    assert told["opening a connection to a host that is gone fails after"] == 127
    assert told["a dead peer of an idle connection with keepalive is noticed within"] == 7875
    eight = figures("linux-tcp", {"retries2": 8})["with data under way it is given up after, at least"]
    assert eight is not None
    assert eight > 100
    assert violated(advice_for("linux-tcp", {"retries2": 7}))


def test_postgresql_ends_a_silent_standbys_connection_after_60_s() -> None:
    told = detects("postgresql")
    assert (told.least, told.most) == (50, 60)
    assert violated(advice_for("postgresql", {"lock_timeout": 5000, "statement_timeout": 5000})) == [
        "lock_timeout < statement_timeout"
    ]
    assert not violated(advice_for("postgresql", {}))


@pytest.mark.parametrize(("product", "heartbeat", "survived_s"), [("etcd", 0.1, 0.95), ("tikv", 2.0, 9.5)])
def test_the_first_tick_of_an_election_timeout_may_end_at_once(
    product: str, heartbeat: float, survived_s: float
) -> None:
    """n ticks after a heartbeat are n - 1 at the least: a silence between the two may cost the leader."""
    asked: list[tuple[float, float]] = []

    def false_per_month(every_s: float, timeout_s: float) -> float:
        asked.append((every_s, timeout_s))
        return 0.0

    advice_for(product, {}, Measured(silence=Stream(lambda _: 0.01, false_per_month)))
    assert asked
    assert all(every_s == pytest.approx(heartbeat) and timeout_s < survived_s for every_s, timeout_s in asked)
