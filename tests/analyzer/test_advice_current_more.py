"""Present settings as files of consensus stores, proxies, kernels and Go programs have them."""

import pytest

from truechimer.errors import UserError
from truechimer_analyzer.advice.current import read_present
from truechimer_analyzer.advice.loading import load
from truechimer_analyzer.advice.present import resolve

CONSUL_HCL = """\
datacenter = "dc1"
server = true
performance {
  raft_multiplier = 1   # production
}
gossip_lan {
  probe_interval = "2s"
  probe_timeout  = "1s"
}
gossip_wan {
  probe_interval = "5s"
}
"""
CONSUL_JSON = '{"server": true, "performance": {"raft_multiplier": 1}}'
RAFT_GO = """\
config := raft.DefaultConfig()
config.LocalID = raft.ServerID("a")
config.HeartbeatTimeout = 2 * time.Second
config.ElectionTimeout = time.Second * 2
config.LeaderLeaseTimeout = time.Second
config.CommitTimeout = 50 * time.Millisecond
"""
YUGABYTE = """\
--fs_data_dirs=/mnt/d0
--raft_heartbeat_interval_ms=1500
--leader_failure_max_missed_heartbeat_periods=5
--leader_lease_duration_ms=6000
"""
TIKV = """\
[storage]
data-dir = "/data"
[raftstore]
raft-base-tick-interval = "2s"
raft-store-max-leader-lease = "18s"
"""
MONGO = """\
{
	"_id" : "rs0",
	"settings" : {
		"chainingAllowed" : true,
		"heartbeatIntervalMillis" : 1000,
		"heartbeatTimeoutSecs" : 5,
		"electionTimeoutMillis" : 5000
	}
}
"""
KUBELET = """\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
nodeStatusUpdateFrequency: 4s
nodeLeaseDurationSeconds: 20
"""
CONTROLLER = """\
spec:
  containers:
  - command:
    - kube-controller-manager
    - --node-monitor-grace-period=16s
    - --node-monitor-period=2s
"""
HAZELCAST_XML = """\
<hazelcast>
    <properties>
        <property name="hazelcast.heartbeat.interval.seconds">5</property>
        <property name="hazelcast.max.no.heartbeat.seconds">120</property>
    </properties>
</hazelcast>
"""
GRPC_CPP = """\
grpc::ChannelArguments args;
args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
"""
GRPC_OFF = "args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 2147483647);"
HAPROXY = """\
defaults
    mode http
    timeout connect 5s      # one lost packet
    timeout client  50000
    timeout server  50000
    retries 2

backend app
    server app1 10.0.0.1:80 check inter 3s fall 2 rise 2
"""
NGINX = """\
location / {
    proxy_pass http://app;
    proxy_connect_timeout 5s;
    proxy_read_timeout 2m;
    proxy_send_timeout 30;
}
"""
ENVOY = """\
static_resources:
  clusters:
  - name: app
    connect_timeout: 0.25s
  listeners:
  - filter_chains:
    - filters:
      - typed_config:
          stream_idle_timeout: 60s
          route_config:
            virtual_hosts:
            - routes:
              - route:
                  cluster: app
                  timeout: 3s
                  retry_policy:
                    per_try_timeout: 1s
"""
SYSCTL = """\
# keepalive
net.ipv4.tcp_keepalive_time=600
net/ipv4/tcp_keepalive_intvl = 10
net.ipv4.tcp_retries2 = 8
"""
POSTGRES = """\
wal_sender_timeout = 30s        # in milliseconds; 0 disables
wal_receiver_timeout = 45000
#wal_receiver_status_interval = 10s
tcp_user_timeout = 0
"""


@pytest.mark.parametrize(
    ("product", "text", "settings"),
    [
        ("consul", CONSUL_HCL, {"raft_multiplier": 1, "probe_interval": 2000, "probe_timeout": 1000}),
        ("consul", CONSUL_JSON, {"raft_multiplier": 1}),
        (
            "hashicorp-raft",
            RAFT_GO,
            {
                "heartbeat_timeout": 2000,
                "election_timeout": 2000,
                "leader_lease_timeout": 1000,
                "commit_timeout": 50,
            },
        ),
        ("yugabytedb", YUGABYTE, {"heartbeat_interval": 1500, "max_missed": 5, "leader_lease": 6000}),
        ("tikv", TIKV, {"base_tick": 2000, "max_leader_lease": 18_000}),
        ("mongodb", MONGO, {"heartbeat_interval": 1000, "heartbeat_timeout": 5, "election_timeout": 5000}),
        ("kubernetes-node", KUBELET, {"status_update": 4, "lease_duration": 20}),
        ("kubernetes-node", CONTROLLER, {"grace_period": 16, "monitor_period": 2}),
        ("hazelcast", HAZELCAST_XML, {"heartbeat_interval": 5, "max_no_heartbeat": 120}),
        ("grpc", GRPC_CPP, {"keepalive_time": 20_000, "keepalive_timeout": 10_000}),
        (
            "haproxy",
            HAPROXY,
            {
                "timeout_connect": 5000,
                "timeout_client": 50_000,
                "timeout_server": 50_000,
                "retries": 2,
                "inter": 3000,
                "fall": 2,
            },
        ),
        ("nginx", NGINX, {"connect_timeout": 5, "read_timeout": 120, "send_timeout": 30}),
        (
            "envoy",
            ENVOY,
            {"connect_timeout": 0.25, "route_timeout": 3, "per_try_timeout": 1, "stream_idle_timeout": 60},
        ),
        ("linux-tcp", SYSCTL, {"keepalive_time": 600, "keepalive_intvl": 10, "retries2": 8}),
        (
            "postgresql",
            POSTGRES,
            {"wal_sender_timeout": 30_000, "wal_receiver_timeout": 45_000, "tcp_user_timeout": 0},
        ),
    ],
    ids=lambda each: each if isinstance(each, str) and "\n" not in each else "",
)
def test_files_as_people_have_them(product: str, text: str, settings: dict[str, float]) -> None:
    """Each value in the setting's own unit, whatever the file's; what is commented out is not there."""
    read = read_present(text, (load(product),))
    assert read.product == product
    assert read.settings == settings


