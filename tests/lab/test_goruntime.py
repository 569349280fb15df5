"""A real stripped Go program, watched from outside, against what its own runtime says of its pauses."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.harness.clocks import wait_until
from lab.harness.goprogram import GoProgram, build_go_program, go_program
from lab.harness.network import free_port

from truechimer.codes import Cause
from truechimer.readings import SystemClocks
from truechimer_agent.collecting import Lacking
from truechimer_agent.goruntime import open_runtime
from truechimer_agent.processes.runtimes import (
    Polled,
    ProcessGone,
    RuntimeReader,
    StillLooking,
    Stop,
    Target,
)

pytestmark = pytest.mark.lab

WITHIN_NS = 1_000_000
"""What issue and design ask for; lengths are exact besides."""
NOBODY = 65534


class Watching:
    """A reader with the clocks it is polled by; S is the wall clock as it was at the beginning."""

    def __init__(self, program: GoProgram) -> None:
        self._clocks = SystemClocks()
        reading = self._clocks.read()
        self._anchor_ns = reading.wall_ns - reading.raw_ns
        self.reader: RuntimeReader = open_runtime(Target(program.pid, program.start_ticks), scan=True)

    def poll(self) -> Polled:
        reading = self._clocks.read()
        return self.reader.poll(reading, reading.raw_ns + self._anchor_ns)

    def has_found(self) -> bool:
        try:
            self.poll()
        except StillLooking:
            return False
        return True


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_go_program(tmp_path_factory.mktemp("go"))


@pytest.fixture
def program(built: Path) -> Iterator[GoProgram]:
    with go_program(built) as running:
        yield running


def has_collected(url: str) -> bool:
    """Whether a Go program with net/http/pprof was there to be asked for a collection."""
    try:
        with urllib.request.urlopen(f"{url}/debug/pprof/heap?gc=1") as answer:
            answer.read()
    except OSError:
        return False
    return True


def own_metrics(url: str) -> tuple[int, float]:
    """Count and sum in seconds of a program's go_gc_duration_seconds."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    words = dict(line.rsplit(" ", 1) for line in lines if line.startswith("go_gc_duration_seconds_"))
    return int(words["go_gc_duration_seconds_count"]), float(words["go_gc_duration_seconds_sum"])


def assert_as_its_own(stops: list[Stop], program: GoProgram) -> None:
    """Every stop is the program's own latest ones: lengths exact, ends within a millisecond."""
    own = program.own_record().pauses[: len(stops)]
    assert [stop.duration_ns for stop in stops] == [length for length, _ in reversed(own)]
    for stop, (_, end) in zip(stops, reversed(own), strict=True):
        assert abs(stop.start_steady_ns + stop.duration_ns - end) < WITHIN_NS
        assert (stop.cause, stop.count) == (Cause.GC, 1)


def test_pauses_match_the_programs_own_record(program: GoProgram) -> None:
    """40 collections seen singly in several polls, with the program's own copy of the record in its way."""
    program.collect(3)
    program.own_record()
    watching = Watching(program)
    wait_until(watching.has_found, "the record in the memory")
    assert watching.poll() == Polled()
    stops: list[Stop] = []
    program.begin_collecting(40, 5)
    while len(stops) < 40:
        time.sleep(0.02)
        polled = watching.poll()
        assert polled.count == len(polled.stops)
        assert polled.total_ns == sum(stop.duration_ns for stop in polled.stops)
        stops += polled.stops
    program.finish_collecting()
    assert len(stops) == 40
    assert_as_its_own(stops, program)
    watching.reader.close()
    watching.reader.close()


def test_collections_that_left_the_ring_are_in_the_count_and_the_sum(program: GoProgram) -> None:
    """Of 600 collections between two polls 256 come singly, 344 as one stop; count and sum are exact."""
    program.collect(2)
    watching = Watching(program)
    wait_until(watching.has_found, "the record in the memory")
    before = program.own_record()
    program.collect(600)
    polled = watching.poll()
    own = program.own_record()
    assert (polled.count, polled.total_ns) == (600, own.total_ns - before.total_ns)
    rest, *singly = polled.stops
    assert (rest.count, len(singly)) == (344, 256)
    assert rest.duration_ns + sum(stop.duration_ns for stop in singly) == polled.total_ns
    assert_as_its_own(singly, program)
    watching.reader.close()


def test_a_program_that_has_not_collected_is_still_being_looked_at(program: GoProgram) -> None:
    """Nothing is wrong then; its first collection is found later."""
    watching = Watching(program)
    with pytest.raises(StillLooking, match="has not collected yet"):
        watching.poll()
    with pytest.raises(StillLooking, match="has not collected yet"):
        watching.poll()
    program.collect()
    wait_until(watching.has_found, "the record in the memory")
    watching.reader.close()


