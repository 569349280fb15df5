"""The helpers collector with real programs: CPython, Node, dead agents, and those that lie or flood."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import resource
import shutil
import socket
import stat
import sys
from pathlib import Path

import pytest
from agent.listeninghost import ListeningHost, in_loop, until

from truechimer.config.model import AgentConfig, NtpConfig, PausesConfig, ProcessConfig, ScrapeConfig
from truechimer.readings import SystemClocks, mono_ns
from truechimer_agent.assembly import collectors_of, parts_of
from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.collectors.helpers import Helpers
from truechimer_agent.hostclock import HostClock
from truechimer_agent.toldpauses.budget import Budget

DOCS = Path(__file__).parents[2] / "docs/gcpause.md"
TOLERANCE_S = 0.001
PYTHON = """
import gc, json, sys, time
from truechimer import gcpause
own, starts, ends = [], [], []
def before(phase, info):
    (starts if phase == "start" else ends).append(time.monotonic_ns())
def after(phase, info):
    (starts if phase == "start" else ends).append(time.monotonic_ns())
    if phase == "stop":
        (s, start), (end, e) = starts[-2:], ends[-2:]
        own.append((start, end - start, start - s + e - end))
gc.callbacks.append(before)
gcpause.watch(name="billing", socket=sys.argv[1])
gc.callbacks.append(after)
kept = []
for number in range(12):
    kept += [[] for _ in range(60_000)]
    gc.collect()
gc.callbacks.remove(before)
gc.callbacks.remove(after)
gcpause.unwatch()
print(json.dumps(own))
"""
NODE = """
const own = [];
const begin = Number(process.hrtime.bigint()) - performance.now() * 1e6;
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) own.push([begin + one.startTime * 1e6, one.duration * 1e6, 0]);
}).observe({ entryTypes: ["gc"] });
let kept = [], rounds = 0;
const work = () => {
  for (let i = 0; i < 60000; i++) kept.push({ i, text: "x" + i });
  if (++rounds % 4 === 0) global.gc();
  if (rounds < 16) setTimeout(work, 5);
  else setTimeout(() => { console.log(JSON.stringify(own)); process.exit(); }, 1500);
};
watchGc("front", process.argv[2]);
setTimeout(work, 300);
"""


async def own_record(*command: str) -> list[tuple[int, int, int]]:
    """(start, duration, slack) in ns of MONOTONIC, as the program itself wrote them down.

    The slack passed between its own callbacks, around the helper's: it may be preempted there.
    """
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await child.communicate()
    assert child.returncode == 0
    return [tuple(one) for one in json.loads(output)]


def compare(host: ListeningHost, own: list[tuple[int, int, int]], threshold_s: float, runtime: str) -> None:
    """Each pause clearly above the threshold is there once, start and length within 1 ms."""
    pauses = host.of("truechimer_pause")
    assert {pause.tags["runtime"] for pause in pauses} == {runtime}
    assert not [pause for pause in pauses if "pauses" in pause.fields]
    long = [one for one in own if one[1] / 1e9 > threshold_s + TOLERANCE_S]
    assert len(long) >= 5
    for start_ns, duration_ns, slack_ns in long:
        start_s, tolerance_s = host.steady_of_mono_ns(start_ns) / 1e9, TOLERANCE_S + slack_ns / 1e9
        matching = [
            pause
            for pause in pauses
            if abs(pause.fields["duration_seconds"] - duration_ns / 1e9) <= tolerance_s
            and abs(pause.fields["steady_seconds"] - start_s) <= tolerance_s
        ]
        assert len(matching) == 1
    windows = host.of("truechimer_pause_window")
    assert sum(window.fields["count"] for window in windows) == len(pauses)
    longest_s = max(window.fields["max_seconds"] for window in windows)
    assert longest_s == max(pause.fields["duration_seconds"] for pause in pauses)


@in_loop
async def test_cpythons_pauses_match_its_own_record(tmp_path):
    """A real program that collects 12 times a growing heap: start and length within 1 ms."""
    host, config = ListeningHost(), PausesConfig(threshold_ms=2.0)
    helpers = Helpers(host, config, tmp_path)
    await helpers.open()
    own = await own_record(sys.executable, "-c", PYTHON, str(tmp_path / "pauses.sock"))
    await until(lambda: not helpers._connections)
    await helpers.close()
    compare(host, own, 0.002, "cpython")


@pytest.mark.lab
@in_loop
async def test_nodes_pauses_match_its_own_record(tmp_path):
    """The documentation's own snippet in a real Node that allocates and collects."""
    (snippet,) = re.findall(r"```javascript\n(.*?)```", DOCS.read_text(), re.DOTALL)
    program = tmp_path / "front.js"
    program.write_text(snippet + NODE)
    node = shutil.which("node")
    assert node is not None
    host, config = ListeningHost(), PausesConfig(threshold_ms=2.0)
    helpers = Helpers(host, config, tmp_path)
    await helpers.open()
    own = await own_record(node, "--expose-gc", str(program), str(tmp_path / "pauses.sock"))
    await until(lambda: not helpers._connections)
    await helpers.close()
    compare(host, own, 0.002, "node")


