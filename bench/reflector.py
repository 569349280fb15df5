"""What the reflector can do: packets a second, its delay beside ping's, and what a flood does to others.

Usage: python bench/reflector.py [--seconds 10] [--hostile] [--packets 1000000] [--busy]

As root (with iproute2) its clients live in network namespaces of their own, each behind a veth; otherwise all
is on loopback. The reflector's thread runs as in the agent, in a process pinned to core 0; the clients (C, so
that they are not the bottleneck) on core 1. --busy: another thread of its process computes without pause, as
no agent does: what the interpreter's lock costs at worst. --hostile adds random and mutated packets.
Goals: 20,000 packets a second of the core without a key and 12,000 with one; a median round trip, as STAMP
counts it, of at most 1.5 times ping's; another source's p99 at most 5 ms longer during a flood of 50,000
packets/s.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parent.parent / "tests"))

from lab.harness import Host, Network, this_machine

from truechimer.readings import SystemClocks
from truechimer_agent.hostclock import HostClock
from truechimer_agent.mesh.reflecting import Reflecting
from truechimer_agent.mesh.reflectorsocket import ReflectorSocket
from truechimer_agent.stamp.key import Key
from truechimer_agent.stamp.packet import encode_request
from truechimer_agent.stamp.reflector import Reflector
from truechimer_agent.stamp.sources import Allowance, network_of
from truechimer_agent.stamp.stamps import stamp_down

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KEY = Key(b"a key of the bench's, 32 bytes!!")
WITHOUT_END = Allowance(1e12, 1e12, 1 << 60)
LEAST_HZ = {False: 20_000, True: 12_000}
MOST_TIMES_PING = 1.5
MOST_ADDED_S = 5e-3
FLOOD_HZ = 50_000
PROBE_INTERVAL_US = 7_000
PINGS = 1000
CALM_S = 11
"""After so long the reflector believes that nobody slews the wall clock fast."""


@dataclass(frozen=True, slots=True)
class Round:
    """One probe's round trip in seconds: as a program sees it, by STAMP with the kernel's stamps."""

    seen_s: float
    stamp_s: float | None
    residence_s: float


def serve(address: str, signed: bool, limited: bool, busy: bool, instance: int) -> None:
    """Be the reflector until stdin ends; the port is told at first, the totals at last."""
    os.sched_setaffinity(0, {0})
    clock = HostClock(SystemClocks(), None)
    sock = ReflectorSocket(socket.AF_INET, (address, 0))
    reflector = Reflector(KEY if signed else None, b"reflects", instance, None if limited else WITHOUT_END)
    thread = Reflecting(sock, reflector, clock, SystemClocks(2))
    thread.start()
    if busy:
        threading.Thread(target=compute, daemon=True).start()
    began_s = time.process_time()
    print(sock.port, flush=True)
    sys.stdin.read()
    cpu_s = time.process_time() - began_s
    failure = thread.failure
    thread.stop()
    totals = asdict(reflector.totals)
    print(json.dumps({**totals, "cpu_s": cpu_s, "failure": repr(failure)}), flush=True)


def compute() -> None:
    """Keep the interpreter busy."""
    number = 1
    while True:
        number = number * 1103515245 + 12345 & 0x7FFFFFFF


class Served:
    """A reflector in a process of its own on a host."""

    def __init__(self, host: Host, *, signed: bool, limited: bool = False, busy: bool = False) -> None:
        words = [
            sys.executable,
            str(HERE),
            "--serve",
            host.address,
            str(int(signed)),
            str(int(limited)),
            str(int(busy)),
        ]
        self._process = subprocess.Popen(
            host.command(*words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.host = host
        self.port = int(self._process.stdout.readline())

    def end(self) -> dict[str, Any]:
        """Its totals."""
        told, _ = self._process.communicate("")
        return dict(json.loads(told))


class Client:
    """The C client on a host, and files of packets for it."""

    def __init__(self, folder: Path) -> None:
        self._program = folder / "client"
        self._folder = folder
        source = HERE.with_name("reflector_client.c")
        subprocess.run(["gcc", "-O2", "-o", self._program, source], check=True)

    def write(self, name: str, packets: Iterable[bytes]) -> Path:
        """A file of packets."""
        path = self._folder / name
        with path.open("wb") as file:
            for packet in packets:
                file.write(struct.pack("!H", len(packet)) + packet)
        return path

    def start(
        self, host: Host, mode: str, served: Served, packets: Path, *words: object
    ) -> subprocess.Popen[str]:
        """Begin to send."""
        arguments = [self._program, mode, served.host.address, served.port, packets, *words]
        if host.namespace is None:
            arguments += ["0"] * (2 - len(words)) + [host.address]
        command = ["taskset", "-c", "1", *host.command(*map(str, arguments))]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def run(self, host: Host, mode: str, served: Served, packets: Path, *words: object) -> list[list[float]]:
        """Send; the lines that it printed."""
        return numbers(self.start(host, mode, served, packets, *words))


def numbers(process: subprocess.Popen[str]) -> list[list[float]]:
    """What a client printed until its end."""
    told, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the client failed: {process.returncode}")
    return [[float(word) for word in line.split()] for line in told.splitlines()]


def requests(how_many: int, key: Key | None, ssid: int = 7) -> Iterator[bytes]:
    """One session's requests."""
    began_ns = time.time_ns()
    for sequence in range(how_many):
        yield encode_request(sequence, stamp_down(began_ns + sequence), ssid, b"probes!!", key)


