"""What is read of Go programs' collections, against what they say themselves; and what hostile memory does.

    python bench/goruntime.py [--go PATH]... [--collections 1000] [--interval-ms 10] [--rounds 3]
    python bench/goruntime.py --fuzz 1000000 [--seed 1]

The first needs root (or CAP_SYS_PTRACE) and a Go: it builds tests/lab/harness/collector.go without symbols
with each Go, has it collect, and compares lengths, ends, count and sum with what runtime.ReadMemStats says.
The second hands hostile memory to search and poll: each poll that reads is one input.
Exits with 1 when a line says NOT MET.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from agent.gomemory import AGE_NS, WALL_NS, FakeMemory, collections, mstats_bytes
from lab.harness.goprogram import GoProgram, build_go_program, go_program

from truechimer.readings import Reading, SystemClocks
from truechimer_agent.collecting import CollectFailure
from truechimer_agent.goruntime import open_runtime
from truechimer_agent.goruntime.mstats import SIZE
from truechimer_agent.goruntime.reader import GoReader
from truechimer_agent.goruntime.searching import CHUNK, STEP_LIMIT
from truechimer_agent.goruntime.segments import Segment, writable_segments
from truechimer_agent.processes.runtimes import Polled, ProcessGone, StillLooking, Stop, Target

WITHIN_NS = 1_000_000
BATCH = 200
"""Collections between two looks at the program's own record, which names 256."""
SLACK_NS = 1_000_000_000
failed = False


def say(met: bool, what: str) -> None:
    global failed  # noqa: PLW0603 - the exit code
    failed |= not met
    print(f"{'MET' if met else 'NOT MET'}: {what}", flush=True)


@dataclass
class Measured:
    count: int = 0
    length_errors_ns: list[int] = field(default_factory=list)
    end_errors_ns: list[int] = field(default_factory=list)
    longest_ns: int = 0
    sums_agree: bool = True
    search_ms: list[float] = field(default_factory=list)
    news_ms: list[float] = field(default_factory=list)
    quiet_ms: list[float] = field(default_factory=list)


class Watching:
    def __init__(self, program: GoProgram) -> None:
        self._clocks = SystemClocks()
        reading = self._clocks.read()
        self._anchor_ns = reading.wall_ns - reading.raw_ns
        self.reader = open_runtime(Target(program.pid, program.start_ticks), scan=True)

    def poll(self) -> tuple[Polled | None, float]:
        """What it tells (None: still looking), and how many ms that took."""
        reading = self._clocks.read()
        began_ns = time.perf_counter_ns()
        try:
            polled = self.reader.poll(reading, reading.raw_ns + self._anchor_ns)
        except StillLooking:
            polled = None
        return polled, (time.perf_counter_ns() - began_ns) / 1e6

    def anchor_moved_ns(self) -> int:
        """How far the wall clock has gone from where it was against S: ends are compared up to this."""
        reading = self._clocks.read()
        return reading.wall_ns - reading.raw_ns - self._anchor_ns