@pytest.mark.parametrize("remark", ["# ", "// ", "  -- ", "config.LocalID = id // "])
def test_what_a_program_has_commented_out_is_not_read(remark: str) -> None:
    text = f"config.ElectionTimeout = time.Second\n{remark}config.HeartbeatTimeout = 9 * time.Second\n"
    assert read_present(text, (load("hashicorp-raft"),)).settings == {"election_timeout": 1000}


def test_gos_keepalive_that_is_off_is_unset() -> None:
    """INT_MAX milliseconds: read, and never taken for 24 days."""
    product = load("grpc")
    read = read_present(GRPC_OFF, (product,))
    assert resolve(product, read.settings)["keepalive_time"] is None


@pytest.mark.parametrize("value", ["2000", "2 * time.Fortnight", "2 * time", "1.5 * time.Second"])
def test_a_go_duration_without_a_unit_is_refused(value: str) -> None:
    """time.Duration(2000) is 2 µs: nobody who writes that means it; nothing is guessed."""
    text = f"config.ElectionTimeout = time.Second\nconfig.HeartbeatTimeout = {value}\n"
    with pytest.raises(UserError, match="line 2: HeartbeatTimeout"):
        read_present(text, (load("hashicorp-raft"),))


@pytest.mark.parametrize(
    ("product", "text", "settings"),
    [
        pytest.param(
            "kafka-consumer",
            "\ufeffsession.timeout.ms=9000\n",
            {"session_timeout": 9000},
            id="byte order mark",
        ),
        pytest.param(
            "kafka-consumer",
            "# logs in C:\\\nsession.timeout.ms=9000\n",
            {"session_timeout": 9000},
            id="remarks end with their line",
        ),
        pytest.param(
            "hashicorp-raft",
            "c.HeartbeatTimeout = 500 * time.Millisecond * 3\n",
            {"heartbeat_timeout": 1500},
            id="product in Go",
        ),
        pytest.param(
            "grpc",
            "args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30 * 1000);",
            {"keepalive_time": 30_000},
            id="product",
        ),
        pytest.param(
            "mongodb",
            '"electionTimeoutMillis" : NumberLong(5000)',
            {"election_timeout": 5000},
            id="NumberLong",
        ),
        pytest.param(
            "postgresql",
            "ALTER SYSTEM SET wal_sender_timeout TO '5 min';\nALTER SYSTEM SET WAL_RECEIVER_TIMEOUT = 7000;",
            {"wal_sender_timeout": 300_000, "wal_receiver_timeout": 7000},
            id="SQL in words and of any case",
        ),
        pytest.param(
            "hazelcast",
            '<properties>\n<!-- <property name="hazelcast.heartbeat.interval.seconds">1</property>\n -->'
            '<property name="hazelcast.max.no.heartbeat.seconds">\n 30\n</property></properties>',
            {"max_no_heartbeat": 30},
            id="remarks and lines of XML",
        ),
        pytest.param(
            "akka",
            "akka.cluster.failure-detector { heartbeat-interval = 2 s\n threshold = 12.0 } # 3\n",
            {"heartbeat_interval": 2000, "threshold": 12.0},
            id="braces beside settings",
        ),
        pytest.param(
            "akka",
            'include "x"\nakka\n{\n s = [{threshold = 1}]\n cluster {\n failure-detector.threshold: 9}}',
            {"threshold": 9.0},
            id="braces on lines of their own",
        ),
        pytest.param("linux-tcp", "-net.ipv4.tcp_retries2=8\n", {"retries2": 8}, id="sysctl that may fail"),
        pytest.param("redis-cluster", 'Cluster-Node-Timeout "5000"\n', {"node_timeout": 5000}, id="any case"),
    ],
)
def test_what_is_easily_overlooked_counts(product: str, text: str, settings: dict[str, float]) -> None:
    """Each of these was once read as another value, or as unset."""
    assert read_present(text, [load(product)]).settings == settings


@pytest.mark.parametrize(
    ("product", "text"),
    [
        ("hashicorp-raft", "c.HeartbeatTimeout = time.Second / 4\n"),
        ("hashicorp-raft", "c.HeartbeatTimeout = time.Second + 500*time.Millisecond\n"),
        ("nginx", "proxy_connect_timeout 1M;\n"),
        ("etcd", f"election-timeout: 1{'0' * 400}\n"),
        ("cassandra", f"phi_convict_threshold: 1{'0' * 400}\n"),
        ("envoy", "clusters:\n- connect_timeout: 1s\n- connect_timeout: 2s\n"),
        ("kubernetes-node", "nodeStatusUpdateFrequency: 10s\n---\nnodeStatusUpdateFrequency: 20s\n"),
        ("kafka-consumer", "consumer:\n  session.timeout.ms: 9000\nstreams:\n  session.timeout.ms: 44000\n"),
    ],
)
def test_what_cannot_be_told_is_refused(product: str, text: str) -> None:
    """Half of a sum, a month, a number beyond all measure, or one of several values, would be wrong."""
    with pytest.raises(UserError):
        read_present(text, [load(product)])
