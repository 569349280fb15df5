"""A store of what was read from a file, for as long as a question about it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.reading import nothing, split
from truechimer_analyzer.stores import Columns, NodeSeen, Tally
from truechimer_analyzer.window import groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from truechimer_analyzer.stores import Series


class InMemoryStore:
    """See :class:`truechimer_analyzer.stores.Readable`. Nothing can be written; it is now the last sample."""

    def __init__(self, kept: Iterable[Columns], now_ns: int) -> None:
        """``kept``: the rows of each measurement, in any order; a field that a part lacks is NaN."""
        self._kept = {
            each.measurement: _taken(each, np.argsort(each.time_ns, kind="stable")) for each in kept
        }
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """Unix ns."""
        return self._now_ns

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
        """Every row of the window, by time_ns."""
        every = self._kept.get(measurement)
        if every is None:
            return nothing(measurement, tuple(fields))
        begin, end = np.searchsorted(every.time_ns, [since_ns, until_ns])
        return _found(every, tuple(fields), np.arange(begin, end), nodes, cluster, tags)

    def tally(
        self,
        measurement: str,
        by: Sequence[str],
        since_ns: int,
        until_ns: int,
        *,
        nodes: Sequence[str] | None = None,
        cluster: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> list[Tally]:
        """The window's series, told apart by the tags ``by``."""
        found = self.samples(measurement, (), since_ns, until_ns, nodes=nodes, cluster=cluster, tags=tags)
        return [
            Tally(key, len(rows), int(found.time_ns[rows[0]]), int(found.time_ns[rows[-1]]))
            for key, rows in groups(*(found.tags[tag] for tag in by))
        ]

    def series(
        self,
        measurement: str,
        fields: Iterable[str],
        by: Sequence[str],
        of: Sequence[Tally],
        since_ns: int,
        until_ns: int,
    ) -> Iterator[Series]:
        """These series of the window, one whole after the other."""
        wanted = {each.key for each in of}
        for each in split(self.samples(measurement, fields, since_ns, until_ns), by):
            if each.key in wanted:
                yield each

    def latest(
        self,
        measurement: str,
        fields: Iterable[str],
        *,
        received_since_ns: int | None = None,
        nodes: Sequence[str] | None = None,
        cluster: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Columns:
        """The newest row of each series."""
        names = tuple(fields)
        since_ns = 0 if received_since_ns is None else received_since_ns
        found = self.samples(measurement, names, since_ns, 1 << 62, nodes=nodes, cluster=cluster, tags=tags)
        last = [rows[-1] for _, rows in groups(*found.tags.values())]
        return _taken(found, np.sort(np.array(last, dtype=np.intp)))

    def nodes(self) -> list[NodeSeen]:
        """Every node, seen from its first sample to its last."""
        seen: dict[tuple[str, ...], list[int]] = {}
        for columns in self._kept.values():
            for key, rows in groups(columns.tags["cluster"], columns.tags["node"]):
                seen.setdefault(key, []).extend(
                    (int(columns.time_ns[rows[0]]), int(columns.time_ns[rows[-1]]))
                )
        return [
            NodeSeen(cluster, node, "", min(times), max(times))
            for (cluster, node), times in sorted(seen.items())
        ]


def _found(
    every: Columns,
    fields: tuple[str, ...],
    rows: NDArray[np.intp],
    nodes: Sequence[str] | None,
    cluster: str | None,
    tags: Mapping[str, str] | None,
) -> Columns:
    if nodes is not None:
        rows = rows[np.isin(every.tags["node"][rows].astype(str), list(nodes))]
    wanted = dict(tags or {}) if cluster is None else {**(tags or {}), "cluster": cluster}
    for tag, value in wanted.items():
        rows = rows[every.tags[tag][rows] == value]
    return _taken(every, rows, fields)


def _taken(columns: Columns, rows: NDArray[np.intp], fields: tuple[str, ...] | None = None) -> Columns:
    given = columns.fields
    return Columns(
        columns.measurement,
        columns.time_ns[rows],
        columns.received_ns[rows],
        {name: values[rows] for name, values in columns.tags.items()},
        {
            name: given[name][rows] if name in given else np.full(len(rows), np.nan)
            for name in (given if fields is None else fields)
        },
    )
