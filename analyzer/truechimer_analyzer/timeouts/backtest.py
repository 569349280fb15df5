"""What a timeout would have cost: fitted on the first half of the evidence, judged on the second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.timeouts.tail import measure
from truechimer_analyzer.window import NS, iso

if TYPE_CHECKING:
    from truechimer_analyzer.timeouts.operations import Operations

# What programs come with: impatient, TCP's first retransmission of a SYN, and a common HTTP default.
DEFAULTS_S = (0.1, 1.0, 5.0)
WINDOW_S = 3600.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One detector over the second half: mistakes are live peers timed out."""

    detector: str
    timeout_s: float
    fitted: bool
    operations: int
    mistakes: int
    mistakes_per_month: float
    predicted_upper_per_month: float | None
    worst_window: str | None

    def document(self) -> dict[str, object]:
        """As the contract's ``backtest`` has it."""
        return {
            "detector": self.detector,
            "fitted": self.fitted,
            "operations": self.operations,
            "mistakes": self.mistakes,
            "mistakes_per_month": self.mistakes_per_month,
            "predicted_upper_per_month": self.predicted_upper_per_month,
            "detection_mean_s": self.timeout_s,
            "worst_window": self.worst_window,
        }


def backtest(operations: Operations, target: float, per_month: float) -> list[Trial]:
    """Walk-forward in its simple form, and the fixed ``DEFAULTS_S`` on the same half.

    ``target`` is a probability per operation, ``per_month`` how many operations a month has. Where the
    first half cannot support the target, its strictest timeout is tried. Empty when a half has no reply.
    """
    if not operations.count:
        return []
    begin_s = float(np.concatenate([operations.time_s, operations.lost_s]).min())
    middle_s = begin_s + operations.span_s / 2
    first = operations.between(begin_s, middle_s)
    second = operations.between(middle_s, np.inf)
    if not len(first.rtt_s) or not len(second.rtt_s):
        return []
    tail = measure(first.rtt_s, first.time_s, first.path, first.by_path)
    fitted = tail.smallest(target) or tail.strictest()
    return [
        _trial(second, fitted.timeout_s, per_month, fitted.upper * per_month),
        *(_trial(second, timeout_s, per_month, None) for timeout_s in DEFAULTS_S),
    ]


def _trial(judged: Operations, timeout_s: float, per_month: float, predicted: float | None) -> Trial:
    mistaken_s = judged.time_s[judged.rtt_s > timeout_s]
    worst = None
    if len(mistaken_s):
        hours, counts = np.unique(np.floor(mistaken_s / WINDOW_S), return_counts=True)
        worst = iso(int(hours[np.argmax(counts)] * WINDOW_S) * NS)
    return Trial(
        detector=f"fixed({timeout_s:g}s)",
        timeout_s=timeout_s,
        fitted=predicted is not None,
        operations=judged.count,
        mistakes=len(mistaken_s),
        mistakes_per_month=len(mistaken_s) / judged.count * per_month,
        predicted_upper_per_month=predicted,
        worst_window=worst,
    )
