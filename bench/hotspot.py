"""Stops derived from HotSpot's counters against the JVM's own log; and hostile performance data.

    python bench/hotspot.py [--java 17=/usr/bin/java --java 25=/opt/jdk-25/bin/java] [--seconds 20]
    python bench/hotspot.py --fuzz 1000000

An allocating program (Allocating.java) runs under each collector of each JDK, with -Xlog:safepoint,gc to a
file, while two processes poll it from outside, every 10 ms and every 100 ms. Count and sum must be within
1 % of the log; the longest within 1 ms at 10 ms, enclosed at 100 ms; polling every 100 ms must cost at most
0.3 % of a core. javac is taken from beside the first java.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truechimer.readings import Reading, SystemClocks
from truechimer_agent.collecting import CollectFailure, Lacking
from truechimer_agent.hotspot.perfdata import MAX_BYTES, parse
from truechimer_agent.hotspot.reader import HotspotReader, open_runtime
from truechimer_agent.processes.runtimes import ProcessGone, Target
from truechimer_agent.processes.watch import AGAIN_LEAST_NS, AGAIN_SHARE

HERE = Path(__file__).resolve().parent
CAPTURED = HERE.parent / "tests" / "agent" / "hsperfdata"
COLLECTORS = ("G1", "Parallel", "Serial", "Z", "Shenandoah")
DEMAND_MS = "3000"
TOLERANCE = 0.01
LONGEST_NS = 1_000_000
COST = 0.003
LOGGED = re.compile(r'Safepoint "\w+".*Total: +(\d+) ns')


def start_ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def begun(pid: int) -> int:
    """The JVM's own number of safepoints."""
    (file,) = Path(f"/proc/{pid}/root/tmp").glob(f"hsperfdata_*/{pid}")
    block = file.read_bytes()
    at = parse(block).longs["sun.rt.safepoints"]
    return int.from_bytes(block[at : at + 8], sys.byteorder)


