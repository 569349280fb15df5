"""Configuration: the contract's files load whole, wrong ones are refused with every problem named."""

import contextlib
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.config import (
    AgentConfig,
    AnalyzerConfig,
    duration_s,
    format_address,
    host_name,
    listen_address,
    load_agent,
    load_analyzer,
    parse_agent,
    parse_analyzer,
    peer_address,
    to_toml,
)
from truechimer.config.addresses import check_cron
from truechimer.config.documenting import document
from truechimer.config.loading import document_of, kind_of
from truechimer.config.model import NtpConfig, PausesConfig, ProbeConfig, SinkConfig
from truechimer.config.walking import dotted_keys
from truechimer.errors import ConfigError

AGENT = """
cluster = "prod"
node = "db-1"
zone = "eu-1a"
state_dir = "/var/lib/truechimer/agent"
runtime_dir = "/run/truechimer"
[ntp]
servers = ["10.0.0.1", "ntp2.example:1123"]
interval_s = 16
burst = 4
max_drift_ppm = 500
wander_ppm = 5
tolerated_falsetickers = "minority"
kernel_timestamps = true
[mesh]
listen = "0.0.0.0:862"
key_file = "/etc/truechimer/mesh.key"
peers = ["db-2@10.0.0.2", "db-3@10.0.0.3:8620"]
degree = 8
interval_s = 1.0
timeout_s = 2.0
[[probe]]
kind = "tcp"
name = "postgres"
target = "10.0.0.9:5432"
interval_s = 1.0
timeout_s = 3.0
[pauses]
interval_ms = 10
threshold_ms = 5
[[disk]]
path = "/var/lib/etcd"
interval_s = 1.0
[[process]]
name = "cassandra"
unit = "cassandra.service"
runtime = "jvm"
[[sink]]
kind = "influx"
url = "http://127.0.0.1:8723"
org = "-"
bucket = "truechimer"
token_file = "/etc/truechimer/write.token"
[spool]
max_bytes = 268435456
[clockbound]
segment = "/var/run/clockbound/shm0"
[health]
listen = "127.0.0.1:9723"
"""
ANALYZER = """
[server]
listen = "127.0.0.1:8723"
tokens_file = "/etc/truechimer/tokens.toml"
tls_certificate = "/etc/c.pem"
tls_key = "/etc/k.pem"
[store]
address = "embedded:/var/lib/truechimer/analyzer"
retention = "30d"
[limits]
max_offset_s = 0.05
max_frequency_ppm = 100
max_skew_s = 0.25
[alerts]
alertmanager = ["http://127.0.0.1:9093"]
webhook = []
[[report]]
cron = "0 6 * * *"
kind = "timeouts"
directory = "/var/lib/truechimer/reports"
"""


def problems(text, parse=parse_agent):
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return str(caught.value)


def test_the_contracts_agent_file_loads_with_its_units():
    config = parse_agent(AGENT).config
    assert config.node == "db-1"
    assert config.ntp.servers == ("10.0.0.1", "ntp2.example:1123")
    assert config.ntp.interval_s == 16.0
    assert isinstance(config.ntp.interval_s, float)
    assert config.probe[0] == ProbeConfig("tcp", "10.0.0.9:5432", "postgres")
    assert config.sink[0].token_file == Path("/etc/truechimer/write.token")
    assert config.mesh is not None
    assert config.process[0].runtime == "jvm"


def test_the_contracts_analyzer_file_loads():
    config = parse_analyzer(ANALYZER).config
    assert config.limits.max_frequency_ppm == 100.0
    assert config.report[0].kind == "timeouts"
    assert duration_s(config.store.retention) == 30 * 86_400


def test_a_report_has_formats_and_products():
    section = '[[report]]\ncron = "0 6 * * *"\ndirectory = "/r"\n'
    assert parse_analyzer(section).config.report[0].format == ("md", "html")
    chosen = parse_analyzer(section + 'format = ["json"]\nproducts = ["etcd@3.5"]').config.report[0]
    assert (chosen.format, chosen.products) == (("json",), ("etcd@3.5",))
    for wrong, what in (
        ("format = []", "must not be empty"),
        ('format = ["md", "md"]', "has 'md' twice"),
        ('format = ["pdf"]', 'must be "md" or "html" or "json"'),
        ('products = [""]', "must not be empty"),
    ):
        assert what in problems(section + wrong, parse_analyzer)


def test_chronyds_command_socket_is_a_path_or_a_host():
    assert parse_agent("").config.daemon.chrony is None
    assert parse_agent('[daemon]\nchrony = "/run/c/sock"').config.daemon.chrony == "/run/c/sock"
    with pytest.raises(ConfigError, match=r"daemon\.chrony"):
        parse_agent('[daemon]\nchrony = ""')


