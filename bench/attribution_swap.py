"""Swap storms for bench/attribution.py, with a swap file of the test's own."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from attribution_causes import NotRunError, Scenario, Subject, Truth, group, running, settle

from truechimer.codes import Cause
from truechimer.readings import mono_ns

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

PROCESS_MADVISE = 440  # x86_64 and everything with the common numbers
MADV_PAGEOUT = 21


@contextlib.contextmanager
def swap_file(mebibytes: int) -> Iterator[Path]:
    """A swap file of the test's own."""
    libc = ctypes.CDLL(None, use_errno=True)
    with tempfile.TemporaryDirectory(prefix="truechimer-swap-", dir="/var/tmp") as folder:
        path = Path(folder, "swap")
        path.touch(0o600)
        with path.open("wb") as file:
            for _ in range(mebibytes):
                file.write(bytes(1 << 20))
        made = subprocess.run(["mkswap", str(path)], capture_output=True, text=True, check=False)
        if made.returncode:
            raise NotRunError(f"mkswap: {made.stderr.strip()}")
        if libc.swapon(bytes(path), 0):
            raise NotRunError(f"swapon of a file of the test's own: {os.strerror(ctypes.get_errno())}")
        try:
            yield path
        finally:
            libc.swapoff(bytes(path))


def push_out(pid: int) -> int:
    """Have the kernel swap out what a process has in memory (process_madvise(2), MADV_PAGEOUT); bytes."""
    ranges = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, access, *_rest = line.split()
        if not line.endswith(("[vvar]", "[vdso]", "[vsyscall]", "[vvar_vclock]")) and access[0] == "r":
            start, end = (int(number, 16) for number in span.split("-"))
            ranges.append((start, end - start))
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    done = 0
    try:
        for start, length in ranges:
            vector = (ctypes.c_size_t * 2)(start, length)
            advised = libc.syscall(PROCESS_MADVISE, pidfd, vector, ctypes.c_size_t(1), MADV_PAGEOUT, 0)
            if advised < 0 and ctypes.get_errno() != errno.EINVAL:
                raise NotRunError(f"process_madvise(MADV_PAGEOUT): {os.strerror(ctypes.get_errno())}")
            done += max(0, advised)
    finally:
        os.close(pidfd)
    return done


THRASH = """
import mmap, random, sys
pages = int(sys.argv[1]) * 256
memory = mmap.mmap(-1, pages * 4096)
while True:
    memory[random.randrange(pages) * 4096] = 1
"""


@contextlib.contextmanager
def few_reads(pid: int) -> Iterator[Path]:
    """The process's reads from the disk of the swap file are few a second, so that each is felt."""
    device = Path("/var/tmp").stat().st_dev
    limit = f"{os.major(device)}:{os.minor(device)}"
    with group("blkio", pid) as folder:
        path = Path(folder, "blkio.throttle.read_iops_device")
        try:
            path.write_text(f"{limit} 400")
        except OSError as error:
            raise NotRunError(f"limiting reads of device {limit}: {error}") from error
        try:
            yield folder
        finally:
            path.write_text(f"{limit} 0")


def swapped(subject: Subject, each: int, rng: random.Random) -> list[Truth]:
    """A thrashing neighbour in the process's memory cgroup, and all that it has is pushed out to swap."""
    truths = []
    with swap_file(256), group("memory", subject.pid) as folder, few_reads(subject.pid):
        Path(folder, "memory.limit_in_bytes").write_text(str(48 << 20))
        settle(subject)
        with running((THRASH, "64")) as (neighbour,):
            Path(folder, "cgroup.procs").write_text(str(neighbour.pid))
            for _ in range(each):
                time.sleep(rng.uniform(0.3, 0.5))
                start_ns = mono_ns()
                push_out(subject.pid)
                time.sleep(0.7)
                truths.append(Truth(start_ns, mono_ns()))
    return truths


SCENARIOS = (Scenario("swap storm", frozenset({Cause.MEMORY}), swapped, kind="within"),)
