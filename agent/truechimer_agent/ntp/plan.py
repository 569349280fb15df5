"""Which servers are asked, and how often: configured, the host's own time daemon's, or a public pool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from truechimer.config import peer_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from truechimer.config.model import NtpConfig

NTP_PORT = 123
POOL = tuple(f"{number}.pool.ntp.org" for number in range(4))
POOL_MEMBERS = 4
"""Addresses taken of one name that stands for many (``pool`` lines)."""
POLITE_INTERVAL_S = 64.0
POLITE_GAP_S = 2.0
OWN_GAP_S = 0.01
START_BURST = 4

_CHRONY = ("/etc/chrony/chrony.conf", "/etc/chrony.conf")
_CHRONY_DIRS = ("/etc/chrony/conf.d/*.conf", "/etc/chrony/sources.d/*.sources", "/run/chrony-dhcp/*.sources")
_NTPD = ("/etc/ntpsec/ntp.conf", "/etc/ntp.conf")
_TIMESYNCD = ("/etc/systemd/timesyncd.conf",)
_TIMESYNCD_DIRS = ("/etc/systemd/timesyncd.conf.d/*.conf", "/run/systemd/timesyncd.conf.d/*.conf")


@dataclass(frozen=True, slots=True)
class Server:
    """One server: ``name`` is its tag; those ``of_pool`` share one host name, each with its own address."""

    name: str
    host: str
    port: int
    of_pool: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Servers and manners: a burst of ``start_burst`` first, then ``burst`` every ``interval_s``."""

    servers: tuple[Server, ...]
    interval_s: float
    start_burst: int
    burst: int
    gap_s: float
    origin: str


def make(config: NtpConfig, root: Path = Path("/")) -> Plan:
    """The plan of a configuration; ``root`` is where /etc is looked for."""
    if config.servers is not None:
        servers = tuple(Server(text, *peer_address(text, NTP_PORT)) for text in config.servers)
        return Plan(
            servers, config.interval_s, config.burst, config.burst, OWN_GAP_S, "the agent's configuration"
        )
    found = of_time_daemon(root)
    if found:
        names, origin = found
        servers = tuple(names)
    else:
        servers = tuple(Server(name, name, NTP_PORT) for name in POOL)
        origin = "the public pool"
    return Plan(servers, max(config.interval_s, POLITE_INTERVAL_S), START_BURST, 1, POLITE_GAP_S, origin)


def of_time_daemon(root: Path = Path("/")) -> tuple[list[Server], str] | None:
    """The servers in the configuration of chrony, ntpd or timesyncd, and whose they are."""
    for daemon, files, folders, parse in (
        ("chrony", _CHRONY, _CHRONY_DIRS, parse_server_lines),
        ("ntpd", _NTPD, (), parse_server_lines),
        ("timesyncd", _TIMESYNCD, _TIMESYNCD_DIRS, parse_timesyncd),
    ):
        servers: list[Server] = []
        for text in _texts(root, files, folders):
            servers += parse(text)
        unique = list({server.name: server for server in servers}.values())
        if unique:
            return unique, f"the configuration of {daemon}"
    return None


def parse_server_lines(text: str) -> list[Server]:
    """``server`` and ``pool`` lines of chrony.conf(5) or ntp.conf(5)."""
    servers = []
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if len(words) < 2 or words[1].startswith(("-", "127.127.")):
            continue
        keyword, host = words[0].lower(), words[1]
        port = _option(words, "port", NTP_PORT)
        if keyword in ("server", "peer"):
            servers.append(Server(host if port == NTP_PORT else f"{host}:{port}", host, port))
        elif keyword == "pool":
            members = min(_option(words, "maxsources", POOL_MEMBERS), POOL_MEMBERS)
            servers += [Server(f"{host}#{member}", host, port, of_pool=True) for member in range(members)]
    return servers


def parse_timesyncd(text: str) -> list[Server]:
    """``NTP=`` lines of timesyncd.conf(5)."""
    servers = []
    for line in text.splitlines():
        key, separator, value = line.strip().partition("=")
        if separator and key.strip() == "NTP":
            servers += [Server(host, host, NTP_PORT) for host in value.split()]
    return servers


def _option(words: Sequence[str], name: str, default: int) -> int:
    try:
        return int(words[words.index(name) + 1])
    except (ValueError, IndexError):
        return default


def _texts(root: Path, files: Iterable[str], folders: Iterable[str]) -> list[str]:
    paths = [root / name.lstrip("/") for name in files]
    for pattern in folders:
        paths += sorted(root.glob(pattern.lstrip("/")))
    texts = []
    for path in paths:
        try:
            texts.append(path.read_text(errors="replace"))
        except OSError:
            continue
    return texts
