"""What a run found: misses by what explains them, the share of time with an interval, widths."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

MISSED = "assumptions hold"
BEYOND = "more wrong at once than tolerated"
HIDDEN = "pause not yet shown by any answer"
UNNOTICED = "the estimator itself, within 0.25 s after a sleep; readers refuse by themselves"
UNSIGNED = "a majority lies, without a sign"
DECLARED = "a lone server lies, and it is said that it stands alone, or is out of reach"
AGREED = "a majority agrees on a lie"


@dataclass(slots=True)
class Tally:
    """Counts of one scenario, or of many added up. Times in ns."""

    kind: str
    scenarios: int = 0
    exchanges: int = 0
    replies: int = 0
    bad_stamps: int = 0
    checks: int = 0
    misses: Counter[str] = field(default_factory=Counter)
    total_ns: int = 0
    covered_ns: int = 0
    longest_gap_ns: int = 0
    longest_hidden_ns: int = 0
    epochs: int = 0
    ratios: list[float] = field(default_factory=list)
    ratios_at_most: list[float] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add another scenario's counts."""
        self.scenarios += other.scenarios
        self.exchanges += other.exchanges
        self.replies += other.replies
        self.bad_stamps += other.bad_stamps
        self.checks += other.checks
        self.misses.update(other.misses)
        self.total_ns += other.total_ns
        self.covered_ns += other.covered_ns
        self.longest_gap_ns = max(self.longest_gap_ns, other.longest_gap_ns)
        self.longest_hidden_ns = max(self.longest_hidden_ns, other.longest_hidden_ns)
        self.epochs += other.epochs
        self.ratios += other.ratios
        self.ratios_at_most += other.ratios_at_most
        self.findings += other.findings
