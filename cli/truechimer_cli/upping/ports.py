"""Who has a port."""

from __future__ import annotations

import socket

import psutil

from truechimer.config import format_address
from truechimer.errors import UserError
from truechimer_cli.overhttp import service_at


def need_free(host: str, port: int) -> None:
    """Raise UserError, naming who has it, when a TCP port cannot be listened on; 0 is always free."""
    if port == 0:
        return
    address = format_address(host, port)
    try:
        bind_once(host, port)
    except PermissionError as error:
        raise UserError(f"listening on {address}: {error.strerror}", hint="use a port above 1023") from error
    except OSError as error:
        if not is_taken(host, port):
            raise UserError(
                f"listening on {address}: {error.strerror}", hint="name another with --listen"
            ) from error
        raise UserError(
            f"{address} is taken by {holder(host, port)}",
            hint="use that one, stop it, or name another port: --listen 127.0.0.1:0 takes any free one",
        ) from error


def bind_once(host: str, port: int) -> None:
    """Bind and let go. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def is_taken(host: str, port: int) -> bool:
    """Whether somebody listens there (a connection is accepted, or binding says so)."""
    try:
        bind_once(host, port)
    except OSError as error:
        return error.errno == 98  # EADDRINUSE
    return False


def holder(host: str, port: int) -> str:
    """Who listens, as well as can be told: one of our services, a process, or another program."""
    who = service_at(f"http://{format_address(host, port)}")[1] or "another program"
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return who
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr:
            continue
        if connection.laddr.port == port and connection.pid:
            try:
                return f"{who} (process {connection.pid}, {psutil.Process(connection.pid).name()})"
            except psutil.Error:
                return f"{who} (process {connection.pid})"
    return who
