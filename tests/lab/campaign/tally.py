"""What cells found: misses by what explains them, the share of time with an interval, widths."""

from collections import Counter
from dataclasses import dataclass, field, fields

MISSED = "assumptions hold"
HIDDEN = "the machine had stood without a trace, and no answer has shown it yet"
UNNOTICED = "a sample from the moment between waking up and noticing; readers refuse by themselves"


@dataclass(slots=True)
class Tally:
    """Counts of one cell, or of many added up. Widths in seconds, at the same instants."""

    cells: int = 0
    exchanges: int = 0
    replies: int = 0
    checked: Counter[str] = field(default_factory=Counter)
    misses: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    covered: int = 0
    acts: Counter[str] = field(default_factory=Counter)
    without: Counter[str] = field(default_factory=Counter)
    widths: list[float] = field(default_factory=list)
    beside: list[tuple[float, float]] = field(default_factory=list)
    alone: list[tuple[float, float]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Add another cell's counts."""
        for each in fields(self):
            mine, others = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, Counter):
                mine.update(others)
            else:
                setattr(self, each.name, mine + others)
