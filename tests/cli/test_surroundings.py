"""What `up` probes by itself: default gateways and resolvers, as the kernel and resolv.conf say."""

from hypothesis import given
from hypothesis import strategies as st

from truechimer.config import AgentConfig, parse_agent, to_toml
from truechimer_cli.upping.surroundings import parse_ipv4_routes, parse_ipv6_routes, parse_resolvers, probes

ROUTE = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth1\t00000000\t0102000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth2\t00000000\t0000A8C0\t0002\t0\t0\t100\t00000000\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0
"""
ROUTE6 = (
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "20010db8000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n"
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth1\n"
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"
)
RESOLV = """# a comment
nameserver 127.0.0.53
nameserver 2001:db8::53
nameserver fe80::1%eth0
nameserver
search x
"""


def test_default_gateways_that_are_up():
    assert parse_ipv4_routes(ROUTE) == ["10.0.2.1", "10.0.2.1"]
    assert parse_ipv6_routes(ROUTE6) == ["2001:db8::1"]


def test_resolvers():
    assert parse_resolvers(RESOLV) == ["127.0.0.53", "2001:db8::53"]


def test_each_is_probed_once_by_a_configuration_that_loads(tmp_path):
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "proc/net/route").write_text(ROUTE)
    (tmp_path / "proc/net/ipv6_route").write_text(ROUTE6)
    (tmp_path / "etc/resolv.conf").write_text(RESOLV)
    found = probes(tmp_path)
    assert [(probe.kind, probe.target) for probe in found] == [
        ("icmp", "10.0.2.1"),
        ("icmp", "2001:db8::1"),
        ("tcp", "127.0.0.53:53"),
        ("tcp", "[2001:db8::53]:53"),
    ]
    assert parse_agent(to_toml(AgentConfig(node="n", probe=found))).config.probe == found


def test_a_host_without_any_network_has_none(tmp_path):
    assert probes(tmp_path) == ()


@given(st.text(max_size=300) | st.text(alphabet="0123456789abcdefF\t \n", max_size=300))
def test_any_text_gives_addresses_or_nothing(told):
    for parse in (parse_ipv4_routes, parse_ipv6_routes, parse_resolvers):
        assert all(isinstance(address, str) for address in parse(told))
