"""What is near this host and worth probing: its gateways and resolvers, as the kernel and resolv.conf say."""

from __future__ import annotations

import ipaddress
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from truechimer.config import format_address
from truechimer.config.model import ProbeConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

_RTF_UP, _RTF_GATEWAY = 0x1, 0x2
_DNS_PORT = 53
_MOST = 4


def probes(root: Path = Path("/")) -> tuple[ProbeConfig, ...]:
    """An ICMP probe of every default gateway, a TCP probe of every resolver's port 53; each once."""
    gateways = parse_ipv4_routes(_text(root / "proc/net/route"))
    gateways += parse_ipv6_routes(_text(root / "proc/net/ipv6_route"))
    resolvers = parse_resolvers(_text(root / "etc/resolv.conf"))
    return tuple(
        [
            ProbeConfig(kind="icmp", target=address, name=f"gateway-{address}")
            for address in list(dict.fromkeys(gateways))[:_MOST]
        ]
        + [
            ProbeConfig(kind="tcp", target=format_address(address, _DNS_PORT), name=f"resolver-{address}")
            for address in list(dict.fromkeys(resolvers))[:_MOST]
        ]
    )


def parse_ipv4_routes(text: str) -> list[str]:
    """Default gateways of /proc/net/route (addresses are hexadecimal in the host's byte order)."""
    gateways = []
    for fields in _rows(text):
        try:
            destination, gateway, flags, mask = fields[1], int(fields[2], 16), int(fields[3], 16), fields[7]
            packed = struct.pack("=I", gateway)
        except (IndexError, ValueError, struct.error):
            continue
        if destination == mask == "00000000" and flags & _RTF_UP and flags & _RTF_GATEWAY:
            gateways.append(socket.inet_ntoa(packed))
    return gateways


def parse_ipv6_routes(text: str) -> list[str]:
    """Default gateways of /proc/net/ipv6_route; link-local ones are left out: they need an interface."""
    gateways = []
    for fields in _rows(text):
        try:
            destination, length, gateway, flags = fields[0], fields[1], fields[4], int(fields[8], 16)
            address = ipaddress.IPv6Address(bytes.fromhex(gateway))
        except (IndexError, ValueError):
            continue
        default = length == "00" and not int(destination, 16)
        if default and flags & _RTF_UP and flags & _RTF_GATEWAY and not address.is_link_local:
            gateways.append(str(address))
    return gateways


def parse_resolvers(text: str) -> list[str]:
    """``nameserver`` lines of resolv.conf(5); link-local ones with an interface are left out."""
    resolvers = []
    for fields in _rows(text):
        if fields[0] == "nameserver" and len(fields) > 1:
            try:
                address = ipaddress.ip_address(fields[1])
            except ValueError:
                continue
            if not getattr(address, "scope_id", None):
                resolvers.append(str(address))
    return resolvers


def _rows(text: str) -> Iterable[list[str]]:
    return [fields for line in text.splitlines() if (fields := line.split())]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