def test_unbuilt_sections_warn_and_built_ones_do_not():
    said = " ".join(parse_agent(AGENT).warnings)
    assert all(f"[{name}]" not in said for name in ("ntp", "mesh", "disk", "process"))
    assert parse_agent("").warnings == ()
    assert "[alerts]" in " ".join(parse_analyzer(ANALYZER).warnings)
    assert "otlp" in " ".join(parse_agent('[[sink]]\nkind = "otlp"\nurl = "http://h"').warnings)
    assert "embedded" in " ".join(parse_analyzer('[store]\naddress = "prometheus://h"').warnings)


def test_defaults_load_and_the_node_is_the_hosts_name():
    loaded = load_agent()
    assert loaded.path is None
    assert loaded.config == replace(AgentConfig(), node=socket.gethostname())
    assert load_analyzer().config == AnalyzerConfig()


def test_a_file_is_loaded_with_its_path(tmp_path):
    path = tmp_path / "agent.toml"
    path.write_text('node = "x"')
    assert load_agent(path).path == path
    path.write_text("[limits]\nmax_skew_s = 1")
    assert load_analyzer(path).config.limits.max_skew_s == 1.0


def test_every_problem_of_a_file_is_named_at_once():
    said = problems(
        'frob = 1\n[ntp]\nserverz = ["a"]\ninterval_s = 0\n[[probe]]\nkind = "tcp"\n[spool]\nmax_bytes = "x"'
    )
    for part in ("frob", "ntp.serverz", "ntp.interval_s", "probe[0].target", "spool.max_bytes", "5 problems"):
        assert part in said


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ('[ntp]\nserverz = ["a"]', "unknown key ntp.serverz in agent.toml: did you mean ntp.servers?"),
        ("interval_ms = 3", "did you mean pauses.interval_ms?"),
        ("[nptp]", "did you mean ntp?"),
        ('[server]\nlisten = "h:1"', "belongs into analyzer.toml"),
        ("zzz = 1", "unknown key zzz in agent.toml"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(text, suggestion):
    assert suggestion in problems(text)


@pytest.mark.parametrize(
    "text",
    [
        "node = 3",
        'node = ""',
        'cluster = "a\\nb"',
        "zone = true",
        "[ntp]\ninterval_s = true",
        '[ntp]\ninterval_s = "16"',
        "[ntp]\ninterval_s = 0",
        "[ntp]\ninterval_s = -1.5",
        "[ntp]\ninterval_s = nan",
        "[ntp]\ninterval_s = inf",
        "[ntp]\nburst = 4.0",
        "[ntp]\nburst = 0",
        '[ntp]\nservers = "a"',
        "[ntp]\nservers = [1]",
        '[ntp]\nservers = ["a b"]',
        '[ntp]\nservers = ["a:0"]',
        '[ntp]\nservers = ["a", "a"]',
        '[ntp]\ntolerated_falsetickers = "most"',
        "[ntp]\ntolerated_falsetickers = -1",
        "[ntp]\ntolerated_falsetickers = true",
        "[pauses]\ninterval_ms = 0.5",
        "[pauses]\ninterval_ms = 51",
        "pauses = 3",
        "probe = 3",
        "[probe]\nkind = 'tcp'",
        '[[probe]]\nkind = "udp"\ntarget = "h:1"',
        '[[probe]]\nkind = "tcp"\ntarget = "h"',
        '[[probe]]\nkind = "icmp"\ntarget = "h:1:2"',
        '[[probe]]\nkind = "tcp"\ntarget = "h:1"\n[[probe]]\nkind = "tcp"\ntarget = "h:1"',
        '[[process]]\nname = "x"',
        '[[process]]\nname = "x"\nunit = "a"\ncommand = "b"',
        '[[process]]\nname = "x"\ncommand = "("',
        '[[sink]]\nkind = "influx"',
        '[[sink]]\nkind = "influx"\nurl = "ftp://h"',
        '[[sink]]\nkind = "influx"\nurl = "http://"',
        '[[sink]]\nkind = "influx"\nurl = "http://h:x"',
        '[health]\nlisten = "9723"',
        '[health]\nlisten = "::1:9723"',
        '[health]\nlisten = "h:70000"',
        '[mesh]\npeers = ["10.0.0.2"]',
        '[mesh]\npeers = ["b@10.0.0.2", "b@10.0.0.3"]',
        'state_dir = "/x"\nruntime_dir = "/x"',
        'state_dir = ""',
        "node = 2026-01-01",
        "[spool]\nmax_bytes = 10",
    ],
)
def test_a_wrong_value_is_refused(text):
    assert " in agent.toml" in problems(text)


@pytest.mark.parametrize(
    "text",
    [
        '[store]\nretention = "30"',
        '[store]\nretention = "0d"',
        '[store]\naddress = "/var/lib"',
        '[store]\naddress = "influxdb://u:p@h/db"',
        '[[report]]\ncron = "0 6 * *"\ndirectory = "/x"',
        '[[report]]\ncron = "61 6 * * *"\ndirectory = "/x"',
        '[[report]]\ncron = "0 6 * * *"',
        '[server]\ntls_key = "/k"',
        "[limits]\nmax_skew_s = 0",
    ],
)
def test_a_wrong_value_of_the_analyzer_is_refused(text):
    assert " in analyzer.toml" in problems(text, parse_analyzer)


def test_a_secret_in_a_url_is_refused_and_not_repeated():
    said = problems('[[sink]]\nkind = "influx"\nurl = "http://me:hunter2@h:1"')
    assert "token_file" in said
    assert "hunter2" not in said


def test_what_is_no_toml_says_where(tmp_path):
    assert "line 1" in problems("node = db-1")
    path = tmp_path / "agent.toml"
    with pytest.raises(ConfigError, match="no such file"):
        load_agent(path)
    path.write_bytes(b'node = "\xff"')
    with pytest.raises(ConfigError, match="UTF-8"):
        load_agent(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="reading"):
        load_agent(path)


def test_the_tree_written_as_toml_loads_to_itself():
    for text, parse in ((AGENT, parse_agent), (ANALYZER, parse_analyzer)):
        config = parse(text).config
        assert parse(to_toml(config)).config == config


LABELS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(
    LABELS,
    st.none()
    | st.lists(st.from_regex(r"[a-z]{1,8}(\.[a-z]{2,5})?(:[1-9][0-9]{0,3})?", fullmatch=True), unique=True),
    st.floats(1e-9, 1e9),
    st.floats(1, 50),
    LABELS,
)
def test_any_tree_survives_being_written(node, servers, interval_s, interval_ms, bucket):
    config = AgentConfig(
        node=node,
        ntp=NtpConfig(servers=None if servers is None else tuple(servers), interval_s=interval_s),
        pauses=PausesConfig(interval_ms=interval_ms),
        sink=(SinkConfig("influx", "http://h:1", bucket=bucket),),
    )
    assert parse_agent(to_toml(config)).config == config


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_a_config_error(text):
    for parse in (parse_agent, parse_analyzer):
        with contextlib.suppress(ConfigError):
            parse(text)


JSONISH = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(set(dotted_keys(AgentConfig)))), JSONISH)
def test_any_value_under_any_key_is_taken_or_refused(dotted, value):
    """No type of value makes the walk itself fail."""
    from truechimer.config.walking import build

    tree = value
    for name in reversed(dotted.split(".")):
        tree = {name: tree}
    found = []
    assert (build(AgentConfig, tree, found) is None) == bool(found)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_config_error(text):
    for parse in (listen_address, peer_address, host_name, duration_s, check_cron):
        with contextlib.suppress(ConfigError):
            parse(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8723", ("127.0.0.1", 8723)),
        ("[::1]:8723", ("::1", 8723)),
        ("localhost:0", ("localhost", 0)),
        (":8723", ("", 8723)),
    ],
)
def test_listen_addresses(text, address):
    assert listen_address(text) == address
    assert listen_address(format_address(*address)) == address


def test_peer_addresses_take_a_default_port():
    assert peer_address("ntp.example", 123) == ("ntp.example", 123)
    assert peer_address("2001:db8::1", 123) == ("2001:db8::1", 123)
    assert peer_address("[2001:db8::1]:1123", 123) == ("2001:db8::1", 1123)


@pytest.mark.parametrize("cron", ["0 6 * * *", "*/15 0-6 1,15 jan-mar mon-fri", "0 0 * * 7", "5 4 * * sun"])
def test_usual_calendars_are_taken(cron):
    check_cron(cron)


def test_a_document_is_recognized_by_its_keys():
    assert kind_of(document_of(AGENT, "x")) == "agent"
    assert kind_of(document_of(ANALYZER, "x")) == "analyzer"


def test_the_generated_page_names_every_key_and_is_up_to_date():
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    assert page == document()
    for root in (AgentConfig, AnalyzerConfig):
        for key in dotted_keys(root):
            assert key.rpartition(".")[2] in page
