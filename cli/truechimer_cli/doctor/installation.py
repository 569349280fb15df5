"""What is installed and running: Python, extras, folders, ports, the agent, its servers."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from typing import TYPE_CHECKING

from truechimer.clock import Clock, NoBound
from truechimer.config import format_address
from truechimer.segment import SEGMENT_NAME
from truechimer_cli.amounts import seconds
from truechimer_cli.asking import missing_analyzer_modules
from truechimer_cli.doctor.check import Check
from truechimer_cli.overhttp import service_at
from truechimer_cli.upping.ports import holder, is_taken

if TYPE_CHECKING:
    from pathlib import Path

_ONCE_TIMEOUT_S = 60.0


def python() -> Check:
    """The interpreter."""
    return Check(
        "python", ok=sys.version_info >= (3, 11), why=f"{platform.python_version()} at {sys.executable}"
    )


def extras() -> Check:
    """The analyzer extra; a host that only measures does without."""
    missing = missing_analyzer_modules()
    if not missing:
        return Check("analyzer", ok=True, why="the analyzer extra is installed")
    why = (
        f"base install only ({', '.join(missing)} missing): enough for an agent, not for `up` or an analyzer"
    )
    return Check("analyzer", ok=True, why=why, fix="pip install 'truechimer[analyzer]'")


def folder(check: str, path: Path) -> Check:
    """Whether a folder can be written, or made."""
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Check(check, ok=True, why=f"{path} can be {'written' if there == path else 'made'}")
    fix = f"let this user write it, or choose another {check} in agent.toml"
    return Check(check, ok=False, why=f"{path}: this user may not write {there}", fix=fix)


def port(check: str, host: str, number: int, service: str) -> Check:
    """A port of ours: free, or already ours."""
    address = format_address(host, number)
    if number == 0 or not is_taken(host, number):
        return Check(check, ok=True, why=f"{address} is free")
    if service_at(f"http://{address}")[1] == service:
        return Check(check, ok=True, why=f"{service} answers at {address}")
    who = holder(host, number)
    return Check(
        check, ok=False, why=f"{address} is taken by {who}", fix="stop that, or configure another port"
    )


def agent(runtime: Path) -> Check:
    """Whether an agent publishes a fresh bound."""
    segment = runtime / SEGMENT_NAME
    try:
        interval = Clock(segment).now()
    except NoBound as error:
        if error.reason == "no_agent":
            fix = "start one: `truechimer up`, or `truechimer agent run`"
            return Check("agent", ok=False, why=f"none publishes at {segment}", fix=fix)
        return Check("agent", ok=False, why=f"{error} ({error.status}, {error.reason})", fix=error.hint)
    status, age = interval.status.name.lower(), seconds(interval.as_of_age_s)
    fresh = interval.as_of_age_s <= 5
    why = f"{status}, {seconds(interval.width_ns / 1e9)} wide, published {age} ago at {segment}"
    return Check("agent", ok=fresh, why=why, fix=None if fresh else "is it running? Its log says")


def servers(config: Path | None) -> Check:
    """Ask the NTP servers once, by the agent's own means."""
    words = [sys.executable, "-m", "truechimer_agent", "once", "--json"]
    words += ["--config", str(config)] if config is not None else []
    try:
        done = subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, timeout=_ONCE_TIMEOUT_S
        )
        asked = json.loads(done.stdout)["servers"]
    except (subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return Check("ntp", ok=False, why="asking the servers failed", fix="`truechimer agent once` says why")
    told = [server["server"] for server in asked if server.get("reach")]
    silent = [f"{server['server']} ({server.get('reason')})" for server in asked if not server.get("reach")]
    why = f"{len(told)} of {len(asked)} servers answer" + (f"; silent: {', '.join(silent)}" if silent else "")
    fix = "allow UDP to port 123 outwards, or name reachable servers in [ntp]"
    return Check("ntp", ok=bool(told) and not silent, why=why, fix=None if told and not silent else fix)