def test_polls_while_it_collects_without_a_break_lose_nothing(program: GoProgram) -> None:
    """Reads that fall into the middle of a write are put off, not reported wrong."""
    program.collect(1)
    watching = Watching(program)
    wait_until(watching.has_found, "the record in the memory")
    before = program.own_record()
    program.begin_collecting(1000)
    count = total_ns = 0
    while count < 1000:
        time.sleep(0.0005)
        polled = watching.poll()
        assert sum(stop.count for stop in polled.stops) == polled.count
        count, total_ns = count + polled.count, total_ns + polled.total_ns
    program.finish_collecting()
    own = program.own_record()
    assert (count, total_ns) == (1000, own.total_ns - before.total_ns)
    watching.reader.close()


def test_a_stopped_program_is_read_like_a_running_one(program: GoProgram) -> None:
    """SIGSTOP keeps nobody from reading its memory; it has no news."""
    program.collect(1)
    os.kill(program.pid, signal.SIGSTOP)
    watching = Watching(program)
    wait_until(watching.has_found, "the record in the memory")
    assert watching.poll() == Polled()
    watching.reader.close()


def test_a_program_in_a_container_is_read_from_outside(built: Path, tmp_path: Path) -> None:
    """In pid and mount namespaces of its own and another root, asked by the host's pid."""
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(built, root / "app")
    unshare = ["unshare", "--pid", "--fork", "--mount", "--kill-child", "chroot", str(root), "/app"]
    with go_program(*unshare) as outer:
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        inner = GoProgram(outer.process, int(children[0]))
        inner.collect(2)
        watching = Watching(inner)
        wait_until(watching.has_found, "the record in the memory")
        inner.collect(5)
        polled = watching.poll()
        assert polled.count == 5
        assert_as_its_own(list(polled.stops), inner)
        watching.reader.close()


def test_a_program_of_others_agrees_with_its_own_metrics(tmp_path: Path) -> None:
    """Debian's Prometheus, made to collect: count and sum are those of its go_gc_duration_seconds."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    (tmp_path / "prometheus.yml").write_text("")
    arguments = ["--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{port}"]
    by_request_alone = os.environ | {"GOGC": "off"}
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            ["prometheus", *arguments],
            cwd=tmp_path,
            stdout=log,
            stderr=log,
            env=by_request_alone,
            text=True,
        ) as process,
    ):
        watching = Watching(GoProgram(process))
        try:
            wait_until(lambda: has_collected(url), "Prometheus")
            wait_until(watching.has_found, "the record in the memory")
            before_count, before_s = own_metrics(url)
            for _ in range(20):
                assert has_collected(url)
            polled = watching.poll()
            count, total_s = own_metrics(url)
        finally:
            process.kill()
            watching.reader.close()
    assert polled.count == count - before_count >= 20
    assert abs(polled.total_ns - (total_s - before_s) * 1e9) < 10  # the metrics are floats


def test_an_ended_program_is_gone(program: GoProgram) -> None:
    """Also before it was found, and when it is asked for only then."""
    program.collect(1)
    target = Target(program.pid, program.start_ticks)
    found, looking = Watching(program), Watching(program)
    wait_until(found.has_found, "the record in the memory")
    program.end()
    for watching in (found, looking):
        with pytest.raises(ProcessGone):
            watching.poll()
        watching.reader.close()
    with pytest.raises(ProcessGone):
        open_runtime(target, scan=True)


def test_a_pid_that_is_anothers_by_now_is_not_read(program: GoProgram) -> None:
    with pytest.raises(ProcessGone):
        open_runtime(Target(program.pid, program.start_ticks - 1), scan=True)


def test_a_program_that_runs_another_is_gone() -> None:
    """After exec the pid and its start are the same, the memory is not."""
    code = "import os,sys; sys.stdin.readline(); os.execvp('sleep', ['sleep', '60'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True) as process:
        watching = Watching(GoProgram(process))
        with pytest.raises(StillLooking):
            watching.poll()
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        wait_until(
            lambda: Path(f"/proc/{process.pid}/comm").read_text().strip() == "sleep", "the other program"
        )
        time.sleep(0.6)  # until the next search is due
        with pytest.raises(ProcessGone):
            watching.poll()
        process.kill()
        watching.reader.close()


def test_without_leave_or_privilege_it_says_what_to_do(program: GoProgram) -> None:
    """`scan` is not set; then an agent that is nobody reads root's program."""
    target = Target(program.pid, program.start_ticks)
    with pytest.raises(Lacking) as lacking:
        open_runtime(target, scan=False)
    assert "scan = true" in str(lacking.value.hint)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(Lacking, match="may not be read") as lacking:
            open_runtime(target, scan=True)
    finally:
        os.seteuid(0)
    assert "CAP_SYS_PTRACE" in str(lacking.value.hint)