def watch(pid: int, interval_s: float) -> None:
    """Say "ready", poll until SIGTERM, then print what was seen as JSON."""
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    clocks = SystemClocks()
    reader = open_runtime(Target(pid, start_ticks(pid)), scan=False)
    reader.poll(clocks.read(), 0)
    seen: dict[str, Any] = {"count": 0, "sum": 0, "longest": 0, "upper": 0, "singly": 0, "polls": 0, "gc": 0}
    seen["from"] = begun(pid)
    print("ready", flush=True)
    poll_ns = 0
    cpu_s = time.process_time()
    wall_s = deadline_s = time.monotonic()
    while True:
        is_last = bool(stopping)
        before_ns = time.thread_time_ns()
        reading = clocks.read()
        polled = reader.poll(reading, reading.mono_ns)
        poll_ns += time.thread_time_ns() - before_ns
        seen["polls"] += 1
        seen["count"] += polled.count
        seen["sum"] += polled.total_ns
        seen["longest"] = max(seen["longest"], polled.longest_ns)
        seen["upper"] = max(seen["upper"], polled.longest_upper_ns)
        for stop in polled.stops:
            seen["singly"] += stop.count == 1
            seen["gc"] += stop.count * (stop.cause == "gc")
        if is_last:
            break
        now_s = time.monotonic()
        while deadline_s <= now_s:
            deadline_s += interval_s
        sleep_s = deadline_s - now_s
        if polled.under_way_ns:
            # As the watch does.
            sleep_s = min(sleep_s, max(AGAIN_LEAST_NS, polled.under_way_ns // AGAIN_SHARE) / 1e9)
        time.sleep(sleep_s)
    seen["to"] = begun(pid)
    elapsed_s = time.monotonic() - wall_s
    seen["with_wakes"] = (time.process_time() - cpu_s) / elapsed_s
    seen["cost"] = poll_ns / 1e9 / elapsed_s
    print(json.dumps(seen))


@dataclass(frozen=True)
class Line:
    met: dict[str, bool]
    text: str


def compare(name: str, log: Path, fine: dict[str, Any], coarse: dict[str, Any]) -> Line:
    logged = [int(found[1]) for found in map(LOGGED.search, log.read_text().splitlines()) if found]
    met = {}
    errors = []
    for label, seen in (("10", fine), ("100", coarse)):
        rows = logged[seen["from"] : seen["to"]]
        count_error = seen["count"] / len(rows) - 1
        sum_error = seen["sum"] / sum(rows) - 1
        errors += [count_error, sum_error]
        met[f"count@{label}"] = abs(count_error) <= TOLERANCE
        met[f"sum@{label}"] = abs(sum_error) <= TOLERANCE
    true_ns = max(rows)
    met["longest@10"] = abs(fine["longest"] - true_ns) <= LONGEST_NS
    met["enclosed@100"] = coarse["longest"] <= true_ns <= coarse["upper"]
    met["cost@100"] = coarse["cost"] <= COST
    longest_ms = [ns * 1e-6 for ns in (true_ns, fine["longest"], coarse["longest"], coarse["upper"])]
    shares = [seen[what] / seen["count"] for what in ("singly", "gc") for seen in (fine, coarse)]
    costs = [seen[what] for seen in (fine, coarse) for what in ("cost", "with_wakes")]
    text = (
        f"{name:<14} {len(rows):>6} {sum(rows) * 1e-6:>9.1f} "
        + " ".join(f"{error:>+8.3%}" for error in errors)
        + " ".join(f"{ms:>9.3f}" for ms in longest_ms)
        + " ".join(f"{share:>5.0%}" for share in shares)
        + " ".join(f"{cost:>7.2%}" for cost in costs)
    )
    return Line(met, text)


def run(java: str, classes: Path, name: str, collector: str, seconds: float) -> Line | None:
    """One program under one collector; None when this JDK lacks it."""
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log"
        options = [f"-XX:+Use{collector}GC", "-Xmx256m", "-Xms256m", "-cp", str(classes)]
        if subprocess.run([java, *options, "-version"], check=False, capture_output=True).returncode:
            return None
        options.append(f"-Xlog:safepoint,gc:file={log}:uptimenanos:filecount=0")
        busy_ms = str(round(seconds * 1000))
        piped = {"stdout": subprocess.PIPE, "text": True}
        program = subprocess.Popen(
            [java, *options, "Allocating", busy_ms, DEMAND_MS], stdin=subprocess.PIPE, **piped
        )
        watchers: list[subprocess.Popen[str]] = []
        try:
            say_after(program, "quiet")
            for interval in ("0.01", "0.1"):
                command = [sys.executable, __file__, "--watch", str(program.pid), interval]
                watchers.append(subprocess.Popen(command, **piped))
            for watcher in watchers:
                say_after(watcher, "ready")
            program.stdin.write("\n")
            program.stdin.flush()
            say_after(program, "quiet")
            time.sleep(0.3)
            for watcher in watchers:
                watcher.terminate()
            fine, coarse = (json.loads(watcher.communicate()[0]) for watcher in watchers)
            program.communicate("\n")
        finally:
            for child in (program, *watchers):
                child.kill()
                child.wait()
        return compare(name, log, fine, coarse)


def say_after(child: subprocess.Popen[str], word: str) -> None:
    """Wait until a child says so."""
    said = child.stdout.readline().strip()
    if said != word:
        raise SystemExit(f"{child.args} said {said!r} instead of {word!r}")


def compare_all(javas: dict[str, str], collectors: list[str], seconds: float) -> bool:
    print("times in ms; singly: share of stops that are known singly; gc: share with that cause;")
    print("cost: reading clocks and counters, of a core, and the same with all that the poller's wakes cost")
    print(
        f"{'':<14} {'stops':>6} {'sum':>9} {'count@10':>8} {'sum@10':>8} {'cnt@100':>8} {'sum@100':>8}"
        f"{'longest':>9} {'@10':>9} {'@100':>9} {'upper@100':>9} singly10/100  gc10/100"
        f" {'cost@10':>7} {'+wakes':>7} {'cost@100':>7} {'+wakes':>6}"
    )
    unmet: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        javac = str(Path(os.path.realpath(next(iter(javas.values())))).with_name("javac"))
        compiling = [javac, "--release", "17", "-d", scratch, str(HERE / "Allocating.java")]
        subprocess.run(compiling, check=True)
        for version, java in javas.items():
            for collector in collectors:
                name = f"{version} {collector}"
                line = run(java, Path(scratch), name, collector, seconds)
                if line is None:
                    print(f"{name:<14} not run: this JDK lacks the collector")
                    continue
                failed = [what for what, is_met in line.met.items() if not is_met]
                unmet += [f"{name} {what}" for what in failed]
                print(line.text, "MET" if not failed else "NOT MET: " + ", ".join(failed), flush=True)
    print("MET" if not unmet else "NOT MET: " + "; ".join(unmet))
    return not unmet


# Fuzzing.


class CountingReader(HotspotReader):
    """Remembers the most that one poll read."""

    most_bytes = 0
    poll_bytes = 0

    def _read(self, start: int, end: int) -> bytes:
        CountingReader.poll_bytes += end - start
        CountingReader.most_bytes = max(CountingReader.most_bytes, CountingReader.poll_bytes)
        return super()._read(start, end)


NUMBERS = (0, 1, -1, 2, 7, 8, 19, 20, 32, 255, 4096, 2**15, 2**20, 2**20 + 1, 2**31 - 1, -(2**31))


def shrunk(block: bytes, kept: random.Random) -> bytes:
    """The same with the few entries that matter (and some more): cheap to read a million times."""
    entries = []
    at = 32
    order = sys.byteorder
    for _ in range(int.from_bytes(block[28:32], order)):
        length = int.from_bytes(block[at : at + 4], order)
        entry = block[at : at + length]
        needed = (
            b"sun.rt.safepoint",
            b"applicationTime",
            b"hrt.freq",
            b"collector.0",
            b"generation.1.space.0.used",
        )
        needed += (b"generation.1.maxCap", b"java.version")
        if any(name in entry for name in needed) or kept.random() < 0.02:
            entries.append(entry)
        at += length
    body = b"".join(entries)
    return (
        block[:8]
        + (32 + len(body)).to_bytes(4, order)
        + block[12:28]
        + len(entries).to_bytes(4, order)
        + body
    )


def mutated(block: bytes, chance: random.Random) -> bytes:
    """One to four hostile changes."""
    data = bytearray(block)
    for _ in range(chance.randint(1, 4)):
        kind = chance.randrange(6)
        if not data:
            break
        at = chance.randrange(len(data))
        if kind == 0:
            data[at] = chance.randrange(256)
        elif kind == 1:
            field = chance.choice((at & ~3, chance.choice((4, 8, 24, 28, 32, 36, 40, 44, 48))))
            data[field : field + 4] = (chance.choice(NUMBERS) & 0xFFFFFFFF).to_bytes(4, sys.byteorder)
        elif kind == 2:
            data[at & ~7 : (at & ~7) + 8] = chance.getrandbits(64).to_bytes(8, sys.byteorder)
        elif kind == 3:
            del data[at:]
        elif kind == 4:
            data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(40)))
        else:
            to = chance.randrange(len(data))
            data[at : at + 20] = data[to : to + 20]
    return bytes(data)


