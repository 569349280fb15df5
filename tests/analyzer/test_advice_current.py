"""Present settings from products' own files: found, in their units, refused with the line where wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer.errors import UserError
from truechimer_analyzer.advice.current import read_present
from truechimer_analyzer.advice.current.formats import read_lines
from truechimer_analyzer.advice.loading import load, product_names
from truechimer_analyzer.advice.schema import FORMATS

ETCD_YAML = """\
# This is the configuration file for the etcd server.
name: 'default'
data-dir:
# Time (in milliseconds) of a heartbeat interval.
heartbeat-interval: 250
# Time (in milliseconds) for an election to timeout.
election-timeout: 2500
listen-peer-urls: http://localhost:2380
client-transport-security:
  cert-file:
  trusted-ca-file:
"""
ETCD_MANIFEST = """\
apiVersion: v1
kind: Pod
metadata:
  name: etcd
spec:
  containers:
  - command:
    - etcd
    - --advertise-client-urls=https://10.0.0.1:2379
    - --heartbeat-interval=250
    - --election-timeout
    - "2500"
    image: registry.k8s.io/etcd:3.5.9-0
"""
ETCD_UNIT = """\
[Service]
Environment="ETCD_NAME=a" ETCD_HEARTBEAT_INTERVAL=250
ExecStart=/usr/bin/etcd --name a \\
  --election-timeout=2500
"""
ETCD_COMPOSE = """\
services:
  etcd:
    environment:
      - ETCD_HEARTBEAT_INTERVAL=250
      - ETCD_NAME=a
    command: etcd --election-timeout 2500
"""
ETCD_VARIABLES = """\
containers:
- name: etcd
  env:
  - name: ETCD_ELECTION_TIMEOUT
    value: "2500"
  - name: ETCD_HEARTBEAT_INTERVAL
    value: "250"
"""
KAFKA = """\
# broker
broker.id=1
log.dirs=/var/kafka
broker.session.timeout.ms = 18000
broker.heartbeat.interval.ms: 3000
! an old comment
replica.lag.time.max.ms 10000
ssl.keystore.password=secret#1
"""
PATRONI = """\
scope: batman
name: postgresql0
restapi:
  listen: 127.0.0.1:8008
bootstrap:
  dcs:
    ttl: 45
    loop_wait: 5
    retry_timeout: 12
    maximum_lag_on_failover: 1048576
postgresql:
  authentication:
    superuser: {username: postgres, password: zalando}
watchdog:
  mode: automatic
  safety_margin: -1
"""
ZOO = """\
tickTime=2000
initLimit=10
syncLimit=3
maxSessionTimeout=60000
server.1=zoo1:2888:3888
"""
SENTINEL = """\
port 26379
sentinel monitor mymaster 127.0.0.1 6379 2
sentinel auth-pass mymaster secret
sentinel down-after-milliseconds mymaster 5000
sentinel failover-timeout mymaster 60000
"""
REDIS = """\
# cluster-node-timeout 15000
cluster-enabled yes
cluster-node-timeout 5000
requirepass foobared
"""
KUBERNETES = """\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection:
  leaderElect: true
  leaseDuration: 137s
  renewDeadline: 1m47s
  retryPeriod: 26s
"""
CASSANDRA = """\
cluster_name: 'Test Cluster'
phi_convict_threshold: 12
read_request_timeout: 10s
write_request_timeout: 2000ms
data_file_directories:
    - /var/lib/cassandra/data