@in_loop
async def test_the_place_is_taken_from_the_dead_and_not_from_the_living(tmp_path):
    """A stale socket is replaced, a living agent's and a file are left alone; the mode lets all users in."""
    path = tmp_path / "pauses.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    first, second = (Helpers(ListeningHost(), PausesConfig(), tmp_path) for _ in range(2))
    await first.open()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    with pytest.raises(Lacking, match="another agent"):
        await second.open()
    await second.close()
    await first.close()
    assert not path.exists()
    path.write_text("mine")
    with pytest.raises(Lacking, match="no socket"):
        await first.open()
    assert path.read_text() == "mine"


@in_loop
async def test_liars_garblers_and_crowds_are_refused_and_said(tmp_path):
    """Each is hung up on and counted; the honest one beside them is not touched."""
    host = ListeningHost()
    helpers = Helpers(host, PausesConfig(), tmp_path)
    await helpers.open()
    honest, *others = [await connect(tmp_path) for _ in range(5)]
    now_ns = mono_ns()
    honest.write(b"H 1 process honest %d\n" % now_ns)
    lie = b"H 1 cpython a %d\nP %d 9000000000000\n" % (now_ns, now_ns)
    for stream, what in zip(others, (b"GET / HTTP/1.1\r\n", b"x" * 5000, b"P 1 2\n", lie), strict=True):
        stream.write(what)
    await until(lambda: helpers._refused == 4)
    with pytest.raises(CollectFailure, match="4 refused"):
        await helpers.collect()
    honest.write(b"S %d 1 1 1\n" % mono_ns())
    await honest.drain()
    await asyncio.sleep(0.1)
    assert await helpers.collect() == []
    assert {window.tags["source"] for window in host.of("truechimer_pause_window")} >= {"honest"}
    assert host.of("truechimer_pause") == []
    for stream in (honest, *others):
        stream.close()
    await helpers.close()


@in_loop
async def test_a_flood_is_read_at_its_share(tmp_path):
    """A program that writes without pause cannot make the agent read more than its budget, nor emit more."""
    host = ListeningHost()
    helpers = Helpers(host, PausesConfig(threshold_ms=0.0), tmp_path)
    await helpers.open()
    stream = await connect(tmp_path)
    stream.write(b"H 1 process flood %d\n" % mono_ns())
    await until(lambda: bool(helpers._ledger._of))
    began_ns = mono_ns()
    stream.write(b"P %d 1\n" % began_ns * 100_000)
    await asyncio.sleep(1.0)
    elapsed_s = (mono_ns() - began_ns) / 1e9
    (connection,) = helpers._connections.values()
    told = connection.teller._told_ns
    assert 1000 < told * 18 <= 131_072 + 3 * 4096 + 32_768 * elapsed_s * 1.5
    assert len(host.of("truechimer_pause")) <= 201 + 10 * elapsed_s
    stream.transport.abort()
    await helpers.close()


@in_loop
async def test_many_connections_of_one_user_read_no_more_than_the_users_share(tmp_path):
    """A hundred that write without pause are read as fast as a few, and another user's is read at once."""
    helpers = Helpers(ListeningHost(), PausesConfig(), tmp_path)
    await helpers.open()
    streams = [await connect(tmp_path) for _ in range(101)]
    await until(lambda: len(helpers._connections) == len(streams))
    began_ns = mono_ns()
    *flooding, honest = helpers._connections.values()
    honest.uid += 1
    for stream in streams[:-1]:
        stream.write(b"H 1 process flood %d\n" % mono_ns() + b"P %d 0\n" % mono_ns() * 10_000)
    await asyncio.sleep(0.5)
    streams[-1].write(b"H 1 process honest %d\n" % mono_ns())
    await until(lambda: honest.teller.hello is not None)
    held = sum(
        min(131_072, one.budget._most) - one.budget._left for one in flooding if one.teller.hello is not None
    )
    assert 50_000 < held <= 131_072 + 4096 + 131_072 * (mono_ns() - began_ns) / 1e9
    for stream in streams:
        stream.transport.abort()
    await helpers.close()


