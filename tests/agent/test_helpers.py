"""The helpers collector with real programs: CPython, Node, dead agents, and those that lie or flood."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import stat
import sys
from pathlib import Path

import pytest
from agent.listeninghost import ListeningHost, in_loop, until

from truechimer.config.model import AgentConfig, NtpConfig, PausesConfig
from truechimer.readings import SystemClocks, mono_ns
from truechimer_agent.assembly import collectors_of, parts_of
from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.collectors.helpers import Helpers
from truechimer_agent.hostclock import HostClock

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


def test_it_is_idle_when_it_is_turned_off():
    """`[pauses] helpers = false`: nobody listens."""
    for wanted in (True, False):
        config = AgentConfig(pauses=PausesConfig(helpers=wanted), ntp=NtpConfig(servers=()))
        clock = HostClock(SystemClocks(), None)
        assert ("helpers" in collectors_of(parts_of(config, clock, lambda _: None, None))) == wanted


async def connect(folder: Path) -> asyncio.StreamWriter:
    return (await asyncio.open_unix_connection(str(folder / "pauses.sock")))[1]