"""
AKKA = """\
akka {
  actor.provider = cluster
  cluster {
    # a comment
    failure-detector { threshold = 12.0, "monitored-by-nr-of-members" = 9 }
    failure-detector {
      acceptable-heartbeat-pause = 10s // long collections
      heartbeat-interval = 2 seconds
    }
  }
}
akka.cluster.failure-detector.min-std-deviation = 200 ms
"""


@pytest.mark.parametrize(
    ("text", "product", "expected"),
    [
        (ETCD_YAML, "etcd", {"heartbeat_interval": 250, "election_timeout": 2500}),
        (ETCD_MANIFEST, "etcd", {"heartbeat_interval": 250, "election_timeout": 2500}),
        (ETCD_COMPOSE, "etcd", {"heartbeat_interval": 250, "election_timeout": 2500}),
        (ETCD_VARIABLES, "etcd", {"heartbeat_interval": 250, "election_timeout": 2500}),
        (ETCD_UNIT, "etcd", {"heartbeat_interval": 250, "election_timeout": 2500}),
        (
            KAFKA,
            "kafka-broker",
            {
                "broker_session_timeout": 18000,
                "broker_heartbeat_interval": 3000,
                "replica_lag_time_max": 10000,
            },
        ),
        (PATRONI, "patroni", {"ttl": 45, "loop_wait": 5, "retry_timeout": 12, "safety_margin": -1}),
        (ZOO, "zookeeper", {"tick_time": 2000, "sync_limit": 3, "max_session_timeout": 60000}),
        (SENTINEL, "redis-sentinel", {"down_after": 5000, "failover_timeout": 60000}),
        (REDIS, "redis-cluster", {"node_timeout": 5000}),
        (
            KUBERNETES,
            "kubernetes-leader-election",
            {"lease_duration": 137, "renew_deadline": 107, "retry_period": 26},
        ),
        (
            CASSANDRA,
            "cassandra",
            {"phi_convict_threshold": 12, "read_request_timeout": 10000, "write_request_timeout": 2000},
        ),
        (
            AKKA,
            "akka",
            {
                "threshold": 12,
                "acceptable_pause": 10000,
                "heartbeat_interval": 2000,
                "min_std_deviation": 200,
            },
        ),
    ],
    ids=lambda each: each if isinstance(each, str) and "\n" not in each else "",
)
def test_files_as_people_have_them(text: str, product: str, expected: dict[str, float]) -> None:
    """Whose file it is is told from its settings; what is not about time is left alone."""
    present = read_present(text)
    assert present.product == product
    assert present.settings == expected
    assert read_present(text, [load(product)]) == present


def test_a_bad_value_is_refused_with_its_line() -> None:
    with pytest.raises(UserError, match=r"line 2: heartbeat-interval: 'fast' is no number of ms"):
        read_present("name: a\nheartbeat-interval: fast\nelection-timeout: 1000\n")
    with pytest.raises(UserError, match=r"line 1: heartbeat-interval: '1.5' is no whole number"):
        read_present("heartbeat-interval: 1.5\n")
    with pytest.raises(UserError, match=r"line 1: heartbeat-interval: '100ms' is no number"):
        read_present("heartbeat-interval: 100ms\n")
    with pytest.raises(UserError, match=r"line 1: read_request_timeout: '5000' is no length of time"):
        read_present("read_request_timeout: 5000\n", [load("cassandra")])


def test_a_setting_with_two_values_is_refused_with_both_lines() -> None:
    text = SENTINEL + "sentinel down-after-milliseconds other 9000\n"
    with pytest.raises(UserError, match="several values: 5000 on line 4, 9000 on line 6"):
        read_present(text)
    twice = ETCD_MANIFEST + ETCD_MANIFEST.partition("containers:\n")[2].replace("=250", "=100")
    with pytest.raises(UserError, match="several values: 250 on line 10, 100 on line 17"):
        read_present(twice, [load("etcd")])


def test_blocks_and_semicolons_of_words_are_understood() -> None:
    """nginx writes blocks in one line, or a setting in several of them."""
    (line,) = read_lines("location / { proxy_read_timeout 30; }", "conf")
    assert line.words[3:5] == ("proxy_read_timeout", "30;")
    lines = read_lines("http {\n  a 1;\n  server {\n    a 2;\n  }\n  b 3;\n}\nc 4\n", "conf")
    assert [(each.words, each.section) for each in lines if len(each.words) == 2] == [
        (("a", "1"), "http of line 1"),
        (("a", "2"), "http of line 1 server of line 3"),
        (("b", "3"), "http of line 1"),
        (("c", "4"), ""),
    ]
    lines = read_lines("defaults\n  timeout connect 5s\nbackend b\n  timeout connect 9s\n", "conf")
    assert [each.section for each in lines if each.words[0] == "timeout"] == [
        "defaults of line 1",
        "backend of line 3",
    ]
    once = "x { cluster-node-timeout 5000; }\n"
    assert read_present(once, [load("redis-cluster")]).settings == {"node_timeout": 5000}


def test_of_lines_in_the_same_place_the_last_counts() -> None:
    assert read_present("tickTime=1000\ntickTime=4000\n").settings == {"tick_time": 4000}


def test_a_file_of_nobody_is_refused_with_what_was_looked_for() -> None:
    with pytest.raises(UserError, match="no setting of a known product") as refused:
        read_present("colour: green\n")
    assert "--product" in (refused.value.hint or "")
    with pytest.raises(UserError, match="no setting of etcd") as refused:
        read_present("colour: green\n", [load("etcd")])
    assert "election-timeout" in (refused.value.hint or "")
    with pytest.raises(UserError, match=r"as yaml: line 1"):
        read_present("{{{", [load("etcd")])
    with pytest.raises(UserError, match="NUL"):
        read_present("tickTime=1\0")


def test_a_file_of_two_products_alike_asks_which() -> None:
    with pytest.raises(UserError, match="could be of") as refused:
        read_present("tickTime=2000\nbroker.session.timeout.ms=9000\n")
    assert "--product" in (refused.value.hint or "")
    assert read_present("tickTime: 1\nheartbeat-interval: 100\n", [load("etcd")]).product == "etcd"


def test_older_versions_have_other_names() -> None:
    text = "read_request_timeout_in_ms: 7000\n"
    assert read_present(text, [load("cassandra", "3.11")]).settings == {"read_request_timeout": 7000}


def test_aliases_of_yaml_count_once() -> None:
    """Nine levels of nine aliases each are 400 million values if they are followed one by one."""
    bomb = "a0: &a0 [x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
    assert read_present(bomb + "heartbeat-interval: 100\n").settings == {"heartbeat_interval": 100}


@settings(max_examples=200)
@given(st.text(max_size=200), st.sampled_from(FORMATS))
def test_any_text_is_read_or_refused(text: str, file_format: str) -> None:
    try:
        lines = read_lines(text, file_format)
    except UserError:
        return
    assert all(line.number >= 1 for line in lines)


@settings(max_examples=100)
@given(st.lists(st.sampled_from([*"{}[]:=,#'\"-& *|>!%@\n\t ", "a", "ttl", "1"]), max_size=40).map("".join))
def test_punctuation_of_every_format_is_read_or_refused(text: str) -> None:
    for name in product_names():
        try:
            read_present(text, [load(name)])
        except UserError:
            continue