@in_loop
async def test_one_user_leaves_room_for_others(tmp_path, monkeypatch):
    """Half of the connections is the most that one user has; root is not held back."""
    for uid, expected in ((1000, 3), (0, 6)):
        helpers = Helpers(ListeningHost(), PausesConfig(), tmp_path)
        await helpers.open()
        monkeypatch.setattr("truechimer_agent.collectors.helpers.MOST_OF_USER", 3)
        monkeypatch.setattr("truechimer_agent.collectors.helpers.MOST_CONNECTIONS", 6)
        monkeypatch.setattr("truechimer_agent.collectors.helpers._CREDENTIALS", Credentials(uid))
        streams = [await connect(tmp_path) for _ in range(8)]
        await until(lambda helpers=helpers, left=8 - expected: helpers._refused == left)
        assert len(helpers._connections) == expected
        for stream in streams:
            stream.close()
        await helpers.close()


class Credentials:
    """SO_PEERCRED of a user that the test chooses."""

    size = 12

    def __init__(self, uid: int) -> None:
        self._uid = uid

    def unpack(self, _: bytes) -> tuple[int, int, int]:
        return 1, self._uid, 0


@in_loop
async def test_no_descriptor_left_is_counted_and_waited_out(tmp_path):
    """Out of descriptors, a program that waits to be accepted does not make the loop spin."""
    helpers = Helpers(ListeningHost(), PausesConfig(), tmp_path)
    await helpers.open()
    stream = await connect(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as waiting:
        resource.setrlimit(resource.RLIMIT_NOFILE, (waiting.fileno() + 1, limits[1]))
        try:
            await until(lambda: bool(helpers._connections))
            waiting.connect(str(tmp_path / "pauses.sock"))
            held = []
            with contextlib.suppress(OSError):
                while True:
                    held.append(os.dup(0))
            await asyncio.sleep(0.6)
            refused = helpers._refused
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            for number in held:
                os.close(number)
        await until(lambda: len(helpers._connections) == 2)
    assert 1 <= refused <= 5
    stream.close()
    await helpers.close()


@in_loop
async def test_connecting_without_pause_does_not_hold_the_loop(tmp_path):
    """Who connects and hangs up over and over is accepted at its share; the loop goes on meanwhile."""
    helpers = Helpers(ListeningHost(), PausesConfig(), tmp_path)
    await helpers.open()
    helpers._accepting = Budget(10, 5, mono_ns())
    accepted = []
    helpers._welcome = lambda sock: (accepted.append(1), sock.close())
    for _ in range(50):
        with socket.socket(socket.AF_UNIX) as program:
            program.connect(str(tmp_path / "pauses.sock"))
    await asyncio.sleep(0.05)
    assert 5 <= len(accepted) < 50
    await helpers.close()


@in_loop
async def test_a_lost_place_is_taken_again_and_anothers_is_left(tmp_path):
    """Its socket removed, it listens anew; another agent's that took the place is not removed on close."""
    path = tmp_path / "pauses.sock"
    helpers = Helpers(ListeningHost(), PausesConfig(), tmp_path)
    await helpers.open()
    path.unlink()
    await helpers.collect()
    (await connect(tmp_path)).close()
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(Lacking, match="another agent"):
            await helpers.collect()
        await helpers.close()
        assert path.is_socket()


def test_it_is_idle_when_it_is_turned_off():
    """`[pauses] helpers = false`: nobody listens."""
    for wanted in (True, False):
        config = AgentConfig(pauses=PausesConfig(helpers=wanted), ntp=NtpConfig(servers=()))
        clock = HostClock(SystemClocks(), None)
        assert ("helpers" in collectors_of(parts_of(config, clock, lambda _: None, None))) == wanted


def test_configured_sources_cannot_be_told_under():
    """A [[process]] and a [[scrape]] keep their series: same name, same runtime."""
    config = AgentConfig(
        ntp=NtpConfig(servers=()),
        process=(ProcessConfig(name="db", unit="db.service"),),
        scrape=(ScrapeConfig(name="front", url="http://127.0.0.1:9/metrics"),),
    )
    parts = parts_of(config, HostClock(SystemClocks(), None), lambda _: None, None)
    assert collectors_of(parts)["helpers"]._taken == {("db", "process"), ("front", "node")}


async def connect(folder: Path) -> asyncio.StreamWriter:
    return (await asyncio.open_unix_connection(str(folder / "pauses.sock")))[1]