def fuzz(inputs: int, seed: int) -> bool:
    chance = random.Random(seed)
    whole = [file.read_bytes() for file in sorted(CAPTURED.iterdir())]
    small = [shrunk(block, chance) for block in whole for _ in range(4)]
    file = os.memfd_create("hsperfdata")
    target = Target(os.getpid(), 0)
    reader: CountingReader | None = None
    outcomes: dict[str, int] = {}
    crashes = 0
    memory_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mono_ns = 10**13
    for number in range(inputs):
        data = mutated(chance.choice(whole if number % 20 == 0 else small), chance)
        os.ftruncate(file, len(data))
        os.pwrite(file, data, 0)
        if reader is None or number % 3 == 0:
            if reader is not None:
                reader.close()
            # Otherwise an open reader finds the file changed under it.
            alive = os.open("/proc/self/statm", os.O_RDONLY)
            reader = CountingReader(target, os.dup(file), 0, alive)
        CountingReader.poll_bytes = 0
        mono_ns += 100_000_000
        try:
            polled = reader.poll(Reading(0, 0, mono_ns, mono_ns, 0), mono_ns)
            assert 0 <= polled.longest_ns <= polled.longest_upper_ns <= 2 * 10**13 * 10
            assert sum(stop.duration_ns for stop in polled.stops) == polled.total_ns
            assert all(stop.duration_ns >= 0 and stop.count >= 0 for stop in polled.stops)
            outcome = "read"
        except (CollectFailure, Lacking, ProcessGone) as error:
            outcome = type(error).__name__
        except Exception as error:  # noqa: BLE001 - what is looked for
            outcome = f"CRASH {error!r}"
            crashes += 1
            if crashes < 5:
                print(seed, number, outcome)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_kib
    is_met = not crashes and CountingReader.most_bytes <= 3 * MAX_BYTES
    print(f"{inputs} hostile inputs (seed {seed}): {outcomes}")
    print(f"most read by one poll: {CountingReader.most_bytes} bytes; memory grew by {grown_kib} KiB")
    print("MET" if is_met else "NOT MET")
    return is_met


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--java", action="append", metavar="VERSION=PATH", default=[])
    parser.add_argument("--collector", action="append", choices=COLLECTORS, default=[])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--fuzz", type=int, metavar="INPUTS")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--watch", nargs=2, metavar=("PID", "INTERVAL_S"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watch:
        watch(int(options.watch[0]), float(options.watch[1]))
        return
    if options.fuzz:
        sys.exit(not fuzz(options.fuzz, options.seed))
    javas = dict(one.split("=", 1) for one in options.java or ["17=/usr/bin/java"])
    sys.exit(not compare_all(javas, options.collector or list(COLLECTORS), options.seconds))


if __name__ == "__main__":
    main()
