"""A recording: a store's samples in memory, to be asked as of many instants, and with parts of it hidden."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from truechimer.config.model import LimitsConfig
from truechimer.samples import MEASUREMENTS
from truechimer_analyzer.answers import answer
from truechimer_analyzer.stores import Columns, NodeSeen, Store, open_store

READ = ("truechimer_rtt", "truechimer_bound", "truechimer_clock")
ALWAYS = (0, 2**62)


@dataclass(frozen=True, slots=True)
class Hidden:
    """Exchanges with a node (in either direction) from one instant to another (Unix ns)."""

    node: str
    since_ns: int
    until_ns: int


class Recorded:
    """Answers what `skew` asks a store. `hidden` exchanges are as if they had been lost."""

    def __init__(self, held: Mapping[str, Columns], nodes: Sequence[NodeSeen], hidden: Sequence[Hidden] = ()):
        self._held = {name: _without(columns, hidden) for name, columns in held.items()}
        self._all = held
        self._nodes = list(nodes)

    @classmethod
    def of(cls, directory: Path) -> "Recorded":
        """Everything that `skew` reads of an embedded store that nobody else has open."""
        store = open_store(f"embedded:{directory}", read_only=True)
        try:
            held = {
                name: store.samples(name, [field.name for field in MEASUREMENTS[name].fields], *ALWAYS)
                for name in READ
            }
            return cls(held, store.nodes())
        finally:
            store.close()

    def hiding(self, hidden: Sequence[Hidden]) -> "Recorded":
        """The same without these exchanges."""
        return Recorded(self._all, self._nodes, hidden)

    def skew(self, to_ns: int, max_skew_s: float = 0.25) -> dict[str, Any]:
        """The answer as of an instant (Unix ns)."""
        options = {"to": f"{to_ns // 10**9}.{to_ns % 10**9:09d}"}
        return answer("skew", options, cast("Store", self), LimitsConfig(max_skew_s=max_skew_s))

    def rows(self, measurement: str) -> Columns:
        """All that is held of a measurement."""
        return self._held[measurement]

    def now_ns(self) -> int:
        """The end of the recording."""
        return max(int(columns.received_ns[-1]) for columns in self._held.values() if len(columns))

    def nodes(self) -> list[NodeSeen]:
        """Every node of the recording."""
        return self._nodes

    def samples(
        self,
        measurement: str,
        fields: Iterable[str],
        since_ns: int,
        until_ns: int,
        *,
        nodes: Sequence[str] | None = None,
        cluster: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Columns:
        """As the protocol has it."""
        held = self._held[measurement]
        first, last = np.searchsorted(held.time_ns, (since_ns, until_ns))
        keep = np.arange(first, last)
        wanted = {"cluster": [cluster] if cluster else None, "node": nodes}
        wanted |= {name: [value] for name, value in (tags or {}).items()}
        for name, values in wanted.items():
            if values is not None:
                keep = keep[np.isin(held.tags[name][keep], values)]
        return _rows(held, keep, tuple(fields))


def _rows(held: Columns, keep: Any, fields: Sequence[str]) -> Columns:
    return Columns(
        held.measurement,
        held.time_ns[keep],
        held.received_ns[keep],
        {name: values[keep] for name, values in held.tags.items()},
        {name: held.fields[name][keep] for name in fields},
    )


def _without(held: Columns, hidden: Sequence[Hidden]) -> Columns:
    if held.measurement != "truechimer_rtt" or not hidden:
        return held
    gone = np.zeros(len(held), dtype=np.bool_)
    for each in hidden:
        between = (held.time_ns >= each.since_ns) & (held.time_ns < each.until_ns)
        gone |= between & ((held.tags["node"] == each.node) | (held.tags["peer"] == each.node))
    return _rows(held, np.flatnonzero(~gone), tuple(held.fields))
