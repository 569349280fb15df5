"""Telling systemd how a daemon is: sd_notify(3) without its library."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> bool:
    """Send ``state`` (lines such as ``READY=1``) to the service manager.

    False when there is none or it cannot be reached: a daemon never stops for want of its manager.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            manager.settimeout(1.0)
            manager.connect(address)
            manager.sendall(state.encode())
    except OSError:
        return False
    return True


def watchdog_interval_s() -> float | None:
    """How often to send ``WATCHDOG=1``: half of what the unit allows; None without a watchdog."""
    text = os.environ.get("WATCHDOG_USEC", "")
    owner = os.environ.get("WATCHDOG_PID", "")
    if not text.isdigit() or int(text) == 0 or (owner and owner != str(os.getpid())):
        return None
    return int(text) / 2e6
