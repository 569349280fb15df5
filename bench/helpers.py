"""Pauses that programs tell of themselves: what watch() costs, what a flood does, and the decoder fuzzed.

    python bench/helpers.py [--fuzz 1000000] [--rounds 20000]

Accuracy against the programs' own records is tests/agent/test_helpers.py (CPython and Node, within 1 ms).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import socket
import sys
import tempfile
import time
from pathlib import Path

from truechimer import gcpause
from truechimer.config.model import PausesConfig
from truechimer.errors import DecodeError
from truechimer.gcpause.wire import LONGEST_LINE_BYTES, Hello, Lines, Pause, Sum, decode, encode
from truechimer.readings import SteadyClock, SystemClocks
from truechimer_agent.collectors.helpers import Helpers
from truechimer_agent.toldpauses.teller import Teller

FLOOD_S = 5.0
MOST_NS = 20_000


class Host:
    """What the collector may use of the daemon; ``seen`` counts what is emitted."""

    def __init__(self) -> None:
        self.clocks = SystemClocks()
        reading = self.clocks.read()
        self._steady = SteadyClock(reading.wall_ns - reading.raw_ns, 1)
        self.seen = 0

    def steady(self) -> SteadyClock:
        return self._steady

    def steady_now_ns(self) -> int:
        return self._steady.at(self.clocks.raw_ns())

    def emit(self, observation: object) -> None:  # noqa: ARG002
        self.seen += 1


def collecting_ns(rounds: int) -> float:
    """The best of ten runs: ns of one collection of the youngest, of nothing."""
    best = float("inf")
    for _ in range(10):
        gc.collect()
        began_ns = time.perf_counter_ns()
        for _ in range(rounds // 10):
            gc.collect(0)
        best = min(best, (time.perf_counter_ns() - began_ns) / (rounds // 10))
    return best


def cost(rounds: int) -> bool:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as agent:
        path = f"{folder}/pauses.sock"
        agent.bind(path)
        agent.listen()
        bare = collecting_ns(rounds)
        gcpause.watch(name="bench", socket=path)
        short = collecting_ns(rounds) - bare
        gcpause.watch(name="bench", socket=path, threshold_s=0.0)
        program, _ = agent.accept()
        program, _ = agent.accept()
        program.setblocking(False)
        best = float("inf")
        for _ in range(200):
            began_ns = time.perf_counter_ns()
            for _ in range(20):
                gc.collect(0)
            best = min(best, (time.perf_counter_ns() - began_ns) / 20)
            program.recv(1 << 20)
        gcpause.unwatch()
        program.close()
    print(f"cost of a collection of nothing: {bare:.0f} ns; watched {short:+.0f}, singly {best - bare:+.0f}")
    return verdict("a collection told singly costs less than 20 µs more", best - bare < MOST_NS)


async def flood() -> bool:
    host = Host()
    with tempfile.TemporaryDirectory() as folder:
        helpers = Helpers(host, PausesConfig(threshold_ms=0.0), Path(folder))  # type: ignore[arg-type]
        await helpers.open()
        writers = []
        for number in range(8):
            _, writer = await asyncio.open_unix_connection(f"{folder}/pauses.sock")
            now_ns = time.monotonic_ns()
            writer.write(b"H 1 process flood%d %d\n" % (number, now_ns) + b"P %d 1\n" % now_ns * 200_000)
            writers.append(writer)
        await asyncio.sleep(1.0)  # the first burst
        before_s, seen = time.process_time(), host.seen
        await asyncio.sleep(FLOOD_S)
        share, emitted = (time.process_time() - before_s) / FLOOD_S, (host.seen - seen) / FLOOD_S
        for writer in writers:
            writer.transport.abort()
        await helpers.close()
    print(
        f"flood of 8 programs that never rest: {share:.1%} of a core (theirs included), "
        f"{emitted:.0f} points a second"
    )
    return verdict("at most 60 points a second come of it", emitted <= 60)


def fuzz(count: int) -> bool:
    rng = random.Random(20261128)
    taken = refused = 0
    now_ns = 10**12
    began_s = time.monotonic()
    for _ in range(count):
        record = rng.choice(
            (
                Hello("node", "front", rng.getrandbits(41)),
                Pause(rng.getrandbits(41), rng.getrandbits(rng.randrange(1, 64)) >> 1),
                Sum(rng.getrandbits(41), rng.randrange(1, 9), 7 * 10**6, 10**6),
            )
        )
        line = bytearray(encode(record)[:-1])
        for _ in range(rng.randrange(4)):
            kind, at = rng.randrange(4), rng.randrange(len(line) + 1)
            if kind == 0:
                line[at : at + 1] = bytes([rng.randrange(256)])
            elif kind == 1:
                del line[at : at + rng.randrange(1, 8)]
            elif kind == 2:
                line[at:at] = rng.randbytes(rng.randrange(1, 8))
            else:
                line[at:at] = line[:at] * rng.randrange(1, 30)
        teller = Teller(0)
        try:
            teller.take(Hello("node", "front", 0), now_ns)
            for piece in Lines().feed(bytes(line) + b"\n"):
                teller.take(decode(piece), now_ns)
            taken += 1
        except DecodeError:
            refused += 1
    print(
        f"fuzz: {count} inputs in {time.monotonic() - began_s:.0f} s: {taken} taken, {refused} refused, "
        f"lines of {LONGEST_LINE_BYTES} bytes at most"
    )
    return verdict("any bytes are a record or DecodeError", taken + refused == count)


def verdict(what: str, is_met: bool) -> bool:
    print(f"  {'MET' if is_met else 'NOT MET'}: {what}")
    return is_met


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fuzz", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20_000)
    options = parser.parse_args()
    met = [cost(options.rounds), asyncio.run(flood()), fuzz(options.fuzz)]
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
