"""The kernel's counters that tell why a process did not run, read by the stall meter.

Imported by the meter: nothing heavy here. Reading and parsing are apart: texts are parsed only when a gap
is found.
"""

from __future__ import annotations

import os
import resource
import time

TYPE_CHECKING = False  # typing itself would cost a megabyte
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
# Counters that cost more are read so seldom that they take 0.01 % of a core (a few times that when cold).
LOOSE_PERIOD_PER_COST = 10_000
ASLEEP_NOISE_NS = 1_000_000
READ_BYTES = 4096
MOUNTS = "/sys/fs/cgroup"
DEEPEST = 16


class Counter:
    """One kernel text kept open, and how to take counters from it; absent texts give None."""

    def __init__(self, paths: Iterable[str], parse: Callable[[bytes], tuple[int, ...]], width: int) -> None:
        self._parse = parse
        self._absent: tuple[int | None, ...] = (None,) * width
        self._fd = -1
        for path in paths:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            self._fd = fd
            if self.parse(self.read()) != self._absent:
                return
            os.close(fd)
            self._fd = -1

    def read(self) -> bytes:
        """The text now, unparsed; empty when there is none."""
        if self._fd < 0:
            return b""
        try:
            return os.pread(self._fd, READ_BYTES, 0)
        except OSError:
            return b""

    def parse(self, text: bytes) -> tuple[int | None, ...]:
        """The counters of a text; all None when it is not what it should be."""
        try:
            return self._parse(text)
        except (ValueError, IndexError):
            return self._absent

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def parse_schedstat(text: bytes) -> tuple[int, int]:
    """``/proc/self/schedstat`` of one thread: ns run, ns waited in the run queue."""
    run, delay, _slices = text.split()
    return int(run), int(delay)


def parse_steal(text: bytes) -> tuple[int]:
    """``/proc/stat``: ns stolen by the hypervisor, all CPUs summed (10 ms steps)."""
    fields = text[: text.index(b"\n")].split()
    if fields[0] != b"cpu":
        raise ValueError(fields[0])
    return (int(fields[8]) * TICK_NS,)


def parse_io_wait(text: bytes) -> tuple[int]:
    """``/proc/self/stat``: ns waited for block I/O (field 42 of proc(5))."""
    fields = text[text.rindex(b")") + 2 :].split()
    return (int(fields[39]) * TICK_NS,)


def parse_some(text: bytes) -> tuple[int]:
    """A PSI file: ns in which some task stalled."""
    line = text[: text.index(b"\n")]
    if not line.startswith(b"some "):
        raise ValueError(line)
    return (int(line[line.rindex(b"=") + 1 :]) * 1000,)


def parse_throttled(text: bytes) -> tuple[int]:
    """``cpu.stat`` of a cgroup: ns throttled (v2 counts µs, v1 ns)."""
    for line in text.splitlines():
        if line.startswith(b"throttled_usec "):
            return (int(line.split()[1]) * 1000,)
        if line.startswith(b"throttled_time "):
            return (int(line.split()[1]),)
    raise ValueError(text)


def parse_frozen(text: bytes) -> tuple[int]:
    """``cgroup.stat.local``: ns frozen (since Linux 6.18)."""
    for line in text.splitlines():
        if line.startswith(b"frozen_usec "):
            return (int(line.split()[1]) * 1000,)
    raise ValueError(text)


def cgroup_folders(text: str) -> list[str]:
    """Where the cgroups of a process may be, by its ``/proc/self/cgroup``: its CPU controller's first."""
    unified: list[str] = []
    cpu: list[str] = []
    for line in text.splitlines():
        number, controllers, path = line.split(":", 2)
        path = path.rstrip("/")
        if "/.." in path:
            continue  # outside of this namespace: what is there is another's
        if number == "0" and not controllers:
            # Inside a container the path of the host does not exist: its own root does.
            unified += [f"{MOUNTS}{path}", f"{MOUNTS}/unified{path}", MOUNTS]
        elif "cpu" in controllers.split(","):
            cpu += [f"{MOUNTS}/{name}{path}" for name in (controllers, "cpu", "cpu,cpuacct")]
    return cpu + unified


def lineage(folder: str) -> list[str]:
    """A cgroup and those that contain it, up to the root of its hierarchy."""
    folders = [folder]
    while len(folders) < DEEPEST and not os.path.ismount(folder) and folder.startswith(MOUNTS + "/"):
        folder = os.path.dirname(folder)  # noqa: PTH120 - pathlib is heavy
        folders.append(folder)
    return folders


def throttle_texts(folders: Sequence[str]) -> list[str]:
    """The texts that together tell of every quota on a cgroup; empty where some would stay unseen.

    ``cpu.stat.local`` (Linux 6.5) counts what any group above caused, but not while nothing is queued;
    ``cpu.stat`` counts a group's own quota, so that those above must be read too, as far as the true root,
    which a container does not see.
    """
    for folder in folders:
        if not os.path.exists(f"{folder}/cpu.stat"):  # noqa: PTH110
            continue
        groups = lineage(folder)
        local = f"{folder}/cpu.stat.local"
        local_texts = [local] if os.path.exists(local) else []  # noqa: PTH110
        is_root = os.path.exists(f"{groups[-1]}/release_agent") or not os.path.exists(  # noqa: PTH110
            f"{groups[-1]}/cgroup.type"
        )
        if local_texts or is_root:
            return local_texts + [f"{group}/cpu.stat" for group in groups]
        return []
    return []


