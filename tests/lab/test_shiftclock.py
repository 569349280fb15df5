"""Shifted clocks step, slew, drift, sleep and stand still as the kernel's would, by what is told."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from lab.harness import ChronyServer, Host, Network, NtpAnswer, Process, ShiftedClock, ntp_exchange
from lab.harness.clocks import raw_ns, wait_until

pytestmark = pytest.mark.lab

Make = Callable[..., ShiftedClock]
MS = 1_000_000

WATCH = """
import json, time
def read():
    clocks = (time.CLOCK_MONOTONIC_RAW, time.CLOCK_REALTIME, time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME)
    return [time.clock_gettime_ns(clock) for clock in (*clocks, clocks[0])]
while True:
    print(json.dumps(min((read() for _ in range(5)), key=lambda each: each[-1] - each[0])), flush=True)
    time.sleep(0.001)
"""


class Watch:
    """A process under a shifted clock that writes down its four clocks all the time."""

    def __init__(self, clock: ShiftedClock, folder: Path) -> None:
        self._log = folder / "watch.log"
        self.process = Process([sys.executable, "-c", WATCH], log=self._log, env=clock.env)
        self.new()

    def lines(self) -> list[list[int]]:
        """Every complete reading so far: RAW, W, MONOTONIC, BOOTTIME, RAW."""
        lines = self._log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def new(self) -> dict[str, int]:
        """The differences between clocks in the tightest of some readings made from now on.

        And between which values its RAW is ahead of the kernel's.
        """
        earliest = raw_ns()
        # The next line may be of a reading that was made before.
        seen = len(self.lines()) + 1 if self._log.exists() else 0
        lines = wait_until(lambda: len(found := self.lines()[seen:]) >= 20 and found, "more readings")
        latest = raw_ns()
        first, wall, mono, boot, last = min(lines, key=lambda line: line[-1] - line[0])
        return {
            "wall-boot": wall - boot,
            "boot-mono": boot - mono,
            "mono-raw": mono - (first + last) // 2,
            "width": last - first,
            "raw-least": lines[-1][0] - latest,
            "raw-most": lines[0][0] - earliest,
        }


@pytest.fixture
def clock(shifted_clock: Make) -> ShiftedClock:
    return shifted_clock()


@pytest.fixture
def watch(clock: ShiftedClock, tmp_path: Path) -> Iterator[Watch]:
    watch = Watch(clock, tmp_path)
    yield watch
    watch.process.close()


def assert_changed(before: dict[str, int], after: dict[str, int], **by_ns: int) -> None:
    """Each difference is what it was plus `by_ns` (0 where none is named), as well as it can be read."""
    # The kernel's own clocks are slewed a little all the time: by 100 ppm over some tens of ms at most.
    slack_ns = before["width"] + after["width"] + 50_000
    for name in ("wall-boot", "boot-mono", "mono-raw"):
        change = after[name] - before[name]
        assert abs(change - by_ns.get(name.replace("-", "_"), 0)) <= slack_ns, (name, change)


def test_a_step_moves_w_alone(clock: ShiftedClock, watch: Watch) -> None:
    """Leap seconds are steps of a second; the shift that is told is the one that is seen."""
    for size_ns in (10**9, -(10**9), 37 * MS, -(3 * 3600 * 10**9)):
        before = watch.new()
        clock.step_ns(size_ns)
        assert_changed(before, watch.new(), wall_boot=size_ns)
    assert clock.shift_ns == 37 * MS - 3 * 3600 * 10**9


@pytest.mark.parametrize("ppm", [80_000, -80_000])
def test_a_slew_takes_monotonic_and_boottime_along(clock: ShiftedClock, watch: Watch, ppm: float) -> None:
    before = watch.new()
    clock.slew(ppm)
    middle = watch.new()
    time.sleep(0.2)
    clock.slew(0)
    after = watch.new()
    gained_ns = clock.shift_ns
    assert abs(gained_ns) >= 0.2e9 * 0.08
    assert gained_ns * ppm > 0
    assert_changed(before, after, mono_raw=gained_ns)
    assert 0 < (middle["mono-raw"] - before["mono-raw"]) / gained_ns < 1
    assert clock.shift_ns == gained_ns
    lines = watch.lines()
    assert all(sooner[at] <= later[at] for sooner, later in pairwise(lines) for at in range(4))


def test_a_drifting_oscillator_takes_all_clocks_along(clock: ShiftedClock) -> None:
    """RAW too gains, by the rate that was asked, and what it shows is led back to the kernel's."""
    with asked(clock) as ask:
        clock.drift(100_000)
        marks = []
        for _ in range(2):
            sooner_ns = raw_ns()
            own = ask("clocks")
            marks.append((sooner_ns, own, raw_ns()))
            time.sleep(0.3)
        (least_from, first, most_from), (least_to, second, most_to) = marks
        for name in first:
            gained = second[name] - first[name]
            assert (least_to - most_from) * 1.0999 < gained < (most_to - least_from) * 1.1001
        for sooner_ns, own, later_ns in marks:
            stretch, kernel_ns = clock.at_own_raw(own["raw"])
            assert sooner_ns <= kernel_ns <= later_ns
            assert abs(kernel_ns + stretch.raw_ns - own["raw"]) <= 3


