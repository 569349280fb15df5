"""Readers against a writer at full speed: no read may mix two publications.

    python bench/segment_torture.py [--seconds 600] [--readers 4]

Every field of a published bound is a function of its first one. Each reader is a process of its own and
checks, in turns, what SegmentReader.read() gives (decoded anew) and what Clock.now() computes with (its
bytes compared with the last ones). Exit code 1 when a read was torn.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from truechimer.clock import Clock
from truechimer.codes import BoundReason, BoundStatus, Leap
from truechimer.errors import TruechimerError
from truechimer.readings import SystemClocks
from truechimer.segment import Published, SegmentReader, SegmentWriter

ANCHOR_NS = 1_000_000_007
LOOK_EVERY = 64


def bound(as_of_raw_ns: int, suspended_ns: int) -> Published:
    """A bound whose every field follows from ``as_of_raw_ns``."""
    return Published(
        as_of_steady_ns=as_of_raw_ns + ANCHOR_NS,
        anchor_ns=ANCHOR_NS,
        epoch=as_of_raw_ns % 1_000_003,
        lower_ns=-(as_of_raw_ns % 999_983),
        upper_ns=as_of_raw_ns % 999_979,
        frequency_lower_ppb=-(as_of_raw_ns % 499_979),
        frequency_upper_ppb=as_of_raw_ns % 499_973,
        suspended_ns=suspended_ns,
        status=BoundStatus(1 + as_of_raw_ns % 2),
        reason=(BoundReason.NONE, BoundReason.SINGLE_SERVER)[as_of_raw_ns % 2],
        leap=Leap(as_of_raw_ns % 3),
    )


def write(path: Path, seconds: float) -> dict[str, int]:
    """Publish for so long, as fast as it goes."""
    clocks = SystemClocks()
    suspended_ns = clocks.read().least_suspended_ns
    end_s = time.monotonic() + seconds
    count = 0
    with SegmentWriter(path) as writer:
        while time.monotonic() < end_s:
            for _ in range(LOOK_EVERY):
                writer.write(bound(clocks.raw_ns(), suspended_ns))
            count += LOOK_EVERY
    return {"written": count}


def read(path: Path, seconds: float) -> dict[str, int]:
    """Check for so long, as fast as it goes."""
    reader, clock = SegmentReader(path), Clock(path)
    tally = {"reads": 0, "nows": 0, "torn": 0, "refused": 0}
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        for _ in range(LOOK_EVERY):
            try:
                found = reader.read()
                tally["reads"] += 1
                as_of_raw_ns = found.as_of_steady_ns - ANCHOR_NS
                tally["torn"] += found != bound(as_of_raw_ns, found.suspended_ns)
                aging = clock.now()[2]
                tally["nows"] += 1
                whole = bound(aging.as_of_raw_ns, 0)
                tally["torn"] += (
                    aging.low_ns - ANCHOR_NS,
                    aging.high_ns - ANCHOR_NS,
                    aging.frequency_lower_ppb,
                    aging.frequency_upper_ppb,
                    aging.status,
                    aging.reason,
                    aging.epoch,
                ) != (
                    whole.lower_ns,
                    whole.upper_ns,
                    whole.frequency_lower_ppb,
                    whole.frequency_upper_ppb,
                    whole.status,
                    whole.reason,
                    whole.epoch,
                )
            except TruechimerError:
                tally["refused"] += 1
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--role", choices=["write", "read"], help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role is not None:
        role = write if options.role == "write" else read
        print(json.dumps(role(options.path, options.seconds)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clock"
        command = [sys.executable, __file__, "--path", str(path), "--role"]
        with SegmentWriter(path) as first:
            clocks = SystemClocks()
            first.write(bound(clocks.raw_ns(), clocks.read().least_suspended_ns))
        # The writer starts first and ends last.
        spans = {"write": options.seconds + 1, "read": options.seconds}
        children = [
            subprocess.Popen(
                [*command, role, "--seconds", str(spans[role])], stdout=subprocess.PIPE, text=True
            )
            for role in ["write", *["read"] * options.readers]
        ]
        tallies = [json.loads(child.communicate()[0]) for child in children]
    total = {key: sum(tally[key] for tally in tallies[1:]) for key in tallies[1]}
    print(json.dumps({"seconds": options.seconds, "readers": options.readers, **tallies[0], **total}))
    sys.exit(1 if total["torn"] else 0)


if __name__ == "__main__":
    main()
