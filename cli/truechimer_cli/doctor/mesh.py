"""Whether this host can be part of a mesh: the reflector's port and the key."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

import psutil

from truechimer.config import format_address, listen_address
from truechimer.errors import ConfigError
from truechimer_agent.collectors.reflector import explain
from truechimer_agent.stamp.key import load_key
from truechimer_cli.doctor.check import Check

if TYPE_CHECKING:
    from pathlib import Path


def port(listen: str) -> Check:
    """The UDP port of ``[mesh] listen``: free, or the agent's already."""
    host, number = listen_address(listen)
    address = format_address(host or "*", number)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, number))
    except OSError as error:
        who = _holder(number) if error.errno == errno.EADDRINUSE else None
        if who is not None and "truechimer_agent" in who:
            return Check("mesh_port", ok=True, why=f"the agent has {address}")
        what, fix = explain(error, number)
        return Check("mesh_port", ok=False, why=f"{address}: {what}", fix=fix)
    return Check("mesh_port", ok=True, why=f"{address} (UDP) is free: nobody reflects there now")


def key(path: Path | None) -> Check:
    """The key of ``[mesh] key_file``."""
    if path is None:
        why = "no key_file: whoever reaches the port is answered, and whoever can forge addresses believed"
        return Check("mesh_key", ok=True, why=why)
    try:
        load_key(path)
    except ConfigError as error:
        return Check("mesh_key", ok=False, why=str(error), fix=error.hint)
    return Check("mesh_key", ok=True, why=f"{path} holds one, closed to others")


def _holder(number: int) -> str | None:
    """The command line of the process that has a UDP port, where it can be told."""
    try:
        for connection in psutil.net_connections("udp"):
            if connection.laddr and connection.laddr.port == number and connection.pid:
                return " ".join(psutil.Process(connection.pid).cmdline())
    except (psutil.Error, OSError):
        return None
    return None
