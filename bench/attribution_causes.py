"""The stops that bench/attribution.py causes, each with its truth: from when to when, and why.

Its truth is either *exact*, one stretch for each stop; or stretches in each of which something stops it, for
an unknown part (*within*); or a storm, in which stops come as they will. Times are CLOCK_MONOTONIC in ns.
Everything is done from outside of the stopped process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from truechimer.codes import Cause
from truechimer.readings import mono_ns

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Iterator

    from agent.listeninghost import ListeningHost

GROUPS = Path("/sys/fs/cgroup")
NAME = f"truechimer-bench-{os.getpid()}"
SHORTEST_S, LONGEST_S = 0.04, 0.12
HOG = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
while True: pass
"""
# A task of its own that freezes a group while everybody else in it, the bench itself too, stands still.
FREEZE = """
import random, sys, time
path, frozen, thawed, each, seed = sys.argv[1:]
rng = random.Random(seed)
def say(text):
    with open(path, "w") as file:
        file.write(text)
try:
    for _ in range(int(each)):
        time.sleep(rng.uniform(0.15, 0.25))
        start = time.monotonic_ns()
        say(frozen)
        time.sleep(rng.uniform(0.04, 0.12))
        say(thawed)
        print(start, time.monotonic_ns(), flush=True)
finally:
    say(thawed)
"""
# Bursts above every ordinary task, on the CPU that it is bound to.
BURSTS = """
import os, random, sys, time
each, seed, cpu = sys.argv[1:]
os.sched_setaffinity(0, {int(cpu)})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
rng = random.Random(seed)
for _ in range(int(each)):
    time.sleep(rng.uniform(0.15, 0.25))
    start = time.monotonic_ns()
    end = start + round(rng.uniform(0.04, 0.12) * 1e9)
    while time.monotonic_ns() < end:
        pass
    print(start, time.monotonic_ns(), flush=True)
"""


class NotRunError(Exception):
    """This machine does not allow it; the text says what was tried and what happened."""


@dataclass(frozen=True, slots=True)
class Truth:
    """From when to when, according to the kind of the scenario."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """``inject`` stops the meter so many times; any of ``causes`` is the right one.

    ``watch`` instead stops something else, and lets a host hear what its collector tells; ``runtime`` is
    the tag of those pauses that count then.
    """

    name: str
    causes: frozenset[Cause]
    inject: Callable[[Subject, int, random.Random], list[Truth]] | None = None
    kind: Literal["exact", "within", "storm"] = "exact"
    watch: Callable[[ListeningHost, int, random.Random], Awaitable[list[Truth]]] | None = None
    runtime: str | None = None


@dataclass(slots=True)
class Subject:
    """The process that is stopped, and how to tell its watcher that it was moved to another cgroup."""

    pid: int
    moved: Callable[[], None]


@contextlib.contextmanager
def group(hierarchy: str, *pids: int) -> Iterator[Path]:
    """A cgroup of the test's own with these processes in it, who go back to the root afterwards."""
    root = GROUPS / hierarchy
    folder = root / NAME
    try:
        folder.mkdir()
        for pid in pids:
            Path(folder, "cgroup.procs").write_text(str(pid))
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise NotRunError(f"making a cgroup in {root}: {error}") from error
    try:
        yield folder
    finally:
        for pid in Path(folder, "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                Path(root, "cgroup.procs").write_text(pid)
        for _ in range(50):
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.1)


@contextlib.contextmanager
def running(*programs: tuple[str, ...]) -> Iterator[list[subprocess.Popen[str]]]:
    """Python programs with their arguments, that end with the block."""
    children = []
    try:
        for program in programs:
            command = [sys.executable, "-c", *program]
            children.append(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )
        yield children
    finally:
        for child in children:
            child.kill()
            child.wait()
            for stream in (child.stdout, child.stderr):
                stream.close()


def truths_of(child: subprocess.Popen[str]) -> list[Truth]:
    """What a child printed until its end: start and end, a line each."""
    lines, complaints = child.communicate()
    if child.returncode > 0:
        raise NotRunError(complaints.strip().rpartition("\n")[2])
    lines = lines.split("\n")
    return [Truth(*map(int, line.split())) for line in lines if line]


def settle(subject: Subject) -> None:
    """The meter looks for its groups twice a second."""
    subject.moved()
    time.sleep(1.2)


def stopped(subject: Subject, each: int, rng: random.Random) -> list[Truth]:
    """SIGSTOP, SIGCONT."""
    truths = []
    for _ in range(each):
        time.sleep(rng.uniform(0.15, 0.25))
        start_ns = mono_ns()
        os.kill(subject.pid, signal.SIGSTOP)
        time.sleep(rng.uniform(SHORTEST_S, LONGEST_S))
        os.kill(subject.pid, signal.SIGCONT)
        truths.append(Truth(start_ns, mono_ns()))
    return truths


