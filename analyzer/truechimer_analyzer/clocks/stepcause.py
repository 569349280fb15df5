"""Who stepped a clock: what the kernel said of its discipline before and after.

Every step makes the kernel forget that it was synchronised (``ntp_clear`` in kernel/time/ntp.c: STA_UNSYNC,
maxerror 16 s). A time daemon that steps goes on disciplining; after anybody else nobody does, or a daemon
finds its clock moved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import Leap
from truechimer_analyzer.window import NS, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from truechimer_analyzer.clocks.nodeclock import Event
    from truechimer_analyzer.stores import Columns

KERNEL_FIELDS = ("synchronized", "frequency_ppm", "offset_seconds", "maxerror_seconds", "status", "leap")
CLOCK_FIELDS = ("mono_rate_ppm", "steady_seconds", "epoch")
EXPLAINED = 5
"""Of so many steps, the newest ones, it is said who made them."""
AROUND_S = 120.0
"""How long before and after a step the kernel is asked."""
UNDISCIPLINED_S = 16.0
"""The kernel's maxerror once nobody vouches for the clock."""
_LEAP_FIT_S = 0.05
_FREQUENCY_FIT_PPM = 1e-3


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel's word at one time; NaN where it was not asked."""

    synchronized: float
    frequency_ppm: float
    offset_s: float
    maxerror_s: float
    status: float
    leap: float

    @property
    def disciplined(self) -> bool:
        """Whether somebody vouches for the clock."""
        return self.synchronized == 1 or self.maxerror_s < UNDISCIPLINED_S

    def document(self, mono_rate_ppm: float) -> dict[str, object]:
        """As evidence; ``mono_rate_ppm`` is how fast it slewed then."""
        return {
            "synchronized": None if math.isnan(self.synchronized) else self.synchronized == 1,
            "status": None if math.isnan(self.status) else int(self.status),
            "frequency_ppm": number(self.frequency_ppm),
            "offset_s": number(self.offset_s),
            "maxerror_s": number(self.maxerror_s),
            "mono_rate_ppm": number(mono_rate_ppm),
        }


@dataclass(frozen=True, slots=True)
class Witnesses:
    """One node's rows of ``truechimer_kernel`` and ``truechimer_clock``, and its time daemons' names."""

    kernel: Columns
    kernel_rows: NDArray[np.intp]
    clock: Columns
    clock_rows: NDArray[np.intp]
    daemons: Sequence[str]


def explained(step: Event, witnesses: Witnesses, as_of_ns: int) -> dict[str, object]:
    """``who`` made a step (time_daemon, other, kernel_leap, unknown), ``why`` that is said, and the evidence.

    ``daemons`` are those known on the host, whoever stepped. Nobody else is named before a time daemon has
    had ``AROUND_S`` to go on.
    """
    before, after = _kernel_around(step, witnesses)
    who, why = _who(step, before, after)
    if who == "other" and as_of_ns - step.time_ns < AROUND_S * NS:
        who, why = "unknown", "nobody vouches for the kernel's clock yet; a time daemon may still do so"
    rate_before, rate_after = _slewing_around(step, witnesses)
    return {
        "who": who,
        "why": why,
        "daemons": list(witnesses.daemons),
        "kernel_before": None if before is None else before.document(rate_before),
        "kernel_after": after[-1].document(rate_after) if after else None,
    }


def _who(step: Event, before: Kernel | None, after: Sequence[Kernel]) -> tuple[str, str]:
    if before is not None and _is_leap(step.size_s, before.leap):
        return "kernel_leap", "the kernel had announced this leap second"
    if before is None or not after:
        return "unknown", "the kernel was not asked before and after"
    restored = any(kernel.disciplined for kernel in after)
    if restored:
        return "time_daemon", "somebody disciplines the kernel's clock after the step"
    steered = any(
        abs(kernel.frequency_ppm - before.frequency_ppm) > _FREQUENCY_FIT_PPM or kernel.offset_s
        for kernel in after
    )
    if steered:
        return "time_daemon", "the kernel's frequency or offset was set anew with the step"
    if before.disciplined:
        return "other", "the kernel was disciplined before the step and not after it"
    return "other", "nobody disciplines the kernel's clock, before or after"


def _is_leap(size_s: float, leap: float) -> bool:
    moved = {Leap.INSERT: -1.0, Leap.DELETE: 1.0}
    return any(leap == kind and abs(size_s - by_s) < _LEAP_FIT_S for kind, by_s in moved.items())


def _kernel_around(step: Event, witnesses: Witnesses) -> tuple[Kernel | None, list[Kernel]]:
    """The last word before the step, and those after it."""
    columns, rows = witnesses.kernel, witnesses.kernel_rows
    rows = rows[np.argsort(columns.time_ns[rows], kind="stable")]
    away_s = (columns.time_ns[rows] - step.time_ns) / NS
    # Stamps of a host without a bound step with its clock; arrival tells then.
    earlier = (away_s < 0) & (columns.received_ns[rows] <= step.received_ns) & (away_s >= -AROUND_S)
    later = (away_s > 0) & (columns.received_ns[rows] >= step.received_ns) & (away_s <= AROUND_S)
    before = rows[earlier][-1:]
    said = [_kernel(columns, int(row)) for row in np.concatenate((before, rows[later]))]
    return (said[0], said[1:]) if len(before) else (None, said)


def _kernel(columns: Columns, row: int) -> Kernel:
    value = {name: float(columns.fields[name][row]) for name in KERNEL_FIELDS}
    return Kernel(
        value["synchronized"],
        value["frequency_ppm"],
        value["offset_seconds"],
        value["maxerror_seconds"],
        value["status"],
        value["leap"],
    )


def _slewing_around(step: Event, witnesses: Witnesses) -> tuple[float, float]:
    """How fast the kernel slewed before the step, and in the first whole interval after it; NaN unknown."""
    columns, rows = witnesses.clock, witnesses.clock_rows
    rows = rows[columns.fields["epoch"][rows] == step.epoch]
    steady_s = columns.fields["steady_seconds"][rows]
    order = np.argsort(steady_s, kind="stable")
    rows, away_s = rows[order], steady_s[order] - step.steady_s
    rates = columns.fields["mono_rate_ppm"]
    before = rows[(away_s < 0) & (away_s >= -AROUND_S)]
    after = rows[(away_s > 0) & (away_s <= AROUND_S)][:2]
    return (
        float(rates[before[-1]]) if len(before) else math.nan,
        float(rates[after[-1]]) if len(after) else math.nan,
    )