def read_text(path: str) -> str:
    """A small file's text; empty when it cannot be read."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:  # noqa: PTH123 - pathlib is heavy
            return file.read()
    except OSError:
        return ""


def usage() -> tuple[int, int, int]:
    """Major faults, voluntary and involuntary context switches of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_majflt, used.ru_nvcsw, used.ru_nivcsw


class Evidence:
    """Baselines of the kernel's counters, and how much they grew when a gap is found."""

    def __init__(self) -> None:
        self._own = Counter(["/proc/self/schedstat"], parse_schedstat, 2)
        self._loose = [
            Counter(["/proc/stat"], parse_steal, 1),
            Counter(["/proc/self/stat"], parse_io_wait, 1),
            Counter(["/proc/pressure/memory"], parse_some, 1),
            Counter(["/proc/pressure/io"], parse_some, 1),
        ]
        self._freezer = Counter([], parse_frozen, 1)
        self._throttles: list[Counter] = []
        self._membership = ""
        self._texts = self.peek()
        self.find_cgroup()
        self._asleep_ns = asleep_ns()
        self._loose_texts = self._read_loose()
        self._loose_ns = time.monotonic_ns()  # noqa: TID251 - readings.py would triple this process
        self._loose_texts = self._read_loose()
        cost_ns = time.monotonic_ns() - self._loose_ns  # noqa: TID251
        self._loose_period_ns = cost_ns * LOOSE_PERIOD_PER_COST
        self._usage = usage()

    def find_cgroup(self) -> None:
        """Open the counters of the cgroup that this process is in, anew when it was moved."""
        membership = read_text("/proc/self/cgroup")
        if membership == self._membership:
            return
        self._membership = membership
        for counter in [self._freezer, *self._throttles]:
            counter.close()
        folders = cgroup_folders(membership)
        self._freezer = Counter([f"{folder}/cgroup.stat.local" for folder in folders], parse_frozen, 1)
        self._throttles = [Counter([path], parse_throttled, 1) for path in throttle_texts(folders)]
        self._texts = self.peek()

    def peek(self) -> list[bytes]:
        """The counters that cost little."""
        return [counter.read() for counter in self._tight()]

    def _tight(self) -> list[Counter]:
        return [self._own, self._freezer, *self._throttles]

    def keep(self, now_ns: int) -> None:
        """New baselines; of the costlier counters when they are due."""
        self._usage = usage()
        self.find_cgroup()
        self._texts = self.peek()
        if now_ns - self._loose_ns >= self._loose_period_ns:
            self._loose_texts = self._read_loose()
            self._loose_ns = now_ns

    def _read_loose(self) -> list[bytes]:
        return [counter.read() for counter in self._loose]

    def slept_ns(self) -> int:
        """Time suspended since this was asked last."""
        before_ns = self._asleep_ns
        # The least of several: a stall between the two clocks' readings looks like sleep.
        self._asleep_ns = min(asleep_ns() for _ in range(3))
        slept_ns = self._asleep_ns - before_ns
        return slept_ns if slept_ns > ASLEEP_NOISE_NS else 0

    def growth(self, now_ns: int, late_ns: int, sleeps: int) -> list[int | None]:
        """Span, and the counters' growth up to now, in the order of a ``P`` line; baselines anew.

        ``late_ns``: summed lateness of the deadlines since the baseline, taken off the run delay.
        ``sleeps``: how often the meter slept since then, taken off the voluntary switches.
        """
        # First of all: faults in what follows make the next deadline late, and are its evidence.
        used = usage()
        faults, voluntary, preempted = (new - old for new, old in zip(used, self._usage, strict=True))
        self._usage = used
        span_ns = now_ns - self._loose_ns
        before = [*self._texts, *self._loose_texts]
        self._texts = self.peek()
        self._loose_texts = self._read_loose()
        self._loose_ns = now_ns
        after = [*self._texts, *self._loose_texts]
        grown: list[int | None] = []
        for counter, old, new in zip([*self._tight(), *self._loose], before, after, strict=True):
            for was, is_now in zip(counter.parse(old), counter.parse(new), strict=True):
                grown.append(None if was is None or is_now is None else is_now - was)
        run, delay, frozen, *throttled, steal, io_wait, memory_stall, io_stall = grown
        if delay is not None:
            delay = max(0, delay - late_ns)
        known = [each for each in throttled if each is not None]
        if read_text("/proc/self/cgroup") != self._membership:
            # It was moved meanwhile: what its former group counted may not be its own.
            frozen, known = None, []
        blocked = max(0, voluntary - sleeps)
        return [
            span_ns, run, delay, max(known, default=None), frozen, steal,
            faults, blocked, preempted, io_wait, memory_stall, io_stall,
        ]  # fmt: skip


def asleep_ns() -> int:
    """BOOTTIME − MONOTONIC: time suspended, read high by however long lies between the two readings."""
    mono = time.monotonic_ns()  # noqa: TID251
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - mono  # noqa: TID251
