"""What the kernel of this host offers: time stamps, clocks, pressure, permissions."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import time
from pathlib import Path

import psutil

from truechimer.errors import DecodeError
from truechimer.readings import NS, SystemClocks
from truechimer_agent.ntp import plan
from truechimer_agent.virtual import vmclock, vmgenid
from truechimer_cli.amounts import seconds
from truechimer_cli.doctor.check import Check

_SO_TIMESTAMPNS = 35
_TIMEX_BYTES = 512  # struct timex is 208; more does no harm
_WIDE_READING_NS = 20_000
_BAD_CLOCKSOURCES = ("hpet", "acpi_pm", "jiffies", "pit", "refined-jiffies")
_CLOCKSOURCE = "sys/devices/system/clocksource/clocksource0/current_clocksource"
_DAEMONS = ("chronyd", "ntpd", "ntp-daemon", "systemd-timesyncd", "systemd-timesyn", "ptp4l", "openntpd")


def kernel_timestamps() -> Check:
    """SO_TIMESTAMPNS on a datagram over loopback."""
    why = "the kernel's receive stamps keep its scheduling out of NTP offsets (50 µs instead of 1–2 ms)"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(1.0)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"?", receiver.getsockname())
            ancillary = receiver.recvmsg(16, 256)[1]
    except OSError as error:
        return Check(
            "kernel_timestamps", ok=False, why=f"{why}; trying: {error.strerror}", fix="allow UDP on loopback"
        )
    if any(kind == _SO_TIMESTAMPNS for _, kind, _ in ancillary):
        return Check("kernel_timestamps", ok=True, why=f"they come; {why}")
    fix = "a kernel with SO_TIMESTAMPNS; without it bounds are wider, and still right"
    return Check("kernel_timestamps", ok=False, why=f"none came; {why}", fix=fix)


def steady_clock() -> Check:
    """CLOCK_MONOTONIC_RAW: its resolution, and how tightly it can be read beside the others."""
    resolution_ns = time.clock_getres(time.CLOCK_MONOTONIC_RAW) * NS
    width_ns = SystemClocks(tries=20).read().width_ns
    why = (
        f"resolution {seconds(resolution_ns / NS)}, four clocks read within {seconds(width_ns / NS)}; "
        "every packet is timed by CLOCK_MONOTONIC_RAW"
    )
    if resolution_ns <= 1000 and width_ns <= _WIDE_READING_NS:
        return Check("steady_clock", ok=True, why=why)
    return Check(
        "steady_clock", ok=False, why=why, fix="a clocksource that user space can read (tsc, kvm-clock)"
    )


def clocksource(root: Path = Path("/")) -> Check:
    """Which counter the kernel counts time by."""
    try:
        name = (root / _CLOCKSOURCE).read_text().strip()
    except OSError:
        return Check("clocksource", ok=True, why="the kernel does not tell which it uses here")
    if name in _BAD_CLOCKSOURCES:
        fix = "find out why tsc was rejected: dmesg | grep -i clocksource"
        return Check("clocksource", ok=False, why=f"{name}: slow to read and coarse", fix=fix)
    return Check("clocksource", ok=True, why=name)


def pressure(root: Path = Path("/")) -> Check:
    """PSI: /proc/pressure."""
    try:
        told = (root / "proc/pressure/cpu").read_text()
    except OSError as error:
        fix = "boot with psi=1 (kernel 4.20 or later with CONFIG_PSI)"
        why = f"/proc/pressure/cpu: {error.strerror}; pauses are explained by it"
        return Check("pressure", ok=False, why=why, fix=fix)
    return Check("pressure", ok=told.startswith("some"), why="PSI is there: pauses can be explained by it")


def schedstat(root: Path = Path("/")) -> Check:
    """Run-queue delay of a task: /proc/self/schedstat."""
    try:
        numbers = (root / "proc/self/schedstat").read_text().split()
    except OSError as error:
        why = f"/proc/self/schedstat: {error.strerror}; without it a pause in the run queue shows as unknown"
        return Check("schedstat", ok=False, why=why, fix="a kernel with CONFIG_SCHED_INFO")
    why = "run-queue delay is counted: it tells a busy CPU from a stopped process"
    return Check("schedstat", ok=len(numbers) == 3, why=why)


def adjtimex() -> Check:
    """Reading the kernel's clock discipline (nothing is set)."""
    library = ctypes.CDLL(None, use_errno=True)
    state = library.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    if state >= 0:
        return Check("adjtimex", ok=True, why="the kernel's own opinion of its clock can be read")
    failure = errno.errorcode.get(ctypes.get_errno(), "?")
    fix = "a service needs SystemCallFilter=adjtimex and no ProtectClock; a container the like in its seccomp"
    return Check("adjtimex", ok=False, why=f"{failure}: who slews the clock cannot be told", fix=fix)


def icmp() -> Check:
    """Whether echo requests may be sent: unprivileged ICMP sockets, else raw ones."""
    for kind, name in ((socket.SOCK_DGRAM, "unprivileged ICMP sockets"), (socket.SOCK_RAW, "raw sockets")):
        try:
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
        except OSError:
            continue
        return Check("icmp", ok=True, why=f"by {name}")
    fix = f"sysctl -w net.ipv4.ping_group_range='{os.getgid()} {os.getgid()}', or give the agent CAP_NET_RAW"
    return Check(
        "icmp", ok=False, why="this user may not send echo requests: icmp probes do not work", fix=fix
    )


def time_daemon(root: Path = Path("/")) -> Check:
    """Who steers the wall clock, and by which servers."""
    running = sorted({name for name in _process_names() if name in _DAEMONS})
    found = plan.of_time_daemon(root)
    servers = ", ".join(server.name for server in found[0]) if found else "no servers configured"
    if running:
        return Check("time_daemon", ok=True, why=f"{', '.join(running)} runs; {servers}")
    why = f"none runs ({servers}): nothing keeps the wall clock right, unless the host of this guest does"
    return Check("time_daemon", ok=False, why=why, fix="install one, for example chrony")


def vm_restores(device: Path = vmclock.DEVICE) -> Check:
    """Whether a hypervisor tells of restores and migrations, across which no clock can be trusted."""
    told = []
    if device.exists():
        try:
            with contextlib.closing(vmclock.VmClock(device)) as opened:
                opened.marker()
        except (OSError, DecodeError) as error:
            fix = f"let the agent read {device}: the unit's drop-in clockbound.conf.example does"
            return Check("vm_restores", ok=False, why=f"{device}: {error}", fix=fix)
        told.append(str(device))
    if vmgenid.is_present():
        told.append("the VM generation id")
    if told:
        return Check(
            "vm_restores", ok=True, why=f"{' and '.join(told)}: a restored guest begins anew at once"
        )
    return Check("vm_restores", ok=True, why="no hypervisor tells of them: servers' answers show them, later")


def _process_names() -> list[str]:
    return [process.info["name"] or "" for process in psutil.process_iter(["name"])]
