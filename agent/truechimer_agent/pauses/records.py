"""What the stall meter writes, decoded: see :mod:`truechimer_agent.pauses.meter` for the format."""

from __future__ import annotations

from dataclasses import dataclass

from truechimer.errors import DecodeError
from truechimer_agent.pauses.attribution import GapEvidence

PAUSE_VALUES = 16
WINDOW_VALUES = 5
LONGEST_LINE_BYTES = 400


@dataclass(frozen=True, slots=True)
class MeterPause:
    """One pause: CLOCK_MONOTONIC of the missed deadline, and the evidence with its duration."""

    start_mono_ns: int
    evidence: GapEvidence


@dataclass(frozen=True, slots=True)
class MeterWindow:
    """A stretch that was watched, in CLOCK_MONOTONIC ns; ``max_ns`` is the worst lateness of any deadline."""

    start_mono_ns: int
    end_mono_ns: int
    count: int
    total_ns: int
    max_ns: int


def decode(line: bytes) -> MeterPause | MeterWindow:
    """One line without its end. Raises DecodeError for anything else than the meter writes."""
    if len(line) > LONGEST_LINE_BYTES:
        raise DecodeError(f"a line of {len(line)} bytes from the stall meter")
    kind, *texts = line.split(b" ")
    values = [_number(text) for text in texts]
    if kind == b"W" and len(values) == WINDOW_VALUES:
        return MeterWindow(*[_known(value) for value in values])
    if kind == b"P" and len(values) == PAUSE_VALUES:
        start, duration, span, run, delay, throttled, frozen, steal, faults, *rest = values
        blocked, preempted, io_wait, memory_stall, io_stall, asleep, continued = rest
        evidence = GapEvidence(
            duration_ns=_known(duration),
            span_ns=_known(span),
            run_ns=run,
            run_delay_ns=delay,
            throttled_ns=throttled,
            frozen_ns=frozen,
            steal_ns=steal,
            major_faults=faults,
            blocked=blocked,
            preempted=preempted,
            io_wait_ns=io_wait,
            memory_stall_ns=memory_stall,
            io_stall_ns=io_stall,
            asleep_ns=_known(asleep),
            continued=bool(_known(continued)),
        )
        return MeterPause(_known(start), evidence)
    raise DecodeError(f"not a record of the stall meter: {line[:80]!r}")


def _number(text: bytes) -> int | None:
    """A decimal number of 64 bits; None for ``-``."""
    if text == b"-":
        return None
    digits = text.removeprefix(b"-")
    if not digits.isdigit() or abs(value := int(text)) >= 2**63:
        raise DecodeError(f"not a number from the stall meter: {text[:40]!r}")
    return value


def _known(value: int | None) -> int:
    if value is None:
        raise DecodeError("the stall meter left out what it always knows")
    return value
