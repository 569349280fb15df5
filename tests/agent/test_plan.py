"""Which servers are asked: from real configuration files' words."""

import pytest

from truechimer.config.model import NtpConfig
from truechimer_agent.ntp import plan
from truechimer_agent.ntp.plan import Server

CHRONY = """
# Welcome to the chrony configuration file.
server 10.0.0.1 iburst
server ntp2.example port 1123 iburst # the other
pool 2.debian.pool.ntp.org iburst maxsources 2
peer 10.0.0.9
keyfile /etc/chrony/chrony.keys
"""
NTPD = """
server 127.127.1.0
server ntp.example.org iburst prefer
pool 0.debian.pool.ntp.org iburst
restrict -4 default kod notrap
"""
TIMESYNCD = "[Time]\n#NTP=commented.example\nNTP=a.example b.example\nFallbackNTP=c.example\n"


def test_chronys_lines():
    """server, peer and pool; a pool's members are apart."""
    assert plan.parse_server_lines(CHRONY) == [
        Server("10.0.0.1", "10.0.0.1", 123),
        Server("ntp2.example:1123", "ntp2.example", 1123),
        Server("2.debian.pool.ntp.org#0", "2.debian.pool.ntp.org", 123, of_pool=True),
        Server("2.debian.pool.ntp.org#1", "2.debian.pool.ntp.org", 123, of_pool=True),
        Server("10.0.0.9", "10.0.0.9", 123),
    ]


def test_ntpds_lines_without_reference_clocks():
    """127.127.x.y is hardware, not a server."""
    names = [server.name for server in plan.parse_server_lines(NTPD)]
    assert names == ["ntp.example.org", *(f"0.debian.pool.ntp.org#{n}" for n in range(4))]


def test_timesyncds_lines():
    """NTP= only: the fallback is the distributor's, not the host's."""
    assert [server.name for server in plan.parse_timesyncd(TIMESYNCD)] == ["a.example", "b.example"]


def test_configured_servers_win(tmp_path):
    """With the contract's interval and burst."""
    made = plan.make(NtpConfig(servers=("10.0.0.1", "[::1]:1123", "fd00::1")), tmp_path)
    assert [(s.host, s.port) for s in made.servers] == [("10.0.0.1", 123), ("::1", 1123), ("fd00::1", 123)]
    assert (made.interval_s, made.burst) == (16.0, 4)


def test_the_hosts_own_daemon_comes_next(tmp_path):
    """Read from where its package puts it, drop-ins included; asked politely."""
    conf = tmp_path / "etc/chrony"
    (conf / "sources.d").mkdir(parents=True)
    (conf / "chrony.conf").write_text("server 10.0.0.1\n")
    (conf / "sources.d/local.sources").write_text("server 10.0.0.2\nserver 10.0.0.1\n")
    made = plan.make(NtpConfig(), tmp_path)
    assert [server.name for server in made.servers] == ["10.0.0.1", "10.0.0.2"]
    assert made.origin == "the configuration of chrony"
    assert made.interval_s >= 64
    assert made.burst == 1


def test_else_the_public_pool_politely(tmp_path):
    """Four names, one packet every 64 s each after the first few."""
    made = plan.make(NtpConfig(), tmp_path)
    assert [server.name for server in made.servers] == list(plan.POOL)
    assert (made.interval_s, made.burst, made.gap_s) == (64.0, 1, 2.0)


def test_no_servers_at_all_is_allowed(tmp_path):
    """servers = [] means: do not ask anybody."""
    assert plan.make(NtpConfig(servers=()), tmp_path).servers == ()


@pytest.mark.parametrize("text", ["", "server", "server -x", "pool", "NTP", "\0\xff server"])
def test_odd_lines_are_left_out(text):
    """A file that is not what it should be gives no servers, not an error."""
    assert plan.parse_server_lines(text) == []
    assert plan.parse_timesyncd(text) == []