def rounds(lines: list[list[float]]) -> list[Round]:
    """The probes that were answered."""
    return [
        Round(seen / 1e9, (kernel - residence) / 1e9 if kernel >= 0 else None, residence / 1e9)
        for seen, kernel, residence in lines
        if seen >= 0
    ]


def percentile(values: list[float], share: float) -> float:
    """By rank."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Bench:
    """Prints a table row by row; ``met`` is whether every goal was."""

    def __init__(self, client: Client, hosts: list[Host], seconds: float, busy: bool) -> None:
        self._client = client
        self._reflecting, self._probing, self._flooding = hosts
        self._seconds = seconds
        self._busy = busy
        self.met = True

    def row(self, what: str, measured: str, goal: str, met: bool | None) -> None:
        verdict = "" if met is None else "met" if met else "MISSED"
        print(f"{what:<58} {measured:>24}  {goal:<16} {verdict}", flush=True)
        self.met = self.met and met is not False

    def throughput(self, signed: bool) -> None:
        """As many as go, 64 at a time unanswered."""
        mode = "with a key" if signed else "without a key"
        packets = self._client.write(
            "blast", requests(round(self._seconds * 60_000), KEY if signed else None)
        )
        served = Served(self._reflecting, signed=signed, busy=self._busy)
        ((sent, answered, took_s),) = self._client.run(
            self._probing, "blast", served, packets, self._seconds, 64
        )
        totals = served.end()
        rate = totals["requests"] / totals["cpu_s"]
        self.row(
            f"reflected {mode}, a second of one core",
            f"{rate:,.0f} packets",
            f"≥ {LEAST_HZ[signed]:,}",
            rate >= LEAST_HZ[signed],
        )
        self.row("  by the clock, beside whatever else ran", f"{answered / took_s:,.0f} packets/s", "", None)
        if sent != answered:
            self.row("  without an answer", f"{sent - answered:.0f} of {sent:.0f}", "", None)

    def delay(self, signed: bool) -> None:
        """One at a time beside ping."""
        mode = "with a key" if signed else "without a key"
        packets = self._client.write("delay", requests(PINGS, KEY if signed else None))
        served = Served(self._reflecting, signed=signed, limited=True, busy=self._busy)
        time.sleep(CALM_S)
        pinging = self._start_ping()
        found = rounds(self._client.run(self._probing, "probe", served, packets, PINGS, PROBE_INTERVAL_US))
        ping_s = self._median_ping_s(pinging)
        served.end()
        stamp_s = statistics.median(one.stamp_s for one in found if one.stamp_s is not None)
        if ping_s is not None:
            self.row("ping, median", f"{1e6 * ping_s:.1f} µs", "", None)
        self.row(
            f"round trip {mode}, median: by STAMP, kernel stamps",
            f"{1e6 * stamp_s:.1f} µs",
            f"≤ {MOST_TIMES_PING} × ping",
            None if ping_s is None else stamp_s <= MOST_TIMES_PING * ping_s,
        )
        for name, values in (
            ("  as a program sees it", [one.seen_s for one in found]),
            ("  in the reflector", [one.residence_s for one in found]),
        ):
            middle, late = statistics.median(values), percentile(values, 0.99)
            self.row(f"{name}, median and p99", f"{1e6 * middle:.1f} and {1e6 * late:.1f} µs", "", None)

    def _start_ping(self) -> subprocess.Popen[str] | None:
        if shutil.which("ping") is None:
            return None
        interval_s = PROBE_INTERVAL_US / 1e6
        words = ["ping", "-n", "-c", str(PINGS), "-i", str(interval_s), self._reflecting.address]
        return subprocess.Popen(
            ["taskset", "-c", "1", *self._probing.command(*words)], stdout=subprocess.PIPE, text=True
        )

    def _median_ping_s(self, process: subprocess.Popen[str] | None) -> float | None:
        if process is None:
            return None
        told, _ = process.communicate()
        times = [float(found) / 1e3 for found in re.findall(r"time=([\d.]+) ms", told)]
        return statistics.median(times) if times else None

    def flood(self, signed: bool) -> None:
        """Another source's p99 without and with a flood."""
        mode = "with a key" if signed else "without a key"
        key = KEY if signed else None
        count = round(self._seconds * 1e6 / PROBE_INTERVAL_US)
        late: list[float] = []
        lost: list[int] = []
        totals: dict[str, Any] = {}
        for flooded in (False, True):
            packets = self._client.write("probes", requests(count, key))
            floods = self._client.write(
                "flood", requests(60_000, Key(b"some other key !") if signed else None, 8)
            )
            served = Served(self._reflecting, signed=signed, limited=True, busy=self._busy)
            flooding = None
            if flooded:
                flooding = self._client.start(
                    self._flooding, "flood", served, floods, self._seconds + 2, FLOOD_HZ
                )
                time.sleep(1)
            found = rounds(
                self._client.run(self._probing, "probe", served, packets, count, PROBE_INTERVAL_US)
            )
            if flooding is not None:
                ((sent, _, took_s),) = numbers(flooding)
                self.row(f"flood {mode}: sent", f"{sent / took_s:,.0f} packets/s", f"{FLOOD_HZ:,}", None)
            totals = served.end()
            late.append(percentile([one.seen_s for one in found], 0.99))
            lost.append(count - len(found))
        self.row("  of them seen by the reflector", f"{totals['requests'] - count:,}", "", None)
        self.row(
            "  another source's probes lost without, with it", f"{lost[0]}, {lost[1]} of {count}", "", None
        )
        self.row(
            "  another source's p99 without, with it",
            f"{1e3 * late[0]:.3f}, {1e3 * late[1]:.3f} ms",
            f"≤ {1e3 * MOST_ADDED_S:.0f} ms more",
            late[1] - late[0] <= MOST_ADDED_S,
        )

    def hostile(self, how_many: int) -> None:
        """Random and mutated packets: none is answered with a key, and nothing breaks."""
        rng = random.Random(1)
        for signed in (True, False):
            mode = "with a key" if signed else "without a key"
            for name, make in (("random", randoms), ("mutated", mutated)):
                judged = Reflector(KEY if signed else None, b"reflects", 1, WITHOUT_END)
                answered = asked = 0
                for data in make(rng, how_many, KEY if signed else None):
                    asked += 1
                    accepted = judged.accept(data, network_of("10.0.0.1"), ("10.0.0.1", 5), asked)
                    answered += accepted is not None
                self.row(
                    f"{name} packets {mode}: answered",
                    f"{answered:,} of {asked:,}",
                    "none" if signed else "",
                    answered == 0 if signed else None,
                )
        packets = self._client.write("hostile", (bytes(one) for one in randoms(rng, how_many // 5, KEY)))
        served = Served(self._reflecting, signed=True)
        ((sent, answered, _),) = self._client.run(self._probing, "all", served, packets, 15_000)
        totals = served.end()
        self.row(
            "random packets over the socket: answered",
            f"{answered:.0f} of {sent:,.0f}",
            "none",
            answered == 0,
        )
        self.row("  the reflector afterwards", totals["failure"], "None", totals["failure"] == "None")


def randoms(rng: random.Random, how_many: int, _: Key | None) -> Iterator[bytes]:
    """Random bytes of any length, half of it lengths that requests have."""
    for n in range(how_many):
        yield rng.randbytes(rng.choice((44, 64, 112, 152)) if n % 2 else rng.randrange(1473))


def mutated(rng: random.Random, how_many: int, key: Key | None) -> Iterator[bytes]:
    """Good requests with one to four bytes changed, or cut, or lengthened; as good as before are left out."""
    for n in range(how_many):
        good = encode_request(n, stamp_down(10**18 + n), 7, b"probes!!", key)
        packet = bytearray(good)
        match rng.randrange(4):
            case 0:
                del packet[rng.randrange(len(packet)) :]
            case 1:
                packet += rng.randbytes(rng.randrange(1, 60))
            case _:
                for _ in range(rng.randrange(1, 5)):
                    packet[rng.randrange(len(packet))] ^= rng.randrange(1, 256)
        # Changes of one byte may undo each other; the flags of the last extension are in no HMAC.
        if packet != good and packet[:132] + good[132:133] + packet[133:] != good:
            yield bytes(packet)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--only", choices=("throughput", "delay", "flood"))
    parser.add_argument("--serve", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        address, *flags = options.serve
        signed, limited, busy = (bool(int(flag)) for flag in flags)
        serve(address, signed, limited, busy, instance=1)
        return 0
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        if os.geteuid() == 0:
            network = stack.enter_context(Network())
            hosts = [network.host(name) for name in ("reflecting", "probing", "flooding")]
        else:
            print("not root: all on loopback")
            hosts = [
                this_machine(),
                Host("a", namespace=None, address="127.0.0.2", address6=""),
                Host("b", namespace=None, address="127.0.0.3", address6=""),
            ]
        bench = Bench(Client(Path(folder)), hosts, options.seconds, options.busy)
        for part in (bench.throughput, bench.delay, bench.flood):
            if options.only in (None, part.__name__):
                for signed in (False, True):
                    part(signed)
        if options.hostile:
            bench.hostile(options.packets)
    return 0 if bench.met else 1


if __name__ == "__main__":
    sys.exit(main())