def frozen_by(
    hierarchy: str, file: str, frozen: str, thawed: str, *others: int
) -> Callable[..., list[Truth]]:
    """The freezer of a cgroup; ``others`` are frozen along."""

    def inject(subject: Subject, each: int, rng: random.Random) -> list[Truth]:
        with group(hierarchy, subject.pid, *others) as folder:
            path = folder / file
            if not path.exists():
                raise NotRunError(f"{path} does not exist")
            settle(subject)
            program = (FREEZE, str(path), frozen, thawed, str(each), str(rng.random()))
            with running(program) as (child,):
                Path(folder.parent, "cgroup.procs").write_text(str(child.pid))
                truths = truths_of(child)
            time.sleep(0.3)
        subject.moved()
        return truths

    return inject


def preempted(subject: Subject, each: int, rng: random.Random) -> list[Truth]:
    """A SCHED_FIFO task takes the CPU that the process is bound to."""
    cpus = os.sched_getaffinity(subject.pid)
    cpu = max(cpus)

    os.sched_setaffinity(subject.pid, {cpu})
    try:
        with running((BURSTS, str(each), str(rng.random()), str(cpu))) as (child,):
            return truths_of(child)
    finally:
        time.sleep(0.3)
        os.sched_setaffinity(subject.pid, cpus)


def contended(subject: Subject, each: int, _rng: random.Random) -> list[Truth]:
    """Eight hogs on the CPU that the process is bound to, which is the least important of them."""
    cpus = os.sched_getaffinity(subject.pid)
    cpu = max(cpus)
    os.sched_setaffinity(subject.pid, {cpu})
    nice = os.getpriority(os.PRIO_PROCESS, subject.pid)
    os.setpriority(os.PRIO_PROCESS, subject.pid, 19)
    start_ns = mono_ns()
    try:
        with running(*[(HOG, str(cpu))] * 8):
            time.sleep(max(10.0, 0.4 * each))
    finally:
        os.setpriority(os.PRIO_PROCESS, subject.pid, nice)
        os.sched_setaffinity(subject.pid, cpus)
    return [Truth(start_ns, mono_ns())]


# Alone in a group with the subject, on one CPU: where it does not run for so long, the quota is used up.
RECORDING_HOG = """
import sys, time
before = time.monotonic_ns()
while True:
    now = time.monotonic_ns()
    if now - before > 40_000_000:
        print(before, now, flush=True)
    before = now
"""


def throttled(hierarchy: str, limits: dict[str, str]) -> Callable[..., list[Truth]]:
    """A group that uses up its quota: a hog shares it with the process, and its own record is the truth."""

    def inject(subject: Subject, each: int, _rng: random.Random) -> list[Truth]:
        cpus = os.sched_getaffinity(subject.pid)
        with (
            group(hierarchy, subject.pid) as folder,
            running((RECORDING_HOG,)) as (hog,),
        ):
            try:
                for name, value in limits.items():
                    Path(folder, name).write_text(value)
            except OSError as error:
                raise NotRunError(f"limiting {folder}: {error}") from error
            for pid in (subject.pid, hog.pid):
                os.sched_setaffinity(pid, {max(cpus)})
            settle(subject)
            Path(folder, "cgroup.procs").write_text(str(hog.pid))
            time.sleep(0.3)
            start_ns = mono_ns()
            time.sleep(0.11 * each)
            end_ns = mono_ns()
            hog.kill()
            truths = truths_of(hog)
            time.sleep(0.3)
            os.sched_setaffinity(subject.pid, cpus)
        return [truth for truth in truths if truth.start_ns > start_ns and truth.end_ns < end_ns]

    return inject


THROTTLED = frozenset({Cause.THROTTLED})
FROZEN = frozenset({Cause.FROZEN})
RUN_QUEUE = frozenset({Cause.RUN_QUEUE})
# The weight lets it get as far as its quota on a busy machine.
V1_QUOTA = {"cpu.shares": "100000", "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "20000"}
V2_ROOT = "unified" if Path(GROUPS, "unified", "cgroup.procs").exists() else "."

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("SIGSTOP", frozenset({Cause.STOPPED}), stopped),
    Scenario("freezer v1", FROZEN, frozen_by("freezer", "freezer.state", "FROZEN", "THAWED")),
    Scenario(
        "freezer v1, agent too",
        FROZEN,
        frozen_by("freezer", "freezer.state", "FROZEN", "THAWED", os.getpid()),
    ),
    Scenario("freezer v2", FROZEN, frozen_by(V2_ROOT, "cgroup.freeze", "1", "0")),
    Scenario("contention, SCHED_FIFO", RUN_QUEUE, preempted),
    Scenario("contention, 8 hogs", RUN_QUEUE, contended, kind="storm"),
    Scenario(
        "quota v1",
        THROTTLED,
        throttled("cpu", V1_QUOTA),
    ),
    Scenario("quota v2", THROTTLED, throttled(V2_ROOT, {"cpu.weight": "1000", "cpu.max": "20000 100000"})),
)
