"""HotSpot's stops from outside against what the JVM itself logs, and the JVMs that hide or end."""

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lab.harness.clocks import monotonic_s

from truechimer.readings import SystemClocks
from truechimer_agent.collecting import Lacking
from truechimer_agent.hotspot import HotspotReader, open_runtime
from truechimer_agent.hotspot.perfdata import parse
from truechimer_agent.processes.runtimes import Polled, ProcessGone, StillLooking, Target

pytestmark = pytest.mark.lab

PROGRAM = Path(__file__).parents[2] / "bench" / "Allocating.java"
LOGGED = re.compile(r'Safepoint "\w+".*Total: +(\d+) ns')
CLOCKS = SystemClocks()
NOBODY = 65534


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("javac") is None:
        pytest.skip("needs Debian's openjdk-17-jdk-headless (sudo .ci/install-lab)")
    folder = tmp_path_factory.mktemp("classes")
    subprocess.run(["javac", "-d", folder, PROGRAM], check=True)
    return folder


@contextmanager
def jvm(classes: Path, *options: str, busy_ms: int = 1500) -> Iterator[subprocess.Popen[str]]:
    """The allocating program, waiting for a line before it begins."""
    command = ["java", "-Xmx128m", "-cp", str(classes), *options, "Allocating", str(busy_ms), "600"]
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        quiet(program)
        yield program
    finally:
        program.kill()
        program.communicate()


def quiet(program: subprocess.Popen[str]) -> None:
    assert program.stdout is not None
    assert program.stdout.readline() == "quiet\n"


def go_on(program: subprocess.Popen[str]) -> None:
    assert program.stdin is not None
    program.stdin.write("\n")
    program.stdin.flush()


def target_of(pid: int) -> Target:
    return Target(pid, int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]))


def poll(reader: HotspotReader) -> Polled:
    reading = CLOCKS.read()
    return reader.poll(reading, reading.mono_ns)


def begun(pid: int) -> int:
    """The JVM's own number of safepoints."""
    (file,) = Path("/tmp").glob(f"hsperfdata_*/{pid}")
    block = file.read_bytes()
    at = parse(block).longs["sun.rt.safepoints"]
    return int.from_bytes(block[at : at + 8], "little")


CLOCK_READS_NS = 50_000
"""The JVM reads its clock once for the log and again for the counters, some microseconds later."""


def poll_for(reader: HotspotReader, seconds: float, interval_s: float) -> list[Polled]:
    seen = []
    end_s = monotonic_s() + seconds
    while monotonic_s() < end_s:
        seen.append(poll(reader))
        time.sleep(interval_s)
    return seen


@pytest.mark.parametrize("collector", ["G1", "Serial"])
def test_count_and_sum_are_the_logs_and_the_longest_is_enclosed(
    classes: Path, tmp_path: Path, collector: str
) -> None:
    log = tmp_path / "log"
    options = [f"-XX:+Use{collector}GC", f"-Xlog:safepoint:file={log}"]
    with jvm(classes, *options) as program:
        reader = open_runtime(target_of(program.pid), scan=False)
        poll(reader)
        first = begun(program.pid)
        go_on(program)
        seen = poll_for(reader, 1.5, 0.05)
        quiet(program)
        # A last safepoint may still be ending.
        seen += poll_for(reader, 0.3, 0.1)
        last = begun(program.pid)
        seen.append(poll(reader))
        go_on(program)
        program.wait()
        # What it did at the very end is still told once.
        with contextlib.suppress(ProcessGone):
            poll(reader)
        with pytest.raises(ProcessGone):
            poll(reader)
        reader.close()
    logged = [int(found[1]) for found in map(LOGGED.search, log.read_text().splitlines()) if found]
    logged = logged[first:last]
    assert len(logged) >= 5
    assert sum(one.count for one in seen) == pytest.approx(len(logged), rel=0.01)
    assert sum(one.total_ns for one in seen) == pytest.approx(sum(logged), rel=0.01)
    longest = max(logged)
    assert max(one.longest_ns for one in seen) <= longest + CLOCK_READS_NS
    assert longest <= max(one.longest_upper_ns for one in seen) + CLOCK_READS_NS
    assert any(stop.cause == "gc" for one in seen for stop in one.stops)
    assert seen[-1].heap is not None
    assert seen[-1].heap.old_used > 0


def test_a_jvm_that_shares_no_file_is_read_through_its_memory_if_that_is_allowed(classes: Path) -> None:
    with jvm(classes, "-XX:+PerfDisableSharedMem", "-XX:+UseSerialGC") as program:
        with pytest.raises(Lacking, match="PerfDisableSharedMem hides it") as lacking:
            open_runtime(target_of(program.pid), scan=False)
        assert "scan = true" in str(lacking.value.hint)
        reader = open_runtime(target_of(program.pid), scan=True)
        poll(reader)
        go_on(program)
        quiet(program)
        seen = poll(reader)
        assert seen.count > 0
        assert seen.total_ns > 0
        program.kill()
        program.wait()
        with pytest.raises(ProcessGone):
            poll(reader)
        reader.close()


def test_a_jvm_without_performance_data_says_so(classes: Path) -> None:
    hides = pytest.raises(Lacking, match="UsePerfData hides it, and none was found")
    with jvm(classes, "-XX:-UsePerfData", "-XX:+UseSerialGC") as program, hides:
        open_runtime(target_of(program.pid), scan=True)


def test_another_user_is_told_what_it_takes(classes: Path) -> None:
    with jvm(classes, "-XX:+UseSerialGC") as program:
        target = target_of(program.pid)
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(Lacking, match="may not read") as lacking:
                open_runtime(target, scan=False)
        finally:
            os.seteuid(0)
            os.setegid(0)
        assert "run the agent as root" in str(lacking.value.hint)


def test_a_starting_jvm_is_looked_for_until_it_tells(classes: Path) -> None:
    command = ["java", "-cp", str(classes), "-XX:+UseSerialGC", "Allocating", "100", "600"]
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        end_s = monotonic_s() + 20
        while True:
            assert monotonic_s() < end_s
            try:
                reader = open_runtime(target_of(program.pid), scan=False)
                assert poll(reader).heap is not None
                break
            except (Lacking, StillLooking):
                continue
        reader.close()
    finally:
        program.kill()
        program.communicate()
