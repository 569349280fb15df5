"""Addresses, durations and calendars as they are written in the configuration.

Each parser takes the text and raises ConfigError saying what is wrong with it.
"""

from __future__ import annotations

import ipaddress
import re

from truechimer.errors import ConfigError

_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?\Z")
_RETENTION = re.compile(r"([1-9]\d{0,6})([smhdw])\Z")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_CRON_NAMES = frozenset(
    "jan feb mar apr may jun jul aug sep oct nov dec mon tue wed thu fri sat sun".split()  # noqa: SIM905 - reads best
)
_CRON_PART = re.compile(r"(\*|\w{1,3}(?:-\w{1,3})?)(?:/(\d{1,3}))?\Z")


def listen_address(text: str) -> tuple[str, int]:
    """HOST:PORT or [IPv6]:PORT to (host, port); port 0 means any free one, an empty host every address."""
    host, port = _split(text, default_port=None, least_port=0)
    return host, port


def peer_address(text: str, default_port: int | None = None) -> tuple[str, int]:
    """HOST[:PORT], [IPv6][:PORT] or a bare IPv6 address to (host, port).

    Without ``default_port`` the port must be written.
    """
    host, port = _split(text, default_port=default_port, least_port=1)
    if not host:
        raise ConfigError(f"{text!r} has no host")
    return host, port


def host_name(text: str) -> str:
    """A host name or an IP address (IPv6 with or without brackets)."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if _is_ipv6(bare) or _HOST.match(bare):
        return bare
    raise ConfigError(f"{text!r} is neither a host name nor an IP address")


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """ADDRESS/BITS, or an address alone."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no network: {error}") from error


def format_address(host: str, port: int) -> str:
    """(host, port) as it is written: IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def duration_s(text: str) -> int:
    """``30d``, ``12h``, ``90m``, ``45s``, ``2w`` to seconds."""
    match = _RETENTION.match(text)
    if match is None:
        raise ConfigError(f"{text!r} is no duration: write a whole number and s, m, h, d or w, like 30d")
    return int(match.group(1)) * _UNIT_S[match.group(2)]


def check_cron(text: str) -> None:
    """Hold a five-field cron expression against its form and ranges."""
    fields = text.split()
    if len(fields) != len(_CRON_FIELDS):
        raise ConfigError(f"{text!r} has {len(fields)} fields; cron has five: {', '.join(_CRON_FIELDS)}")
    for field, name, (least, most) in zip(fields, _CRON_FIELDS, _CRON_RANGES, strict=True):
        for part in field.split(","):
            match = _CRON_PART.match(part)
            if match is None or match.group(2) == "0" or not _in_range(match.group(1), least, most):
                raise ConfigError(f"{part!r} is no {name} of cron ({least} to {most}, *, ranges, steps)")


def _in_range(text: str, least: int, most: int) -> bool:
    if text == "*":
        return True
    ends = text.split("-")
    if all(end.isdecimal() for end in ends):
        numbers = [int(end) for end in ends]
        return all(least <= number <= most for number in numbers) and numbers == sorted(numbers)
    # Names (jan, mon): months and days of the week only.
    return most in {12, 7} and all(end.lower() in _CRON_NAMES for end in ends)


def _split(text: str, *, default_port: int | None, least_port: int) -> tuple[str, int]:
    if _is_ipv6(text):
        host, port = text, ""
    elif text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not _is_ipv6(host) or (rest and not rest.startswith(":")):
            raise ConfigError(f"{text!r} is no [IPv6]:PORT")
        port = rest[1:]
        if rest == ":":
            raise ConfigError(f"{text!r} has no port after the colon")
    else:
        host, colon, port = text.rpartition(":")
        if not colon:
            host, port = text, ""
        elif not port:
            raise ConfigError(f"{text!r} has no port after the colon")
        if host and not _HOST.match(host):
            raise ConfigError(f"{text!r} is no HOST:PORT (IPv6 goes in brackets: [::1]:8723)")
    return host, _port(text, port, default_port, least_port)


def _port(text: str, port: str, default_port: int | None, least_port: int) -> int:
    if not port:
        if default_port is None:
            raise ConfigError(f"{text!r} has no port: write HOST:PORT")
        return default_port
    if not (port.isascii() and port.isdecimal()) or not least_port <= int(port) <= 65_535:
        raise ConfigError(f"{text!r}: port {port!r} is not a number from {least_port} to 65535")
    return int(port)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
