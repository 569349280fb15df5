"""Answers of `skew` held against the truth: pure, from documents and a function that knows it."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

Truth = Callable[[str, int], float]
"""W − UTC of a node in seconds, when UTC was so many Unix ns."""


def instant_ns(cluster: Mapping[str, Any]) -> int | None:
    """What instant a cluster's figures are about, None when they are about none."""
    text = cluster["at"]
    return None if text is None else unix_ns(text)


def unix_ns(text: str) -> int:
    """ISO 8601 in UTC, to any fraction, as Unix ns."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = round(datetime.fromisoformat(whole + "+00:00").timestamp())
    return seconds * 10**9 + int(fraction.ljust(9, "0")[:9] or 0)


@dataclass
class Bounds:
    """Intervals of one kind: how many hold the truth."""

    held: int = 0
    missed: int = 0
    findings: list[str] = field(default_factory=list)

    def judge(self, what: str, lower_s: float | None, upper_s: float | None, true_s: float) -> None:
        """One interval; without both ends it says nothing."""
        if lower_s is None or upper_s is None:
            return
        if lower_s <= true_s <= upper_s:
            self.held += 1
        else:
            self.missed += 1
            self.findings.append(f"{what}: {true_s:.9f} s not in [{lower_s:.9f}, {upper_s:.9f}]")

    def __str__(self) -> str:
        return f"{self.held} hold the truth, {self.missed} miss it"


@dataclass
class Containment:
    """Everything that is proven in many answers: does it hold the truth?"""

    answers: int = 0
    instants: set[int] = field(default_factory=set)
    without: int = 0
    pairs: Bounds = field(default_factory=Bounds)
    pairs_k: Bounds = field(default_factory=Bounds)
    utc: Bounds = field(default_factory=Bounds)
    utc_k: Bounds = field(default_factory=Bounds)
    epsilon: Bounds = field(default_factory=Bounds)
    epsilon_k: Bounds = field(default_factory=Bounds)
    utc_by: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    utc_widths_s: dict[str, list[float]] = field(default_factory=dict)
    named: Counter[str] = field(default_factory=Counter)

    def judge(self, cluster: Mapping[str, Any], truth: Truth) -> int | None:
        """One answer about one cluster; the instant that it is about."""
        at_ns = instant_ns(cluster)
        self.answers += 1
        if at_ns is None:
            self.without += 1
            return None
        self.instants.add(at_ns)
        for node in cluster["nodes"]:
            name, true_s = node["node"], -truth(node["node"], at_ns)
            self.utc.judge(f"UTC − {name} at {at_ns}", node["utc_lower_s"], node["utc_upper_s"], true_s)
            self.utc_k.judge(f"UTC − {name} at {at_ns}", node["utc_lower_k_s"], node["utc_upper_k_s"], true_s)
            self.utc_by[name, node["utc_by"]] += 1
            if node["utc_by"] is not None:
                self.utc_widths_s.setdefault(name, []).append(node["utc_upper_s"] - node["utc_lower_s"])
        apart_s = 0.0
        for pair in cluster["pairs"]:
            what = f"{pair['b']} − {pair['a']} at {at_ns}"
            true_s = truth(pair["b"], at_ns) - truth(pair["a"], at_ns)
            self.pairs.judge(what, pair["lower_s"], pair["upper_s"], true_s)
            self.pairs_k.judge(what, pair["lower_k_s"], pair["upper_k_s"], true_s)
            apart_s = max(apart_s, abs(true_s))
        for bounds, epsilon_s in (
            (self.epsilon, cluster["epsilon_s"]),
            (self.epsilon_k, cluster["epsilon_k_s"]),
        ):
            bounds.judge(f"the furthest apart at {at_ns}", 0.0, epsilon_s, apart_s)
        self.named.update(cluster["inconsistent"]["certain"])
        return at_ns

    @property
    def every(self) -> dict[str, Bounds]:
        """Whatever was held against the truth, by name."""
        return {
            "pairs": self.pairs,
            "pairs, k": self.pairs_k,
            "UTC": self.utc,
            "UTC, k": self.utc_k,
            "epsilon": self.epsilon,
            "epsilon_k": self.epsilon_k,
        }

    def __str__(self) -> str:
        lines = [f"{self.answers} answers about {len(self.instants)} instants, {self.without} about none"]
        lines += [f"{name}: {bounds}" for name, bounds in self.every.items()]
        lines.append(f"named for certain: {dict(self.named) or 'nobody'}")
        for name, widths_s in sorted(self.utc_widths_s.items()):
            by = {by: count for (node, by), count in self.utc_by.items() if node == name}
            lines.append(f"UTC − {name} by {by}: median width {median(widths_s) * 1e6:.1f} µs")
        return "\n".join([*lines, *(each for bounds in self.every.values() for each in bounds.findings[:5])])


@dataclass
class Widths:
    """Of pairs' bounds, and beside them the sums of the widths of the two nodes' own bounds of UTC."""

    pairs_s: list[float] = field(default_factory=list)
    own_s: list[float] = field(default_factory=list)

    def compare(self, cluster: Mapping[str, Any], own_widths_s: Mapping[str, float]) -> None:
        """The pairs of an answer of which both nodes' own bounds of UTC are known."""
        for pair in cluster["pairs"]:
            if pair["lower_s"] is not None and {pair["a"], pair["b"]} <= own_widths_s.keys():
                self.pairs_s.append(pair["upper_s"] - pair["lower_s"])
                self.own_s.append(own_widths_s[pair["a"]] + own_widths_s[pair["b"]])

    def ratio(self, share: float = 0.5) -> float:
        """The ratio that this share of the others is below; the median."""
        ratios = sorted(pair_s / own_s for pair_s, own_s in zip(self.pairs_s, self.own_s, strict=True))
        return ratios[min(len(ratios) - 1, int(share * len(ratios)))]

    def __str__(self) -> str:
        if not self.pairs_s:
            return "no pairs"
        return (
            f"width of a pair's bound: median {median(self.pairs_s) * 1e6:.1f} µs; of both own bounds of UTC:"
            f" {median(self.own_s) * 1e6:.1f} µs; ratio: median {self.ratio():.4f}, 9 in 10 below"
            f" {self.ratio(0.9):.4f}"
        )


