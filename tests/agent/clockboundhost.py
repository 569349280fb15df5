"""ClockBound's other side for tests: its client in C and that one's arithmetic, its daemon as a process."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

NS = 10**9
SOURCE = Path(__file__).with_name("clockbound_client.c")
# A daemon as ClockBound's: takes no lock, maps the file, goes on in a valid one, else wipes it in place.
DAEMON = r"""
import mmap, os, struct, sys, time
path, size, version, period_s = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
head = struct.pack("=IIIHH", 0x414D5A4E, 0x43420200, size, version, 0)
try:
    valid = open(path, "rb").read(14) == head[:14]
except FileNotFoundError:
    valid = False
if not valid:
    with open(path, "wb") as file:
        file.write(head + bytes(size - 16))
with open(path, "r+b") as file:
    mapped = mmap.mmap(file.fileno(), size)
print("writing", flush=True)
number = 0
while True:
    (generation,) = struct.unpack_from("=H", mapped, 14)
    odd = generation | 1
    struct.pack_into("=H", mapped, 14, odd)
    number += 1
    body = struct.pack("=qqqqq", 0, 0, 1000, 0, number)  # as_of stands still: chronyd is not synchronized
    mapped[16:56] = body
    struct.pack_into("=H", mapped, 14, 2 if odd == 65535 else odd + 1)
    time.sleep(period_s)
"""


def build_client(directory):
    """Compile the client; its path."""
    program = directory / "clockbound_client"
    subprocess.run(
        ["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, SOURCE], check=True
    )
    return program


def ask(program, path, version, count=1, pause_us=0):
    """What the client prints, line by line."""
    done = subprocess.run(
        [program, path, str(version), str(count), str(pause_us)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextlib.contextmanager
def daemon(path, layout, period_s):
    """ClockBound's daemon writing there; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", DAEMON, path, str(layout.size), str(layout.version), str(period_s)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "writing\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def clients_interval(bound, real_ns, coarse_ns):
    """Earliest and latest as ClockBound's client has them: age in floating point, cut down to whole ns."""
    age_ns = max(0, coarse_ns - bound.as_of_ns)
    grown_ns = bound.bound_ns + int(age_ns / 1e9 * bound.max_drift_ppb)
    return real_ns - grown_ns, real_ns + grown_ns


def clients_status(bound, coarse_ns):
    """The status that the client reports."""
    if bound.status not in (1, 2) or coarse_ns < bound.as_of_ns + 5 * NS:
        return int(bound.status)
    return 2 if coarse_ns < bound.void_after_ns else 0