def watch(program: GoProgram, collections_wanted: int, interval_ms: float, measured: Measured) -> None:
    program.collect(3)
    program.own_record()  # fills the copy in the program's variables, which must not be taken
    watching = Watching(program)
    search_ms = 0.0
    polled: Polled | None = None
    while polled is None:
        polled, took_ms = watching.poll()
        search_ms += took_ms
    measured.search_ms.append(search_ms)
    before = program.own_record()
    seen_count = seen_ns = 0
    for _ in range(-(-collections_wanted // BATCH)):
        program.begin_collecting(BATCH, 1)
        stops: list[Stop] = []
        while sum(stop.count for stop in stops) < BATCH:
            time.sleep(interval_ms / 1e3)
            polled, took_ms = watching.poll()
            assert polled is not None
            (measured.news_ms if polled.count else measured.quiet_ms).append(took_ms)
            stops += polled.stops
            seen_count, seen_ns = seen_count + polled.count, seen_ns + polled.total_ns
        program.finish_collecting()
        own = program.own_record()
        moved_ns = watching.anchor_moved_ns()
        for stop, (length, end) in zip(reversed(stops), own.pauses, strict=False):
            measured.length_errors_ns.append(abs(stop.duration_ns - length))
            measured.end_errors_ns.append(abs(stop.start_steady_ns + stop.duration_ns + moved_ns - end))
            measured.longest_ns = max(measured.longest_ns, length)
        for _ in range(20):
            measured.quiet_ms.append(watching.poll()[1])
    program.collect(BATCH * 5)  # more than the ring holds
    polled, took_ms = watching.poll()
    assert polled is not None
    own = program.own_record()
    measured.count = seen_count + polled.count
    measured.sums_agree &= (own.count - before.count, own.total_ns - before.total_ns) == (
        seen_count + polled.count,
        seen_ns + polled.total_ns,
    )
    watching.reader.close()


def compare(gos: list[str], collections_wanted: int, interval_ms: float, rounds: int) -> None:
    print(
        f"{'Go':<10} {'count':>6} {'singly':>6} {'longest':>9} {'length err':>10} {'end err':>9}"
        f" {'search':>9} {'poll, news':>10} {'poll, none':>10}"
    )
    for go in gos:
        words = subprocess.run([go, "version"], capture_output=True, text=True, check=True).stdout.split()
        measured = Measured()
        with tempfile.TemporaryDirectory() as folder:
            built = build_go_program(Path(folder), go)
            counts = 0
            for _ in range(rounds):
                with go_program(built) as program:
                    watch(program, collections_wanted, interval_ms, measured)
                counts += measured.count
        length_ns, end_ns = max(measured.length_errors_ns), max(measured.end_errors_ns)
        print(
            f"{words[2]:<10} {counts:>6} {len(measured.length_errors_ns):>6}"
            f" {measured.longest_ns / 1e6:>6.2f} ms {length_ns:>7} ns {end_ns / 1e3:>6.2f} µs"
            f" {min(measured.search_ms):>6.2f} ms {median(measured.news_ms):>7.3f} ms"
            f" {median(measured.quiet_ms):>7.4f} ms"
        )
        say(length_ns == 0, "lengths are exactly the program's own")
        say(end_ns < WITHIN_NS, "ends are within 1 ms of the program's own")
        say(measured.sums_agree, "count and sum are the program's own, also of what the ring lost")


class HostileProgram(FakeMemory):
    """Changes under every read, now and then; ends in the middle of one; lists any segments."""

    def __init__(self, source: random.Random) -> None:
        super().__init__(hostile(source) if source.random() < 0.5 else bytearray(source.choice(TEMPLATES)))
        self.source = source

    def before_read(self) -> None:
        chance = self.source.random()
        if chance < 0.03:
            self.data = hostile(self.source)
        elif chance < 0.035:
            raise ProcessGone("in the middle of a read")

    def segments(self) -> tuple[Segment, ...]:
        if self.source.random() < 0.1:
            lines = (
                f"{self.source.getrandbits(66):x}-{self.source.getrandbits(66):x} rw-p 0 0:0 0 /go"
                for _ in range(9)
            )
            return writable_segments("\n".join(lines), "/go")
        return (Segment(self.start, self.start + max(1, len(self.data) + self.source.randrange(-64, 64))),)

    def close(self) -> None:
        pass


TEMPLATES = [mstats_bytes(collections(count)) for count in (1, 2, 3, 255, 256, 257, 258, 259, 600, 1200)]


def hostile(source: random.Random) -> bytearray:
    """A record that is right, damaged or cut, noise, or times all over."""
    kind = source.random()
    if kind < 0.04:
        return bytearray(source.randbytes(source.randrange(2 * SIZE)))
    if kind < 0.06:
        return bytearray((WALL_NS + source.getrandbits(40)).to_bytes(8, "little") * source.randrange(900))
    data = bytearray(source.choice(TEMPLATES))
    if kind < 0.35:
        return data
    for _ in range(source.randrange(1, 4)):
        at = 8 * source.randrange(SIZE // 8) if kind < 0.7 else source.choice((0, 8, 4112, 4120, 4128))
        value = source.choice(
            (0, 1, (1 << 64) - 1, 1 << 63, WALL_NS, source.getrandbits(64), source.getrandbits(20))
        )
        data[at : at + 8] = value.to_bytes(8, "little")
    if kind > 0.95:
        del data[source.randrange(SIZE) :]
    elif kind > 0.9:
        data = bytearray(8 * source.randrange(512)) + data
    return data


def fuzz(inputs: int, seed: int) -> None:
    source = random.Random(seed)
    outcomes: Counter[str] = Counter()
    crashes, wrong, most_bytes, done = 0, 0, 0, 0
    began = time.monotonic()
    while done < inputs:
        program = HostileProgram(source)
        reader = GoReader(Target(1, 0), program)
        ns = 0
        for _ in range(6):
            program.bytes_read = program.reads = 0
            ns += source.choice((0, 1, 10_000_000, 1_000_000_000, 61_000_000_000, 61_000_000_000))
            wall_ns = WALL_NS + ns + (source.getrandbits(62) - (1 << 61) if source.random() < 0.1 else 0)
            reading = Reading(wall_ns, ns, ns, AGE_NS + ns, 0)
            try:
                polled = reader.poll(reading, WALL_NS + ns)
            except (CollectFailure, ProcessGone) as error:
                outcomes[type(error).__name__] += 1
            except Exception as error:  # noqa: BLE001 - what is looked for
                crashes += 1
                if crashes <= 5:
                    print(f"crash: {error!r}")
            else:
                outcomes["news" if polled.count else "no news"] += 1
                wrong += not is_sound(polled, WALL_NS + ns, AGE_NS + ns)
            done += program.reads > 0
            most_bytes = max(most_bytes, program.bytes_read)
            if source.random() < 0.8:
                program.data = hostile(source)
    took_s = time.monotonic() - began
    print(
        f"{done} inputs in {took_s:.0f} s: " + ", ".join(f"{n} {name}" for name, n in outcomes.most_common())
    )
    say(crashes == 0, f"no crash ({crashes})")
    say(wrong == 0, f"what is told adds up and could have happened ({wrong} did not)")
    # The largest memory here is a chunk's; every read beyond a search's one pass is of one record.
    bound = CHUNK + 16 * 8 * SIZE
    say(
        most_bytes <= bound, f"a poll read at most {most_bytes} bytes (bound here {bound}; ever {STEP_LIMIT})"
    )
    say(done >= inputs, f"{done} of {inputs} inputs")


def is_sound(polled: Polled, now_ns: int, age_ns: int) -> bool:
    ends = [stop.start_steady_ns + stop.duration_ns for stop in polled.stops if stop.count == 1]
    return (
        sum(stop.count for stop in polled.stops) == polled.count
        and sum(stop.duration_ns for stop in polled.stops) == polled.total_ns
        and 0 <= polled.longest_ns <= polled.longest_upper_ns <= polled.total_ns <= age_ns + SLACK_NS
        and all(stop.duration_ns >= 0 for stop in polled.stops)
        and all(end <= now_ns + SLACK_NS for end in ends)
        and len(polled.stops) <= 257
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--go", action="append", help="a go command; may be given several times")
    parser.add_argument("--collections", type=int, default=1000)
    parser.add_argument("--interval-ms", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fuzz", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.fuzz:
        fuzz(options.fuzz, options.seed)
    else:
        compare(options.go or ["go"], options.collections, options.interval_ms, options.rounds)
    sys.exit(failed)


if __name__ == "__main__":
    main()
