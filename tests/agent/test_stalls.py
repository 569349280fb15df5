"""The stalls collector with a real meter that is really stopped, killed and orphaned."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from agent.listeninghost import ListeningHost, in_loop, until

from truechimer.config.model import PausesConfig
from truechimer.readings import mono_ns
from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.collectors.stalls import PACKAGES, Stalls
from truechimer_agent.pauses import meter

STOPS = 20
TOLERANCE_S = 0.010 + 0.003


@in_loop
async def test_twenty_stops_of_fifty_milliseconds_are_twenty_pauses_of_cause_stopped():
    """Each within one interval + 3 ms of the harness's own timing; the windows count the same pauses.

    The harness reads the clock on both sides of each signal: it can itself be preempted there. On a busy
    machine a pause goes on in the run queue, which the meter tells apart.
    """
    host = ListeningHost()
    stalls = Stalls(host, PausesConfig())
    await stalls.open()
    try:
        await asyncio.sleep(0.3)
        truth = []
        for number in range(STOPS):
            outer_ns = mono_ns()
            os.kill(stalls.meter_pid, signal.SIGSTOP)
            began_ns = mono_ns()
            time.sleep(0.05)
            ended_ns = mono_ns()
            os.kill(stalls.meter_pid, signal.SIGCONT)
            truth.append((outer_ns, began_ns, ended_ns, mono_ns()))
            await asyncio.sleep(0.06 + 0.0037 * (number % 5))
        assert await stalls.collect() == []
    finally:
        await stalls.close()
    pauses = host.of("truechimer_pause")
    seen = set()
    for outer_ns, began_ns, ended_ns, last_ns in truth:
        earliest_s, latest_s = (host.steady_of_mono_ns(mono) / 1e9 for mono in (began_ns, ended_ns))
        (pause,) = [one for one in pauses if _begin_s(one) < latest_s and _end_s(one) > earliest_s]
        seen.add(id(pause))
        # Other work on this machine makes it longer, and the meter says by how much.
        delay_s = pause.fields["run_delay_seconds"]
        stood_s = pause.fields["duration_seconds"] - delay_s
        assert (
            (ended_ns - began_ns) / 1e9 - TOLERANCE_S <= stood_s <= (last_ns - outer_ns) / 1e9 + TOLERANCE_S
        )
        assert pause.tags["cause"] == "stopped"
        assert pause.fields["confidence_ratio"] >= (0.9 if delay_s < 0.01 else 0.5)
        assert pause.fields["interval_seconds"] == 0.01
        assert stalls.stalls.was_stalled(pause.steady_ns, pause.steady_ns + 1)
    assert len(seen) == STOPS
    windows = host.of("truechimer_pause_window")
    assert sum(window.fields["count"] for window in windows) == len(host.of("truechimer_pause"))


@in_loop
async def test_a_killed_meter_is_said_once_and_started_anew():
    """The end is one failure of a round; the next meter measures again."""
    host = ListeningHost()
    stalls = Stalls(host, PausesConfig())
    await stalls.open()
    try:
        first = stalls.meter_pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: stalls.restarts == 1)
        with pytest.raises(CollectFailure, match="killed by SIGKILL"):
            await stalls.collect()
        assert await stalls.collect() == []
        assert stalls.meter_pid not in (None, first)
        await asyncio.sleep(0.5)
    finally:
        await stalls.close()
    assert len(host.of("truechimer_pause_window")) == 1


@in_loop
async def test_closing_hands_over_the_window_that_was_watched():
    """So that even a short run tells "no pauses" from "nobody was looking"."""
    host = ListeningHost()
    stalls = Stalls(host, PausesConfig())
    await stalls.open()
    await asyncio.sleep(0.5)
    await stalls.close()
    (window,) = host.of("truechimer_pause_window")
    assert 0.05 < window.fields["observed_seconds"] < 30
    assert window.tags == {"source": "host", "runtime": "host"}


@in_loop
async def test_a_stopped_meter_is_ended_all_the_same():
    """SIGTERM does not reach a stopped process: it is killed after a second."""
    stalls = Stalls(ListeningHost(), PausesConfig())
    await stalls.open()
    pid = stalls.meter_pid
    os.kill(pid, signal.SIGSTOP)
    await stalls.close()
    assert not Path(f"/proc/{pid}").exists()


@in_loop
async def test_closing_before_opening_is_safe():
    """The runner closes a collector whose open failed."""
    await Stalls(ListeningHost(), PausesConfig()).close()


@in_loop
async def test_no_interpreter_is_lacking(monkeypatch):
    """It says so instead of failing with a traceback."""
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    stalls = Stalls(ListeningHost(), PausesConfig())
    with pytest.raises(Lacking, match="cannot be started"):
        await stalls.open()
    await stalls.close()


@in_loop
async def test_the_meter_ends_with_a_parent_that_was_killed():
    """kill -9 of the agent leaves no meter behind."""
    script = (
        "import subprocess, sys, os, time\n"
        f"child = subprocess.Popen([sys.executable, '-I', '-S', '-c', {meter.COMMAND!r}, {PACKAGES!r},"
        " '--parent', str(os.getpid())], stdout=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    await until(lambda: not _lives(pid))


def _begin_s(pause) -> float:
    return pause.fields["steady_seconds"]


def _end_s(pause) -> float:
    return pause.fields["steady_seconds"] + pause.fields["duration_seconds"]


def _lives(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


@in_loop
async def test_the_meter_is_small():
    """It imports neither asyncio nor typing: resident memory stays below 12 MiB."""
    stalls = Stalls(ListeningHost(), PausesConfig())
    await stalls.open()
    try:
        await asyncio.sleep(0.5)
        status = Path(f"/proc/{stalls.meter_pid}/status").read_text()
    finally:
        await stalls.close()
    (resident,) = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")]
    assert resident < 12 * 1024