@dataclass
class Naming:
    """Trials of a lie: after how many rounds the liar is certain, and what is said of the honest."""

    rounds: Counter[int | None] = field(default_factory=Counter)
    honest_named: list[str] = field(default_factory=list)
    answers: int = 0
    epsilon: Counter[str] = field(default_factory=Counter)
    epsilon_k: Counter[str] = field(default_factory=Counter)
    pairs: Bounds = field(default_factory=Bounds)
    pairs_k: Bounds = field(default_factory=Bounds)
    findings: list[str] = field(default_factory=list)

    @property
    def trials(self) -> int:
        """How many have ended."""
        return self.rounds.total()

    def answered(self, cluster: Mapping[str, Any], liars: Collection[str], truth: Truth) -> bool:
        """One answer while `liars` lie; whether it names them, and nobody else, for certain."""
        at_ns = instant_ns(cluster)
        certain = set(cluster["inconsistent"]["certain"])
        if honest := certain - set(liars):
            self.honest_named.append(f"{sorted(honest)} at {at_ns}: {cluster['inconsistent']}")
        if at_ns is None:
            return False
        self.answers += 1
        apart_s = 0.0
        for pair in cluster["pairs"]:
            if {pair["a"], pair["b"]} & set(liars):
                continue
            what = f"{pair['b']} − {pair['a']} at {at_ns}"
            true_s = truth(pair["b"], at_ns) - truth(pair["a"], at_ns)
            self.pairs.judge(what, pair["lower_s"], pair["upper_s"], true_s)
            self.pairs_k.judge(what, pair["lower_k_s"], pair["upper_k_s"], true_s)
            apart_s = max(apart_s, abs(true_s))
        for counts, name in ((self.epsilon, "epsilon_s"), (self.epsilon_k, "epsilon_k_s")):
            given_s = cluster[name]
            counts["none" if given_s is None else "holds" if apart_s <= given_s else "misses"] += 1
        return certain == set(liars)

    def within(self, rounds: int) -> int:
        """In how many trials the liar was certain within so many rounds."""
        return sum(count for each, count in self.rounds.items() if each is not None and each <= rounds)

    def __str__(self) -> str:
        after = ", ".join(f"{each}: {count}" for each, count in sorted(self.rounds.items(), key=str))
        lines = [
            f"{self.trials} trials: certain within 3 rounds in {self.within(3)} (by round: {after})",
            f"an honest node certain: {len(self.honest_named)} times in {self.answers} answers",
            f"honest pairs within epsilon_1: {dict(self.epsilon_k)}, within epsilon: {dict(self.epsilon)}",
            f"honest pairs' bounds, all constraints: {self.pairs}; with one liar tolerated: {self.pairs_k}",
        ]
        return "\n".join([*lines, *self.honest_named[:3], *self.pairs_k.findings[:5], *self.findings[:5]])
