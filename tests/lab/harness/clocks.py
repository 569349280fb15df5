"""The harness's own clock readings: the truth that the product is judged by, not read through it."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wall_ns() -> int:
    """Nanoseconds since 1970 of the kernel's CLOCK_REALTIME, which every host of the lab shares."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME)  # noqa: TID251


def raw_ns() -> int:
    """Nanoseconds of the kernel's CLOCK_MONOTONIC_RAW."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)  # noqa: TID251


def monotonic_s() -> float:
    """Seconds of CLOCK_MONOTONIC, for deadlines and durations."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)  # noqa: TID251


def wait_until(
    attempt: Callable[[], T | None],
    what: str,
    *,
    timeout_s: float = 30.0,
    every_s: float = 0.02,
    evidence: Callable[[], str] = str,
) -> T:
    """Call `attempt` until it returns something true and return that.

    Raises TimeoutError, naming `what` and quoting `evidence()` (a log, say), after `timeout_s` seconds.
    """
    deadline_s = monotonic_s() + timeout_s
    while True:
        result = attempt()
        if result:
            return result
        if monotonic_s() > deadline_s:
            raise TimeoutError(f"waited {timeout_s:g} s for {what}\n{evidence()}")
        time.sleep(every_s)