def test_a_sleep_stops_raw_and_monotonic_alone(clock: ShiftedClock, watch: Watch) -> None:
    before = watch.new()
    slept_ns = clock.suspend([watch.process], 0.5)
    after = watch.new()
    assert slept_ns >= 500 * MS
    assert_changed(before, after, boot_mono=slept_ns)
    assert clock.shift_ns == 0
    assert after["raw-least"] <= clock.now().raw_ns == -slept_ns <= after["raw-most"]


def test_a_stopped_machine_leaves_no_trace_in_any_clock(clock: ShiftedClock, watch: Watch) -> None:
    before = watch.new()
    stood_ns = clock.pause_machine([watch.process], 0.5)
    after = watch.new()
    assert_changed(before, after)
    assert clock.shift_ns == clock.now().raw_ns == -stood_ns <= -500 * MS
    assert after["raw-least"] <= -stood_ns <= after["raw-most"]


def test_a_long_sleep_takes_a_moment_when_the_servers_jump(
    network: Network, shifted_clock: Make, clock: ShiftedClock, watch: Watch
) -> None:
    """Eight hours: W and BOOTTIME jump, and the servers with them; a stopped machine's W is left behind."""
    world = shifted_clock()
    servers = [ChronyServer(network.host(name), env=world.env) for name in ("one", "two")]
    client = network.host("client")
    before = watch.new()
    slept_ns = clock.suspend([watch.process], 28_800.0, servers=world)
    assert slept_ns == 28_800 * 10**9
    assert_changed(before, watch.new(), boot_mono=slept_ns)
    assert clock.shift_ns == world.shift_ns
    assert_told(client, servers, world)
    stood_ns = clock.pause_machine([watch.process], 3.0, servers=world)
    assert stood_ns == 3 * 10**9
    assert_changed(before, watch.new(), boot_mono=slept_ns)
    assert world.shift_ns - clock.shift_ns == stood_ns
    assert_told(client, servers, world)


def assert_told(client: Host, servers: list[ChronyServer], world: ShiftedClock) -> None:
    """Every server tells the servers' own time."""
    for server in servers:
        answers: list[NtpAnswer | None] = [ntp_exchange(client, server.address) for _ in range(5)]
        best = min((answer for answer in answers if answer), key=lambda answer: answer.delay_s)
        assert abs(best.offset_s - world.shift_ns / 1e9) <= best.delay_s / 2 + 5e-6
        assert best.delay_s < 0.1


ANSWER = """
import json, socket, struct, sys, threading, time
receiver, sender = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
receiver.bind(("127.0.0.1", 0))
receiver.setsockopt(socket.SOL_SOCKET, 35, 1)
held = threading.Lock()
held.acquire()
WAITS = {
    "sleep": lambda: time.sleep(0.2),
    "lock": lambda: held.acquire(timeout=0.2),
    "event": lambda: threading.Event().wait(0.2),
}
def clocks():
    names = {"raw": time.CLOCK_MONOTONIC_RAW, "wall": time.CLOCK_REALTIME, "mono": time.CLOCK_MONOTONIC}
    return {name: time.clock_gettime_ns(clock) for name, clock in names.items()}
def send():
    sender.sendto(b"x", receiver.getsockname())
    time.sleep(0.01)
    return clocks()
def receive():
    seconds, part = struct.unpack("qq", receiver.recvmsg(16, 64)[1][0][2])
    return {"stamp": seconds * 10**9 + part}
def wait(name):
    began = time.monotonic_ns()
    WAITS[name]()
    return {"waited": time.monotonic_ns() - began}
for line in sys.stdin:
    name, *rest = line.split()
    print(json.dumps(globals()[name](*rest)), flush=True)
"""


@contextmanager
def asked(clock: ShiftedClock) -> Iterator[Callable[[str], dict[str, int]]]:
    """A process under a shifted clock that answers questions."""
    process = subprocess.Popen(
        [sys.executable, "-c", ANSWER],
        env={**os.environ, **clock.env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def ask(question: str) -> dict[str, int]:
        process.stdin.write(f"{question}\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    with process:
        ask("clocks")
        yield ask


def test_a_kernel_stamp_shows_w_as_it_was_when_the_packet_came(clock: ShiftedClock) -> None:
    """Not as it is when the packet is read, before or after steps and slews."""
    with asked(clock) as ask:
        sent = ask("send")
        clock.step_ns(5 * 10**9)
        assert abs(ask("receive")["stamp"] - sent["wall"]) < 2 * 10**9
        clock.slew(50_000)
        earliest = ask("clocks")["wall"]
        latest = ask("send")["wall"]
        time.sleep(0.3)
        assert earliest <= ask("receive")["stamp"] <= latest


@pytest.mark.parametrize("jump_s", [-1000, 1000])
def test_waits_last_by_the_shifted_clock(clock: ShiftedClock, jump_s: int) -> None:
    """Not the jump less or more: the interpreter sleeps and waits for locks until absolute times."""
    with clock._changing() as change:
        change(mono_ns=jump_s * 10**9, wall_ns=-jump_s * 10**9)
    with asked(clock) as ask:
        for name in ("sleep", "lock", "event"):
            assert 200 * MS <= ask(f"wait {name}")["waited"] < 100 * 10**9
        clock.slew(-80_000)
        assert 200 * MS <= ask("wait sleep")["waited"] < 100 * 10**9
